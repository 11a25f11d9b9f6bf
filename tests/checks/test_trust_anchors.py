"""Trust as loaded: packaged anchors, configured ones beside them, and a revocation list that fails closed."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from authenticator.profiles import PROFILES
from device_keys.encoding import FormatError
from server_stub.checks.ceremonies import failures
from server_stub.checks.table import judge
from server_stub.policy import LENIENT, STRICT
from server_stub.trust import NamedPem, Trust, TrustError, load_trust, read_status_list
from server_stub.verdict import Outcome


def test_the_packaged_anchors_and_list_load(trust: Trust) -> None:
    assert {pem.name for pem in trust.pems} == {"android", "android-software", "app-attest", "apple-webauthn", "fido"}
    assert trust.revoked
    assert all("BEGIN CERTIFICATE" in pem.pem and "PRIVATE" not in pem.pem for pem in trust.pems)


def test_a_trust_comes_back_from_its_json(trust: Trust) -> None:
    again = Trust.from_json(json.loads(json.dumps(trust.to_json())))
    assert (again.digest, again.pems, again.revoked) == (trust.digest, trust.pems, trust.revoked)
    with pytest.raises(FormatError):
        Trust.from_json({"anchors": [{}], "revoked": {}})


def test_configured_anchors_and_lists_are_added(tmp_path: Path, trust: Trust) -> None:
    (tmp_path / "maker.pem").write_text(trust.pems[0].pem)
    (tmp_path / "status.json").write_text('{"entries": {"00AB": {"status": "REVOKED"}}}')
    (tmp_path / "more.json").write_text('{"entries": {"cd": {"status": "SUSPENDED"}}}')
    found = load_trust([tmp_path], tmp_path / "more.json")
    assert len(found.pems) == len(trust.pems) + 1
    assert found.revoked is not None
    assert (found.revoked["ab"], found.revoked["cd"]) == ("REVOKED", "SUSPENDED"), (
        "serials are looked up without leading zeros"
    )
    assert found.revoked.items() > (trust.revoked or {}).items()
    assert found.digest != trust.digest


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"entries": []}', '{"entries": {"ab": {}}}', '{"entries": {"xy": {"status": "REVOKED"}}}'],
)
def test_an_unreadable_list_fails_closed(text: str, tmp_path: Path, honest: ModuleType) -> None:
    """RTS Art. 27(c); attestation rules section 8: no list, no trust."""
    with pytest.raises(FormatError):
        read_status_list(text)
    file = tmp_path / "list.json"
    file.write_text(text)
    for broken in (load_trust((), file), load_trust((), tmp_path / "missing.json")):
        assert broken.revoked is None
        for name in ("pixel-9", "iphone-17"):
            findings = judge(honest.Approval(honest.Enrolled(PROFILES[name])).evidence(), STRICT, broken)
            assert failures(findings) == {"attestation.revocation": "list-unavailable"}


def test_unreadable_anchors_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="nowhere"):
        load_trust([tmp_path / "nowhere"])
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(TrustError, match=r"bad\.pem"):
        load_trust([tmp_path])


def test_a_kept_judgement_is_of_this_very_enrolment(honest: ModuleType, trust: Trust) -> None:
    """Findings on attestation are kept between step-ups; another registration under the same credential id is judged anew."""
    from dataclasses import replace

    good = honest.Enrolled(PROFILES["pixel-9"])
    forged = honest.Enrolled(PROFILES["pixel-9"], claims=lambda claims: replace(claims, forged=True))
    assert good.credentials["possession"].credential_id == forged.credentials["possession"].credential_id
    for _ in range(2):
        assert failures(judge(honest.Approval(good).evidence(), STRICT, trust)) == {}
        assert failures(judge(honest.Approval(forged).evidence(), STRICT, trust)) == {
            "attestation.statement": "signature"
        }


def test_a_kept_judgement_is_of_this_policy_and_list(honest: ModuleType, trust: Trust) -> None:
    """A batch that is put on the revocation list later is refused at the next step-up."""
    import msgspec
    from cryptography import x509

    from device_keys.encoding import b64url_decode
    from device_keys.messages import parse_attestation_object

    phone = honest.Enrolled(PROFILES["pixel-9"])
    evidence = honest.Approval(phone).evidence()
    assert failures(judge(evidence, STRICT, trust)) == {}
    attestation = b64url_decode(phone.credentials["possession"].registration["response"]["attestationObject"])
    batch = x509.load_der_x509_certificate(parse_attestation_object(attestation).statement["x5c"][1])
    later = Trust(trust.pems, {**(trust.revoked or {}), f"{batch.serial_number:x}": "REVOKED"})
    assert failures(judge(evidence, STRICT, later)) == {"attestation.revocation": "revoked"}
    assert failures(judge(evidence, STRICT, trust)) == {}
    narrow = msgspec.structs.replace(STRICT, maximum_patch_age_months=0)
    assert failures(judge(evidence, narrow, trust)) == {"attestation.patch_level": "patch-level"}
    assert failures(judge(evidence, STRICT, trust)) == {}


def test_the_server_s_own_app_identities_are_those_of_the_simulated_bank_app() -> None:
    """Two configurations that must agree, held apart by the wall between phone and server."""
    from authenticator.profiles import ANDROID_PACKAGE, ANDROID_SIGNER, APPLE_APP_ID

    assert [(app.package, app.signer) for app in STRICT.android_apps] == [(ANDROID_PACKAGE, ANDROID_SIGNER.hex())]
    assert STRICT.apple_app_ids == (APPLE_APP_ID,)


@pytest.mark.parametrize(
    ("profile", "formats", "maker"),
    [
        ("pixel-9", "android-key", "android"),
        ("emulator", "android-key", "android-software"),
        ("security-key", "packed", "fido"),
        ("iphone-17", "apple", "apple-webauthn"),
    ],
)
@pytest.mark.parametrize("software_keys", [True, False])
@pytest.mark.parametrize("kind", ["android", "android-software", "app-attest", "apple", "fido", "anyone"])
def test_a_root_vouches_for_its_own_kind_alone(
    profile: str, formats: str, maker: str, software_keys: bool, kind: str, honest: ModuleType, trust: Trust
) -> None:
    """One genuine root, configured under each kind of name: software roots count for Android keys alone, and only if the policy says so."""
    root = next(pem for pem in trust.pems if pem.name == maker)
    configured = Trust([NamedPem(f"{kind}-root", root.pem)], trust.revoked)
    policy = msgspec.structs.replace(LENIENT, software_keys=software_keys)
    phone = honest.Enrolled(PROFILES[profile], formats=formats, with_app_attest=False)
    findings = judge(honest.Approval(phone).evidence(), policy, configured)
    chain = next(finding for finding in findings if finding.check == "attestation.chain")
    vouching = {"anyone", formats.partition("-")[0] if maker != "fido" else "fido"}
    if formats == "android-key" and software_keys:
        vouching.add("android-software")
    assert (chain.outcome is Outcome.PASS) == (kind in vouching)
    assert chain.reason == ("ok" if kind in vouching else "unknown-maker")
