"""Android's KeyDescription in words: every authorization tag named, unknown ones kept, odd encodings read and remarked on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from authenticator.inspecting import der
from authenticator.inspecting.der import Element
from authenticator.inspecting.tree import Item, text_or_hex, unread
from device_keys.attestation.android_key import ATTESTATION_VERSIONS, TAGS, Origin, SecurityLevel, VerifiedBootState
from device_keys.encoding import FormatError

# Tags that phones use beside those of the schema's table.
_FURTHER_TAGS: Final = {
    "caller_nonce": 7, "min_mac_length": 8, "rollback_resistance": 303, "early_boot_only": 305, "user_secure_id": 502,
    "device_unique_attestation": 720, "identity_credential_key": 721,
}  # fmt: skip
_NAMES: Final = {tag: name for name, tag in (TAGS | _FURTHER_TAGS).items()}

_PURPOSES: Final = {0: "encrypt", 1: "decrypt", 2: "sign", 3: "verify", 5: "wrap key", 6: "agree key", 7: "attest key"}
_ALGORITHMS: Final = {1: "RSA", 3: "EC", 4: "ML-DSA", 32: "AES", 33: "3DES", 128: "HMAC"}
_DIGESTS: Final = {0: "none", 1: "MD5", 2: "SHA-1", 3: "SHA-224", 4: "SHA-256", 5: "SHA-384", 6: "SHA-512"}
_PADDINGS: Final = {
    1: "none",
    2: "RSA-OAEP",
    3: "RSA-PSS",
    4: "PKCS #1 v1.5 encryption",
    5: "PKCS #1 v1.5 signature",
    64: "PKCS #7",
}
_CURVES: Final = {0: "P-224", 1: "P-256", 2: "P-384", 3: "P-521", 4: "Curve25519"}
_LEVELS: Final = {
    SecurityLevel.SOFTWARE: "software",
    SecurityLevel.TRUSTED_ENVIRONMENT: "TEE",
    SecurityLevel.STRONG_BOX: "StrongBox",
}
_VERSIONS: Final = {
    1: "Keymaster 2", 2: "Keymaster 3", 3: "Keymaster 4.0", 4: "Keymaster 4.1", 100: "KeyMint 1", 200: "KeyMint 2", 300: "KeyMint 3",
    400: "KeyMint 4", 500: "Android 17",
}  # fmt: skip
_ANY_AUTHENTICATION: Final = 0xFFFFFFFF


def key_description(data: bytes) -> Item:
    """The extension's content. Raises FormatError only if it is not a SEQUENCE of eight."""
    outer, rest = der.read_one(data)
    parts = outer.children()
    if not outer.is_(der.SEQUENCE) or len(parts) != 8:
        raise FormatError("KeyDescription", "a SEQUENCE of eight")
    version, level, keymint, keymint_level, challenge, unique_id, software, hardware = parts
    items = [
        Item("attestationVersion", version.integer(), _VERSIONS.get(version.integer(), "not a known version")),
        _level("attestationSecurityLevel", level),
        Item("keyMintVersion", keymint.integer()),
        _level("keyMintSecurityLevel", keymint_level),
        Item(
            "attestationChallenge", challenge.content.hex(), f"{len(challenge.content)} bytes that the verifier chose"
        ),
        Item("uniqueId", unique_id.content.hex(), "" if unique_id.content else "none"),
        _authorizations("softwareEnforced", software, "the system's word"),
        _authorizations("hardwareEnforced", hardware, "the secure hardware's word"),
        Item("gate", meaning=_gate(hardware)),
    ]
    if rest:
        items.append(unread("trailingBytes", rest, "nothing should follow"))
    known = version.integer() in ATTESTATION_VERSIONS
    return Item(
        "keyDescription", items=tuple(items), problem="" if known else "a version that this program does not know"
    )


def _level(name: str, element: Element) -> Item:
    value = element.integer()
    return Item(name, value, _LEVELS.get(value, "not a known level"))  # type: ignore[call-overload]


def _authorizations(name: str, element: Element, meaning: str) -> Item:
    try:
        entries = element.children()
    except FormatError as error:
        return unread(name, element.content, error)
    numbers = [entry.number for entry in entries]
    ordered = numbers == sorted(set(numbers))
    remark = meaning if ordered else f"{meaning}; tags out of order or repeated, which strict verifiers refuse"
    return Item(name, meaning=remark, items=tuple(map(_authorization, entries)))


def _authorization(entry: Element) -> Item:
    name = _camel(_NAMES.get(entry.number, "unknown"))
    label = f"[{entry.number}] {name}"
    if entry.tag_class != der.CONTEXT or entry.number not in _NAMES:
        return Item(label, entry.content.hex(), "kept as it is")
    try:
        inner, rest = der.read_one(entry.content)
        item = _value(label, _NAMES[entry.number], inner)
    except FormatError as error:
        return unread(label, entry.content, error)
    return unread(label, entry.content, "one value and nothing after it was expected") if rest else item


