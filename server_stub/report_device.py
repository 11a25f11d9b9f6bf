"""What a key's attestation says, in words: Android's KeyDescription and App Attest's object, certificate by certificate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from device_keys.attestation import app_attest
from device_keys.attestation.certificates import load_certificate
from device_keys.encoding import FormatError, b64url_decode
from server_stub.report_facts import Fact
from server_stub.rules.scene import Scene
from server_stub.visible import visible

_LEVELS = {0: "software", 1: "trusted environment (TEE)", 2: "StrongBox"}
_BOOT = {0: "verified", 1: "self-signed system", 2: "unverified system", 3: "failed"}
_ORIGIN = {0: "generated inside", 1: "derived", 2: "imported", 3: "reserved", 4: "securely imported"}


def attestation_facts(scene: Scene) -> Iterator[Fact]:
    """The lines of the appendix about the key's attestation; what cannot be read is said to be so."""
    statement = scene.attestation_object
    if statement is None:
        yield Fact("Attestation", "could not be read")
        return
    yield Fact("Format", visible(statement.fmt))
    yield Fact(
        "Worth",
        f"{scene.attested.value}{f' ({visible(scene.attestation_why)})' if scene.attested.value == 'none' else ''}",
    )
    chain = statement.statement.get("x5c")
    if scene.key_description is not None:
        yield from _android(scene.key_description)
    if isinstance(chain, list):
        yield from _chain(chain)
    elif statement.fmt == "packed":
        yield Fact("Signed by", "the key itself (self attestation)")
    if scene.evidence.credential is not None and scene.evidence.credential.app_attest is not None:
        yield from _app_attest(scene.evidence.credential.app_attest)


def _android(description: Any) -> Iterator[Fact]:
    hardware, software = description.hardware_enforced, description.software_enforced
    levels = f"{_LEVELS[int(description.keymint_security_level)]}; attested by {_LEVELS[int(description.attestation_security_level)]}"
    yield Fact("Where the key lives", levels)
    origin = hardware.origin if hardware.origin is not None else software.origin
    yield Fact("Origin", "not said" if origin is None else _ORIGIN.get(int(origin), str(origin)))
    yield Fact("What releases it", _gate(hardware, software))
    trust = hardware.root_of_trust
    if trust is None:
        yield Fact("Boot", "not said")
    else:
        yield Fact(
            "Boot", f"{_BOOT[int(trust.verified_boot_state)]}; device {'locked' if trust.device_locked else 'UNLOCKED'}"
        )
    patches = [
        str(v)
        for v in (hardware.os_patch_level, hardware.vendor_patch_level, hardware.boot_patch_level)
        if v is not None
    ]
    yield Fact("Patch levels (system, vendor, boot)", ", ".join(patches) or "not said")
    app = software.attestation_application_id
    if app is not None:
        yield Fact("App", visible(", ".join(f"{package.name} version {package.version}" for package in app.packages)))
        for signer in app.signers:
            yield Fact("App signed by (SHA-256)", signer.hex(), True)
    yield Fact(
        "Trusted confirmation",
        "required" if hardware.trusted_confirmation_required else "not required: the display is the app's word",
    )
    yield Fact(
        "Versions", f"attestation {description.attestation_version}, KeyMint or Keymaster {description.keymint_version}"
    )


def _gate(hardware: Any, software: Any) -> str:
    if hardware.no_auth_required:
        return "nobody: no user authentication (tag 503)"
    kind, source = hardware.user_auth_type, ""
    if kind is None:
        kind, source = software.user_auth_type, " (the system's word only, not the hardware's)"
    if kind is None:
        return "not said"
    who = {1: "the screen lock", 2: "a strong biometric", 3: "the screen lock or a strong biometric"}.get(
        kind, f"any of mask {kind:#x}"
    )
    timeout = hardware.auth_timeout
    return f"{who}, {'for every single use' if timeout is None else f'within the last {timeout} seconds'}{source}"


def _chain(chain: list[Any]) -> Iterator[Fact]:

    for number, der in enumerate(chain):
        where = "Leaf certificate" if number == 0 else f"Certificate {number + 1}"
        try:
            certificate = load_certificate(der)
            subject, issuer = (
                visible(name.rfc4514_string()) or "(empty)" for name in (certificate.subject, certificate.issuer)
            )
        except (FormatError, ValueError, TypeError):
            yield Fact(where, "could not be read")
            continue
        dates = f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
        yield Fact(where, f"{subject}; issued by {issuer}; {dates}; serial {certificate.serial_number:x}")


def _app_attest(record: dict[str, Any]) -> Iterator[Fact]:

    yield Fact("App Attest key id", visible(record.get("keyId", "")), True)
    try:
        attestation = app_attest.parse_attestation(b64url_decode(record.get("attestation"), "attestation"))
    except FormatError as error:
        yield Fact("App Attest", f"could not be read: {visible(error)}")
        return
    yield Fact("App Attest environment", attestation.environment or "unknown")
    category = attestation.validation_category
    if category is not None:
        names = app_attest.CATEGORY_NAMES
        yield Fact("App came by", names[category] if category < len(names) else f"category {category}")
    if attestation.bundle_version is not None:
        yield Fact("App version", visible(attestation.bundle_version))
    yield Fact("App Attest RP id hash (SHA-256 of the app id)", attestation.auth_data.rp_id_hash.hex(), True)
    yield Fact("What releases the key", "the app's word: nothing that Apple attests says so")
    yield from _chain(list(attestation.x5c))
