"""Android key attestation: the KeyDescription extension of the leaf, versions 1 to 500 (attestation section 6).

Strict by the library's declarative DER: unknown, repeated or misplaced tags, trailing bytes and BOOLEANs other than 00 and ff are refused.
Decoding and encoding again gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Final, TypeVar

from cryptography.hazmat import asn1

from device_keys.attestation.certificates import parse_x5c
from device_keys.encoding import FormatError, member

FORMAT: Final = "android-key"
KEY_DESCRIPTION_OID: Final = "1.3.6.1.4.1.11129.2.1.17"
PROVISIONING_INFO_OID: Final = "1.3.6.1.4.1.11129.2.1.30"
ATTESTATION_VERSIONS: Final = (1, 2, 3, 4, 100, 200, 300, 400, 500)

_T = TypeVar("_T")


class SecurityLevel(IntEnum):
    """Where attestation and key live."""

    SOFTWARE = 0
    TRUSTED_ENVIRONMENT = 1
    STRONG_BOX = 2


class VerifiedBootState(IntEnum):
    """How the system was verified when it started."""

    VERIFIED = 0
    SELF_SIGNED = 1
    UNVERIFIED = 2
    FAILED = 3


class Origin(IntEnum):
    """How the key came to be."""

    GENERATED = 0
    DERIVED = 1
    IMPORTED = 2
    RESERVED = 3
    SECURELY_IMPORTED = 4


PURPOSE_SIGN: Final = 2
PURPOSE_VERIFY: Final = 3
USER_AUTH_PASSWORD: Final = 1
USER_AUTH_BIOMETRIC: Final = 2


@dataclass(frozen=True, slots=True)
class RootOfTrust:
    """What the bootloader told the secure hardware; the hash exists from attestation version 3 on."""

    verified_boot_key: bytes
    device_locked: bool
    verified_boot_state: VerifiedBootState
    verified_boot_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class Package:
    """One package of the uid that the key belongs to."""

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class ApplicationId:
    """Whose key it is: every package that shares the uid, and the SHA-256 of the certificates that signed them."""

    packages: tuple[Package, ...]
    signers: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AuthorizationList:
    """What the key may do, for whom, on which phone. Absent fields are None, absent flags False. Times in ms, `auth_timeout` in seconds."""

    purpose: tuple[int, ...] | None = None
    algorithm: int | None = None
    key_size: int | None = None
    block_mode: tuple[int, ...] | None = None
    digest: tuple[int, ...] | None = None
    padding: tuple[int, ...] | None = None
    ec_curve: int | None = None
    ml_dsa_variant: int | None = None
    rsa_public_exponent: int | None = None
    rsa_oaep_mgf_digest: tuple[int, ...] | None = None
    active_date_time: int | None = None
    origination_expire_date_time: int | None = None
    usage_expire_date_time: int | None = None
    usage_count_limit: int | None = None
    no_auth_required: bool = False
    user_auth_type: int | None = None
    auth_timeout: int | None = None
    allow_while_on_body: bool = False
    trusted_user_presence_required: bool = False
    trusted_confirmation_required: bool = False
    unlocked_device_required: bool = False
    all_applications: bool = False
    creation_date_time: int | None = None
    origin: Origin | None = None
    rollback_resistant: bool = False
    root_of_trust: RootOfTrust | None = None
    os_version: int | None = None
    os_patch_level: int | None = None
    attestation_application_id: ApplicationId | None = None
    attestation_id_brand: bytes | None = None
    attestation_id_device: bytes | None = None
    attestation_id_product: bytes | None = None
    attestation_id_serial: bytes | None = None
    attestation_id_imei: bytes | None = None
    attestation_id_meid: bytes | None = None
    attestation_id_manufacturer: bytes | None = None
    attestation_id_model: bytes | None = None
    vendor_patch_level: int | None = None
    boot_patch_level: int | None = None
    attestation_id_second_imei: bytes | None = None
    module_hash: bytes | None = None


# Every authorization's tag, in ascending order, as the fields of AuthorizationList are.
TAGS: Final[dict[str, int]] = {
    "purpose": 1, "algorithm": 2, "key_size": 3, "block_mode": 4, "digest": 5, "padding": 6, "ec_curve": 10, "ml_dsa_variant": 11,
    "rsa_public_exponent": 200, "rsa_oaep_mgf_digest": 203, "active_date_time": 400, "origination_expire_date_time": 401,
    "usage_expire_date_time": 402, "usage_count_limit": 405, "no_auth_required": 503, "user_auth_type": 504, "auth_timeout": 505,
    "allow_while_on_body": 506, "trusted_user_presence_required": 507, "trusted_confirmation_required": 508,
    "unlocked_device_required": 509, "all_applications": 600, "creation_date_time": 701, "origin": 702, "rollback_resistant": 703,
    "root_of_trust": 704, "os_version": 705, "os_patch_level": 706, "attestation_application_id": 709, "attestation_id_brand": 710,
    "attestation_id_device": 711, "attestation_id_product": 712, "attestation_id_serial": 713, "attestation_id_imei": 714,
    "attestation_id_meid": 715, "attestation_id_manufacturer": 716, "attestation_id_model": 717, "vendor_patch_level": 718,
    "boot_patch_level": 719, "attestation_id_second_imei": 723, "module_hash": 724,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeyDescription:
    """The extension's content. `hardware_enforced` is the secure hardware's word, `software_enforced` only the system's."""

    attestation_version: int
    attestation_security_level: SecurityLevel
    keymint_version: int
    keymint_security_level: SecurityLevel
    attestation_challenge: bytes
    unique_id: bytes
    software_enforced: AuthorizationList
    hardware_enforced: AuthorizationList

    def encode(self) -> bytes:
        """DER."""
        return asn1.encode_der(
            _KeyDescription(
                attestation_version=self.attestation_version,
                attestation_security_level=_enumerated(self.attestation_security_level),
                keymint_version=self.keymint_version,
                keymint_security_level=_enumerated(self.keymint_security_level),
                attestation_challenge=self.attestation_challenge,
                unique_id=self.unique_id,
                software_enforced=_list_to_wire(self.software_enforced),
                hardware_enforced=_list_to_wire(self.hardware_enforced),
            )
        )


