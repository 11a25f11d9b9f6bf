"""The phone's two ceremonies, honest: registering a key and signing a step-up, as frozen values and the small pure steps between them.

Every value that a fault may change passes through a seam of `Edits` before it is used; honest edits return it as it is. Nothing here
does I/O or reads a clock. Standards: WebAuthn L3 sections 6.1 and 6.5.4, Secure Payment Confirmation section 5.1.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from authenticator.errors import Refused
from authenticator.state import BIOMETRIC, Credential
from device_keys.clock import rfc3339
from device_keys.encoding import b64url_decode, b64url_encode, member
from device_keys.messages import (
    SIGNING_TYPE,
    ClientDataType,
    Flags,
    Kind,
    build_authenticator_data,
    build_client_data,
    payload_digest,
    step_up_challenge,
)
from device_keys.orders import read_order
from device_keys.secure_hardware import CounterState, Gate, SecurityLevel

if TYPE_CHECKING:
    from authenticator.app_maker import AppAssertionClaims, AppClaims
    from authenticator.apps.bank import BankApp, Means, Payment
    from authenticator.client import Call, ServerClient
    from authenticator.maker import Claims
    from authenticator.phone import Phone
    from authenticator.state import Enrolment
    from device_keys.messages import Assertion, AttestationObject

# FIDO registry: user verification methods, key protection, matcher protection.
_UVM_FINGERPRINT, _UVM_PRESENCE = 0x02, 0x01
_KEY_PROTECTION: Final = {
    SecurityLevel.SOFTWARE: 0x01,
    SecurityLevel.TRUSTED_ENVIRONMENT: 0x02 | 0x04,
    SecurityLevel.STRONG_BOX: 0x02 | 0x08,
    SecurityLevel.SECURE_ENCLAVE: 0x02 | 0x08,
}
_MATCHER_SOFTWARE, _MATCHER_TEE, _MATCHER_ON_CHIP = 0x01, 0x02, 0x04
# A payment instrument needs an icon; an empty image says that there is none.
_INSTRUMENT: Final = {"displayName": "Current account", "icon": "data:image/png;base64,"}

Value = TypeVar("Value")


# --- what a step-up asks ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StepUp:
    """A pending step-up as the server describes it to this phone. `request` is the client's call (method, path) that will carry it."""

    transaction_id: str
    dialect: str
    kind: Kind
    nonce: bytes
    payload: Any
    challenge: bytes
    rp_id: str
    allowed: tuple[bytes, ...]
    expires_at: str
    methods: tuple[str, ...]
    request: tuple[str, str] | None

    @classmethod
    def from_json(cls, record: Any) -> StepUp:
        """Read the answer of `GET step-ups/{id}`; `FormatError` names what is missing."""
        options = member(record, "publicKey", dict, "stepUp")
        allowed = member(options, "allowCredentials", list, "publicKey", required=False) or []
        request = member(record, "request", dict, "stepUp", required=False)
        return cls(
            transaction_id=member(record, "transactionId", str, "stepUp"),
            dialect=member(record, "dialect", str, "stepUp"),
            kind=Kind(member(record, "kind", str, "stepUp")),
            nonce=b64url_decode(member(record, "nonce", str, "stepUp"), "stepUp.nonce"),
            payload=record.get("payload"),
            challenge=b64url_decode(member(options, "challenge", str, "publicKey"), "publicKey.challenge"),
            rp_id=member(options, "rpId", str, "publicKey"),
            allowed=tuple(b64url_decode(member(one, "id", str, "allowCredentials"), "allowCredentials.id") for one in allowed),
            expires_at=member(record, "expiresAt", str, "stepUp"),
            methods=tuple(member(record, "methods", list, "stepUp")),
            request=(request["method"], request["path"]) if request and request.get("path") else None,
        )  # fmt: skip


@lru_cache(maxsize=64)
def rp_id_hash(rp_id: str) -> bytes:
    """SHA-256 of the relying party's id; a phone knows few."""
    return hashlib.sha256(rp_id.encode()).digest()


# --- signing a step-up ------------------------------------------------------------------------------------------------


class Draft(msgspec.Struct, frozen=True):
    """Everything that one assertion will say, before it is signed. `counter` None: the key's next one.

    `device` is the signed member of that name (empty: a plain WebAuthn ceremony without it); `extra` holds further members of the client
    data (they win over the standard ones).
    """

    key_id: str
    credential_id: bytes
    type: str
    challenge: bytes
    origin: str
    rp_id: str
    flags: Flags
    device: dict[str, Any]
    payment: dict[str, Any] | None = None
    uvm: tuple[tuple[int, int, int], ...] | None = None
    counter: int | None = None
    user_handle: bytes | None = None
    extra: dict[str, Any] = {}  # msgspec makes a new one for each

    def client_data(self) -> bytes:
        """The client data's bytes."""
        members: dict[str, Any] = {} if self.payment is None else {"payment": self.payment}
        if self.device:
            members["device"] = self.device
        return build_client_data(self.type, self.challenge, self.origin, **members, **self.extra)

    def authenticator_data(self, counter: int) -> bytes:
        """The authenticator data's bytes, under this signature counter."""
        extensions = None if self.uvm is None else {"uvm": [list(entry) for entry in self.uvm]}
        return build_authenticator_data(rp_id_hash(self.rp_id), self.flags, counter, extensions=extensions)


