"""RTS Article 4: the authentication code, failures in a row, blocks, sessions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from device_keys.encoding import parse_json_object
from server_stub.log_chain import LogEntry
from server_stub.rules.elements import (
    DRAWN,
    FIXED,
    NOT_ON_RECORD,
    Candidate,
    State,
    candidates,
    method_name,
    no_element,
)
from server_stub.rules.registry import rule
from server_stub.rules.ruling import (
    BuiltIn,
    Ruling,
    Seen,
    Why,
    absent,
    fails,
    passes,
    seen,
    unexercised,
    unknown,
    weakest,
)
from server_stub.rules.scene import Scene, instant
from server_stub.verdict import Category, Grade

_CLIENT_DATA_MEMBERS: Final = frozenset(
    {"type", "challenge", "origin", "crossOrigin", "topOrigin", "payment", "device", "tokenBinding"}
)
_EXTENSIONS: Final = frozenset({"uvm"})
_RESULTS: Final = frozenset({"appAttest", "uvm"})
# Art. 4(3)(b) and (d) themselves.
_MOST_FAILURES: Final = 5
_IDLE: Final = timedelta(minutes=5)
# Product: shorter nonces are noted; the law names no length.
_NONCE_BYTES: Final = BuiltIn(16)
_CODES: Final = ("otp-sms", "otp-email", "totp", "backup-code", "device-key")
_SOURCE: Final = "Delegated Regulation (EU) 2018/389, Art. 4"


# -- 4(1)


@rule(
    "RTS-4.1-elements",
    obligation="authentication rests on two or more elements of different categories and results in a code",
    source=f"{_SOURCE}(1)",
    best=Grade.PROVED,
    passes="elements of two categories were shown, one of them for this action, and a code was accepted",
    fails="a code was accepted with elements of one category, or with none given for this action",
    open="the step-up was refused, or an element is unnamed or not on record",
    settles=(
        "a second element of another category, named by its key's gate, by the secret that the server "
        "checked, or by the code that it drew"
    ),
    signed=True,
    of_code=True,
)
def elements_4_1(scene: Scene) -> Ruling:
    """Two different categories, bound to this challenge or validly reused, produced an accepted code (EBA-Op-2018-04)."""
    found = candidates(scene)
    shown = {c.category: c for c in found if c.state is State.SHOWN and c.category is not None}
    names = ", ".join(f"{c.method} ({c.category})" for c in found if c.state is State.SHOWN) or "none"
    behind = tuple(dict.fromkeys(check for c in found if c.state is State.SHOWN for check in c.findings))
    if len(shown) < 2:
        return _too_few(scene, found, len(shown), names, behind)
    if not any(candidate.fresh for candidate in shown.values()):
        return fails("no element was shown for this action: all are reused from the login", Grade.LOGGED, *behind)
    grade = weakest(_best(found, category) for category in shown)
    return passes(elements_seen(scene, found, grade), reason=f"shown: {names}")


def elements_seen(scene: Scene, found: tuple[Candidate, ...], grade: Grade) -> Seen:
    """The shown elements as something seen: the checks behind them, and what the server noted of secret and login."""
    checks = dict.fromkeys(check for c in found if c.state is State.SHOWN for check in c.findings)
    sources = [scene.findings[check] for check in checks]
    return seen(*sources, scene.evidence, grade=grade)


def _best(found: tuple[Candidate, ...], category: Category | None) -> Grade:
    """The best grade among the shown elements of one category."""
    grades = {c.grade for c in found if c.state is State.SHOWN and c.category == category}
    return next(grade for grade in Grade if grade in grades)


def _too_few(scene: Scene, found: tuple[Candidate, ...], count: int, names: str, behind: tuple[str, ...]) -> Ruling:
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


def code_kind(scene: Scene) -> str:
    """What serves as authentication code without a phone: a one-time code, a signature over a token, or nothing ("")."""
    secret = scene.evidence.secret
    method = method_name(secret.kind) if secret is not None and secret.result else ""
    return method if method in _CODES else ""


_NO_CODE: Final = "there is no authentication code to look at: the vendor's token follows from one secret"


@rule(
    "RTS-4.1-once",
    obligation="the authentication code is accepted only once",
    source=f"{_SOURCE}(1)",
    best=Grade.LOGGED,
    passes="the log holds one acceptance of this challenge, or a second presentation was refused",
    fails="the log holds two acceptances, a used code was accepted, or one fixed code serves every challenge",
    open="no code was accepted, there is none (a PIN or a password), or its acceptance is not on record",
    settles="the log's one acceptance of the code, and a second presentation of it, refused",
)
def once(scene: Scene) -> Ruling:
    """One acceptance of a code at most. The replay key is the challenge, not the signature bytes."""
    check = "challenge.unused" if scene.device else "secret.unused"
    if not scene.device and not code_kind(scene):
        return unknown(_NO_CODE)
    if scene.failed(check):
        if scene.accepted:
            return fails("a code that was already used was accepted", Grade.LOGGED, check)
        entry = scene.attempt_entry
        return passes(seen(entry or scene.evidence), reason=f"presented a second time, and refused ({check} failed)")
    code = scene.challenge_id
    accepted = scene.events("code_accepted", code_id=code) if code else scene.of_transaction("code_accepted")
    if len(accepted) > 1:
        return fails(f"the log holds {len(accepted)} acceptances of one code", Grade.LOGGED)
    if not scene.accepted:
        return unknown(scene.no_code)
    if not scene.device and (open_or_fixed := _fixed(scene, "one fixed code is accepted for every challenge")):
        return open_or_fixed
    if not accepted:
        return unknown("the log holds no acceptance of this code")
    return passes(scene.checked(check), seen(accepted[0]))


# -- 4(2)


def _fixed(scene: Scene, problem: str) -> Ruling | None:
    """What follows from a code that the server draws being fixed, or from nobody having recorded whether it is."""
    secret = scene.evidence.secret
    if secret is None or method_name(secret.kind) not in (*DRAWN, "backup-code"):
        return None
    if secret.fixed_code:
        return fails(problem, Grade.LOGGED)
    return unknown(NOT_ON_RECORD) if secret.fixed_code is None else None


def _one_time_code(scene: Scene, drawn: str, computed: str, signed: str) -> Ruling:
    """Arts 4(2)(a) to (c) where the code is a one-time code, or a signature over a one-time token, that the server checks (recital 4)."""
    kind, secret = code_kind(scene), scene.evidence.secret
    if not kind or secret is None:
        return unknown(_NO_CODE)
    if secret.result != "right":
        return unknown("no one-time code was accepted")
    words = {
        "totp": f"a code of the authenticator app: {computed}",
        "device-key": f"a signature by the registered key: {signed}",
    }
    return passes(scene.checked("secret.correct"), seen(secret), reason=words.get(kind, f"a one-time code: {drawn}"))  # fmt: skip


@rule(
    "RTS-4.2.a",
    obligation="disclosure of the code reveals nothing about any element",
    source=f"{_SOURCE}(2)(a)",
    best=Grade.PROVED,
    passes=(
        "the signed response holds only members of its schema, none made from a secret; a drawn code holds nothing"
    ),
    fails="the response holds a member that is named like a secret",
    open="no code was accepted, the response holds a member that nobody knows, or the code is a fixed one",
    settles="a response with the members of its schema only; a code that was drawn",
    signed=True,
    of_code=True,
)
def underivable(scene: Scene) -> Ruling:
    """The response holds what its schema allows, and nothing made from a secret or a body."""
    if not scene.device:
        fixed = _fixed(scene, FIXED)
        if fixed is not None:
            return unknown(fixed.reason or FIXED)
        return _one_time_code(
            scene, "it was drawn at random", "it is computed from a seed, which it does not give away", "it reveals no key"
        )  # fmt: skip
    if scene.client_data is None or scene.auth_data is None:
        return unknown("the signed response cannot be read")
    leak = scene.secret_paths(response_only=True)
    if leak:
        return fails(f"a member named like a secret: {leak[0]}", Grade.SIGNED)
    stranger = _strangers(scene)
    if stranger is not None:
        return unknown(f"the response holds a member outside the allowed ones: {stranger}")
    grade = Grade.PROVED if scene.in_hardware else Grade.SIGNED
    return passes(scene.checked("assertion.signature", *scene.hardware_checks, grade=grade))


def _strangers(scene: Scene) -> str | None:
    if scene.client_data is None or scene.auth_data is None or scene.assertion is None:
        return "the response itself"
    members = parse_json_object(scene.client_data.raw.removeprefix(b"\xef\xbb\xbf"))
    unknown_ = sorted(set(members) - _CLIENT_DATA_MEMBERS)
    unknown_ += sorted(set(scene.auth_data.extensions or {}) - _EXTENSIONS)
    unknown_ += sorted(set(scene.assertion.extensions) - _RESULTS)
    device = (scene.client_data.device or {}).items()
    unknown_ += [f"device.{name}" for name, value in device if not _harmless(name, value)]
    return unknown_[0] if unknown_ else None


def _harmless(name: str, value: Any) -> bool:
    """Of the device's own member only the nonce and the time are text; the rest are counters."""
    if name in ("nonce", "signedAt"):
        return isinstance(value, str)
    if isinstance(value, dict):
        return all(isinstance(inner, int) for inner in value.values())
    return isinstance(value, int)


