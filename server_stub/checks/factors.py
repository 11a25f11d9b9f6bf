"""Checks of the call itself: the user, the transaction, and the secret that the server compared (bank.md 11.2, steps
5 to 7)."""

from __future__ import annotations

from hmac import compare_digest
from typing import Final

from device_keys.encoding import b64url_encode
from server_stub.checks.case import Case
from server_stub.checks.engine import Check, Failure, NotApplicable, Result
from server_stub.evidence import SecretFacts, user_handle

NO_SECRET: Final = NotApplicable("method-has-no-secret")
NO_CODE: Final = NotApplicable("not-a-one-time-code")
NO_DEVICE: Final = NotApplicable("method-without-device")
NOT_ASKED: Final = NotApplicable("method-does-not-send-it")

# Secrets that the user knows or keeps: they do not expire by themselves and are used again.
LASTING: Final = frozenset({"passcode", "password", "pin", "security-answers"})


def not_blocked(case: Case) -> Result:
    blocked = case.evidence.caller.blocked
    return Failure("blocked", "a user who is not blocked", f"{blocked} blocked") if blocked else None


def transaction_user(case: Case) -> Result:
    owner, caller = case.evidence.transaction.user, case.evidence.caller.user
    return None if owner == caller else Failure("foreign", "a transaction of the caller", "one of another user")


def transaction_session(case: Case) -> Result:
    if case.evidence.transaction.session == case.evidence.caller.session:
        return None
    return Failure("foreign-session", "a transaction of this session", "one of another session")


def transaction_issued(case: Case) -> Result:
    state = case.evidence.transaction.state
    return None if state == "ISSUED" else Failure("state", "ISSUED", state)


def transaction_live(case: Case) -> Result:
    evidence = case.evidence
    if evidence.now < evidence.transaction.expires_at:
        return None
    return Failure("expired", f"a call before {evidence.transaction.expires_at.isoformat()}", evidence.now.isoformat())


def _compared(case: Case) -> SecretFacts | None:
    """The secret that the server compared, None where the method sends none."""
    secret = case.evidence.secret
    return secret if secret is not None and secret.result else None


def _device_is_all(case: Case) -> bool:
    """Whether the method rests on the phone alone: a biometric, or a push."""
    method = case.evidence.method.upper()
    return case.evidence.device_required and (case.biometric or "PUSH" in method or "AUTHY" in method)


def secret_correct(case: Case) -> Result:
    secret = _compared(case)
    if secret is None:
        return NO_SECRET if _device_is_all(case) else Failure("missing", "a secret of this method", "none")
    return (
        Failure(secret.result, "the right value", secret.result) if secret.result in ("wrong", "none-issued") else None
    )


def _code(case: Case, result: str, reason: str, expected: str) -> Result:
    secret = _compared(case)
    if secret is None:
        return NO_SECRET
    if secret.result == result:
        return Failure(reason, expected, result)
    return NO_CODE if secret.kind in LASTING else None


def secret_fresh(case: Case) -> Result:
    return _code(case, "expired", "expired", "a code within its life")


def secret_unused(case: Case) -> Result:
    return _code(case, "used", "used", "a code not used before")


def secret_newest(case: Case) -> Result:
    return _code(case, "superseded", "superseded", "the code sent last")


def secret_username(case: Case) -> Result:
    secret = case.evidence.secret
    matches = None if secret is None else secret.username_matches
    if matches is None:
        return NOT_ASKED
    return None if matches else Failure("username", "the user of the bearer", "another")


def secret_refresh_token(case: Case) -> Result:
    secret = case.evidence.secret
    matches = None if secret is None else secret.refresh_token_matches
    if matches is None:
        return NOT_ASKED
    return None if matches else Failure("refresh-token", "this session's refresh token", "another")


def approved(case: Case) -> Result:
    if case.evidence.declined:
        return Failure("declined", "the user's approval on the phone", "declined")
    return None if case.evidence.device_required else NO_DEVICE


def present(case: Case) -> Result:
    evidence = case.evidence
    if evidence.assertion is None and evidence.assertion_unreadable is None:
        return Failure("missing", "device evidence, in the header or delivered", "none")
    return None


def readable(case: Case) -> Result:
    if case.evidence.assertion is None:
        return Failure("unreadable", "base64url of a JSON text", "another header value")
    error = case.unreadable
    return None if error is None else Failure("unreadable", error.expected, error.field)


def client_data_readable(case: Case) -> Result:
    error = case.client_data_unreadable
    return None if error is None else Failure("unreadable", error.expected, error.field)


def auth_data_readable(case: Case) -> Result:
    error = case.auth_data_unreadable
    return None if error is None else Failure("unreadable", error.expected, error.field)