# --- the wire, declared -------------------------------------------------------------------------------------------------


@asn1.sequence
class _RootOfTrust:
    verified_boot_key: bytes
    device_locked: bool
    verified_boot_state: asn1.TLV
    verified_boot_hash: bytes | None


@asn1.sequence
class _Package:
    name: bytes
    version: int


@asn1.sequence
class _ApplicationId:
    packages: asn1.SetOf[_Package]
    signers: asn1.SetOf[bytes]


_WIRE_TYPES: Final[dict[str, Any]] = {
    **dict.fromkeys(TAGS, int | None),
    **dict.fromkeys(("purpose", "block_mode", "digest", "padding", "rsa_oaep_mgf_digest"), asn1.SetOf[int] | None),
    **{name: asn1.Null | None for name, field in AuthorizationList.__annotations__.items() if field == "bool"},
    **{name: bytes | None for name in TAGS if name.startswith("attestation_")},
    "module_hash": bytes | None,
    "root_of_trust": _RootOfTrust | None,
}

# One declaration for both directions: a sequence of `[tag] EXPLICIT … OPTIONAL`, made from the table of tags.
_AuthorizationList: Any = asn1.sequence(
    type("_AuthorizationList", (), {
        "__module__": __name__,
        "__annotations__": {name: Annotated[_WIRE_TYPES[name], asn1.Explicit(tag)] for name, tag in TAGS.items()},
    })
)  # fmt: skip


@asn1.sequence
class _KeyDescription:
    attestation_version: int
    attestation_security_level: asn1.TLV
    keymint_version: int
    keymint_security_level: asn1.TLV
    attestation_challenge: bytes
    unique_id: bytes
    software_enforced: _AuthorizationList
    hardware_enforced: _AuthorizationList


# --- decoding -----------------------------------------------------------------------------------------------------------


def parse_key_description(der: bytes) -> KeyDescription:
    """The content of extension 1.3.6.1.4.1.11129.2.1.17. Raises FormatError; `field` names the part."""
    wire = _decode(
        _KeyDescription, der, "KeyDescription", "a KeyDescription in strict DER with known tags in ascending order"
    )
    if wire.attestation_version not in ATTESTATION_VERSIONS:
        raise FormatError("KeyDescription.attestationVersion", f"one of {', '.join(map(str, ATTESTATION_VERSIONS))}")
    where = "KeyDescription"
    return KeyDescription(
        wire.attestation_version,
        _enum(SecurityLevel, wire.attestation_security_level, f"{where}.attestationSecurityLevel"),
        _integer(wire.keymint_version, f"{where}.keyMintVersion"),
        _enum(SecurityLevel, wire.keymint_security_level, f"{where}.keyMintSecurityLevel"),
        wire.attestation_challenge,
        wire.unique_id,
        _list_from_wire(wire.software_enforced, f"{where}.softwareEnforced"),
        _list_from_wire(wire.hardware_enforced, f"{where}.hardwareEnforced"),
    )


def _decode(cls: type[_T], der: bytes, field: str, expected: str) -> _T:
    try:
        return asn1.decode_der(cls, der)
    except (ValueError, TypeError, OverflowError) as error:
        raise FormatError(field, expected) from error