@rule(
    "RTS-4.2.b",
    obligation="no new code can be made from knowledge of earlier ones",
    source=f"{_SOURCE}(2)(b)",
    best=Grade.PROVED,
    passes=(
        "the challenge was never issued before and was signed under an allowed algorithm; a one-time code was "
        "drawn at random"
    ),
    fails="a nonce or a challenge was issued twice, or the code is a fixed one",
    open="no code was accepted; whether the nonce occurs elsewhere was not looked up; the code follows from a seed",
    settles="a look through the whole log for the nonce; a code that was drawn at random, and is recorded so",
    signed=True,
    of_code=True,
)
def unpredictable(scene: Scene) -> Ruling:
    """A fresh challenge, never repeated, signed under an allowed algorithm."""
    if not scene.device:
        return _drawn(scene, "it was drawn at random, for this challenge")
    if scene.nonce is None or scene.evidence.nonce is None or not scene.passed("challenge.known", "binding.order"):
        return unknown(scene.why("challenge.known", "binding.order"))
    if scene.observed.nonce_repeated:
        return fails("the log holds the same nonce twice", Grade.LOGGED)
    if len(scene.events("challenge_issued", challenge_id=scene.challenge_id)) > 1:
        return fails("the log extract holds the same challenge twice", Grade.LOGGED)
    if scene.failed("attestation.algorithm"):
        return unknown(scene.why("attestation.algorithm"))
    if scene.observed.nonce_repeated is None:
        return unknown("whether the nonce occurs elsewhere in the log was not looked up")
    said = f"a nonce of {len(scene.nonce)} bytes (Product: {_NONCE_BYTES.value} or more), never issued before"
    checks = ("challenge.known", "binding.order", *scene.among_passed("attestation.algorithm"))
    return passes(scene.checked(*checks), seen(scene.evidence.nonce), reason=said)


