"""The attestation generator (DESIGN section 2, `attest`): what it writes, that it repeats, and that each fault changes what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from authenticator.attest import Generated, generate, make
from authenticator.attestation_faults import ATTESTATION_FAULTS, BIOMETRIC
from authenticator.authorities import END, EPOCH, FAMILY_OF_SHAPE, Family, Maker, authorities, maker_key, root
from authenticator.errors import PhoneError, UsageError
from authenticator.key_descriptions import describe_key
from authenticator.make_trust_anchors import status_list, write_trust_anchors
from authenticator.maker import attest_key, key_formats
from authenticator.profiles import PROFILES, PatchLevels, Platform
from device_keys.attestation import android_key, app_attest, apple
from device_keys.attestation.android_key import KeyDescription, parse_key_description
from device_keys.attestation.certificates import certificate_key, extension_value
from device_keys.encoding import b64url_decode
from device_keys.entropy import SeededEntropy, SystemEntropy
from device_keys.messages import parse_attestation_object, parse_authenticator_data
from device_keys.secure_hardware import Gate, HardwareError, SecureHardware, SecurityLevel

NOW = datetime(2026, 5, 5, 12, 30, tzinfo=UTC)
CHALLENGE = b"a challenge of any length"


def made(profile: str = "pixel-9", fault: str | None = None, fmt: str | None = None, now: datetime = NOW) -> Generated:
    return make(PROFILES[profile], CHALLENGE, format=fmt, fault=fault, now=now, entropy=SeededEntropy("generator"))


def description(generated: Generated) -> KeyDescription:
    content = extension_value(generated.chain[0], android_key.KEY_DESCRIPTION_OID)
    assert content is not None
    return parse_key_description(content)


EVERY_FORMAT = [(name, fmt) for name, profile in PROFILES.items() for fmt in profile.formats]


@pytest.mark.parametrize(("profile", "fmt"), EVERY_FORMAT)
def test_every_profile_attests_in_each_of_its_formats(tmp_path: Path, profile: str, fmt: str) -> None:
    claims = generate(PROFILES[profile], CHALLENGE, fmt, None, tmp_path / "new" / "folder", NOW, SeededEntropy("files"))
    folder = tmp_path / "new" / "folder"
    assert sorted(path.name for path in folder.iterdir()) == ["attestation.bin", "chain.pem", "claims.json", "root.pem"]
    assert json.loads((folder / "claims.json").read_text()) == claims
    assert (claims["format"], claims["fault"], claims["challenge"]) == (fmt, None, "YSBjaGFsbGVuZ2Ugb2YgYW55IGxlbmd0aA")
    chain_text = (folder / "chain.pem").read_bytes()
    chain = x509.load_pem_x509_certificates(chain_text) if chain_text else []
    assert len(chain) == len(claims["certificates"])
    for subject, issuer in pairwise(chain):
        subject.verify_directly_issued_by(issuer)
    if chain:
        trusted = x509.load_pem_x509_certificate((folder / "root.pem").read_bytes())
        assert chain[-1] == trusted or chain[-1].verify_directly_issued_by(trusted) is None


def test_the_first_format_is_the_default() -> None:
    defaults = {name: made(name).claims["format"] for name in PROFILES}
    assert {name for name, fmt in defaults.items() if fmt == "android-key"} == {
        "pixel-9",
        "pixel-9-strongbox",
        "pixel-5",
        "emulator",
    }
    assert {name for name, fmt in defaults.items() if fmt == "apple-appattest"} == {
        "iphone-17",
        "iphone-14",
        "iphone-8",
    }
    assert defaults["security-key"] == "packed"


def test_the_challenge_is_attested_as_it_is() -> None:
    """DESIGN section 2: attestationChallenge on Android, client data hash for WebAuthn formats and App Attest."""
    assert description(made()).attestation_challenge == CHALLENGE
    app = made("iphone-17")
    parsed = app_attest.parse_attestation(app.attestation)
    nonce = apple.parse_nonce_extension(extension_value(app.chain[0], apple.NONCE_OID) or b"")
    assert nonce == apple.nonce(parsed.auth_data.raw, CHALLENGE)
    packed = parse_attestation_object(made("security-key").attestation)
    key = certificate_key(made("security-key").chain[0])
    assert key.verify(packed.statement["sig"], packed.auth_data + CHALLENGE)


def test_claims_say_what_the_attestation_says() -> None:
    generated = made()
    claims, found = generated.claims, description(generated)
    credential = parse_authenticator_data(parse_attestation_object(generated.attestation).auth_data).credential
    assert credential is not None
    assert b64url_decode(claims["credentialId"]) == credential.credential_id
    assert b64url_decode(claims["publicKey"]) == credential.public_key.spki()
    told = claims["keyDescription"]
    assert told["attestationVersion"] == found.attestation_version == 400
    assert told["hardwareEnforced"]["rootOfTrust"]["verifiedBootState"] == "VERIFIED"
    assert told["hardwareEnforced"]["osPatchLevel"] == found.hardware_enforced.os_patch_level == 202604
    assert claims["certificates"][0]["subject"] == "CN=Android Keystore Key"
    assert claims["root"]["sha256"] == claims["certificates"][-1]["sha256"]


def test_an_unknown_format_or_fault_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="pixel-9 attests as android-key, packed, none"):
        made(fmt="tpm")
    with pytest.raises(UsageError, match="no-such-fault"):
        made(fault="no-such-fault")


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PhoneError, match="cannot be written"):
        generate(PROFILES["pixel-9"], CHALLENGE, None, None, tmp_path / "file", NOW, SystemEntropy())


# --- what an honest phone says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "versions", "level", "certificates"),
    [
        ("pixel-9", (400, 400), 1, 5),
        ("pixel-9-strongbox", (300, 300), 2, 5),
        ("pixel-5", (4, 41), 1, 4),
        ("emulator", (300, 300), 0, 3),
    ],
)
def test_androids_say_their_versions_level_and_chain(
    profile: str, versions: tuple[int, int], level: int, certificates: int
) -> None:
    generated = made(profile)
    found = description(generated)
    assert (found.attestation_version, found.keymint_version) == versions
    assert found.attestation_security_level == found.keymint_security_level == level
    assert len(generated.chain) == certificates


def test_an_emulator_has_nothing_enforced_by_hardware_and_no_root_of_trust() -> None:
    found = description(made("emulator"))
    assert found.hardware_enforced == android_key.AuthorizationList()
    assert found.software_enforced.root_of_trust is None
    assert found.software_enforced.origin is android_key.Origin.GENERATED


def test_the_gate_is_attested_by_hardware_for_each_factor() -> None:
    """Attestation section 10: possession 503; biometric 504=2 without 503 and 505."""
    hardware = SecureHardware(entropy=SeededEntropy("gates"))
    for gate, expected in ((Gate.NONE, (True, None, None)), (Gate.BIOMETRIC, (False, 2, None))):
        info = hardware.info(hardware.generate(gate=gate))
        enforced = describe_key(PROFILES["pixel-9"], info, b"c", NOW).hardware_enforced
        assert (enforced.no_auth_required, enforced.user_auth_type, enforced.auth_timeout) == expected
        assert enforced.purpose == (2,)


def test_an_imported_key_says_so_without_any_fault() -> None:
    hardware = SecureHardware(entropy=SeededEntropy("imported"))
    info = hardware.info(hardware.generate(origin="IMPORTED"))
    assert describe_key(PROFILES["pixel-9"], info, b"c", NOW).hardware_enforced.origin is android_key.Origin.IMPORTED


def test_chains_are_recognised_by_their_shape() -> None:
    """Attestation section 7: how Google's verifier tells remote provisioning from the factory."""

    def attributes(certificate: x509.Certificate) -> dict[str, str]:
        return {attribute.oid.dotted_string: str(attribute.value) for attribute in certificate.subject}

    cn, organization, serial, title = "2.5.4.3", "2.5.4.10", "2.5.4.5", "2.5.4.12"
    remote, strongbox, factory = (made(name).chain for name in ("pixel-9", "pixel-9-strongbox", "pixel-5"))
    last = attributes(remote[-2])
    assert (last[cn], last[organization]) == ("Droid CA2", "Google LLC")
    assert attributes(remote[1])[organization] == "TEE"
    assert attributes(strongbox[1])[organization] == "StrongBox"
    assert len(attributes(remote[1])[cn]) == 32
    assert attributes(factory[-2])[serial]
    assert attributes(factory[1])[title] == "TEE"
    for chain in (remote, strongbox, factory):
        assert "not Google" in attributes(chain[-1])[organization], "the root says whose it is not"
        with_description = [bool(extension_value(one, android_key.KEY_DESCRIPTION_OID)) for one in chain]
        assert with_description == [True] + [False] * (len(chain) - 1)