def _enum(cls: Callable[[int], _T], value: asn1.TLV, field: str) -> _T:
    """The library has no ENUMERATED: the element is read raw, tag 0a, one byte."""
    if bytes(value.tag_bytes) != b"\x0a" or len(value.data) != 1:
        raise FormatError(field, "an ENUMERATED of one byte")
    return _known(cls, value.data[0], field)


def _known(cls: Callable[[int], _T], value: int, field: str) -> _T:
    try:
        return cls(value)
    except ValueError as error:
        raise FormatError(field, f"a known value, not {value}") from error


def _list_from_wire(wire: Any, where: str) -> AuthorizationList:
    fields: dict[str, Any] = {}
    for name in TAGS:
        value = getattr(wire, name)
        if value is not None:
            fields[name] = _READERS[name](value, f"{where}.{name}")
    return AuthorizationList(**fields)


def _root_of_trust(wire: Any, where: str) -> RootOfTrust:
    state = _enum(VerifiedBootState, wire.verified_boot_state, f"{where}.verifiedBootState")
    return RootOfTrust(wire.verified_boot_key, wire.device_locked, state, wire.verified_boot_hash)


def parse_application_id(der: bytes, where: str = "attestationApplicationId") -> ApplicationId:
    """The content of tag 709."""
    wire = _decode(_ApplicationId, der, where, "an AttestationApplicationId in strict DER")
    try:
        packages = tuple(
            Package(p.name.decode("utf-8"), _integer(p.version, f"{where}.version")) for p in wire.packages.as_list()
        )
    except UnicodeDecodeError as error:
        raise FormatError(f"{where}.packages", "package names in UTF-8") from error
    return ApplicationId(packages, tuple(wire.signers.as_list()))


def _plain(value: Any, where: str) -> Any:
    return _integer(value, where) if isinstance(value, int) else value


def _integer(value: int, where: str) -> int:
    """KeyMint's numbers have at most 64 bits; what is longer could not even be written down as text."""
    if not -(2**63) <= value < 2**64:
        raise FormatError(where, "a number of at most 64 bits")
    return value


def _flag(value: Any, where: str) -> bool:
    return True


def _set(value: asn1.SetOf[int], where: str) -> tuple[int, ...]:
    return tuple(_integer(number, where) for number in value.as_list())


_READERS: Final[dict[str, Callable[[Any, str], Any]]] = {
    name: _flag if kind == asn1.Null | None else _set if kind == asn1.SetOf[int] | None else _plain
    for name, kind in _WIRE_TYPES.items()
} | {
    "origin": lambda value, where: _known(Origin, value, where),
    "root_of_trust": _root_of_trust,
    "attestation_application_id": parse_application_id,
}


# --- encoding -----------------------------------------------------------------------------------------------------------


def _enumerated(value: int) -> asn1.TLV:
    return asn1.decode_der(asn1.TLV, bytes((0x0A, 0x01, value)))


def _list_to_wire(authorizations: AuthorizationList) -> Any:
    return _AuthorizationList(**{name: _to_wire(getattr(authorizations, name)) for name in TAGS})


def _to_wire(value: Any) -> Any:
    if value is None or value is False:
        return None
    if value is True:
        return asn1.Null()
    if isinstance(value, tuple):
        return asn1.SetOf(list(value))
    if isinstance(value, RootOfTrust):
        return _RootOfTrust(
            verified_boot_key=value.verified_boot_key,
            device_locked=value.device_locked,
            verified_boot_state=_enumerated(value.verified_boot_state),
            verified_boot_hash=value.verified_boot_hash,
        )
    if isinstance(value, ApplicationId):
        return encode_application_id(value)
    return int(value) if isinstance(value, int) else value


def encode_application_id(value: ApplicationId) -> bytes:
    """DER of tag 709's content."""
    packages = [_Package(name=package.name.encode(), version=package.version) for package in value.packages]
    return asn1.encode_der(_ApplicationId(packages=asn1.SetOf(packages), signers=asn1.SetOf(list(value.signers))))


# --- the WebAuthn statement ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Statement:
    """`{alg, sig, x5c}` of format android-key (WebAuthn L3 section 8.4): certificates as DER, leaf first."""

    algorithm: int
    signature: bytes
    x5c: tuple[bytes, ...]

    def encode(self) -> dict[str, Any]:
        """attStmt."""
        return {"alg": self.algorithm, "sig": self.signature, "x5c": list(self.x5c)}


def parse_statement(fields: Any) -> Statement:
    """Read attStmt; unknown members are refused."""
    where = "attStmt"
    if not isinstance(fields, dict) or set(fields) != {"alg", "sig", "x5c"}:
        raise FormatError(where, "a map of alg, sig and x5c")
    return Statement(member(fields, "alg", int, where), member(fields, "sig", bytes, where), parse_x5c(fields["x5c"]))