def _value(label: str, name: str, inner: Element) -> Item:
    if name in _READERS:
        return _READERS[name](label, inner)
    if inner.is_(der.NULL):
        return Item(label, True)
    if inner.is_(der.SET):
        names = _SETS.get(name, {})
        values = [child.integer() for child in inner.children()]
        return Item(label, values, ", ".join(names.get(value, "unknown") for value in values) if names else "")
    if inner.is_(der.INTEGER) or inner.is_(der.ENUMERATED):
        return Item(label, inner.integer(), _meaning(name, inner.integer()))
    return Item(label, text_or_hex(inner.content) if name.startswith("attestation_id") else inner.content.hex())


_SETS: Final = {"purpose": _PURPOSES, "digest": _DIGESTS, "padding": _PADDINGS, "rsa_oaep_mgf_digest": _DIGESTS}
_WORDS: Final[dict[str, dict[int, str]]] = {
    "algorithm": _ALGORITHMS,
    "ec_curve": _CURVES,
    "ml_dsa_variant": {0: "ML-DSA-44", 1: "ML-DSA-65", 2: "ML-DSA-87"},
    "origin": {origin.value: origin.name.lower().replace("_", " ") for origin in Origin},
}


def _meaning(name: str, value: int) -> str:
    if name in _WORDS:
        return _WORDS[name].get(value, "not a known value")
    if name.endswith("date_time"):
        return _instant(value)
    if name.endswith("patch_level"):
        return _patch_level(value)
    if name == "os_version":
        return f"{value // 10000}.{value // 100 % 100}.{value % 100}" if value else "not stated"
    return {"user_auth_type": _authentication(value), "auth_timeout": f"{value} s"}.get(name, "")


def _instant(milliseconds: int) -> str:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return "beyond the calendar"


def _patch_level(value: int) -> str:
    text = str(value)
    return {6: f"{text[:4]}-{text[4:]}", 8: f"{text[:4]}-{text[4:6]}-{text[6:]}"}.get(len(text), "not a date")


def _authentication(mask: int) -> str:
    if mask in (_ANY_AUTHENTICATION, -1):
        return "any authentication"
    kinds = [words for bit, words in ((1, "device credential"), (2, "strong biometric")) if mask & bit]
    return " or ".join(kinds) or "nobody"


def _root_of_trust(label: str, inner: Element) -> Item:
    parts = inner.children()
    if len(parts) not in (3, 4):
        raise FormatError("rootOfTrust", "three or four members")
    key, locked, state, *rest = parts
    unlocked_key = " (all zero: an unlocked phone)" if not any(key.content) else ""
    odd = "" if locked.content in (b"\0", b"\xff") else f"encoded as {locked.content.hex()}, which DER does not allow"
    items = [
        Item("verifiedBootKey", key.content.hex(), f"digest of the key that verified the system{unlocked_key}"),
        Item("deviceLocked", any(locked.content), odd),
        Item("verifiedBootState", state.integer(), _boot_state(state.integer())),
        *(Item("verifiedBootHash", part.content.hex()) for part in rest),
    ]
    return Item(label, items=tuple(items))


def _boot_state(value: int) -> str:
    names = {state.value: state.name.lower().replace("_", "-") for state in VerifiedBootState}
    return names.get(value, "not a known state")


def _application_id(label: str, inner: Element) -> Item:
    outer, _ = der.read_one(inner.content)
    parts = outer.children()
    if len(parts) != 2:
        raise FormatError("attestationApplicationId", "packages and signers")
    packages = []
    for package in parts[0].children():
        name, version = (*package.children(), *[None] * 2)[:2]
        if name is None or version is None:
            raise FormatError("attestationApplicationId.packages", "name and version")
        packages.append(Item("package", text_or_hex(name.content), f"version {version.integer()}"))
    signers = [
        Item("signer", signer.content.hex(), "SHA-256 of the signing certificate") for signer in parts[1].children()
    ]
    return Item(label, items=(*packages, *signers))


_READERS: Final[dict[str, Callable[[str, Element], Item]]] = {
    "root_of_trust": _root_of_trust,
    "attestation_application_id": _application_id,
}


def _gate(hardware: Element) -> str:
    """What the hardware-enforced list says of who releases the key (attestation section 6)."""
    try:
        values = {entry.number: entry.content for entry in hardware.children()}
        mask = der.read_one(values[504])[0].integer() if 504 in values else 0
        seconds = der.read_one(values[505])[0].integer() if 505 in values else None
    except FormatError:
        return "not readable"
    if 503 in values:
        return "no user check: whoever holds the phone can use the key"
    if 504 not in values:
        return "not stated: treat as unknown, not as gated"
    if seconds is None:
        return f"{_authentication(mask)} for every single use"
    return f"{_authentication(mask)}, then open for {seconds} s"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