def test_patch_levels_follow_the_phones_clock() -> None:
    """Traps section 13: patch levels written down as constants fail once the clock moves."""
    assert PatchLevels(1, 0, 12).at(datetime(2026, 1, 31, tzinfo=UTC)) == (202512, 20260105, 20250105)
    assert description(made(now=datetime(2041, 1, 1, tzinfo=UTC))).hardware_enforced.os_patch_level == 204012


def test_batches_are_dated_from_the_phones_clock_and_authorities_are_not() -> None:
    for name, days in (("pixel-9", 21), ("pixel-5", 3650)):
        chain = made(name).chain
        assert chain[1].not_valid_before_utc < NOW < chain[1].not_valid_after_utc
        assert (chain[1].not_valid_after_utc - chain[1].not_valid_before_utc) == timedelta(days=days)
        for authority in chain[2:]:
            assert (authority.not_valid_before_utc, authority.not_valid_after_utc) == (EPOCH, END)
    leaf = made("iphone-17").chain[0]
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=3), (
        "attestation section 9: exactly three days"
    )


def test_app_attest_has_the_map_from_2026_on_only() -> None:
    new, old = (app_attest.parse_attestation(made(name).attestation) for name in ("iphone-17", "iphone-14"))
    assert (new.validation_category, new.bundle_version) == (4, "1")
    assert old.auth_data.extensions is None
    assert {new.environment, old.environment} == {"appattest"}
    assert {new.auth_data.sign_count, old.auth_data.sign_count} == {0}
    assert int(new.auth_data.flags) == 0x40


