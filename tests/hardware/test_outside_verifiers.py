"""What the phone attests verifies in software that we did not write (issue 3, point 3), and what is defective does not."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from authenticator.app_maker import assert_app, attest_app
from authenticator.attestation_faults import ATTESTATION_FAULTS
from authenticator.authorities import Family, Maker, authorities, der, pem, root
from authenticator.maker import key_formats
from authenticator.profiles import PROFILES, Platform
from authenticator.receipt import make_receipt
from device_keys.algorithms import EDDSA, ES384, RS256
from device_keys.attestation import android_key, app_attest
from device_keys.defaults import DEFAULT_ORIGIN, DEFAULT_RP_ID
from device_keys.encoding import b64url_encode
from device_keys.entropy import SeededEntropy
from device_keys.messages import parse_attestation_object
from device_keys.secure_hardware import SecureHardware, SecurityLevel
from tests.support.missing import skip_without

from .conftest import CHALLENGE, EVERY_CASE, Case, Register

ROOTS = [pem(root(family).certificate) for family in Family]


# --- py_webauthn --------------------------------------------------------------------------------------------------------


def py_webauthn(case: Case, challenge: bytes = CHALLENGE) -> Any:
    import webauthn
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.structs import AttestationFormat

    fmts = (AttestationFormat.ANDROID_KEY, AttestationFormat.PACKED, AttestationFormat.APPLE)
    return webauthn.verify_registration_response(
        credential=case.registration.to_json(),
        expected_challenge=challenge,
        expected_rp_id=DEFAULT_RP_ID,
        expected_origin=DEFAULT_ORIGIN,
        require_user_verification=False,  # a possession key checks no user
        supported_pub_key_algs=list(COSEAlgorithmIdentifier),
        pem_root_certs_bytes_by_fmt=dict.fromkeys(fmts, ROOTS),
    )


def knows(profile: str, algorithm: int, fmt: str) -> bool:
    """py_webauthn does not know ES384, and reads hardware-enforced fields that an emulator does not have."""
    return algorithm != ES384 and (profile, fmt) != ("emulator", "android-key")


@pytest.mark.parametrize(("profile", "algorithm", "fmt"), [case for case in EVERY_CASE if knows(*case)])
def test_py_webauthn_accepts_every_registration_of_every_profile(
    register: Register, profile: str, algorithm: int, fmt: str
) -> None:
    case = register(profile, algorithm, fmt)
    verified = py_webauthn(case)
    assert verified.fmt == fmt.removesuffix("-self")
    assert verified.credential_id == case.registration.credential_id
    assert verified.sign_count == 1, "an increasing counter starts at 1 (attestation section 4)"


@pytest.mark.parametrize(
    "fault",
    [
        "imported-key",
        "wrong-purpose",
        "all-applications",
        "replayed-attestation",
        "other-key-attested",
        "unknown-maker",
        "imitated-maker",
        "expired-batch",
        "premature-batch",
        "forged-attestation",
    ],
)
@pytest.mark.parametrize("profile", ["pixel-9", "pixel-9-strongbox"])
def test_py_webauthn_refuses_what_it_checks_for(register: Register, profile: str, fault: str) -> None:
    from webauthn.helpers.exceptions import WebAuthnException

    case = register(profile, -7, "android-key", ATTESTATION_FAULTS[fault])
    with pytest.raises(WebAuthnException):
        py_webauthn(case)


@pytest.mark.parametrize(
    "fault",
    [
        "software-attestation",
        "repackaged-app",
        "unlocked-bootloader",
        "outdated-patches",
        "future-patch-level",
        "ungated-biometric-key",
        "revoked-batch",
    ],
)
def test_a_mere_webauthn_verifier_does_not_notice_the_other_defects(register: Register, fault: str) -> None:
    """They are well-formed in all that WebAuthn looks at: only a verifier of Android's rules can find them."""
    assert py_webauthn(register("pixel-9", -7, "android-key", ATTESTATION_FAULTS[fault]))


# --- python-fido2 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "algorithm", "fmt"),
    [case for case in EVERY_CASE if case[2] in ("packed", "packed-self", "apple", "none")],
)
def test_python_fido2_accepts_packed_and_apple(register: Register, profile: str, algorithm: int, fmt: str) -> None:
    from fido2.attestation import Attestation, verify_x509_chain
    from fido2.webauthn import AttestationObject, CollectedClientData

    case = register(profile, algorithm, fmt)
    parsed = AttestationObject(case.registration.attestation_object)
    client_data = CollectedClientData(case.registration.client_data_json)
    result = Attestation.for_type(parsed.fmt)().verify(parsed.att_stmt, parsed.auth_data, client_data.hash)
    if result.trust_path:
        shape = "apple-webauthn" if fmt == "apple" else "fido"
        verify_x509_chain([*result.trust_path, der(authorities(shape)[-1].certificate)])
    assert parsed.auth_data.credential_data is not None
    assert parsed.auth_data.credential_data.credential_id == case.registration.credential_id


