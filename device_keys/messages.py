"""The exact bytes that are signed: challenge, client data, authenticator data, and the WebAuthn L3 JSON that carries them.

Invariants: bytes are kept as received; a parser accepts only what its specification allows, else `FormatError`; nothing here decides trust.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntFlag, StrEnum
from functools import lru_cache
from typing import Any, Final

import msgspec

from device_keys.encoding import (
    FormatError,
    b64url_decode,
    b64url_encode,
    canonical_json,
    cbor_decode,
    cbor_decode_prefix,
    cbor_encode,
    member,
    parse_json_object,
)
from device_keys.keys import PublicKey, cose_key, encode_cose_key


class Kind(StrEnum):
    """What a step-up is for; part of the challenge, so that one never serves for the other (S1-34)."""

    PAYMENT = "payment"
    ACCOUNT_ACCESS = "account-access"


class ClientDataType(StrEnum):
    """`type` of the client data: WebAuthn L3 section 5.8.1, Secure Payment Confirmation section 5.1."""

    CREATE = "webauthn.create"
    GET = "webauthn.get"
    PAYMENT = "payment.get"


SIGNING_TYPE: Final = {Kind.PAYMENT: ClientDataType.PAYMENT, Kind.ACCOUNT_ACCESS: ClientDataType.GET}

_encode_json: Final = msgspec.json.Encoder().encode


def payload_digest(payload: Any) -> bytes:
    """SHA-256 of the payload's RFC 8785 form."""
    return hashlib.sha256(canonical_json(payload, "payload")).digest()


def step_up_challenge(kind: Kind, nonce: bytes, transaction_id: str, digest: bytes) -> bytes:
    """The 32 bytes to be signed for one step-up: it commits to kind, nonce, transaction id and the payload's digest (RTS Art. 5)."""
    if len(nonce) != 32:
        raise FormatError("nonce", "32 bytes")
    name = transaction_id.encode()
    parts = (b"stepup-simulator/1\0", kind.value.encode(), b"\0", nonce, len(name).to_bytes(2, "big"), name, digest)
    return hashlib.sha256(b"".join(parts)).digest()


# --- authenticator data (WebAuthn L3 section 6.1) -------------------------------------------------------------------


class Flags(IntFlag):
    """The flags byte."""

    UP = 0x01
    RFU1 = 0x02
    UV = 0x04
    BE = 0x08
    BS = 0x10
    RFU2 = 0x20
    AT = 0x40
    ED = 0x80


_AT, _ED = int(Flags.AT), int(Flags.ED)
_ANNOUNCED: Final = _AT | _ED  # the flags that say what follows


@dataclass(frozen=True, slots=True)
class AttestedCredential:
    """Attested credential data: AAGUID, credential id and the COSE key as received."""

    aaguid: bytes
    credential_id: bytes
    cose: bytes
    public_key: PublicKey


@dataclass(frozen=True, slots=True)
class AuthenticatorData:
    """Parsed authenticator data. `raw` is what was signed."""

    raw: bytes
    rp_id_hash: bytes
    flags: Flags
    sign_count: int
    credential: AttestedCredential | None = None
    extensions: dict[str, Any] | None = None


def parse_authenticator_data(data: bytes) -> AuthenticatorData:
    """Strict: attested data and extensions exactly as the flags say, nothing after them."""
    where = "authenticatorData"
    if len(data) < 37:
        raise FormatError(where, "at least 37 bytes")
    flags = data[32]
    rest = data[37:]
    credential = None
    extensions = None
    if flags & _AT:
        credential, rest = parse_attested_credential(rest)
    if flags & _ED:
        extensions, rest = _parse_extensions(rest)
    if rest:
        raise FormatError(where, "nothing after what its flags announce")
    return AuthenticatorData(data, data[:32], Flags(flags), int.from_bytes(data[33:37], "big"), credential, extensions)


