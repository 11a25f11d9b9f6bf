"""PSD2 Art. 97(1) and RTS Art. 4: elements, the authentication code, failures, sessions, blocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from device_keys.encoding import parse_json_object
from server_stub.log_chain import LogEntry
from server_stub.rules.elements import State, candidates, method_name, no_element
from server_stub.rules.ruling import Ruling, absent, fails, passes, unknown, weakest
from server_stub.rules.scene import Scene, instant
from server_stub.verdict import Grade, Outcome

_ONE_TIME: Final = frozenset({"otp-sms", "otp-email", "totp", "backup-code", "device-key"})
_CLIENT_DATA_MEMBERS: Final = frozenset(
    {"type", "challenge", "origin", "crossOrigin", "topOrigin", "payment", "device", "tokenBinding"}
)
_EXTENSIONS: Final = frozenset({"uvm"})
_RESULTS: Final = frozenset({"appAttest", "uvm"})


def article_97(scene: Scene) -> Ruling:
    """An accepted code for this action and for the enrolment under it."""
    transaction = scene.evidence.transaction
    if not scene.accepted:
        if scene.of_transaction("order_executed"):
            return fails("the order was executed although its step-up was refused", Grade.LOGGED)
        return unknown("the step-up was refused: no code was accepted, and nothing was done")
    if transaction.trigger not in ("a", "b", "c"):
        return unknown("the action has no trigger under Art. 97(1)")
    if scene.acceptance is None:
        return unknown("the log holds no accepted code for this action")
    issued = scene.of_transaction("challenge_issued", challenge_id=scene.acceptance.fields.get("code_id"))
    if not issued or not issued[0].fields.get("trigger"):
        return unknown("the log does not say for which trigger the accepted code's challenge was issued")
    if scene.evidence.credential is not None:
        return _enrolment_had_sca(scene)
    return passes(Grade.LOGGED)


def _enrolment_had_sca(scene: Scene) -> Ruling:
    if scene.binding is None:
        return unknown("the log holds no record of the enrolment under this action")
    if sca_behind(scene, scene.binding) is None and not scene.binding.fields.get("in_person_ref"):
        return unknown("the log holds no accepted code for the enrolment under this action")
    return passes(Grade.LOGGED)


def sca_behind(scene: Scene, entry: LogEntry) -> LogEntry | None:
    """The earlier `code_accepted` to which an entry's `sca_ref` refers, by its event id or its code id."""
    reference = entry.fields.get("sca_ref")
    if not reference:
        return None
    for code in scene.events("code_accepted"):
        if code.seq < entry.seq and reference in (code.event_id, code.fields.get("code_id")):
            return code
    return None


def elements_4_1(scene: Scene) -> Ruling:
    """Two different categories, bound to this challenge or validly reused, produced an accepted code (EBA-Op-2018-04)."""
    found = candidates(scene)
    shown = {c.category: c for c in found if c.state is State.SHOWN and c.category is not None}
    behind = tuple(dict.fromkeys(check for candidate in found for check in candidate.findings))
    names = ", ".join(f"{c.method} ({c.category})" for c in found if c.state is State.SHOWN) or "none"
    if len(shown) < 2:
        return _too_few(scene, found, len(shown), names, behind)
    if not any(candidate.fresh for candidate in shown.values()):
        return fails("no element was shown for this action: all are reused from the login", Grade.LOGGED, *behind)
    if not scene.accepted:
        first = next((f.check for f in scene.findings.values() if f.outcome is Outcome.FAIL), "a check")
        return unknown(f"two categories were shown, but {first} refused the step-up: no code was accepted", *behind)
    grade = weakest(_best(found, category) for category in shown)
    return passes(grade, *behind, reason=f"shown: {names}")


def _best(found: tuple[Any, ...], category: Any) -> Grade:
    """The best grade among the shown elements of one category."""
    grades = {
        candidate.grade for candidate in found if candidate.state is State.SHOWN and candidate.category == category
    }
    return next(grade for grade in Grade if grade in grades)


