"""Format `apple` (WebAuthn L3 section 8.8, anonymous attestation), and the nonce extension that it shares with App Attest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from device_keys.attestation.certificates import parse_x5c
from device_keys.encoding import FormatError

FORMAT: Final = "apple"
NONCE_OID: Final = "1.2.840.113635.100.8.2"

# SEQUENCE { [1] EXPLICIT OCTET STRING (32) }: always these six bytes, then the nonce.
_NONCE_PREFIX: Final = bytes.fromhex("3024a1220420")


@dataclass(frozen=True, slots=True)
class Statement:
    """`{x5c}`: certificates as DER, leaf first."""

    x5c: tuple[bytes, ...]

    def encode(self) -> dict[str, Any]:
        """attStmt."""
        return {"x5c": list(self.x5c)}


def parse_statement(fields: Any) -> Statement:
    """Read attStmt; unknown members are refused, but an `alg` as early emitters sent it is let pass."""
    if not isinstance(fields, dict) or set(fields) - {"alg"} != {"x5c"}:
        raise FormatError("attStmt", "a map of x5c")
    return Statement(parse_x5c(fields["x5c"]))


def nonce(auth_data: bytes, client_data_hash: bytes) -> bytes:
    """SHA-256(authData ‖ clientDataHash)."""
    return hashlib.sha256(auth_data + client_data_hash).digest()


def encode_nonce_extension(value: bytes) -> bytes:
    """The extension's content."""
    return _NONCE_PREFIX + value


def parse_nonce_extension(der: bytes) -> bytes:
    """The 32 bytes of extension 1.2.840.113635.100.8.2."""
    if len(der) != len(_NONCE_PREFIX) + 32 or not der.startswith(_NONCE_PREFIX):
        raise FormatError("certificate.nonce", "SEQUENCE { [1] OCTET STRING of 32 bytes }")
    return der[len(_NONCE_PREFIX) :]