@lru_cache(maxsize=256)
def _parse_extensions(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The extension map at the start of `data`, and what follows; a phone sends the same one again and again, so the last ones are kept."""
    where = "authenticatorData.extensions"
    extensions, rest = cbor_decode_prefix(data, where)
    if not isinstance(extensions, dict) or not all(isinstance(key, str) for key in extensions):
        raise FormatError(where, "a map with text keys")
    return extensions, rest


def parse_attested_credential(data: bytes) -> tuple[AttestedCredential, bytes]:
    """Attested credential data at the start of `data`, and what follows it."""
    where = "authenticatorData.attestedCredentialData"
    if len(data) < 18:
        raise FormatError(where, "at least 18 bytes")
    size = int.from_bytes(data[16:18], "big")
    credential_id, tail = data[18 : 18 + size], data[18 + size :]
    if size > 1023 or len(credential_id) != size:
        raise FormatError(where, "a credential id of its announced length, at most 1023 bytes")
    fields, rest = cbor_decode_prefix(tail, f"{where}.credentialPublicKey")
    cose = tail[: len(tail) - len(rest)]
    return AttestedCredential(data[:16], credential_id, cose, cose_key(fields)), rest


def build_authenticator_data(
    rp_id_hash: bytes,
    flags: Flags,
    sign_count: int,
    *,
    aaguid: bytes = bytes(16),
    credential_id: bytes | None = None,
    public_key: PublicKey | None = None,
    extensions: dict[str, Any] | None = None,
) -> bytes:
    """Authenticator data; AT and ED are set by what is passed."""
    bits, tail = int(flags) & ~_ANNOUNCED, b""  # plain integers: Flags' own arithmetic costs more than all the rest
    if credential_id is not None and public_key is not None:
        bits |= _AT
        tail += aaguid + len(credential_id).to_bytes(2, "big") + credential_id + encode_cose_key(public_key)
    if extensions is not None:
        bits |= _ED
        tail += cbor_encode(extensions)
    return rp_id_hash + bits.to_bytes(1, "big") + sign_count.to_bytes(4, "big") + tail


# --- client data (WebAuthn L3 section 5.8.1) -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClientData:
    """Parsed client data. `raw` is what was hashed; unknown members are ignored, as the standard demands."""

    raw: bytes
    type: str
    challenge: bytes
    origin: str
    cross_origin: bool | None
    top_origin: str | None
    payment: dict[str, Any] | None
    device: dict[str, Any] | None

    @property
    def hash(self) -> bytes:
        """SHA-256 of the bytes as received."""
        return hashlib.sha256(self.raw).digest()


def parse_client_data(raw: bytes) -> ClientData:
    """Read client data; a leading byte order mark is dropped before parsing, as the standard says."""
    where = "clientDataJSON"
    fields = parse_json_object(raw.removeprefix(b"\xef\xbb\xbf"), where)
    return ClientData(
        raw=raw,
        type=member(fields, "type", str, where),
        challenge=b64url_decode(member(fields, "challenge", str, where), f"{where}.challenge"),
        origin=member(fields, "origin", str, where),
        cross_origin=member(fields, "crossOrigin", bool, where, required=False),
        top_origin=member(fields, "topOrigin", str, where, required=False),
        payment=member(fields, "payment", dict, where, required=False),
        device=member(fields, "device", dict, where, required=False),
    )


def build_client_data(type_: str, challenge: bytes, origin: str, **members: Any) -> bytes:
    """Client data bytes; extra members (`payment`, `device`, …) follow the standard ones."""
    fields = {
        "type": str(type_),
        "challenge": b64url_encode(challenge),
        "origin": origin,
        "crossOrigin": False,
        **members,
    }
    return _encode_json(fields)


# --- the JSON forms (WebAuthn L3 section 5.1.8: RegistrationResponseJSON, AuthenticationResponseJSON) ---------------


@dataclass(frozen=True, slots=True)
class Registration:
    """A registration as received."""

    credential_id: bytes
    client_data_json: bytes
    attestation_object: bytes
    transports: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """RegistrationResponseJSON."""
        data = parse_attestation_object(self.attestation_object).auth_data
        response: dict[str, Any] = {
            "clientDataJSON": b64url_encode(self.client_data_json),
            "authenticatorData": b64url_encode(data),
            "transports": list(self.transports),
            "attestationObject": b64url_encode(self.attestation_object),
        }
        try:
            key = parse_authenticator_data(data).credential
            if key is not None:
                response["publicKeyAlgorithm"] = key.public_key.algorithm
                response["publicKey"] = b64url_encode(key.public_key.spki())
        except FormatError:
            pass  # a deliberately broken registration still travels; its reader refuses it
        return _public_key_credential(self.credential_id, response)

    @classmethod
    def from_json(cls, record: Any, where: str = "registration") -> Registration:
        response = _credential_response(record, where)
        inner = f"{where}.response"
        transports = member(response, "transports", list, inner, required=False) or []
        return cls(
            b64url_decode(member(record, "id", str, where), f"{where}.id"),
            b64url_decode(member(response, "clientDataJSON", str, inner), f"{inner}.clientDataJSON"),
            b64url_decode(member(response, "attestationObject", str, inner), f"{inner}.attestationObject"),
            tuple(text for text in transports if isinstance(text, str)),
        )


class Assertion(msgspec.Struct, frozen=True):
    """An authentication response as received. `extensions` is `clientExtensionResults`, which is not signed."""

    credential_id: bytes
    client_data_json: bytes
    authenticator_data: bytes
    signature: bytes
    user_handle: bytes | None = None
    extensions: dict[str, Any] = {}  # msgspec makes a new one for each

    def to_json(self) -> dict[str, Any]:
        """AuthenticationResponseJSON."""
        response = {
            "clientDataJSON": b64url_encode(self.client_data_json),
            "authenticatorData": b64url_encode(self.authenticator_data),
            "signature": b64url_encode(self.signature),
        }
        if self.user_handle is not None:
            response["userHandle"] = b64url_encode(self.user_handle)
        return _public_key_credential(self.credential_id, response, self.extensions)

    def to_text(self) -> str:
        """The JSON text of `to_json`, written at once: base64url needs no escapes."""
        name = b64url_encode(self.credential_id)
        handle = "" if self.user_handle is None else f',"userHandle":"{b64url_encode(self.user_handle)}"'
        extensions = _encode_json(self.extensions).decode() if self.extensions else "{}"
        return (
            f'{{"id":"{name}","rawId":"{name}","type":"public-key","authenticatorAttachment":"platform",'
            f'"response":{{"clientDataJSON":"{b64url_encode(self.client_data_json)}",'
            f'"authenticatorData":"{b64url_encode(self.authenticator_data)}",'
            f'"signature":"{b64url_encode(self.signature)}"{handle}}},"clientExtensionResults":{extensions}}}'
        )

    @classmethod
    def from_json(cls, record: Any, where: str = "assertion") -> Assertion:
        response = _credential_response(record, where)
        inner = f"{where}.response"
        handle = member(response, "userHandle", str, inner, required=False)
        return cls(
            b64url_decode(member(record, "id", str, where), f"{where}.id"),
            b64url_decode(member(response, "clientDataJSON", str, inner), f"{inner}.clientDataJSON"),
            b64url_decode(member(response, "authenticatorData", str, inner), f"{inner}.authenticatorData"),
            b64url_decode(member(response, "signature", str, inner), f"{inner}.signature"),
            None if handle is None else b64url_decode(handle, f"{inner}.userHandle"),
            member(record, "clientExtensionResults", dict, where, required=False) or {},
        )

    def to_header(self) -> str:
        """The value of `X-Device-Assertion`: base64url of the JSON."""
        return b64url_encode(self.to_text().encode())

    @classmethod
    def from_header(cls, value: str) -> Assertion:
        return cls.from_json(parse_json_object(b64url_decode(value, "X-Device-Assertion"), "X-Device-Assertion"))


def _public_key_credential(
    credential_id: bytes, response: dict[str, Any], extensions: dict[str, Any] | None = None
) -> dict[str, Any]:
    name = b64url_encode(credential_id)
    return {
        "id": name,
        "rawId": name,
        "type": "public-key",
        "authenticatorAttachment": "platform",
        "response": response,
        "clientExtensionResults": extensions or {},
    }


def _credential_response(record: Any, where: str) -> dict[str, Any]:
    if member(record, "type", str, where) != "public-key":
        raise FormatError(f"{where}.type", "public-key")
    raw_id = member(record, "rawId", str, where, required=False)
    if raw_id is not None and raw_id != record.get("id"):
        raise FormatError(f"{where}.rawId", "the same value as id")
    response: dict[str, Any] = member(record, "response", dict, where)
    return response


@dataclass(frozen=True, slots=True)
class AttestationObject:
    """`fmt`, `attStmt` and `authData` (WebAuthn L3 section 6.5.4)."""

    fmt: str
    statement: dict[str, Any]
    auth_data: bytes

    def encode(self) -> bytes:
        return cbor_encode({"fmt": self.fmt, "attStmt": self.statement, "authData": self.auth_data})


def parse_attestation_object(data: bytes) -> AttestationObject:
    """Read an attestation object; unknown members are refused."""
    where = "attestationObject"
    fields = cbor_decode(data, where)
    if not isinstance(fields, dict) or set(fields) != {"fmt", "attStmt", "authData"}:
        raise FormatError(where, "a map of fmt, attStmt and authData")
    statement = fields["attStmt"]
    if fields["fmt"] == "compound" and isinstance(statement, list):
        statement = {"compound": statement}
    if (
        not isinstance(fields["fmt"], str)
        or not isinstance(statement, dict)
        or not isinstance(fields["authData"], bytes)
    ):
        raise FormatError(where, "fmt as text, attStmt as a map, authData as bytes")
    return AttestationObject(fields["fmt"], statement, fields["authData"])