def draft_step_up(
    step_up: StepUp,
    credential: Credential,
    *,
    origin: str,
    now: datetime,
    lockout: dict[str, int],
    level: SecurityLevel,
) -> Draft:
    """The draft for what the phone displays; `Refused` where the server asks for a signature over anything else."""
    check_shown_is_signed(step_up)
    biometric = credential.factor == BIOMETRIC
    return Draft(
        key_id=credential.key_id,
        credential_id=b64url_decode(credential.credential_id),
        type=str(SIGNING_TYPE[step_up.kind]),
        challenge=step_up.challenge,
        origin=origin,
        rp_id=step_up.rp_id,
        flags=Flags.UP | Flags.UV if biometric else Flags.UP,
        device={"nonce": b64url_encode(step_up.nonce), "signedAt": rfc3339(now), "lockout": lockout},
        payment=payment_member(step_up, origin) if step_up.kind is Kind.PAYMENT else None,
        uvm=(user_verification(level),) if biometric else None,
    )


def check_shown_is_signed(step_up: StepUp) -> None:
    """The challenge is that of the payload on the screen (RTS Art. 5(1): what is signed is what the payer was made aware of)."""
    digest = payload_digest(step_up.payload)
    shown = step_up_challenge(step_up.kind, step_up.nonce, step_up.transaction_id, digest)
    if not hmac.compare_digest(shown, step_up.challenge):
        raise Refused(
            "challenge_mismatch",
            "The server asks for a signature over something else than the order on the screen. Nothing was signed.",
        )


def payment_member(step_up: StepUp, origin: str) -> dict[str, Any]:
    """The SPC member: what was shown. An order of unknown shape has no payee and total to state."""
    fields = {"rpId": step_up.rp_id, "topOrigin": origin, "instrument": dict(_INSTRUMENT)}
    order = read_order(step_up.payload)
    if order is not None:
        fields |= {"payeeName": order.payee_name, "total": {"currency": order.currency, "value": order.amount}}
    return fields


def user_verification(level: SecurityLevel) -> tuple[int, int, int]:
    """The `uvm` entry of a match by the sensor: method, key protection, matcher protection (FIDO registry section 3)."""
    matcher = {SecurityLevel.SOFTWARE: _MATCHER_SOFTWARE, SecurityLevel.TRUSTED_ENVIRONMENT: _MATCHER_TEE}
    return (_UVM_FINGERPRINT, _KEY_PROTECTION[level], matcher.get(level, _MATCHER_ON_CHIP))


# --- registering a key ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """The key that will be made for a factor."""

    factor: str
    gate: Gate
    algorithm: int
    level: SecurityLevel
    counter: CounterState
    origin: str = "GENERATED"


@dataclass(frozen=True, slots=True)
class RegistrationDraft:
    """Everything that one registration will say, before the maker attests it. `counter` None: the key's next, which is its first."""

    plan: KeyPlan
    key_id: str
    credential_id: bytes
    challenge: bytes
    origin: str
    rp_id: str
    flags: Flags
    aaguid: bytes = bytes(16)
    type: str = str(ClientDataType.CREATE)
    counter: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def client_data(self) -> bytes:
        """The client data's bytes."""
        return build_client_data(self.type, self.challenge, self.origin, **self.extra)

    def rp_id_hash(self) -> bytes:
        return rp_id_hash(self.rp_id)


@dataclass(frozen=True, slots=True)
class CreationOptions:
    """What the server wants of the registrations: one challenge for all keys of this enrolment."""

    challenge: bytes
    rp_id: str
    algorithms: tuple[int, ...]

    @classmethod
    def from_json(cls, record: Any) -> CreationOptions:
        """Read WebAuthn creation options."""
        parameters = member(record, "pubKeyCredParams", list, "publicKey")
        return cls(
            b64url_decode(member(record, "challenge", str, "publicKey"), "publicKey.challenge"),
            member(member(record, "rp", dict, "publicKey"), "id", str, "publicKey.rp"),
            tuple(member(one, "alg", int, "pubKeyCredParams") for one in parameters),
        )


# --- the seams ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scene:
    """Where an edit finds itself: phone, server, enrolment, instant; the step-up while approving, the key's plan while registering it."""

    phone: Phone
    server: ServerClient
    enrolment: Enrolment
    now: datetime
    step_up: StepUp | None = None
    plan: KeyPlan | None = None


Edit = Callable[[Value, Scene], Value]


def same(value: Value, scene: Scene) -> Value:
    """The honest edit."""
    return value


Script = Callable[["BankApp", dict[str, Any], "Means"], "Payment"]


def pay_honestly(app: BankApp, order: dict[str, Any], means: Means) -> Payment:
    """The script that an honest bank app follows: asked, refused, stepped up, replayed."""
    app.open_session(means)
    transaction_id = app.start(order)
    app.step_up(app.approve(transaction_id, means))
    return app.replay(order, transaction_id, means)


def nothing(scene: Scene) -> None:
    """The honest act: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """The seams of both ceremonies, in the order in which they are passed.

    Enrolling: `key` → `registration` → `claims` (what the maker is to attest) → `attested` (the finished object) → `app_claims` (what
    Apple is to attest) → `enrolment` (the message to the server) → `enrolled` (acts afterwards).
    Approving: `before` → `draft` → `app_attest` (the iPhone app's own assertion) → `assertion` → `request` (what is printed, or sent by
    the bank app) → `after` (acts before the request is used). `bank_app` is the script by which the phone's bank app pays.
    """

    key: Edit[KeyPlan] = same
    registration: Edit[RegistrationDraft] = same
    claims: Edit[Claims] = same
    attested: Edit[AttestationObject] = same
    app_claims: Edit[AppClaims] = same
    enrolment: Edit[dict[str, Any]] = same
    enrolled: Callable[[Scene], None] = nothing
    before: Callable[[Scene], None] = nothing
    draft: Edit[Draft] = same
    app_attest: Edit[AppAssertionClaims] = same
    assertion: Edit[Assertion] = same
    request: Edit[Call] = same
    after: Edit[Call] = same
    bank_app: Script = pay_honestly


HONEST: Final = Edits()