@pytest.mark.parametrize("fmt", ["packed", "packed-self"])
def test_python_fido2_refuses_a_forged_packed_statement(register: Register, fmt: str) -> None:
    from fido2.attestation import Attestation, InvalidSignature
    from fido2.webauthn import AttestationObject, CollectedClientData

    case = register("security-key", -7, fmt, ATTESTATION_FAULTS["forged-attestation"])
    parsed = AttestationObject(case.registration.attestation_object)
    client_data = CollectedClientData(case.registration.client_data_json)
    with pytest.raises(InvalidSignature):
        Attestation.for_type("packed")().verify(parsed.att_stmt, parsed.auth_data, client_data.hash)


# --- cryptography's chain verifier ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["pixel-9", "pixel-9-strongbox", "pixel-5", "emulator"])
def test_android_chains_satisfy_the_librarys_path_validation(
    register: Register, profile: str, real_now: datetime
) -> None:
    from cryptography import x509
    from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store

    statement = parse_attestation_object(register(profile, -7, "android-key").registration.attestation_object).statement
    leaf, *others = [x509.load_der_x509_certificate(data) for data in statement["x5c"]]
    builder = PolicyBuilder().store(Store([others[-1]])).time(real_now)
    policy = builder.extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all()
    )
    chain = policy.build_client_verifier().verify(leaf, others[:-1]).chain
    assert len(chain) == {"pixel-5": 4, "emulator": 3}.get(profile, 5)


# --- SimpleWebAuthn (npm) -------------------------------------------------------------------------------------------------

FOLDER = Path(__file__).parent / "simplewebauthn"


@pytest.fixture(scope="session")
def simplewebauthn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script beside its installed package; skipped with the reason where the package cannot be had."""
    npm = shutil.which("npm")
    assert npm is not None, "a test without npm is not run"
    folder = tmp_path_factory.mktemp("simplewebauthn")
    for name in ("package.json", "verify.mjs"):
        shutil.copy(FOLDER / name, folder)
    command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline"]
    installed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if installed.returncode:
        skip_without("SimpleWebAuthn", f"let npm reach its registry; it said: {installed.stderr.strip()[-200:]}")
    return folder


def ask_simplewebauthn(folder: Path, cases: list[Case]) -> list[dict[str, Any]]:
    roots = [text.decode() for text in ROOTS]
    question = {
        "roots": dict.fromkeys(["android-key", "packed", "apple"], roots),
        "cases": [
            {
                "response": case.registration.to_json(),
                "challenge": b64url_encode(CHALLENGE),
                "origin": DEFAULT_ORIGIN,
                "rpId": DEFAULT_RP_ID,
            }
            for case in cases
        ],
    }
    process = subprocess.run(
        ["node", "verify.mjs"],
        cwd=folder,
        input=json.dumps(question),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    answers: list[dict[str, Any]] = json.loads(process.stdout)
    assert len(answers) == len(cases)
    return answers


def test_simplewebauthn_accepts_every_format(register: Register, simplewebauthn: Path) -> None:
    """But RSA keys under android-key: it compares the attested key with an EC key's point only."""
    cases = [register(*case) for case in EVERY_CASE if case[1:] != (RS256, "android-key")]
    answers = ask_simplewebauthn(simplewebauthn, cases)
    refused = [
        f"{case}: {answer.get('error')}" for case, answer in zip(cases, answers, strict=True) if not answer["verified"]
    ]
    assert refused == []
    assert {answer["fmt"] for answer in answers} == {"android-key", "packed", "apple", "none"}


def test_simplewebauthn_refuses_the_defects_that_it_checks(register: Register, simplewebauthn: Path) -> None:
    names = [
        "replayed-attestation",
        "other-key-attested",
        "unknown-maker",
        "expired-batch",
        "forged-attestation",
    ]
    cases = [register("pixel-9", -7, "android-key", ATTESTATION_FAULTS[name]) for name in names]
    answers = ask_simplewebauthn(simplewebauthn, cases)
    assert [name for name, answer in zip(names, answers, strict=True) if answer["verified"]] == []


# --- App Attest -----------------------------------------------------------------------------------------------------------

# pyattest's own dependency warns of what pyattest does.
OF_PYATTEST = pytest.mark.filterwarnings("ignore::DeprecationWarning")
IPHONES = [name for name, profile in PROFILES.items() if profile.platform is Platform.IOS]


