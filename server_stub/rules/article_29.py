"""RTS Article 29: traceability."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from server_stub.log_chain import LogEntry, entry_hash
from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, fails, passes, seen, unknown
from server_stub.rules.scene import Scene, instant
from server_stub.verdict import Grade

_SOURCE: Final = "Delegated Regulation (EU) 2018/389, Art. 29"
# What each event's record must name, where the event is one that these rules read.
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


@rule(
    "RTS-29.1",
    obligation="all stages of the payment transaction and of other interactions are traceable",
    source=f"{_SOURCE}(1)",
    best=Grade.LOGGED,
    passes="session, order, challenge, attempt and accepted code of this step-up are in the log",
    fails="–",
    open="a stage is not in the log",
    settles="a log that holds every stage",
)
def traceable(scene: Scene) -> Ruling:
    """Every stage that this step-up went through has its entry."""
    session = scene.evidence.transaction.session
    stages: dict[str, list[LogEntry]] = {
        "the session": [entry for entry in scene.events("session_started") if entry.session == session],
        "the challenge": scene.of_transaction("challenge_issued"),
        "the attempt": [entry] if (entry := scene.attempt_entry) is not None else [],
    }
    if scene.payment:
        stages["the order"] = scene.of_transaction("order_created")
    if scene.accepted:
        stages["the accepted code"] = [scene.acceptance] if scene.acceptance is not None else []
    missing = next((stage for stage, entries in stages.items() if not entries), None)
    if missing is not None:
        return unknown(f"{missing} is not in the log extract")
    return passes(seen(*(entries[-1] for entries in stages.values())), reason=f"on record: {', '.join(stages)}")


@rule(
    "RTS-29.2.a",
    obligation="a unique identifier of the session",
    source=f"{_SOURCE}(2)(a)",
    best=Grade.LOGGED,
    passes="each event of a session names it, and none began twice under another user",
    fails="one session identifier stands for two users",
    open="an event names no session, or this session's beginning is not on record",
    settles="a log that shows the session's beginning",
)
def session_identifiers(scene: Scene) -> Ruling:
    """Each event of a session names it."""
    # A failed login is an attempt outside any transaction: there is no session yet.
    bound = [e for e in scene.log if e.event in _IN_SESSION and (e.transaction or e.event != "sca_attempt")]
    nameless = next((entry for entry in bound if not entry.session), None)
    if nameless is not None:
        return unknown(f"entry {nameless.seq} ({nameless.event}) names no session")
    users: dict[str, str] = {}
    started = scene.events("session_started")
    for entry in started:
        if users.setdefault(entry.session, entry.user) != entry.user:
            return fails(f"entry {entry.seq}: one session identifier, two users", Grade.LOGGED)
    if scene.evidence.transaction.session not in users:
        return unknown("the log does not show the beginning of this session")
    return passes(seen(*started))


@rule(
    "RTS-29.2.b",
    obligation="detailed logging: transaction number, timestamps and all relevant transaction data",
    source=f"{_SOURCE}(2)(b)",
    best=Grade.LOGGED,
    passes="the entries are complete, and each has the hash that was kept with it",
    fails="an entry was altered",
    open="this attempt is not in the log, or an entry is incomplete",
    settles="a log with complete entries",
)
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
    return passes(seen(*scene.log))


def _missing(entry: LogEntry) -> str | None:
    if not (entry.event_id and entry.at and entry.clock_id):
        return "its id, time or clock"
    return next((name for name in _REQUIRED.get(entry.event, ()) if name not in entry.fields), None)


@rule(
    "RTS-29.2.c",
    obligation="timestamps by a unified reference, synchronised to an official signal",
    source=f"{_SOURCE}(2)(c)",
    best=Grade.DECLARED,
    passes="the operator declares the synchronisation",
    fails="times go back within a session",
    open="nothing is declared: times that rise say nothing of an official signal",
    settles="a declaration: to which signal the clocks are synchronised",
    declarable=True,
)
def one_clock(scene: Scene) -> Ruling:
    """Times rise within each session, by one clock; that it follows an official signal only an operator can say."""
    last: dict[str, LogEntry] = {}
    for entry in scene.log:
        at, before = instant(entry.at), last.get(entry.session)
        earlier = instant(before.at) if before is not None else None
        if entry.session and at is not None and earlier is not None and earlier - at > _OVERLAP:
            words = f"entry {entry.seq}: its time lies before that of the entry before it in the session"
            return fails(words, Grade.LOGGED)
        last[entry.session] = entry
    return unknown("that the clock follows an official time signal is not on record")