def _drawn(scene: Scene, drawn: str) -> Ruling:
    """A one-time code that must not be foreseen: neither fixed, nor following from a seed."""
    fixed = _fixed(scene, FIXED)
    if fixed is not None:
        return fixed
    if scene.evidence.secret is not None and scene.evidence.secret.seeded:
        return unknown("the code follows from the server's seed: whoever knows the seed knows the next one")
    return _one_time_code(
        scene, drawn,
        "a drift of one step either way makes three codes good: a guess hits three times in a million; failures are counted (RTS-4.3.b)",
        "it is over a token that is drawn anew for each login",
    )  # fmt: skip


@rule(
    "RTS-4.2.c",
    obligation="the code cannot be forged",
    source=f"{_SOURCE}(2)(c)",
    best=Grade.PROVED,
    passes=(
        "the signature verifies under the stored key (proved where hardware made that key and keeps it); a "
        "code was drawn at random"
    ),
    fails="a code was accepted whose signature does not verify, or that is a fixed one",
    open="no code was accepted, or how it was made is not on record",
    settles="an assertion whose signature verifies; a code that was drawn at random, and is recorded so",
    of_code=True,
)
def unforgeable(scene: Scene) -> Ruling:
    """The stored key's signature verifies; `proved` where hardware generated that key and keeps it."""
    if not scene.device:
        return _drawn(scene, "it was drawn at random, and wrong ones are counted (RTS-4.3.b)")
    if scene.evidence.assertion is None:
        return unknown("no device evidence came")
    if scene.failed("assertion.signature"):
        return fails(scene.why("assertion.signature"), Grade.LOGGED, "assertion.signature")
    if not scene.signature_stands:
        return unknown(scene.why("assertion.signature"))
    grade = Grade.PROVED if scene.in_hardware else Grade.SIGNED
    return passes(scene.checked("assertion.signature", *scene.hardware_checks, grade=grade))


