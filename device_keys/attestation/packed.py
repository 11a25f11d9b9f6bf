"""Format `packed` (WebAuthn L3 section 8.2): self attestation, or a signature by a certified attestation key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from device_keys.attestation.certificates import parse_x5c
from device_keys.encoding import FormatError, member

FORMAT: Final = "packed"
AAGUID_OID: Final = "1.3.6.1.4.1.45724.1.1.4"
FIRMWARE_OID: Final = "1.3.6.1.4.1.45724.1.1.5"

_OCTET_STRING_16: Final = b"\x04\x10"


@dataclass(frozen=True, slots=True)
class Statement:
    """`{alg, sig, x5c?}`; without certificates it is self attestation. Certificates as DER, leaf first."""

    algorithm: int
    signature: bytes
    x5c: tuple[bytes, ...] = ()

    def encode(self) -> dict[str, Any]:
        """attStmt."""
        fields: dict[str, Any] = {"alg": self.algorithm, "sig": self.signature}
        return {**fields, "x5c": list(self.x5c)} if self.x5c else fields


def parse_statement(fields: Any) -> Statement:
    """Read attStmt; unknown members are refused."""
    where = "attStmt"
    if not isinstance(fields, dict) or set(fields) - {"x5c"} != {"alg", "sig"}:
        raise FormatError(where, "a map of alg, sig and perhaps x5c")
    x5c = parse_x5c(fields["x5c"]) if "x5c" in fields else ()
    return Statement(member(fields, "alg", int, where), member(fields, "sig", bytes, where), x5c)


def encode_aaguid_extension(aaguid: bytes) -> bytes:
    """The extension's content: an OCTET STRING of 16 bytes (section 8.2.1), which X.509 wraps in another."""
    return _OCTET_STRING_16 + aaguid


def parse_aaguid_extension(der: bytes) -> bytes:
    """The AAGUID that the certificate is for."""
    if len(der) != 18 or not der.startswith(_OCTET_STRING_16):
        raise FormatError("certificate.aaguid", "an OCTET STRING of 16 bytes")
    return der[2:]
