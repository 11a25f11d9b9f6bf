"""The generator: attestations of any profile, honest or with one named defect, for testing any verifier; no server, no enrolment."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from authenticator.app_maker import attest_app
from authenticator.attestation_faults import ATTESTATION_FAULTS, BIOMETRIC, AttestationFault
from authenticator.authorities import FAMILY_OF_SHAPE, der, pem, root
from authenticator.errors import Unreadable, UsageError
from authenticator.maker import attest_key
from authenticator.profiles import Profile
from device_keys.algorithms import ALGORITHM_NAMES
from device_keys.attestation import android_key, app_attest
from device_keys.attestation.certificates import extension_value, load_chain
from device_keys.clock import rfc3339
from device_keys.defaults import DEFAULT_RP_ID
from device_keys.encoding import b64url_encode
from device_keys.entropy import Entropy
from device_keys.messages import (
    AuthenticatorData,
    Flags,
    build_authenticator_data,
    parse_attestation_object,
    parse_authenticator_data,
)
from device_keys.secure_hardware import AuthenticatorType, Gate, SecureHardware

_HONEST: Final = AttestationFault(name="", simulates="", attack="", check="")
_SHAPES: Final = {"packed": "fido", "apple": "apple-webauthn", app_attest.FORMAT: "app-attest"}


@dataclass(frozen=True, slots=True)
class Generated:
    """One attestation: the object, its certificates (leaf first), the root that a verifier should trust, and what it claims."""

    attestation: bytes
    chain: tuple[x509.Certificate, ...]
    root: x509.Certificate | None
    claims: dict[str, Any]

    def files(self) -> dict[str, bytes]:
        """Content by file name; a format without certificates leaves the PEM files empty."""
        return {
            "attestation.bin": self.attestation,
            "chain.pem": b"".join(map(pem, self.chain)),
            "root.pem": pem(self.root) if self.root is not None else b"",
            "claims.json": json.dumps(self.claims, indent=2).encode() + b"\n",
        }


def generate(
    profile: Profile,
    challenge: bytes,
    format: str | None,  # noqa: A002 — the standard's word
    fault: str | None,
    out_dir: Path,
    now: datetime,
    entropy: Entropy,
) -> dict[str, Any]:
    """Write attestation.bin, chain.pem, root.pem and claims.json into `out_dir`; returns the claims.

    `challenge` is attested as it is: attestationChallenge on Android, client data hash for WebAuthn formats and App Attest. A fault that
    does not act on this phone and format leaves the attestation honest, and `fault` null in the claims.
    """
    made = make(profile, challenge, format=format, fault=fault, now=now, entropy=entropy)
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        for name, content in made.files().items():
            (out_dir / name).write_bytes(content)
    except OSError as error:
        raise Unreadable("unwritable_folder", f"{out_dir} cannot be written: {error.strerror}") from error
    return made.claims


def make(
    profile: Profile,
    challenge: bytes,
    *,
    format: str | None = None,  # noqa: A002
    fault: str | None = None,
    now: datetime,
    entropy: Entropy,
) -> Generated:
    """As `generate`, in memory."""
    chosen = format or profile.formats[0]
    if chosen not in profile.formats:
        raise UsageError(f"--format: {profile.name} attests as {', '.join(profile.formats)}", field="--format")
    defect = _find(fault)
    hardware = SecureHardware(entropy=entropy)
    gate = Gate.BIOMETRIC if defect.factor == BIOMETRIC else Gate.NONE
    algorithm = profile.algorithms[0]
    key_id = hardware.generate(gate=gate, level=profile.security_level, counter=profile.counter, algorithm=algorithm)
    attestor = _Attestor(profile, hardware, key_id, challenge, chosen, now)
    auth_data = b"" if chosen == app_attest.FORMAT else _auth_data(profile, hardware, key_id, gate, entropy)
    attestation = attestor.attest(auth_data, defect)
    acted = fault is not None and attestation != attestor.attest(auth_data, _HONEST)
    x5c, seen = _read(attestation, chosen)
    chain = load_chain(x5c)
    trusted = _root(profile, chosen) if chain else None
    claims = {
        "profile": profile.name,
        "platform": profile.platform.value,
        "format": chosen,
        "fault": fault if acted else None,
        "check": defect.check if acted else None,
        "createdAt": rfc3339(now),
        "challenge": b64url_encode(challenge),
        "securityLevel": profile.security_level.value,
        "gate": gate.value,
        **_device(seen),
        **({"appId": profile.app.apple_id} if chosen == app_attest.FORMAT else {"rpId": DEFAULT_RP_ID}),
        **_described(chain),
        "certificates": [certificate_json(certificate) for certificate in chain],
        "root": None if trusted is None else certificate_json(trusted),
    }
    return Generated(attestation, chain, trusted, claims)


@dataclass(frozen=True, slots=True)
class _Attestor:
    """One key, attested as often as wanted: with the same edits to the same bytes."""

    profile: Profile
    hardware: SecureHardware
    key_id: str
    challenge: bytes
    format: str
    now: datetime

    def attest(self, auth_data: bytes, defect: AttestationFault) -> bytes:
        parts = (self.profile, self.hardware, self.key_id)
        if self.format == app_attest.FORMAT:
            return attest_app(*parts, client_data_hash=self.challenge, now=self.now, edit=defect.app_claims)
        return attest_key(
            *parts,
            auth_data=auth_data,
            client_data_hash=self.challenge,
            now=self.now,
            format=self.format,
            sign=lambda data: _released(self.hardware, self.key_id, data),
            edit=defect.claims,
        ).encode()


def _read(attestation: bytes, format: str) -> tuple[tuple[bytes, ...], AuthenticatorData]:  # noqa: A002
    if format == app_attest.FORMAT:
        parsed = app_attest.parse_attestation(attestation)
        return parsed.x5c, parsed.auth_data
    made = parse_attestation_object(attestation)
    return tuple(made.statement.get("x5c", ())), parse_authenticator_data(made.auth_data)


def _find(fault: str | None) -> AttestationFault:
    if fault is None:
        return _HONEST
    if fault not in ATTESTATION_FAULTS:
        from authenticator.faults import find_fault

        find_fault(fault)  # one that acts elsewhere is let pass, an unknown name is a usage error
    return ATTESTATION_FAULTS.get(fault, _HONEST)


def _auth_data(profile: Profile, hardware: SecureHardware, key_id: str, gate: Gate, entropy: Entropy) -> bytes:
    return build_authenticator_data(
        app_attest.app_id_hash(DEFAULT_RP_ID),  # SHA-256 of the text, as for an RP ID
        Flags.UP | Flags.UV if gate is Gate.BIOMETRIC else Flags.UP,
        hardware.next_counter(key_id),
        aaguid=profile.aaguid,
        credential_id=entropy.bytes("attest.credential-id", 32),
        public_key=hardware.public_key(key_id),
    )


def _released(hardware: SecureHardware, key_id: str, data: bytes) -> bytes:
    """The generator's user always consents."""
    operation = hardware.begin(key_id)
    token = hardware.mint_token(challenge=operation, authenticator_type=AuthenticatorType.BIOMETRIC, timestamp_ms=0)
    return hardware.sign(key_id, data, operation=operation, token=token)


