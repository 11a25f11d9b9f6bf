"""Key attestations of real phones: what the strict policy says of each, and of the same chain prolonged, cut, swapped or out of date."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from device_keys.attestation.android_key import KEY_DESCRIPTION_OID
from server_stub.checks.ceremonies import failures, verify_android_chain
from server_stub.policy import STRICT, AndroidApp, Policy
from server_stub.trust import NamedPem, Trust
from server_stub.verdict import Outcome

BOOT = {"attestation.verified_boot": "verified-boot", "attestation.device_locked": "unlocked"}
GATE = {"attestation.gate": "gate"}

# What strict says of each genuine chain at its own instant, its app being an allowed one. The Sony phone's issuers had expired, which
# Google's verifier forgives phones with a factory's certificate, and so do we: only its old system counts against it.
EXPECTED: dict[str, dict[str, str]] = {
    "akita/sdk34/SB_RSA_NONE": BOOT,
    "akita/sdk34/TEE_RSA_BASE+IMEI": BOOT,
    "akita/sdk34/TEE_RSA_NONE_USERAUTH": BOOT | GATE,
    "blueline/sdk28/SB_RSA_NONE_USERAUTH": BOOT | GATE,
    "blueline/sdk28/TEE_RSA_BASE+IMEI": BOOT,
    "caiman/sdk36/SB_EC_RKP": {},
    "marlin/sdk29/TEE_EC_NONE": {
        "attestation.chain": "unknown-maker",
        "attestation.security_level": "levels-differ",
        "attestation.verified_boot": "no-root-of-trust",
        "attestation.device_locked": "no-root-of-trust",
        "attestation.patch_level": "patch-level",
    },
    "sony-xperia10-iii/sdk33/TEE_EC": {"attestation.patch_level": "patch-level"},
    "tegu/sdk36/TEE_EC_2026_ROOT": {},
    "tegu/sdk37/TEE_TRUSTED_CONF": BOOT,
    "tokay/sdk37/TEE_MLDSA_RKP": BOOT,
}
Judge = Callable[..., dict[str, str]]


class Phone:
    """One genuine chain with its expectation file."""

    def __init__(self, folder: Path, name: str) -> None:
        text = (folder / f"{name}.pem").read_bytes()
        self.ders = [c.public_bytes(Encoding.DER) for c in x509.load_pem_x509_certificates(text)]
        self.certificates = [x509.load_der_x509_certificate(der) for der in self.ders]
        lines = (folder / f"{name}.json").read_text().splitlines()
        self.expected = json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))
        created = self.expected["softwareEnforced"].get("creationDateTime") or self.expected["hardwareEnforced"].get(
            "creationDateTime"
        )
        self.now = datetime.fromtimestamp(int(created) / 1000, UTC)

    def policy(self, **changes: Any) -> Policy:
        """The strict policy of the bank whose app made this key."""
        app = self.expected["softwareEnforced"]["attestationApplicationId"]
        signers = [_hex(signature) for signature in app.get("signatures", [])]
        apps = tuple(AndroidApp(package["name"], signer) for package in app["packages"] for signer in signers)
        if not signers:
            changes["require_app_identity"] = False  # the system's own attestations state no signer
        return msgspec.structs.replace(STRICT, android_apps=apps, **changes)


def _hex(text: str) -> str:
    import base64

    return base64.b64decode(text).hex()


@pytest.fixture(scope="module")
def google(vectors: Path) -> Trust:
    roots = json.loads((vectors / "android-key" / "roots.json").read_text())
    return Trust([NamedPem(f"google-{number}", pem) for number, pem in enumerate(roots)], {})


@pytest.fixture(scope="module")
def phone(vectors: Path) -> Callable[[str], Phone]:
    return lambda name: Phone(vectors / "android-key", name)


def judged(
    phone: Phone, trust: Trust, *, ders: list[bytes] | None = None, now: datetime | None = None, **policy: Any
) -> dict[str, str]:
    return failures(verify_android_chain(tuple(ders or phone.ders), phone.policy(**policy), trust, now or phone.now))


def test_every_genuine_chain_has_an_expectation(vectors: Path) -> None:
    folder = vectors / "android-key"
    found = {
        str(file.relative_to(folder).with_suffix("")) for file in folder.rglob("*.json") if file.name != "roots.json"
    }
    assert found == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_genuine_chain_gets_its_verdict(name: str, phone: Any, google: Trust) -> None:
    """RTS Art. 9(3): locked and verified phones pass; the others fail for exactly that."""
    assert judged(phone(name), google) == EXPECTED[name]


@pytest.mark.parametrize("name", ["akita/sdk34/TEE_RSA_NONE_USERAUTH", "blueline/sdk28/SB_RSA_NONE_USERAUTH"])
def test_a_screen_unlock_long_ago_is_no_biometric_per_use(name: str, phone: Any, google: Trust) -> None:
    """authTimeout of 68 years (traps 3.3): the gate proves neither factor."""
    found = phone(name)
    for factor in ("possession", "biometric"):
        findings = verify_android_chain(tuple(found.ders), found.policy(), google, found.now, factor=factor)
        assert failures(findings)["attestation.gate"] == "gate"


def test_the_malformed_boolean_is_refused_as_unreadable(vectors: Path, google: Trust) -> None:
    """deviceLocked encoded as 01: not DER; neither read as false nor a crash."""
    text = (vectors / "android-key" / "invalid" / "malformed_rot_device_locked.pem").read_bytes()
    ders = tuple(c.public_bytes(Encoding.DER) for c in x509.load_pem_x509_certificates(text))
    findings = verify_android_chain(ders, STRICT, google, datetime(2024, 1, 1, tzinfo=UTC))
    assert failures(findings) == {"attestation.description": "unreadable"}
    assert next(f for f in findings if f.check == "attestation.device_locked").outcome is Outcome.NOT_RUN


def test_a_key_of_ml_dsa_is_read_and_its_chain_verified(phone: Any, google: Trust) -> None:
    found = phone("tokay/sdk37/TEE_MLDSA_RKP")
    findings = verify_android_chain(tuple(found.ders), found.policy(), google, found.now)
    assert next(f for f in findings if f.check == "attestation.chain").outcome is Outcome.PASS
    broken = [*found.ders[:1], found.ders[1][:-1] + bytes([found.ders[1][-1] ^ 1]), *found.ders[2:]]
    assert judged(found, google, ders=broken)["attestation.chain"] == "broken-chain"


# --- altered twins ------------------------------------------------------------------------------------------------------

GOOD = ["caiman/sdk36/SB_EC_RKP", "tegu/sdk36/TEE_EC_2026_ROOT"]


@pytest.mark.parametrize("name", GOOD)
def test_every_certificate_of_a_chain_is_verified(name: str, phone: Any, google: Trust) -> None:
    found = phone(name)
    for index in range(len(found.ders) - 1):
        ders = list(found.ders)
        ders[index] = ders[index][:-1] + bytes([ders[index][-1] ^ 1])
        assert set(judged(found, google, ders=ders)) == {"attestation.chain"}, index


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_or_misplaced_certificate_breaks_the_chain(name: str, phone: Any, google: Trust) -> None:
    found = phone(name)
    for index in range(1, len(found.ders) - 1):
        ders = found.ders[:index] + found.ders[index + 1 :]
        assert "attestation.chain" in judged(found, google, ders=ders)
    swapped = [found.ders[0], found.ders[2], found.ders[1], *found.ders[3:]]
    assert "attestation.chain" in judged(found, google, ders=swapped)


@pytest.mark.parametrize("name", GOOD)
def test_the_root_in_the_message_is_not_what_is_trusted(name: str, phone: Any, google: Trust) -> None:
    found = phone(name)
    assert judged(found, google, ders=found.ders[:-1]) == {}
    assert judged(found, Trust([], {})) == {"attestation.chain": "unknown-maker"}


@pytest.mark.parametrize("name", GOOD)
def test_roots_vouch_only_for_their_kind(name: str, phone: Any, google: Trust) -> None:
    """A root configured for App Attest does not vouch for Android keys."""
    elsewhere = Trust([NamedPem(f"app-attest-{pem.name}", pem.pem) for pem in google.pems], {})
    assert judged(phone(name), elsewhere) == {"attestation.chain": "unknown-maker"}


@pytest.mark.parametrize("name", GOOD)
def test_remotely_provisioned_chains_expire(name: str, phone: Any, google: Trust) -> None:
    """Batch certificates live some weeks; both ends belong to the validity."""
    found = phone(name)
    batch, second = found.certificates[1], timedelta(seconds=1)
    assert judged(found, google, now=batch.not_valid_after_utc) == {}
    assert judged(found, google, now=batch.not_valid_after_utc + second) == {"attestation.validity": "expired"}
    assert judged(found, google, now=batch.not_valid_before_utc - second)["attestation.validity"] == "not-yet-valid"


def test_a_factory_chain_may_expire_but_never_lie_in_the_future(phone: Any, google: Trust) -> None:
    found = phone("sony-xperia10-iii/sdk33/TEE_EC")
    assert any(certificate.not_valid_after_utc < found.now for certificate in found.certificates[1:])
    first = max(certificate.not_valid_before_utc for certificate in found.certificates[1:-1])
    assert judged(found, google, now=first - timedelta(seconds=1)) == {"attestation.validity": "not-yet-valid"}


@pytest.mark.parametrize("status", ["REVOKED", "SUSPENDED"])
@pytest.mark.parametrize("name", GOOD)
def test_any_certificate_but_the_leaf_can_be_revoked(name: str, status: str, phone: Any, google: Trust) -> None:
    found = phone(name)
    for certificate in found.certificates[1:-1]:
        listed = Trust(google.pems, {f"{certificate.serial_number:x}": status})
        assert judged(found, listed) == {"attestation.revocation": "revoked"}
        if status == "SUSPENDED":
            assert judged(found, listed, refuse_suspended=False) == {}
    assert judged(found, Trust(google.pems, {"1": status})) == {}, "every leaf has serial 1"
    assert judged(found, Trust(google.pems, None)) == {"attestation.revocation": "list-unavailable"}


@pytest.mark.parametrize("name", GOOD)
def test_one_bit_changed_anywhere_in_a_chain_is_noticed(name: str, phone: Any, google: Trust) -> None:
    """The root in the message excepted: nobody reads it."""
    found = phone(name)
    for number, der in enumerate(found.ders[:-1]):
        for index in range(number, len(der), 13):
            ders = list(found.ders)
            ders[number] = der[:index] + bytes([der[index] ^ 1]) + der[index + 1 :]
            assert judged(found, google, ders=ders), (number, index)


def _prolonged(found: Phone, description: bytes | None) -> list[bytes]:
    """A further leaf under the genuine one, as whoever holds the attested key could sign it; here the signature is not theirs."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(found.certificates[0].subject)
        .issuer_name(found.certificates[0].subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(found.now)
        .not_valid_after(found.now)
    )
    if description is not None:
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(KEY_DESCRIPTION_OID), description)
        builder = builder.add_extension(extension, critical=False)
    return [builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER), *found.ders]