# -- 4(3)


@rule(
    "RTS-4.3.a",
    obligation="where no code was generated, nobody can tell which element was wrong",
    source=f"{_SOURCE}(3)(a)",
    best=Grade.LOGGED,
    passes="every failed attempt of this method on record got one and the same public answer",
    fails="failed attempts were answered differently, or the one element that a call tests was refused by name",
    open="no failed attempt is on record",
    settles="failed attempts with different wrong elements, each with its public answer in the log",
)
def uniform_refusal(scene: Scene) -> Ruling:
    """Every failed attempt got one and the same public answer."""
    if not scene.device:
        entry = scene.attempt_entry
        if entry is None or entry.fields.get("outcome") != "failed":
            return unknown(
                "this call tests one element by itself, so its refusal would tell which one was wrong; it was not refused so"
            )
        return fails(
            "this call tests one element by itself, after another was right: its refusal tells which one was wrong. "
            "That is the vendor's published answer, which the simulator gives as it is",
            Grade.LOGGED,
        )
    failed = [
        entry
        for entry in scene.events("sca_attempt", outcome="failed")
        if entry.fields.get("method") == scene.evidence.method
    ]
    answers = {str(entry.fields.get("public_problem_id")) for entry in failed}
    if len(answers) > 1:
        return fails(
            f"failed attempts were answered in {len(answers)} ways: {', '.join(sorted(answers))}", Grade.LOGGED
        )
    elsewhere = scene.observed.public_problem_ids or ()
    if failed:
        return passes(seen(*failed), reason=f"every failed attempt on record was answered {answers.pop()}")
    if len(elsewhere) == 1:
        return passes(seen(scene.evidence), reason=f"every failed attempt in the whole log was answered {elsewhere[0]}")
    return unknown("no failed attempt with its public answer is on record")


class _Block(NamedTuple):
    """One block: the entry that began it, and when it ended (None: it lasts)."""

    entry: LogEntry
    until: datetime | None

    def covers(self, entry: LogEntry) -> bool:
        """Whether an entry was written while this block was in force."""
        at = instant(entry.at)
        return entry.seq > self.entry.seq and at is not None and (self.until is None or at < self.until)


def _blocks(scene: Scene) -> list[_Block]:
    """The blocks of this user that lasted; one of no length is none."""
    found = []
    lifted = scene.events("unblock")
    for entry in scene.events("block_temp", "block_permanent"):
        start, until = instant(entry.at), instant(entry.fields.get("until"))
        back = next((instant(other.at) for other in lifted if other.seq > entry.seq), None)
        end = min((end for end in (until, back) if end is not None), default=None)
        if entry.event == "block_permanent" or (until is not None and start is not None and until > start):
            found.append(_Block(entry, end))
    return found


