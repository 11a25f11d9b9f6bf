"""An enrolled key as the checks see it: its registration read back from the bytes received, and whatever vouches for
it.

A registration that cannot be read at all is a `FormatError`; a statement that cannot is a finding, and its reading is
kept as the error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from device_keys.attestation import android_key, apple, packed
from device_keys.attestation.android_key import AuthorizationList, KeyDescription
from device_keys.attestation.app_attest import AppAttestation, parse_attestation
from device_keys.attestation.certificates import certificate_key
from device_keys.encoding import FormatError, b64url_decode, member
from device_keys.keys import PublicKey
from device_keys.messages import (
    AttestedCredential,
    AuthenticatorData,
    Registration,
    parse_attestation_object,
    parse_authenticator_data,
)
from server_stub.checks.chain import Link, read_chain
from server_stub.checks.reading import SignedFields, read_client_data
from server_stub.evidence import CredentialFacts
from server_stub.policy import Policy
from server_stub.trust import Trust

Statement = packed.Statement | android_key.Statement | apple.Statement

# Formats that a phone's app can send; the specification's others are refused by name.
NOT_OF_PHONES: Final = {"tpm": "a computer's TPM", "fido-u2f": "a U2F token", "android-safetynet": "deprecated"}
VOUCHERS: Final = {"android-key": "android", "packed-x5c": "fido", "apple": "apple"}


class Enrolment:
    """One enrolled key, its statement and its voucher (`android`, `fido`, `apple`, `app-attest`, or "" where nobody
    vouches).

    `unreadable` is the first thing of the statement that could not be read. The attributes that it would have filled
    are not set: no check asks for them then, by its needs.
    """

    __slots__ = (
        "_leaf_key", "app", "app_key_id", "at", "auth_data", "chain", "client_data", "client_data_hash", "credential", "description",
        "facts", "kind", "policy", "statement", "trust", "unreadable", "voucher",
    )  # fmt: skip

    facts: CredentialFacts
    auth_data: AuthenticatorData
    client_data: SignedFields
    credential: AttestedCredential
    client_data_hash: bytes
    statement: Statement | None
    app: AppAttestation | None
    app_key_id: bytes
    chain: tuple[Link, ...]
    description: KeyDescription
    unreadable: FormatError | None

    def __init__(self, kind: str, policy: Policy, trust: Trust, at: datetime) -> None:
        self.kind = kind
        self.policy = policy
        self.trust = trust
        self.at = at
        self.voucher = VOUCHERS.get(kind, "")
        self.statement = None
        self.app = None
        self.chain = ()
        self.unreadable = None
        self._leaf_key: Any = None

    @property
    def key(self) -> PublicKey:
        """The credential's public key."""
        return self.credential.public_key

    def authorized(self, name: str) -> Any:
        """One authorization of the KeyDescription: the secure hardware's word, or the system's where the policy takes
        it."""
        value = getattr(self.description.hardware_enforced, name)
        if not value and self.policy.software_keys:
            return getattr(self.description.software_enforced, name)
        return value

    @property
    def lists(self) -> tuple[AuthorizationList, AuthorizationList]:
        """Both authorization lists, hardware first."""
        return self.description.hardware_enforced, self.description.software_enforced

    @property
    def leaf_key(self) -> Any:
        """The public key that the leaf certifies, as the library has it. Raises FormatError."""
        if self._leaf_key is None:
            self._leaf_key = certificate_key(self.chain[0].certificate).key
        return self._leaf_key


def read_enrolment(facts: CredentialFacts, policy: Policy, trust: Trust) -> Enrolment:
    """The enrolment that `facts` keep. Raises FormatError where not even its key can be read."""
    registration = Registration.from_json(facts.registration)
    attestation = parse_attestation_object(registration.attestation_object)
    auth_data = parse_authenticator_data(attestation.auth_data)
    if auth_data.credential is None or auth_data.credential.credential_id != registration.credential_id:
        raise FormatError("registration.authData", "attested credential data with the registration's id")
    enrolment = Enrolment(_kind(attestation.fmt, attestation.statement), policy, trust, facts.enrolled_at)
    enrolment.facts = facts
    enrolment.auth_data = auth_data
    enrolment.credential = auth_data.credential
    enrolment.client_data = read_client_data(registration.client_data_json)
    enrolment.client_data_hash = hashlib.sha256(registration.client_data_json).digest()
    try:
        _read_statement(enrolment, attestation.statement)
    except FormatError as error:
        enrolment.unreadable = error
    return enrolment


def _kind(fmt: str, statement: dict[str, Any]) -> str:
    if fmt == "packed":
        return "packed-x5c" if "x5c" in statement else "packed-self"
    return fmt


def _read_statement(enrolment: Enrolment, fields: dict[str, Any]) -> None:
    kind = enrolment.kind
    if kind == "none":
        if fields:
            raise FormatError("attStmt", "an empty map")
    elif kind in ("packed-self", "packed-x5c"):
        enrolment.statement = packed.parse_statement(fields)
    elif kind == "android-key":
        enrolment.statement = android_key.parse_statement(fields)
    elif kind == "apple":
        enrolment.statement = apple.parse_statement(fields)
    if kind == "packed-self" and enrolment.facts.app_attest is not None:
        _read_app_attest(enrolment, enrolment.facts.app_attest)
    elif enrolment.statement is not None and enrolment.statement.x5c:
        enrolment.chain = read_chain(enrolment.statement.x5c)


def _read_app_attest(enrolment: Enrolment, record: dict[str, Any]) -> None:
    where = "appAttest"
    app = parse_attestation(b64url_decode(member(record, "attestation", str, where), f"{where}.attestation"))
    enrolment.app_key_id = b64url_decode(member(record, "keyId", str, where), f"{where}.keyId")
    use_app_attestation(enrolment, app)


def use_app_attestation(enrolment: Enrolment, app: AppAttestation) -> None:
    """Let this App Attest object vouch for the enrolment. Raises FormatError for unreadable certificates."""
    enrolment.app = app
    enrolment.voucher = "app-attest"
    enrolment.chain = read_chain(app.x5c)


def covered(covers: Sequence[str]) -> bytes:
    """What an iPhone lets App Attest vouch for: SHA-256 of the attestation objects, concatenated in the order of
    enrolment."""
    return hashlib.sha256(b"".join(b64url_decode(text, "appAttestCovers") for text in covers)).digest()