def _too_few(scene: Scene, found: tuple[Any, ...], count: int, names: str, behind: tuple[str, ...]) -> Ruling:
    open_ = [candidate for candidate in found if candidate.state is State.OPEN]
    missing = "; ".join(f"{c.method}: {c.reason}" for c in open_)
    if count + len(open_) >= 2:
        return unknown(f"shown: {names}; open: {missing}", *behind)
    against = "".join(f"; {c.method}: {c.reason}" for c in found if c.state is State.CONTRADICTED)
    against += f"; {nothing}" if (nothing := no_element(scene)) else ""
    if count == 1:
        return fails(f"one category only was shown: {names}{against}", Grade.LOGGED, *behind)
    if open_:
        return unknown(f"no element was shown; open: {missing}", *behind)
    return fails(f"no authentication element was shown{against}", Grade.LOGGED, *behind)


def once(scene: Scene) -> Ruling:
    """One acceptance of a code at most; a second presentation was refused. The replay key is the challenge, not the signature bytes."""
    check = "challenge.unused" if scene.device else "secret.unused"
    behind = scene.present(check)
    code = scene.challenge_id
    accepted = (
        scene.events("code_accepted", code_id=code) if code is not None else scene.of_transaction("code_accepted")
    )
    if len(accepted) > 1:
        return fails(f"the log holds {len(accepted)} acceptances of one code", Grade.LOGGED, *behind)
    if scene.failed(check):
        if scene.accepted:
            return fails("a code that was already used was accepted", Grade.LOGGED, *behind)
        return passes(Grade.LOGGED, *behind, reason="presented a second time, and refused")
    if not scene.accepted:
        return unknown("no code was accepted", *behind)
    if not scene.settled(check):
        return unknown(scene.why(check), *behind)
    if not accepted:
        return unknown("the log holds no acceptance of this code", *behind)
    return passes(Grade.LOGGED, *behind)


def underivable(scene: Scene) -> Ruling:
    """The response holds what its schema allows, and nothing made from a secret or a body."""
    behind = scene.present("assertion.signature", "client_data.readable", "authenticator_data.readable")
    if not scene.device:
        return _one_time_code(scene, "the server drew it at random, or computed it from a seed that it keeps")
    if scene.client_data is None or scene.auth_data is None:
        return unknown("the signed response cannot be read", *behind)
    leak = scene.secret_paths()
    if leak:
        return fails(f"a member named like a secret: {leak[0]}", Grade.SIGNED, *behind)
    stranger = _strangers(scene)
    if stranger is not None:
        return unknown(f"the response holds a member outside the allowed ones: {stranger}", *behind)
    return passes(Grade.PROVED if scene.in_hardware else Grade.SIGNED, *behind)


def _strangers(scene: Scene) -> str | None:
    assert scene.client_data is not None and scene.auth_data is not None and scene.assertion is not None  # noqa: PT018
    members = parse_json_object(scene.client_data.raw.removeprefix(b"\xef\xbb\xbf"))
    unknown_ = sorted(set(members) - _CLIENT_DATA_MEMBERS)
    unknown_ += sorted(set(scene.auth_data.extensions or {}) - _EXTENSIONS)
    unknown_ += sorted(set(scene.assertion.extensions) - _RESULTS)
    unknown_ += [
        f"device.{name}" for name, value in (scene.client_data.device or {}).items() if not _harmless(name, value)
    ]
    return unknown_[0] if unknown_ else None


def _harmless(name: str, value: Any) -> bool:
    """Of the device's own member only the nonce and the time are text; the rest are counters."""
    if name in ("nonce", "signedAt"):
        return isinstance(value, str)
    if isinstance(value, dict):
        return all(isinstance(inner, int) for inner in value.values())
    return isinstance(value, int)


def _one_time_code(scene: Scene, because: str) -> Ruling:
    """Arts 4(2)(a) to (c) where the code is a one-time code, or a signature over a one-time token, that the server checks (recital 4)."""
    secret = scene.evidence.secret
    if secret is None or method_name(secret.kind) not in _ONE_TIME:
        return unknown("there is no authentication code to look at: the vendor's token follows from one secret")
    if not scene.settled(*scene.present("secret.correct", "secret.fresh", "secret.unused")) or secret.result != "right":
        return unknown(
            "no one-time code was accepted", *scene.present("secret.correct", "secret.fresh", "secret.unused")
        )
    kind = f"a one-time code: {because}"
    if method_name(secret.kind) == "device-key":
        kind = "a signature by the registered key, over a token that is drawn anew for each login"
    return passes(Grade.LOGGED, *scene.present("secret.correct"), reason=kind)