def _failures_in_a_row(scene: Scene) -> Iterator[tuple[int, LogEntry]]:
    """Each evaluated attempt of this user with the number of failures in a row before it, over enrolments, logins and step-ups.

    An accepted code ends a row. A right password ends a row of wrong passwords, but no row of wrong codes: whoever knows the password could
    guess codes without end. A block that lasted ends a row too, once it is over.
    """
    row: list[LogEntry] = []
    blocks = _blocks(scene)
    for entry in scene.log:
        if entry.user != scene.evidence.transaction.user:
            continue
        row = (
            []
            if any(block.entry.seq < entry.seq and not block.covers(entry) and _within(block, row) for block in blocks)
            else row
        )
        if entry.event == "unblock":
            row = []
        elif entry.event == "session_started" and entry.fields.get("channel") != "refresh":
            row = [failure for failure in row if not _of_login(failure)]
        elif entry.event == "login_failed" or (
            entry.event == "sca_attempt" and entry.fields.get("outcome") in ("accepted", "failed")
        ):
            yield len(row), entry
            row = [] if entry.fields.get("outcome") == "accepted" else [*row, entry]  # fmt: skip


def _within(block: _Block, row: list[LogEntry]) -> bool:
    """Whether a block followed the last failure of a row."""
    return bool(row) and row[-1].seq < block.entry.seq


def _of_login(entry: LogEntry) -> bool:
    return entry.event == "login_failed" or entry.fields.get("method") == "LOGIN"


def _too_many(scene: Scene) -> LogEntry | None:
    """The first attempt that was evaluated after five failures in a row with no block between."""
    return next((entry for count, entry in _failures_in_a_row(scene) if count >= _MOST_FAILURES), None)


def _in_block(scene: Scene, *events: str) -> LogEntry | None:
    """The first of these events while a block was in force."""
    blocks = _blocks(scene)
    for entry in scene.events(*events):
        if entry.event == "session_started" and entry.fields.get("channel") == "refresh":
            continue
        if entry.event == "sca_attempt" and entry.fields.get("outcome") not in ("accepted", "failed"):
            continue
        if entry.user == scene.evidence.transaction.user and any(block.covers(entry) for block in blocks):
            return entry
    return None


def _refused_in_block(scene: Scene) -> dict[str, LogEntry]:
    """What was refused while a block was in force, by action: `step-up`, and what `action_refused` names."""
    found: dict[str, LogEntry] = {}
    for block in _blocks(scene):
        for entry in scene.events("sca_attempt", "action_refused"):
            if not block.covers(entry):
                continue
            if entry.event == "action_refused":
                found[str(entry.fields.get("action"))] = entry
            elif "user.not_blocked" in (entry.fields.get("internal_reason") or ()):
                found["step-up"] = entry
    return found


@rule(
    "RTS-4.3.b",
    obligation=(
        "at most five consecutive failures within a period, then the Art. 97(1) actions are blocked, "
        "temporarily or for good"
    ),
    source=f"{_SOURCE}(3)(b)",
    best=Grade.LOGGED,
    passes="after the fifth failure in a row a block lasted, and what was tried in it was refused",
    fails="an attempt was evaluated after five failures in a row without a block, or while one was in force",
    open="no five failures in a row are on record, or nothing was tried while the block lasted",
    settles="five wrong attempts in a row, then a right one and a login while the block lasts",
)
def five_failures(scene: Scene) -> Ruling:
    """Replay of the log: after the fifth failure in a row nothing is evaluated until a block was in force and ended."""
    late = _too_many(scene)
    if late is not None:
        return fails(
            f"entry {late.seq}: evaluated after {_MOST_FAILURES} failures in a row without a block", Grade.LOGGED
        )
    during = _in_block(scene, "sca_attempt", "session_started", "login_failed")
    if during is not None:
        what = "a login was accepted" if during.event == "session_started" else "an attempt was evaluated"
        return fails(f"entry {during.seq}: {what} while the user was blocked", Grade.LOGGED)
    blocks = _blocks(scene)
    if not blocks:
        return unexercised("no five failures in a row are on record, and no block")
    refused = _refused_in_block(scene)
    if not refused:
        return unknown("the fifth failure brought a block; nothing was tried while it lasted")
    said = f"blocked, and refused in the block: {', '.join(sorted(refused))}"
    return passes(seen(blocks[-1].entry, *refused.values()), reason=said)