def _root(profile: Profile, format: str) -> x509.Certificate:  # noqa: A002
    shape = profile.android.chain if profile.android is not None and format == android_key.FORMAT else _SHAPES[format]
    return root(FAMILY_OF_SHAPE[shape]).certificate


# --- the claims in JSON -------------------------------------------------------------------------------------------------


def _device(auth_data: AuthenticatorData) -> dict[str, Any]:
    credential = auth_data.credential
    if credential is None:
        return {}
    return {
        "credentialId": b64url_encode(credential.credential_id),
        "aaguid": credential.aaguid.hex(),
        "publicKey": b64url_encode(credential.public_key.spki()),
        "algorithm": ALGORITHM_NAMES[credential.public_key.algorithm],
        "flags": int(auth_data.flags),
        "signCount": auth_data.sign_count,
        "extensions": _json(auth_data.extensions),
    }


def _described(chain: tuple[x509.Certificate, ...]) -> dict[str, Any]:
    extension = extension_value(chain[0], android_key.KEY_DESCRIPTION_OID) if chain else None
    if extension is None:
        return {}
    try:
        return {"keyDescription": _json(android_key.parse_key_description(extension))}
    except ValueError as error:  # a fault made it unreadable, on purpose
        return {"keyDescription": None, "unreadable": str(error)}


def certificate_json(certificate: x509.Certificate) -> dict[str, Any]:
    """Names, serial number, dates and digest."""
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial": f"{certificate.serial_number:x}",
        "notBefore": rfc3339(certificate.not_valid_before_utc),
        "notAfter": rfc3339(certificate.not_valid_after_utc),
        "sha256": hashlib.sha256(der(certificate)).hexdigest(),
    }


def _json(value: Any) -> Any:
    """Dataclasses become objects with camelCase names, without what is absent; bytes base64url; enumerations their names."""
    if is_dataclass(value) and not isinstance(value, type):
        members = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {_camel(name): _json(item) for name, item in members if item is not None and item is not False}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes):
        return b64url_encode(value)
    if isinstance(value, dict):
        return {name: _json(item) for name, item in value.items()}
    return [_json(item) for item in value] if isinstance(value, tuple | list) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