class Iphone:
    """An app's App Attest key on one iPhone."""

    def __init__(self, name: str, now: datetime) -> None:
        self.profile, self.now = PROFILES[name], now
        self.hardware = SecureHardware(entropy=SeededEntropy(name))
        self.key = self.hardware.generate(level=SecurityLevel.SECURE_ENCLAVE)

    def attest(self, challenge: bytes, fault: str | None = None) -> bytes:
        edits = {} if fault is None else {"edit": ATTESTATION_FAULTS[fault].app_claims}
        digest = hashlib.sha256(challenge).digest()
        return attest_app(self.profile, self.hardware, self.key, client_data_hash=digest, now=self.now, **edits)

    def key_id(self) -> bytes:
        return app_attest.key_id(self.hardware.public_key(self.key))

    def config(self, **changes: Any) -> Any:
        from pyattest.configs.apple import AppleConfig

        values = {"key_id": self.key_id(), "app_id": self.profile.app.apple_id, "production": True}
        return AppleConfig(**(values | {"root_ca": pem(root(Family.APP_ATTEST).certificate)} | changes))


def pyattest_verify(attestation: bytes, nonce: bytes, config: Any) -> dict[str, Any]:
    from pyattest.attestation import Attestation

    checked = Attestation(attestation, nonce, config)
    asyncio.run(checked.verify())
    data: dict[str, Any] = checked.data
    return data


@OF_PYATTEST
@pytest.mark.parametrize("name", IPHONES)
def test_pyattest_accepts_app_attest_of_both_formats(name: str, real_now: datetime) -> None:
    phone = Iphone(name, real_now)
    data = pyattest_verify(phone.attest(b"challenge"), b"challenge", phone.config())
    assert data["data"]["counter"] == 0
    assert data["data"]["credential_id"] == phone.key_id()


@OF_PYATTEST
@pytest.mark.parametrize(
    "fault",
    ["repackaged-app", "replayed-attestation", "unknown-maker", "imitated-maker", "expired-batch", "premature-batch",
     "development-app", "used-app-key", "other-key-attested"],
)  # fmt: skip
def test_pyattest_refuses_every_app_attest_defect_that_it_checks(fault: str, real_now: datetime) -> None:
    from pyattest.exceptions import PyAttestException

    phone = Iphone("iphone-17", real_now)
    with pytest.raises(PyAttestException):
        pyattest_verify(phone.attest(b"challenge", fault), b"challenge", phone.config())


@OF_PYATTEST
def test_pyattest_refuses_another_challenge(real_now: datetime) -> None:
    from pyattest.exceptions import InvalidNonceException

    phone = Iphone("iphone-17", real_now)
    with pytest.raises(InvalidNonceException):
        pyattest_verify(phone.attest(b"challenge"), b"another", phone.config())


@pytest.mark.parametrize("name", IPHONES)
def test_pyattest_accepts_assertions_and_their_counter_starts_at_one(name: str, real_now: datetime) -> None:
    from cryptography.exceptions import InvalidSignature
    from pyattest.assertion import Assertion

    phone = Iphone(name, real_now)
    digest, key = hashlib.sha256(b"client data").digest(), phone.hardware.public_key(phone.key).key
    for expected in (1, 2):
        made = assert_app(phone.profile, phone.hardware, phone.key, client_data_hash=digest)
        checked = Assertion(made, digest, key, phone.config())
        checked.verify()
        assert checked.data["counter"] == expected
    forged = assert_app(
        phone.profile,
        phone.hardware,
        phone.key,
        client_data_hash=digest,
        edit=lambda claims: replace(claims, forged=True),
    )
    with pytest.raises(InvalidSignature):
        Assertion(forged, digest, key, phone.config()).verify()


def test_openssl_verifies_the_receipt(tmp_path: Path, real_now: datetime, openssl: str) -> None:
    """App Attest's receipt is PKCS #7 signed data."""
    (tmp_path / "receipt").write_bytes(make_receipt("TEAM.app", b"leaf", bytes(32), "appattest", real_now))
    (tmp_path / "root.pem").write_bytes(pem(root(Family.APP_ATTEST).certificate))
    (tmp_path / "other.pem").write_bytes(pem(root(Family.APP_ATTEST, Maker.UNKNOWN).certificate))
    command = [
        openssl,
        "cms",
        "-verify",
        "-inform",
        "DER",
        "-in",
        "receipt",
        "-purpose",
        "any",
        "-out",
        os.devnull,
        "-CAfile",
    ]
    assert subprocess.run([*command, "root.pem"], cwd=tmp_path, capture_output=True, check=False).returncode == 0
    assert subprocess.run([*command, "other.pem"], cwd=tmp_path, capture_output=True, check=False).returncode != 0


# --- what only a list can say -----------------------------------------------------------------------------------------------


def test_every_profile_and_format_of_the_table_was_tried() -> None:
    """A new profile or fmt must be added to a verifier above or named there as unknown to it."""
    formats = {fmt for profile in PROFILES.values() for fmt in profile.formats}
    assert formats == {"android-key", "packed", "packed-self", "apple", "none", "apple-appattest"}
    assert {case[2] for case in EVERY_CASE} == formats - {app_attest.FORMAT}
    assert all(key_formats(profile) for profile in PROFILES.values())
    assert android_key.FORMAT in PROFILES["pixel-9"].formats[:1]
    assert {case[1] for case in EVERY_CASE} >= {EDDSA, ES384}