def unpredictable(scene: Scene) -> Ruling:
    """A fresh challenge of 16 bytes or more, never repeated, signed under an allowed algorithm."""
    if not scene.device:
        return _one_time_code(scene, "each is drawn or computed anew")
    behind = scene.present("challenge.known", "binding.order", "attestation.algorithm")
    if scene.nonce is None or not scene.passed("challenge.known", "binding.order"):
        return unknown(scene.why("challenge.known", "binding.order"), *behind)
    if len(scene.nonce) < 16:
        return fails(f"the nonce has {len(scene.nonce)} bytes", Grade.LOGGED, *behind)
    if scene.observed.nonce_repeated:
        return fails("the log holds the same nonce twice", Grade.LOGGED, *behind)
    if len(scene.events("challenge_issued", challenge_id=scene.challenge_id)) > 1:
        return fails("the log extract holds the same challenge twice", Grade.LOGGED, *behind)
    if not scene.settled(*scene.present("attestation.algorithm")):
        return unknown(scene.why("attestation.algorithm"), *behind)
    if scene.observed.nonce_repeated is None:
        return unknown("whether the nonce occurs elsewhere in the log was not looked up", *behind)
    return passes(Grade.LOGGED, *behind)


def unforgeable(scene: Scene) -> Ruling:
    """The stored key's signature verifies; `proved` where hardware generated that key and keeps it."""
    if not scene.device:
        return _one_time_code(scene, "a guess hits once in a million, and five in a row end the attempts")
    behind = scene.present("assertion.signature", "attestation.key_origin", "attestation.security_level")
    if scene.evidence.assertion is None:
        return unknown("no device evidence came", *behind)
    if scene.failed("assertion.signature"):
        return fails(
            f"assertion.signature failed: {scene.findings['assertion.signature'].reason}", Grade.LOGGED, *behind
        )
    if not scene.signature_stands:
        return unknown(scene.why("assertion.signature"), *behind)
    return passes(Grade.PROVED if scene.in_hardware else Grade.SIGNED, *behind)


def uniform_refusal(scene: Scene) -> Ruling:
    """Every failed attempt got one and the same public answer."""
    if not scene.device:
        return absent("one element is tested by this call, so its answer cannot tell two apart")
    failed = [entry for entry in failed_attempts(scene) if not _of_enrolment(entry)]
    answers = {entry.fields.get("public_problem_id") for entry in failed} | set(scene.observed.public_problem_ids or ())
    if len(answers) > 1:
        return fails(
            f"failed attempts were answered in {len(answers)} ways: {', '.join(sorted(map(str, answers)))}",
            Grade.LOGGED,
        )
    if not answers or answers == {None}:
        return unknown("no failed attempt with its public answer is on record")
    return passes(Grade.LOGGED, reason=f"every failed attempt on record was answered {answers.pop()}")


def failed_attempts(scene: Scene) -> list[LogEntry]:
    """The attempts in the extract whose elements were evaluated and refused."""
    return [
        entry for entry in scene.events("sca_attempt") if _evaluated(entry) and entry.fields["outcome"] != "accepted"
    ]


def _of_enrolment(entry: LogEntry) -> bool:
    """Whether an attempt was one at an activation code: one element, with its own answer."""
    return entry.fields.get("method") == "ENROLMENT"


def _evaluated(entry: LogEntry) -> bool:
    return entry.fields.get("outcome") in ("accepted", "failed")


def five_failures(scene: Scene) -> Ruling:
    """Replay of the log: after the fifth failure in a row nothing is evaluated until a block was in force and ended."""
    behind = scene.present("user.not_blocked")
    limit = scene.config.maximum_failures
    if limit > 5:
        return fails(f"the policy allows {limit} failures in a row", Grade.DECLARED, *behind)
    problem = _replayed(scene, limit)
    if problem is not None:
        return fails(problem, Grade.LOGGED, *behind)
    if scene.attempt_entry is None:
        return unknown("the log holds no record of this attempt", *behind)
    return passes(Grade.LOGGED, *behind)