def test_a_biometric_key_is_not_attested_without_its_user() -> None:
    """The statement is signed by the key itself, which is gated."""
    hardware = SecureHardware(entropy=SeededEntropy("gated"))
    key_id = hardware.generate(gate=Gate.BIOMETRIC)
    with pytest.raises(HardwareError):
        attest_key(PROFILES["pixel-9"], hardware, key_id, auth_data=bytes(37), client_data_hash=bytes(32), now=NOW)


# --- determinism ------------------------------------------------------------------------------------------------------------

REPEAT = """
import hashlib, sys
from datetime import datetime
from authenticator.attest import make
from authenticator.profiles import PROFILES
from device_keys.entropy import SeededEntropy
for name, profile in PROFILES.items():
    for fmt in profile.formats:
        made = make(profile, b"c" * 32, format=fmt, now=datetime.fromisoformat(sys.argv[1]), entropy=SeededEntropy("repeat"))
        print(name, fmt, *(hashlib.sha256(content).hexdigest() for content in made.files().values()))
"""


def test_a_seed_and_a_clock_repeat_every_byte_in_another_process() -> None:
    outputs = []
    for hash_seed in ("1", "2"):
        process = subprocess.run(
            [sys.executable, "-c", REPEAT, NOW.isoformat()],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
            env={"PYTHONPATH": ":".join(filter(None, sys.path)), "PYTHONHASHSEED": hash_seed},
        )
        outputs.append(process.stdout)
    assert outputs[0] == outputs[1]
    assert outputs[0].count("\n") == len(EVERY_FORMAT)


def test_another_seed_or_another_instant_gives_other_bytes() -> None:
    profile = PROFILES["pixel-9"]
    first = make(profile, CHALLENGE, now=NOW, entropy=SeededEntropy("a")).attestation
    assert make(profile, CHALLENGE, now=NOW, entropy=SeededEntropy("b")).attestation != first
    assert make(profile, CHALLENGE, now=NOW + timedelta(seconds=1), entropy=SeededEntropy("a")).attestation != first


# --- faults -------------------------------------------------------------------------------------------------------------------


def acting(profile: str) -> list[str]:
    return [fault.name for fault in ATTESTATION_FAULTS.values() if profile in fault.profiles]