def credential_known(case: Case) -> Result:
    if case.evidence.credential is None:
        return Failure("unknown", "an enrolled key", "a credential id that is not enrolled")
    problem = case.appraisal.problem
    return None if problem is None else Failure("registration-unreadable", problem.expected, problem.field)


def credential_user(case: Case) -> Result:
    transaction = case.evidence.transaction
    if (case.credential.user, case.credential.dialect) == (transaction.user, transaction.dialect):
        return None
    return Failure("foreign", "a key of the transaction's user", "a key of another user")


def credential_active(case: Case) -> Result:
    state = case.credential.state
    return None if state == "active" else Failure(state, "active", state)


def credential_factor(case: Case) -> Result:
    wanted = "biometric" if case.biometric else "possession"
    return (
        None
        if case.credential.factor == wanted
        else Failure("factor", f"the {wanted} key", f"the {case.credential.factor} key")
    )


def credential_user_handle(case: Case) -> Result:
    handle = case.assertion.user_handle
    if handle is None:
        return NotApplicable("not-sent")
    expected = b64url_encode(user_handle(case.credential.dialect, case.credential.user))
    return (
        None
        if compare_digest(handle.encode(), expected.encode())
        else Failure("user-handle", "the handle given at enrolment", "another")
    )


_BLOCK = ("user.not_blocked",)
TRANSACTION: Final = (
    "user.not_blocked",
    "transaction.user",
    "transaction.session",
    "transaction.issued",
    "transaction.live",
)

# Whether a secret was right is nobody's business once the user has said no.
_APPROVED: Final = (*TRANSACTION, "evidence.approved")

CALL: Final[tuple[Check[Case], ...]] = (
    Check("user.not_blocked", "RTS Art. 4(3)(b), 4(4)", not_blocked),
    Check("transaction.user", "RTS Art. 35(3), 35(4)", transaction_user, _BLOCK),
    Check("transaction.session", "RTS Art. 4(3)(c), 35(3)", transaction_session, ("transaction.user",)),
    Check(
        "transaction.issued", "RTS Art. 4(1): an authentication code is accepted only once", transaction_issued, _BLOCK
    ),
    Check("transaction.live", "RTS Art. 4(3)(d)", transaction_live, _BLOCK),
    Check("evidence.approved", "PSD2 Art. 64(1): consent of the payer", approved),
    Check("secret.correct", "PSD2 Art. 4(30); RTS Art. 4(1), 6", secret_correct, _APPROVED),
    Check("secret.fresh", "RTS Art. 4(2)(b)", secret_fresh, (*_APPROVED, "secret.correct")),
    Check(
        "secret.unused", "RTS Art. 4(1): a code is accepted only once", secret_unused, (*_APPROVED, "secret.correct")
    ),
    Check("secret.newest", "RTS Art. 4(2)(b)", secret_newest, (*_APPROVED, "secret.correct")),
    Check("secret.username", "RTS Art. 24(1)", secret_username, _APPROVED),
    Check("secret.refresh_token", "RTS Art. 4(3)(c), 35(3)", secret_refresh_token, _APPROVED),
)

RECEIVED: Final[tuple[Check[Case], ...]] = (
    Check("evidence.present", "RTS Art. 4(1), 7; requirement S0-1", present, ("evidence.approved",)),
    Check(
        "evidence.readable", "WebAuthn L3 section 5.1.8.1: AuthenticationResponseJSON", readable, ("evidence.present",)
    ),
    Check(
        "client_data.readable",
        "WebAuthn L3 Verifying an Authentication Assertion: client data is JSON in UTF-8",
        client_data_readable,
        ("evidence.readable",),
    ),
    Check(
        "authenticator_data.readable",
        "WebAuthn L3 section 6.1: authenticator data",
        auth_data_readable,
        ("evidence.readable",),
    ),
    Check(
        "credential.known",
        "WebAuthn L3 Verifying an Authentication Assertion: user-identified",
        credential_known,
        ("evidence.readable",),
    ),
    Check(
        "credential.user",
        "WebAuthn L3 Verifying an Authentication Assertion: user-identified; RTS Art. 24(1)",
        credential_user,
        ("credential.known", "transaction.user"),
    ),
    Check("credential.active", "RTS Art. 27(a)", credential_active, ("credential.known",)),
    Check("credential.factor", "RTS Art. 4(1), 9(1): a key per factor", credential_factor, ("credential.known",)),
    Check(
        "credential.user_handle",
        "WebAuthn L3 Verifying an Authentication Assertion: userHandle",
        credential_user_handle,
        ("credential.known",),
    ),
)
