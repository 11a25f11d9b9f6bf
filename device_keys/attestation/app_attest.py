"""Apple App Attest (attestation section 9): the attestation object, the assertion, and their own reading of authenticator data.

Apple's authenticator data is not WebAuthn's: flags are 0x40 even where nothing is attested, and the extension map of iOS 27 follows
without the ED flag (other emitters set it). WebAuthn's strict reader refuses both, rightly; this one takes them and nothing else.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from device_keys.attestation.certificates import parse_x5c
from device_keys.encoding import FormatError, cbor_decode, cbor_decode_prefix, cbor_encode, member
from device_keys.keys import PublicKey, encode_cose_key
from device_keys.messages import AuthenticatorData, Flags, parse_attested_credential

FORMAT: Final = "apple-appattest"
ENVIRONMENTS: Final[dict[str, bytes]] = {
    "appattest": b"appattest" + bytes(7),
    "appattestdevelop": b"appattestdevelop",
}
BUNDLE_VERSION: Final = "apple_bundle_version_01"
VALIDATION_CATEGORY: Final = "apple_validation_category_01"
CATEGORY_NAMES: Final = (
    "invalid", "platform", "TestFlight", "development", "App Store", "enterprise", "Developer ID", "local", "Rosetta",
    "out-of-process JIT", "none",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AppAttestation:
    """An attestation object as received: authenticator data, certificates (DER, leaf first) and the receipt."""

    auth_data: AuthenticatorData
    x5c: tuple[bytes, ...]
    receipt: bytes

    @property
    def environment(self) -> str | None:
        """`appattest` or `appattestdevelop`, by the AAGUID; None for any other."""
        credential = self.auth_data.credential
        names = [name for name, aaguid in ENVIRONMENTS.items() if credential and credential.aaguid == aaguid]
        return names[0] if names else None

    @property
    def bundle_version(self) -> str | None:
        """The app's version, from iOS 27 on."""
        value = (self.auth_data.extensions or {}).get(BUNDLE_VERSION)
        return value if isinstance(value, str) else None

    @property
    def validation_category(self) -> int | None:
        """How the app came to the phone, from iOS 27 on (4 is the App Store); -1 where it is no four bytes."""
        return _category(self.auth_data)


@dataclass(frozen=True, slots=True)
class AppAssertion:
    """An assertion as received."""

    signature: bytes
    auth_data: AuthenticatorData

    @property
    def validation_category(self) -> int | None:
        """As in the attestation, where the map follows."""
        return _category(self.auth_data)


def _category(auth_data: AuthenticatorData) -> int | None:
    value = (auth_data.extensions or {}).get(VALIDATION_CATEGORY)
    if value is None:
        return None
    return int.from_bytes(value, "little") if isinstance(value, bytes) and len(value) == 4 else -1


def key_id(public_key: PublicKey) -> bytes:
    """SHA-256 of the uncompressed point: App Attest's name of a key."""
    return hashlib.sha256(public_key.point()).digest()


def app_id_hash(app_id: str) -> bytes:
    """SHA-256 of `TEAMID.bundleid`: the RP ID hash."""
    return hashlib.sha256(app_id.encode()).digest()


def assertion_nonce(auth_data: bytes, client_data_hash: bytes) -> bytes:
    """SHA-256(authenticatorData ‖ clientDataHash): the *message* that ECDSA-SHA256 signs, so that it is hashed again."""
    return hashlib.sha256(auth_data + client_data_hash).digest()


def extension_map(bundle_version: str, category: int) -> dict[str, Any]:
    """The map of iOS 27."""
    return {BUNDLE_VERSION: bundle_version, VALIDATION_CATEGORY: category.to_bytes(4, "little")}


def build_auth_data(
    rp_id_hash: bytes,
    sign_count: int,
    *,
    aaguid: bytes = bytes(16),
    public_key: PublicKey | None = None,
    credential_id: bytes | None = None,
    extensions: dict[str, Any] | None = None,
) -> bytes:
    """Apple's authenticator data: an attestation's carries the key, an assertion's does not; the map comes without ED, as from iPhones."""
    data = rp_id_hash + bytes([Flags.AT]) + sign_count.to_bytes(4, "big")
    if public_key is not None:
        name = key_id(public_key) if credential_id is None else credential_id
        data += aaguid + len(name).to_bytes(2, "big") + name + encode_cose_key(public_key)
    return data + (cbor_encode(extensions) if extensions else b"")


def encode_attestation(auth_data: bytes, x5c: tuple[bytes, ...], receipt: bytes) -> bytes:
    """The attestation object."""
    return cbor_encode({"fmt": FORMAT, "attStmt": {"x5c": list(x5c), "receipt": receipt}, "authData": auth_data})


def encode_assertion(signature: bytes, auth_data: bytes) -> bytes:
    """The assertion."""
    return cbor_encode({"signature": signature, "authenticatorData": auth_data})


def parse_attestation(data: bytes) -> AppAttestation:
    """Read an attestation object. Raises FormatError."""
    where = "appAttest.attestation"
    fields = cbor_decode(data, where)
    if not isinstance(fields, dict) or set(fields) != {"fmt", "attStmt", "authData"}:
        raise FormatError(where, "a map of fmt, attStmt and authData")
    if fields["fmt"] != FORMAT:
        raise FormatError(f"{where}.fmt", FORMAT)
    statement = member(fields, "attStmt", dict, where)
    if set(statement) != {"x5c", "receipt"}:
        raise FormatError(f"{where}.attStmt", "a map of x5c and receipt")
    return AppAttestation(
        parse_auth_data(member(fields, "authData", bytes, where), attested=True),
        parse_x5c(statement["x5c"], f"{where}.attStmt.x5c"),
        member(statement, "receipt", bytes, f"{where}.attStmt"),
    )


def parse_assertion(data: bytes) -> AppAssertion:
    """Read an assertion. Raises FormatError."""
    where = "appAttest.assertion"
    fields = cbor_decode(data, where)
    if not isinstance(fields, dict) or set(fields) != {"signature", "authenticatorData"}:
        raise FormatError(where, "a map of signature and authenticatorData")
    auth_data = parse_auth_data(member(fields, "authenticatorData", bytes, where), attested=False)
    return AppAssertion(member(fields, "signature", bytes, where), auth_data)


def parse_auth_data(data: bytes, *, attested: bool) -> AuthenticatorData:
    """Apple's authenticator data: an attested key or none, as asked for whatever the flags say; then perhaps one map, and nothing more."""
    where = "appAttest.authenticatorData"
    if len(data) < 37:
        raise FormatError(where, "at least 37 bytes")
    rest = data[37:]
    credential = extensions = None
    if attested:
        credential, rest = parse_attested_credential(rest)
    if rest:
        extensions, rest = cbor_decode_prefix(rest, f"{where}.extensions")
        if not isinstance(extensions, dict) or not all(isinstance(name, str) for name in extensions):
            raise FormatError(f"{where}.extensions", "a map with text keys")
    if rest:
        raise FormatError(where, "nothing after the extension map")
    return AuthenticatorData(
        data, data[:32], Flags(data[32]), int.from_bytes(data[33:37], "big"), credential, extensions
    )
