"""RTS Arts 28, 29 and 35: the right counterpart, traceability, secure sessions."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from server_stub.log_chain import LogEntry, entry_hash
from server_stub.rules.ruling import Ruling, absent, fails, passes, unknown
from server_stub.rules.scene import Platform, Scene, instant
from server_stub.verdict import Grade

# What each event's record must name (sca-rules section 10), where the event is one that these rules read.
_REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "session_started": ("channel",),
    "order_created": ("order_id", "kind"),
    "challenge_issued": ("challenge_id", "trigger", "exp"),
    "display_ack": ("challenge_id", "text_hash"),
    "sca_attempt": ("outcome", "internal_reason", "public_problem_id"),
    "code_accepted": ("code_id",),
    "block_temp": ("until", "basis"),
    "credential_bound": ("credential_id", "device_id"),
    "credential_activated": ("credential_id",),
}
_IN_SESSION: Final = frozenset({
    "session_started", "payer_activity", "session_ended", "order_created", "challenge_issued", "sca_attempt", "code_accepted",
    "display_ack",
})  # fmt: skip
# Two calls of one session may overlap: each reads its instant before it queues for the log.
_OVERLAP: Final = timedelta(seconds=2)


def terminals(scene: Scene) -> Ruling:
    """Payee terminals only."""
    return absent("no payee's terminal takes part")


def right_counterpart(scene: Scene) -> Ruling:
    """The response names this relying party and its origin or app, as enrolled."""
    if not scene.device:
        return unknown("no signed response names the counterpart")
    behind = scene.present("assertion.rp_id", "assertion.origin", "app_attest.application", "attestation.application")
    if scene.failed("assertion.rp_id", "assertion.origin", "app_attest.application"):
        first = scene.failed("assertion.rp_id", "assertion.origin", "app_attest.application") or ""
        return fails(scene.why(first), Grade.SIGNED, *behind)
    if not scene.passed("assertion.rp_id", "assertion.origin"):
        return unknown(scene.why("assertion.rp_id", "assertion.origin"), *behind)
    # An Android app writes RP id and origin itself: they are proved only as far as the app is.
    proved = (
        scene.platform is Platform.ANDROID
        and scene.attested is Grade.PROVED
        and scene.passed("attestation.application")
    )
    return passes(Grade.PROVED if proved else Grade.SIGNED, *behind)


def session_identifiers(scene: Scene) -> Ruling:
    """Each event of a session names it, and no session began twice under another user."""
    if not scene.log:
        return unknown("no log was given")
    # A failed login is an attempt outside any transaction: there is no session yet.
    bound = [
        entry
        for entry in scene.log
        if entry.event in _IN_SESSION and (entry.transaction or entry.event != "sca_attempt")
    ]
    nameless = next((entry for entry in bound if not entry.session), None)
    if nameless is not None:
        return unknown(f"entry {nameless.seq} ({nameless.event}) names no session")
    users: dict[str, str] = {}
    for entry in scene.events("session_started"):
        if users.setdefault(entry.session, entry.user) != entry.user:
            return fails(f"entry {entry.seq}: one session identifier, two users", Grade.LOGGED)
    if scene.evidence.transaction.session not in users:
        return unknown("the log does not show the beginning of this session")
    return passes(Grade.LOGGED)


def detailed_log(scene: Scene) -> Ruling:
    """The records are complete, and each has the hash that was kept with it."""
    if not scene.log or scene.attempt_entry is None:
        return unknown("the log holds no record of this attempt")
    for entry in scene.log:
        if entry_hash(entry) != entry.hash:
            return fails(f"entry {entry.seq} ({entry.event}) was altered", Grade.LOGGED)
        missing = _missing(entry)
        if missing is not None:
            return unknown(f"entry {entry.seq} ({entry.event}) lacks {missing}")
    return passes(Grade.LOGGED)


def _missing(entry: LogEntry) -> str | None:
    if not (entry.event_id and entry.at and entry.clock_id):
        return "its id, time or clock"
    return next((name for name in _REQUIRED.get(entry.event, ()) if name not in entry.fields), None)


def one_clock(scene: Scene) -> Ruling:
    """Times rise within each session, by one clock; that it follows an official signal is a control record."""
    if not scene.log:
        return unknown("no log was given")
    if len({entry.clock_id for entry in scene.log}) > 1:
        return unknown("the extract names more than one clock")
    last: dict[str, LogEntry] = {}
    for entry in scene.log:
        at, before = instant(entry.at), last.get(entry.session)
        earlier = instant(before.at) if before is not None else None
        if at is None:
            return unknown(f"entry {entry.seq} has no readable time")
        if entry.session and earlier is not None and earlier - at > _OVERLAP:
            return fails(
                f"entry {entry.seq}: its time lies before that of the entry before it in the session", Grade.LOGGED
            )
        last[entry.session] = entry
    record = scene.config.control("clock-synchronisation")
    if record is None or instant(record.dated) is None:
        return unknown("times rise by one clock; no control record says that it follows an official time signal")
    return passes(Grade.DECLARED, reason=f"{record.reference}, {record.dated}")


def encrypted(scene: Scene) -> Ruling:
    """The call came by TLS 1.2 or later; plain HTTP on loopback says nothing, elsewhere it fails."""
    if scene.evidence.transport == "http-loopback":
        return unknown("loopback")
    if scene.evidence.transport != "tls":
        return fails("plain HTTP", Grade.LOGGED)
    versions = [
        _tls_version(entry) for entry in scene.events("session_started") if entry.session in set(scene.sessions())
    ]
    old = next((version for version in versions if version in ("TLSv1", "TLSv1.1", "SSLv3")), None)
    return fails(f"{old} is no strong encryption", Grade.LOGGED) if old else passes(Grade.LOGGED)


def _tls_version(entry: LogEntry) -> str | None:
    tls = entry.fields.get("tls")
    version = tls.get("version") if isinstance(tls, dict) else tls
    return version if isinstance(version, str) else None


def short_session(scene: Scene) -> Ruling:
    """The session ended once the action was done."""
    ended = [entry for entry in scene.events("session_ended") if entry.session == scene.evidence.transaction.session]
    if not ended:
        return unknown("the session had not ended when this was judged")
    return passes(Grade.LOGGED, reason=f"ended: {ended[-1].fields.get('reason', 'no reason given')}")


def linked_sessions(scene: Scene) -> Ruling:
    """Order and challenge name the session they belong to."""
    behind = scene.present("transaction.session")
    session = scene.evidence.transaction.session
    issued = scene.of_transaction("challenge_issued", "order_created")
    stranger = next((entry for entry in issued if entry.session != session), None)
    if stranger is not None and stranger.session:
        return fails(f"entry {stranger.seq} ({stranger.event}) belongs to another session", Grade.LOGGED, *behind)
    if scene.failed("transaction.session"):
        foreign = "a foreign session's step-up"
        return (
            fails(f"{foreign} was accepted", Grade.LOGGED, *behind)
            if scene.accepted
            else passes(Grade.LOGGED, *behind, reason=f"{foreign} was refused")
        )
    if not issued or stranger is not None or not scene.passed("transaction.session"):
        why = (
            "the log names no session for this challenge"
            if not issued or stranger is not None
            else scene.why("transaction.session")
        )
        return unknown(why, *behind)
    return passes(Grade.LOGGED, *behind)


def references(scene: Scene) -> Ruling:
    """User, session and transaction are named wherever this step-up is."""
    entries = scene.of_transaction("order_created", "challenge_issued", "display_ack", "sca_attempt", "code_accepted")
    if scene.attempt_entry is None:
        return unknown("the log holds no record of this attempt")
    lacking = next((entry for entry in entries if not (entry.user and entry.session)), None)
    if lacking is not None:
        return unknown(f"entry {lacking.seq} ({lacking.event}) names no user or no session")
    return passes(Grade.LOGGED)


def staff(scene: Scene) -> Ruling:
    """Nothing secret is readable in the log; who may read it at all is a control record."""
    leak = scene.secret_paths()
    if leak:
        return fails(f"a member named like a secret holds a value: {leak[0]}", Grade.LOGGED)
    record = scene.config.control("staff-access")
    if record is None or instant(record.dated) is None:
        return unknown("the log holds no secret; no control record says who may read it")
    return passes(Grade.DECLARED, reason=f"{record.reference}, {record.dated}")