@pytest.mark.parametrize("profile", ["pixel-9", "pixel-9-strongbox", "pixel-5", "iphone-17", "iphone-14", "iphone-8"])
def test_each_fault_changes_the_attestation_on_each_of_its_profiles(profile: str) -> None:
    honest, faulty = made(profile), {}
    for name in acting(profile):
        fmt = "packed" if PROFILES[profile].platform is Platform.IOS and _only_keys(name) else None
        generated = made(profile, name, fmt)
        assert generated.claims["fault"] == name, name
        assert generated.claims["check"] == ATTESTATION_FAULTS[name].check
        faulty[name] = generated.attestation
    assert len({*faulty.values(), honest.attestation}) == len(faulty) + 1, "no two faults are the same"


def _only_keys(name: str) -> bool:
    from authenticator.edits import honest

    return ATTESTATION_FAULTS[name].app_claims is honest


def test_a_fault_that_does_not_act_here_leaves_the_attestation_honest_and_says_so() -> None:
    generated = made("iphone-17", "unlocked-bootloader")
    assert generated.claims["fault"] is None
    assert generated.attestation == made("iphone-17").attestation


def changed_fields(name: str) -> set[str]:
    """What a fault changes in the KeyDescription of its factor's key, compared with the honest one."""
    fault = ATTESTATION_FAULTS[name]
    hardware = SecureHardware(entropy=SeededEntropy("changes"))
    info = hardware.info(hardware.generate(gate=Gate.BIOMETRIC if fault.factor == BIOMETRIC else Gate.NONE))
    honest = describe_key(PROFILES["pixel-9"], info, b"c", NOW)
    found = description(made("pixel-9", name))
    differences = set()
    for part in ("software_enforced", "hardware_enforced"):
        before, after = getattr(honest, part), getattr(found, part)
        differences |= {f"{part}.{tag}" for tag in android_key.TAGS if getattr(before, tag) != getattr(after, tag)}
    for member in ("attestation_version", "attestation_security_level", "keymint_security_level"):
        if getattr(honest, member) != getattr(found, member):
            differences.add(member)
    if found.attestation_challenge != CHALLENGE:
        differences.add("attestation_challenge")
    return differences


@pytest.mark.parametrize(
    ("fault", "changes"),
    [
        ("software-attestation", {"attestation_security_level", "keymint_security_level"}),
        ("mixed-levels", {"keymint_security_level"}),
        ("imported-key", {"hardware_enforced.origin"}),
        ("wrong-purpose", {"hardware_enforced.purpose"}),
        ("repackaged-app", {"software_enforced.attestation_application_id"}),
        ("unverified-boot", {"hardware_enforced.root_of_trust"}),
        ("unlocked-bootloader", {"hardware_enforced.root_of_trust"}),
        ("outdated-patches", {f"hardware_enforced.{part}_patch_level" for part in ("os", "vendor", "boot")}),
        ("future-patch-level", {f"hardware_enforced.{part}_patch_level" for part in ("os", "vendor", "boot")}),
        ("ungated-biometric-key", {"hardware_enforced.no_auth_required", "hardware_enforced.user_auth_type"}),
        ("biometric-or-credential-key", {"hardware_enforced.user_auth_type"}),
        ("timed-biometric-key", {"hardware_enforced.auth_timeout"}),
        ("biometric-gate-by-software", {"hardware_enforced.user_auth_type", "software_enforced.user_auth_type"}),
        ("unstated-gate", {"hardware_enforced.no_auth_required"}),
        ("all-applications", {"software_enforced.all_applications"}),
        ("replayed-attestation", {"attestation_challenge"}),
        ("revoked-batch", set()),
        ("unknown-maker", set()),
        ("forged-attestation", set()),
    ],
)
def test_a_fault_changes_what_it_names_and_nothing_else(fault: str, changes: set[str]) -> None:
    assert changed_fields(fault) == changes


def test_an_unknown_version_cannot_be_read_and_the_claims_say_so() -> None:
    claims = made("pixel-9", "unknown-version").claims
    assert claims["keyDescription"] is None
    assert "attestationVersion" in claims["unreadable"]


def test_an_extended_chain_has_two_key_descriptions() -> None:
    chain = made("pixel-9", "extended-chain").chain
    assert [bool(extension_value(one, android_key.KEY_DESCRIPTION_OID)) for one in chain[:3]] == [True, True, False]
    assert chain[0].issuer == chain[1].subject
    chain[0].verify_directly_issued_by(chain[1])


