"""The server's evidence key: an Ed25519 key that signs evidence bundles, and nothing else.

Made when it is first needed, and kept in the server's database: whoever can read that database can sign. With `--seed` it is derived from
the seed alone, so that it repeats, and whoever knows the seed can sign; a bundle says which.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from device_keys.encoding import FormatError, b64url_decode, b64url_encode, parse_json_object

if TYPE_CHECKING:
    from server_stub.server import Server

ALGORITHM: Final = "Ed25519"
# What is signed: this, and the digest in hex.
CONTEXT: Final = b"stepup-evidence/2\n"
Source = Literal["database", "seed"]


class Signature(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A bundle's last member. `key_id`: base64url of the SHA-256 of the raw public key; `value`: base64url of the signature."""

    key_id: str
    alg: str
    value: str


class Signer(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What a bundle says of its key, inside the signed bytes. `made_from`: seed, or database (drawn at random, kept there)."""

    key_id: str
    made_from: Source


@dataclass(frozen=True, slots=True)
class EvidenceKey:
    """A key pair, known by its 32 secret bytes."""

    secret: bytes = field(repr=False)
    made_from: Source = "database"

    @property
    def public(self) -> bytes:
        """The raw public key, 32 bytes."""
        from nacl.signing import SigningKey

        return bytes(SigningKey(self.secret).verify_key)

    @property
    def signer(self) -> Signer:
        return Signer(key_id(self.public), self.made_from)

    def sign(self, digest: str) -> Signature:
        """The signature over a bundle's digest (hex)."""
        from nacl.signing import SigningKey

        value = SigningKey(self.secret).sign(CONTEXT + digest.encode()).signature
        return Signature(key_id(self.public), ALGORITHM, b64url_encode(value))

    def pem(self) -> str:
        """The public key as PEM (SubjectPublicKeyInfo, RFC 8410)."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        key = Ed25519PublicKey.from_public_bytes(self.public)
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def key_id(public: bytes) -> str:
    """How a raw public key is named."""
    return b64url_encode(hashlib.sha256(public).digest())


def seeded_key(seed: str) -> EvidenceKey:
    """The key of `--seed`: from its text alone, whatever else was drawn from it."""
    secret = hmac.digest(hashlib.sha256(b"stepup-simulator seed\0" + seed.encode()).digest(), b"evidence key", "sha256")
    return EvidenceKey(secret, "seed")


def evidence_key_of(server: Server) -> EvidenceKey:
    """This server's key. Call it outside any unit of work: the first call writes."""
    if server.settings.seed is not None:
        return seeded_key(server.settings.seed)
    with server.store.reading() as unit:
        row = unit.sql.one("get_evidence_key")
    if row is None:
        with server.store.begin() as unit:
            unit.sql.run("put_evidence_key", secret=unit.entropy.bytes("evidence key", 32).hex())
            row = unit.sql.one("get_evidence_key")  # another process may have been first
    assert row is not None
    return EvidenceKey(bytes.fromhex(row[0]))


# --- for those who check ------------------------------------------------------------------------------------------------


def read_public_key(pem: bytes | str) -> bytes:
    """The raw public key of a PEM text. Raises FormatError for anything but an Ed25519 public key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.encode() if isinstance(pem, str) else pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FormatError("key", "an Ed25519 public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise FormatError("key", "an Ed25519 public key in PEM")
    return key.public_bytes_raw()


def read_signature(data: bytes, field: str) -> Signature:
    """The signature member of a bundle, in its one form. Raises FormatError."""
    record: Any = parse_json_object(data, field)
    try:
        signature = msgspec.convert(record, Signature)
    except msgspec.ValidationError as error:
        raise FormatError(field, f"keyId, alg and value ({error})") from error
    if signature.alg != ALGORITHM:
        raise FormatError(f"{field}.alg", ALGORITHM)
    for name, text, size in (("keyId", signature.key_id, 32), ("value", signature.value, 64)):
        if len(b64url_decode(text, f"{field}.{name}")) != size:
            raise FormatError(f"{field}.{name}", f"{size} bytes in base64url")
    return signature


def verifies(signature: Signature, digest: str, public: bytes) -> bool:
    """Whether this raw public key made the signature over the digest (hex)."""
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    try:
        VerifyKey(public).verify(CONTEXT + digest.encode(), b64url_decode(signature.value))
    except BadSignatureError:
        return False
    return True
