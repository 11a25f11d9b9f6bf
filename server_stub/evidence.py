"""What a verdict rests on: the raw facts of one attempt, complete and serialisable, so that it can be judged again years later.

Facts only: no secret, no token, no contact data. What the server itself observed (a passcode was right, a code had expired) stands here
as a logged observation. `now` is the one instant of the attempt.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Literal

import msgspec

from device_keys.clock import Instant, check_calendar
from device_keys.encoding import FormatError


class Facts(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Base of all evidence records: frozen, camelCase on the wire, unknown members refused."""


class TransactionFacts(Facts, frozen=True):
    """The challenge that is answered, as stored before this attempt. `state`: ISSUED, VERIFIED, CONSUMED or VOID."""

    id: str
    dialect: str
    kind: Literal["payment", "account-access"]
    user: str
    session: str
    state: str
    payload: Any
    created_at: Instant
    expires_at: Instant
    trigger: Literal["a", "b", "c"] = "b"
    methods: tuple[str, ...] = ()


class CallerFacts(Facts, frozen=True):
    """Who calls, by the bearer token, and whether this user is blocked at `now`."""

    user: str
    session: str
    failures: int = 0
    blocked: Literal["", "temporarily", "permanently"] = ""


class SecretFacts(Facts, frozen=True):
    """A secret or code that the server itself checked; the value is not kept.

    `result`: right, wrong, expired, used, superseded or none-issued. `channel` is how a code was delivered. `fixed_code`: whether the code
    is the same for every challenge (`--fixed-otp`); `seeded`: whether it follows from a seed (`--seed`); None: not on record.
    `username` and `refresh_token`: whether they were the session's (None: the method does not use them).
    """

    kind: str
    result: Literal["right", "wrong", "expired", "used", "superseded", "none-issued", ""] = ""
    channel: str | None = None
    username_matches: bool | None = None
    refresh_token_matches: bool | None = None
    fixed_code: bool | None = None
    seeded: bool | None = None


class NonceFacts(Facts, frozen=True):
    """The stored nonce that the signed `device.nonce` names."""

    value: str
    transaction_id: str
    issued_at: Instant
    expires_at: Instant
    consumed_at: Instant | None = None


class PriorElement(Facts, frozen=True):
    """An element that this session showed before (the password of its login), which may be reused with a second one.

    `fixed_code`: as in `SecretFacts`, for a code.
    """

    category: Literal["knowledge", "possession", "inherence"]
    method: str
    at: Instant
    fixed_code: bool | None = None


class CredentialFacts(Facts, frozen=True):
    """An enrolled key: the registration as received, and what the server keeps beside it.

    `app_attest_count` is the last App Attest count beside this credential, `app_attest_key_count` the App Attest key's last beside any.
    `shared_key`: the key is enrolled as another factor or on another device too, as earlier versions allowed.
    """

    credential_id: str
    device_id: str
    dialect: str
    user: str
    factor: Literal["possession", "biometric"]
    registration: dict[str, Any]
    challenge: str
    enrolled_at: Instant
    sign_count: int
    app_attest: dict[str, Any] | None = None
    app_attest_covers: tuple[str, ...] = ()
    app_attest_count: int = 0
    app_attest_key_count: int = 0
    shared_key: bool = False
    backup_eligible: bool = False
    state: Literal["active", "replaced", "revoked", "suspended"] = "active"
    state_since: Instant | None = None


class Evidence(Facts, frozen=True):
    """One attempt. `assertion` is the JSON text as received (from the header or as delivered), None where none came.

    `assertion_unreadable` holds a received header that was no base64url JSON; `declined`: the phone's user said no.
    """

    now: Instant
    attempt: int
    method: str
    transaction: TransactionFacts
    caller: CallerFacts
    secret: SecretFacts | None = None
    prior: tuple[PriorElement, ...] = ()
    declined: bool = False
    evidence_source: Literal["header", "delivered", ""] = ""
    assertion: str | None = None
    assertion_unreadable: str | None = None
    credential: CredentialFacts | None = None
    nonce: NonceFacts | None = None
    device_required: bool = True
    transport: Literal["tls", "http-loopback", "http"] = "http-loopback"


def refused_at_door(evidence: Evidence) -> bool:
    """Whether a call came no further than the door of its transaction: another user's or session's, or one that takes no step-up any more.

    Such a call is an attempt of its caller, and no judgement of the transaction. What the block of its own user voided stays theirs.
    """
    transaction, caller = evidence.transaction, evidence.caller
    if (caller.user, caller.session) != (transaction.user, transaction.session):
        return True
    return transaction.state != "ISSUED" and not (transaction.state == "VOID" and caller.blocked)


def check_instants(facts: Facts, where: str) -> None:
    """`FormatError` where an instant of facts that come from others has no offset, or is of no year that a clock may show."""
    for name in facts.__struct_fields__:
        value = getattr(facts, name)
        field = f"{where}.{name}"
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise FormatError(field, "an instant with its offset")
            check_calendar(value, field)
        elif isinstance(value, Facts):
            check_instants(value, field)
        elif isinstance(value, tuple):
            for number, one in enumerate(value):
                if isinstance(one, Facts):
                    check_instants(one, f"{field}[{number}]")


def user_handle(dialect: str, user: str) -> bytes:
    """WebAuthn `user.id` of a user: 32 opaque bytes, the same for all keys of the user (WebAuthn L3 section 14.6.1)."""
    return hashlib.sha256(f"user handle\0{dialect}\0{user}".encode()).digest()


def encode(facts: Any) -> bytes:
    """Compact JSON of evidence."""
    return msgspec.json.encode(facts)


def decode_evidence(data: bytes) -> Evidence:
    """Evidence from JSON; `msgspec.ValidationError` for anything else."""
    return msgspec.json.decode(data, type=Evidence)