@pytest.mark.parametrize("name", GOOD)
def test_the_key_description_must_stand_in_the_leaf_alone(name: str, phone: Any, google: Trust) -> None:
    """Without this rule the phone's owner could invent any KeyDescription (Google's CHAIN_EXTENDED reasons)."""
    found = phone(name)
    own = (
        found.certificates[0]
        .extensions.get_extension_for_oid(x509.ObjectIdentifier(KEY_DESCRIPTION_OID))
        .value.public_bytes()
    )
    extended = judged(found, google, ders=_prolonged(found, None))
    assert extended["attestation.position"] == "CHAIN_EXTENDED_FOR_KEY"
    faked = judged(found, google, ders=_prolonged(found, own))
    assert faked["attestation.position"] == "CHAIN_EXTENDED_WITH_FAKE_ATTESTATION_EXTENSION"
    cut = judged(found, google, ders=found.ders[1:])
    assert cut["attestation.position"] == "TARGET_MISSING_ATTESTATION_EXTENSION"


@pytest.mark.parametrize("name", GOOD)
def test_another_app_is_refused(name: str, phone: Any, google: Trust) -> None:
    found = phone(name)
    findings = verify_android_chain(tuple(found.ders), STRICT, google, found.now)
    assert failures(findings) == {"attestation.application": "application"}


@pytest.mark.parametrize("name", GOOD)
def test_the_patch_level_grows_old(name: str, phone: Any, google: Trust) -> None:
    found = phone(name)
    assert judged(found, google, maximum_patch_age_months=-12) == {"attestation.patch_level": "patch-level"}


def test_the_library_agrees_on_every_remotely_provisioned_chain(phone: Any, google: Trust) -> None:
    """A cross-check by software not ours: x509.verification accepts the issuers that we accept, with the leaf's dates left to the phone."""
    from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store

    ca = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    roots = [root for pem in google.pems for root in x509.load_pem_x509_certificates(pem.pem.encode())]
    for name in [name for name in EXPECTED if "sony" not in name and "marlin" not in name and "blueline" not in name]:
        found = phone(name)
        builder = PolicyBuilder().store(Store(roots)).time(found.now)
        builder = builder.extension_policies(ca_policy=ca, ee_policy=ExtensionPolicy.permit_all())
        leaf, *issuers = found.certificates[:-1]
        verified = builder.build_client_verifier().verify(leaf, issuers)
        assert len(verified.chain) == len(found.certificates)
