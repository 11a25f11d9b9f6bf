"""Registrations of every profile and format, for verifiers that we did not write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

import pytest

from authenticator.attestation_faults import BIOMETRIC, AttestationFault
from authenticator.maker import attest_key, key_formats
from authenticator.profiles import PROFILES
from device_keys.defaults import DEFAULT_ORIGIN, DEFAULT_RP_ID
from device_keys.entropy import SeededEntropy
from device_keys.messages import Flags, Registration, build_authenticator_data, build_client_data
from device_keys.secure_hardware import AuthenticatorType, Gate, SecureHardware

CHALLENGE = hashlib.sha256(b"an enrolment's challenge").digest()


@dataclass(frozen=True)
class Case:
    """One registration, and what it was made of."""

    profile: str
    algorithm: int
    fmt: str
    registration: Registration
    spki: bytes

    def __str__(self) -> str:
        return f"{self.profile} {self.algorithm} {self.fmt}"


Register = Callable[..., Case]


@pytest.fixture(scope="session")
def real_now() -> datetime:
    """The machine's time: other people's verifiers judge certificates at no other (OpenSSL does not see a frozen clock)."""
    return datetime.now(UTC)


@pytest.fixture(scope="session")
def register(real_now: datetime) -> Register:
    """Registers a key of a profile, honest or with a fault; the same question gets the same case, since RSA keys take a while."""

    @cache
    def make(profile: str, algorithm: int, fmt: str, fault: AttestationFault | None = None) -> Case:
        phone = PROFILES[profile]
        hardware = SecureHardware(entropy=SeededEntropy(f"{profile} {algorithm} {fmt}"))
        gate = Gate.BIOMETRIC if fault is not None and fault.factor == BIOMETRIC else Gate.NONE
        key_id = hardware.generate(gate=gate, algorithm=algorithm, level=phone.security_level, counter=phone.counter)
        key = hardware.public_key(key_id)
        client_data = build_client_data("webauthn.create", CHALLENGE, DEFAULT_ORIGIN)
        auth_data = build_authenticator_data(
            hashlib.sha256(DEFAULT_RP_ID.encode()).digest(),
            Flags.UP,
            hardware.next_counter(key_id),
            aaguid=phone.aaguid,
            credential_id=hashlib.sha256(key_id.encode()).digest(),
            public_key=key,
        )

        def sign(data: bytes) -> bytes:
            operation = hardware.begin(key_id)
            token = hardware.mint_token(
                challenge=operation, authenticator_type=AuthenticatorType.BIOMETRIC, timestamp_ms=0
            )
            return hardware.sign(key_id, data, operation=operation, token=token)

        attested = attest_key(
            phone,
            hardware,
            key_id,
            auth_data=auth_data,
            client_data_hash=hashlib.sha256(client_data).digest(),
            now=real_now,
            format=fmt,
            sign=sign,
            **({} if fault is None else {"edit": fault.claims}),
        )
        credential_id = hashlib.sha256(key_id.encode()).digest()
        return Case(profile, algorithm, fmt, Registration(credential_id, client_data, attested.encode()), key.spki())

    return make


EVERY_CASE = [
    (name, algorithm, fmt)
    for name, profile in PROFILES.items()
    for algorithm in profile.algorithms
    for fmt in key_formats(profile)
]