def test_an_imitated_root_bears_the_name_and_another_key() -> None:
    real, fake = root(Family.ANDROID), root(Family.ANDROID, Maker.IMITATED)
    assert real.certificate.subject == fake.certificate.subject
    assert real.certificate.public_key() != fake.certificate.public_key()
    assert root(Family.ANDROID, Maker.UNKNOWN).certificate.subject != real.certificate.subject


def test_faults_name_existing_profiles_and_say_what_they_simulate() -> None:
    for fault in ATTESTATION_FAULTS.values():
        assert set(fault.profiles) <= set(PROFILES)
        assert all(PROFILES[name].strict for name in fault.profiles)
        assert fault.simulates
        assert fault.attack
        assert fault.check.partition(".")[0] in ("attestation", "app_attest")
        assert ("biometric" in fault.name) == (fault.factor == BIOMETRIC), (
            "DESIGN section 5: the flow picks the factor by the name"
        )


# --- trust anchors --------------------------------------------------------------------------------------------------------------


def test_the_servers_trust_anchors_are_the_makers_of_today(tmp_path: Path) -> None:
    """Else somebody changed a maker and did not run `python -m authenticator.make_trust_anchors`."""
    shipped = Path(__file__).parents[2] / "server_stub" / "trust_anchors"
    if not shipped.is_dir():
        import server_stub

        shipped = Path(server_stub.__file__).parent / "trust_anchors"
    for path in write_trust_anchors(tmp_path):
        assert (shipped / path.name).read_bytes() == path.read_bytes(), path.name


def test_no_makers_private_key_is_among_them(tmp_path: Path) -> None:
    for path in write_trust_anchors(tmp_path):
        content = path.read_bytes()
        assert b"PRIVATE" not in content
        for shape in FAMILY_OF_SHAPE:
            for authority in authorities(shape):
                value = authority.key.private_numbers().private_value
                secret = value.to_bytes((value.bit_length() + 7) // 8, "big")
                assert secret not in content
                assert b64encode(secret) not in content
                assert secret.hex().encode() not in content


def test_the_status_list_names_one_revoked_and_one_suspended_batch_of_each_shape() -> None:
    entries: dict[str, Any] = status_list()["entries"]
    assert len(entries) == 2 * len(FAMILY_OF_SHAPE)
    assert "1" not in entries, "attestation section 8: it would revoke every leaf"
    assert all(serial == serial.lower() and not serial.startswith("0") for serial in entries)
    for profile in ("pixel-9", "pixel-9-strongbox", "pixel-5", "emulator", "security-key"):
        index = 0 if profile == "security-key" else 1
        for fault, status in (("revoked-batch", "REVOKED"), ("suspended-batch", "SUSPENDED")):
            serial = f"{made(profile, fault).chain[index].serial_number:x}"
            assert entries[serial]["status"] == status
        assert f"{made(profile).chain[index].serial_number:x}" not in entries


def test_makers_keys_are_the_same_on_every_machine() -> None:
    assert maker_key("a").private_numbers() == maker_key("a").private_numbers()
    assert maker_key("a").private_numbers() != maker_key("b").private_numbers()


# --- profiles -------------------------------------------------------------------------------------------------------------------


def test_profiles_cover_what_issue_3_asks_for() -> None:
    android = [profile for profile in PROFILES.values() if profile.platform is Platform.ANDROID and profile.strict]
    assert {profile.security_level for profile in android} == {
        SecurityLevel.TRUSTED_ENVIRONMENT,
        SecurityLevel.STRONG_BOX,
    }
    assert [profile.name for profile in PROFILES.values() if not profile.strict] == ["emulator", "security-key"]
    iphones = [profile.apple for profile in PROFILES.values() if profile.apple is not None]
    assert {build.extension_map for build in iphones} == {True, False}
    assert PROFILES["security-key"].formats[:2] == ("packed", "packed-self")
    for name, profile in PROFILES.items():
        assert profile.name == name
        assert not profile.strict or name.startswith(("pixel-", "iphone-"))
        assert profile.summary()["formats"] == list(profile.formats)
        assert ("strict" in profile.summary()) == (not profile.strict)
        assert key_formats(profile)