def _replayed(scene: Scene, limit: int) -> str | None:
    """What went wrong in the user's count, which runs over enrolments, challenges and logins."""
    count, blocked = 0, False
    for entry in scene.events("sca_attempt", "block_temp", "block_permanent", "unblock"):
        if entry.event.startswith("block_"):
            blocked = True
        elif entry.event == "unblock":
            count, blocked = 0, False
        elif _evaluated(entry):
            if count >= limit and not blocked:
                return f"entry {entry.seq}: evaluated after {count} failures in a row without a block"
            if _during_block(scene, entry):
                return f"entry {entry.seq}: evaluated while the user was blocked"
            before, blocked = (0 if blocked else count), False
            count = 0 if entry.fields.get("outcome") == "accepted" else before + 1
    return None


def _during_block(scene: Scene, entry: LogEntry) -> bool:
    """Whether a block of this user was in force when an attempt was evaluated; one without an end lasts until it is lifted."""
    until: datetime | None = None
    for other in scene.events("block_temp", "block_permanent", "unblock"):
        if other.seq < entry.seq:
            end = instant(other.fields.get("until")) or datetime.max.replace(tzinfo=UTC)
            until = None if other.event == "unblock" else end
    at = instant(entry.at)
    return until is not None and at is not None and at < until


def session_protected(scene: Scene) -> Ruling:
    """The challenge belongs to nonce, transaction and session; a foreign session's is refused."""
    behind = scene.present("transaction.session", "transaction.user", "challenge.transaction", "binding.order")
    if scene.failed("transaction.session") and not scene.accepted:
        return passes(Grade.LOGGED, *behind, reason="a foreign session tried, and was refused")
    needed = behind if scene.device else scene.present("transaction.session", "transaction.user")
    if not needed or not scene.passed(*needed):
        return unknown(scene.why(*needed) if needed else "transaction.session was not among the checks", *behind)
    return passes(Grade.LOGGED, *behind)


def idle(scene: Scene) -> Ruling:
    """No call was accepted after a gap of more than five minutes without new authentication; an unused session counts as ended."""
    limit = timedelta(seconds=min(scene.config.idle_seconds, 300))
    if scene.config.idle_seconds > 300:
        return fails(f"the policy allows {scene.config.idle_seconds} seconds without activity", Grade.DECLARED)
    for session in scene.sessions():
        entries = [entry for entry in scene.log if entry.session == session]
        if not any(entry.event == "session_started" for entry in entries):
            return unknown("the log does not show the beginning of a session that counts here")
        late = _late_call(entries, limit)
        if late is not None:
            return fails(
                f"entry {late.seq}: a call at {late.at} was accepted after more than {limit.seconds} seconds of silence",
                Grade.LOGGED,
            )
    return passes(Grade.LOGGED)


def _late_call(entries: list[LogEntry], limit: timedelta) -> LogEntry | None:
    last: datetime | None = None
    for entry in entries:
        at = instant(entry.at)
        if entry.event in ("session_started", "code_accepted"):
            last = at
        elif entry.event == "session_ended":
            last = None
        elif entry.event in ("payer_activity", "order_created", "order_executed"):
            if last is not None and at is not None and at - last > limit:
                return entry
            last = at
    return None


def alert(scene: Scene) -> Ruling:
    """The payer was warned before a block became permanent."""
    blocks = scene.events("block_permanent")
    if not blocks:
        return absent("no block became permanent")
    if any(entry.seq < blocks[-1].seq for entry in scene.events("alert_before_permanent")):
        return passes(Grade.LOGGED)
    return fails("the log holds no warning before the permanent block", Grade.LOGGED)


def block_duration(scene: Scene) -> Ruling:
    """A temporary block says how long it lasts, and on what basis."""
    blocks = scene.events("block_temp")
    if not blocks:
        return absent("no temporary block was needed")
    if instant(blocks[-1].fields.get("until")) is None or not blocks[-1].fields.get("basis"):
        return unknown("the block's record lacks its end or its basis")
    return passes(Grade.DECLARED, reason=f"stated basis: {blocks[-1].fields['basis']}")


def unblocking(scene: Scene) -> Ruling:
    """Each return from a permanent block rests on a proof."""
    permanent = scene.events("block_permanent")
    back = [entry for entry in scene.events("unblock") if permanent and entry.seq > permanent[0].seq]
    if not back:
        return absent("nobody returned from a permanent block")
    without = next((entry for entry in back if not entry.fields.get("proof_ref")), None)
    if without is not None:
        return fails(f"entry {without.seq}: unblocked without a proof reference", Grade.LOGGED)
    return passes(Grade.LOGGED)