@rule(
    "RTS-4.3.b-actions",
    obligation="while blocked, every Art. 97(1) action is refused: access, payment, and other remote actions",
    source=f"{_SOURCE}(3)(b); Directive (EU) 2015/2366, Art. 97(1)",
    best=Grade.LOGGED,
    passes="a login and a step-up were refused while a block was in force, and nothing was accepted in it",
    fails="a login, a code or an order was accepted while a block was in force",
    open="no block is on record, or not every action was tried in it",
    settles="a login and a step-up while the block lasts, and the log's record that both were refused",
)
def every_action(scene: Scene) -> Ruling:
    """Nothing is accepted in a block; each action was tried."""
    during = _in_block(scene, "session_started", "code_accepted", "order_executed")
    if during is not None:
        return fails(f"entry {during.seq} ({during.event}): accepted while the user was blocked", Grade.LOGGED)
    if not _blocks(scene):
        return unexercised("no block is on record")
    refused = _refused_in_block(scene)
    untried = [action for action in ("login", "step-up") if action not in refused]
    if untried:
        return unknown(f"not on record as tried while the block lasted: {', '.join(untried)}")
    return passes(seen(*refused.values()), reason=f"refused in the block: {', '.join(sorted(refused))}")


@rule(
    "RTS-4.3.c",
    obligation=(
        "sessions are protected against capture of authentication data and manipulation, as Chapter V requires"
    ),
    source=f"{_SOURCE}(3)(c)",
    best=Grade.LOGGED,
    passes=(
        "the challenge belongs to this user, session and transaction, and RTS-35.1 passes; or a foreign "
        "session was refused"
    ),
    fails="RTS-35.1 fails",
    open="RTS-35.1 is open, or the step-up was refused for another reason",
    settles="the same step-up over TLS",
    capped_by=("RTS-35.1",),
)
def session_protected(scene: Scene) -> Ruling:
    """The challenge belongs to nonce, transaction and session; a foreign session's is refused."""
    if scene.failed("transaction.session") and not scene.accepted:
        return passes(seen(scene.attempt_entry), reason="a foreign session tried, and was refused")
    needed: tuple[str, ...] = ("transaction.user", "transaction.session")
    needed += ("challenge.transaction", "binding.order") if scene.device else ()
    if not scene.passed(*needed):
        return unknown(scene.why(*needed))
    return passes(scene.checked(*needed))


@rule(
    "RTS-4.3.d",
    obligation="after authentication for account access, at most five minutes without activity by the payer",
    source=f"{_SOURCE}(3)(d)",
    best=Grade.LOGGED,
    passes=(
        "this session was used after an earlier authentication for access, never after more than 300 seconds of silence"
    ),
    fails="a call was accepted after more than 300 seconds of silence without new authentication",
    open="nothing that followed such an authentication is on record",
    settles="calls in the same session after the access was authenticated, one of them after five idle minutes",
)
def idle(scene: Scene) -> Ruling:
    """No call is accepted after a gap of more than five minutes; an unused session counts as ended, and a refresh is no activity."""
    if scene.payment or scene.evidence.transaction.trigger != "a":
        return absent(Why.NO_ACCESS)
    entries = [entry for entry in scene.log if entry.session == scene.evidence.transaction.session]
    used: list[LogEntry] = []
    last: datetime | None = None
    for entry in entries:
        at = instant(entry.at)
        if entry.event == "code_accepted":
            last = at
        elif entry.event in ("session_started", "session_ended"):
            last = None
        elif entry.event in ("payer_activity", "order_created", "order_executed") and last is not None:
            if at is not None and at - last > _IDLE:
                return fails(
                    f"entry {entry.seq}: a call at {entry.at} was accepted after more than 300 seconds of silence",
                    Grade.LOGGED,
                )
            used.append(entry)
            last = at  # fmt: skip
    if not used:
        return unexercised("what followed an authentication for access in this session is not on record")
    return passes(seen(*used))


# -- 4(4)


@rule(
    "RTS-4.4-alert",
    obligation="the payer is alerted before a block becomes permanent",
    source=f"{_SOURCE}(4)",
    best=Grade.LOGGED,
    passes="a warning stands in the log before the permanent block",
    fails="a block became permanent without a warning",
    open="no block became permanent",
    settles="blocks until one is permanent",
)
def alert(scene: Scene) -> Ruling:
    """The payer was warned before a block became permanent."""
    blocks = scene.events("block_permanent")
    if not blocks:
        return unexercised("no block became permanent")
    warned = [entry for entry in scene.events("alert_before_permanent") if entry.seq < blocks[-1].seq]
    if not warned:
        return fails("the log holds no warning before the permanent block", Grade.LOGGED)
    return passes(seen(warned[-1], blocks[-1]))


@rule(
    "RTS-4.4-duration",
    obligation="length of a temporary block and retries follow service and risks, at least the Art. 2(2) factors",
    source=f"{_SOURCE}(4)",
    best=Grade.DECLARED,
    passes="the operator declares the risks by which the length was set",
    fails="a block of no length is on record",
    open="nothing is declared: no step-up shows by which risks a length was set",
    settles="a declaration: the length of a block, and the risks by which it was set",
    declarable=True,
)
def block_duration(scene: Scene) -> Ruling:
    """A temporary block lasts; by which risks its length was set, only an operator can say."""
    blocks, lasting = scene.events("block_temp"), {block.entry.seq for block in _blocks(scene)}
    empty = next((entry for entry in blocks if entry.seq not in lasting and instant(entry.fields.get("until"))), None)
    if empty is not None:
        return fails(f"entry {empty.seq}: a block of no length", Grade.LOGGED)
    basis = blocks[-1].fields.get("basis") if blocks else None
    return unknown(f"the stated basis is no risk of Art. 2(2): {basis}" if basis else "by which risks is not on record")


@rule(
    "RTS-4.4-retries",
    obligation="the number of retries follows service and risks, at least the Art. 2(2) factors",
    source=f"{_SOURCE}(4)",
    best=Grade.DECLARED,
    passes="the operator declares the risks by which the number was set",
    fails="more than five failures in a row were evaluated",
    open="nothing is declared: no step-up shows by which risks a number was set",
    settles="a declaration: the number of retries, and the risks by which it was set",
    declarable=True,
)
def retries(scene: Scene) -> Ruling:
    """By which risks the number of retries was set, only an operator can say."""
    late = _too_many(scene)
    if late is not None:
        return fails(
            f"entry {late.seq}: evaluated after {_MOST_FAILURES} failures in a row without a block", Grade.LOGGED
        )
    return unknown("by which risks the number of retries was set is not on record")


@rule(
    "RTS-4.4-unblock",
    obligation="after a permanent block, a secure procedure to regain use",
    source=f"{_SOURCE}(4)",
    best=Grade.LOGGED,
    passes="each return from a permanent block refers to a proof",
    fails="a return without a proof is on record",
    open="nobody returned from a permanent block",
    settles="a permanent block, lifted with `stepup-server unblock USER --proof TEXT`",
)
def unblocking(scene: Scene) -> Ruling:
    """Each return from a permanent block rests on a proof."""
    permanent = scene.events("block_permanent")
    back = [entry for entry in scene.events("unblock") if permanent and entry.seq > permanent[0].seq]
    if not back:
        return unexercised("nobody returned from a permanent block")
    without = next((entry for entry in back if not entry.fields.get("proof_ref")), None)
    if without is not None:
        return fails(f"entry {without.seq}: unblocked without a proof reference", Grade.LOGGED)
    return passes(seen(*back))
