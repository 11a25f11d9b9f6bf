"""The inspector: what there is, in words and as JSON; genuine material; and no input that it falls over (issue 3, "inspect")."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from authenticator.app_maker import assert_app
from authenticator.attest import make
from authenticator.inspect import UNKNOWN, Report, inspect
from authenticator.inspecting import der
from authenticator.inspecting.android import key_description
from authenticator.profiles import PROFILES
from device_keys.attestation import android_key, app_attest
from device_keys.attestation.android_key import TAGS
from device_keys.attestation.certificates import extension_value
from device_keys.encoding import FormatError, b64url_encode, canonical_json, cbor_encode
from device_keys.entropy import SeededEntropy
from device_keys.messages import Assertion, Flags, build_authenticator_data, build_client_data, parse_attestation_object
from device_keys.secure_hardware import SecureHardware
from tests.support.w3c_vectors import CASES, Case, derive

from .conftest import Register

NOW = datetime(2026, 5, 5, 12, 30, tzinfo=UTC)


def attestation(profile: str = "pixel-9", fmt: str | None = None, fault: str | None = None) -> bytes:
    entropy = SeededEntropy("inspect")
    return make(PROFILES[profile], b"challenge", format=fmt, fault=fault, now=NOW, entropy=entropy).attestation


def every(contents: list[dict[str, Any]], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for item in contents:
        where = f"{path}/{item['name']}"
        yield where, item
        yield from every(item.get("items", []), where)


def found(report: Report, end: str) -> dict[str, Any]:
    """The first item whose path ends so."""
    matches = [item for where, item in every(report.to_json()["contents"]) if where.endswith(end)]
    assert matches, f"nothing ends with {end}"
    return matches[0]


# --- what we make ---------------------------------------------------------------------------------------------------------


def test_an_android_attestation_is_read_to_the_last_tag() -> None:
    report = inspect(attestation())
    assert report.kind == "WebAuthn attestation object"
    assert report.to_json()["unreadable"] == []
    assert found(report, "/fmt")["value"] == "android-key"
    assert found(report, "attestationSecurityLevel")["meaning"] == "TEE"
    assert found(report, "[503] noAuthRequired")["value"] is True
    assert found(report, "verifiedBootState")["meaning"] == "verified"
    assert found(report, "[706] osPatchLevel")["meaning"] == "2026-04"
    assert found(report, "/package")["value"] == "test.stepupsimulator.bank"
    assert found(report, "attestationChallenge")["value"] == b"challenge".hex()
    assert found(report, "/userPresent")["value"] is True
    assert found(report, "/gate")["meaning"].startswith("no user check")
    assert found(report, "[0] issued by [1]")["value"] is True
    assert found(report, "certified key is the credential key")["value"] is True
    words = report.words()
    for text in ("Android KeyDescription", "purpose: [2] — sign", "deviceLocked: yes", "signCount: 1", "CN=Droid CA2"):
        assert text in words, text


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("ungated-biometric-key", "no user check"),
        ("biometric-or-credential-key", "device credential or strong biometric for every single use"),
        ("timed-biometric-key", "strong biometric, then open for 30 s"),
        ("unstated-gate", "not stated"),
    ],
)
def test_the_gate_is_told_in_words(fault: str, words: str) -> None:
    assert words in found(inspect(attestation(fault=fault)), "/gate")["meaning"]


def test_an_app_attestation_of_2026_shows_map_category_and_receipt() -> None:
    report = inspect(attestation("iphone-17"))
    assert report.kind == "App Attest attestation"
    assert report.to_json()["unreadable"] == []
    assert found(report, app_attest.VALIDATION_CATEGORY)["meaning"] == "App Store"
    assert found(report, "/aaguid")["meaning"] == "App Attest environment appattest"
    assert found(report, "[2] app id")["value"] == PROFILES["iphone-17"].app.apple_id
    assert found(report, "pointSha256")["value"] == found(report, "/credentialId")["value"]


@pytest.mark.parametrize(
    ("profile", "fmt"), [(name, fmt) for name, profile in PROFILES.items() for fmt in profile.formats]
)
def test_every_format_of_every_profile_is_read_without_rest(profile: str, fmt: str) -> None:
    assert inspect(attestation(profile, fmt)).to_json()["unreadable"] == []


def test_a_registration_shows_what_holds_together(register: Register) -> None:
    for fmt in ("android-key", "packed"):
        case = register("pixel-9", -7, fmt)
        report = inspect(json.dumps(case.registration.to_json()).encode())
        assert report.kind == "WebAuthn registration"
        assert report.to_json()["unreadable"] == []
        assert found(report, "statement signature verifies")["value"] is True
    report = inspect(json.dumps(register("pixel-9", -7, "android-key").registration.to_json()).encode())
    assert found(report, "attested challenge is the client data hash")["value"] is True
    apple = inspect(json.dumps(register("iphone-17", -7, "apple").registration.to_json()).encode())
    assert found(apple, "certified nonce is over this data")["value"] is True


def test_a_defective_registration_shows_what_does_not(register: Register) -> None:
    from authenticator.attestation_faults import ATTESTATION_FAULTS

    def shown(fault: str, item: str) -> Any:
        case = register("pixel-9", -7, "android-key", ATTESTATION_FAULTS[fault])
        return found(inspect(json.dumps(case.registration.to_json()).encode()), item)["value"]

    assert shown("forged-attestation", "statement signature verifies") is False
    assert shown("replayed-attestation", "attested challenge is the client data hash") is False
    assert shown("other-key-attested", "certified key is the credential key") is False


@pytest.fixture(scope="module")
def assertion() -> Assertion:
    hardware = SecureHardware(entropy=SeededEntropy("assertion"))
    key = hardware.generate()
    payment = {"payeeName": "Evil\u202eeelaB", "total": {"currency": "GBP", "value": "10.00"}}
    client_data = build_client_data("payment.get", bytes(32), "https://stepup-simulator.test", payment=payment)
    auth_data = build_authenticator_data(bytes(32), Flags.UP | Flags.UV, 7, extensions={"uvm": [[2, 4, 2]]})
    app = assert_app(PROFILES["iphone-17"], hardware, key, client_data_hash=hashlib.sha256(client_data).digest())
    signature = hardware.sign(key, auth_data + hashlib.sha256(client_data).digest())
    return Assertion(b"id", client_data, auth_data, signature, b"handle", {"appAttest": b64url_encode(app)})


def test_an_assertion_shows_client_data_flags_extensions_and_the_apps_own_assertion(assertion: Assertion) -> None:
    report = inspect(json.dumps(assertion.to_json()).encode())
    assert report.kind == "WebAuthn assertion"
    assert report.to_json()["unreadable"] == []
    assert found(report, "clientDataJSON/type")["meaning"] == "a payment confirmation (SPC)"
    assert found(report, "total/value")["value"] == "10.00"
    assert found(report, "authenticatorData/signCount")["value"] == 7
    assert found(report, "/userVerified")["value"] is True
    assert found(report, "appAttest/authenticatorData/signCount")["value"] == 1
    assert "claim of the phone's software" in found(report, "/uvm")["meaning"]


def test_hostile_text_is_shown_not_obeyed(assertion: Assertion) -> None:
    words = inspect(json.dumps(assertion.to_json()).encode()).words()
    assert "\u202e" not in words
    assert "Evil\\u{202e}eelaB" in words


def test_the_header_form_is_recognised(assertion: Assertion) -> None:
    assert inspect(assertion.to_header().encode()).kind == "WebAuthn assertion (base64url)"


@pytest.mark.parametrize("encode", [bytes.hex, lambda data: b64encode(data).decode(), b64url_encode])
def test_text_forms_of_binary_structures_are_recognised(encode: Any) -> None:
    report = inspect(encode(attestation()).encode() + b"\n")
    assert report.kind.startswith("WebAuthn attestation object (")


def test_chain_certificate_description_receipt_and_keys_are_recognised_alone() -> None:
    statement = parse_attestation_object(attestation()).statement
    leaf = x509.load_der_x509_certificate(statement["x5c"][0])
    description = extension_value(leaf, android_key.KEY_DESCRIPTION_OID) or b""
    parsed = app_attest.parse_attestation(attestation("iphone-17"))
    credential = parsed.auth_data.credential
    assert credential is not None
    assert inspect(b"".join(statement["x5c"])).kind == "X.509 chain of 5 certificates"
    assert inspect(statement["x5c"][0]).kind == "X.509 certificate"
    assert inspect(description).kind == "Android KeyDescription"
    assert inspect(parsed.receipt).kind == "PKCS #7 signed data"
    assert inspect(credential.cose).kind == "COSE key"
    assert inspect(parse_attestation_object(attestation()).auth_data).kind == "authenticator data"
    assert inspect(credential.public_key.spki()).kind == "DER"
    assert inspect(b"\xa1\x01\x02").kind == "CBOR map"


def test_a_jws_is_opened_with_its_certificates() -> None:
    certificate = parse_attestation_object(attestation()).statement["x5c"][0]
    header = {"alg": "ES256", "typ": "key-attestation+jwt", "x5c": [b64encode(certificate).decode()]}
    parts = (json.dumps(header).encode(), json.dumps({"iat": 1}).encode(), b"s" * 64)
    report = inspect(".".join(map(b64url_encode, parts)).encode())
    assert report.kind == "JWS"
    assert found(report, "header/typ")["value"] == "key-attestation+jwt"
    assert found(report, "payload/iat")["value"] == 1
    assert found(report, "[0]/subject")["value"] == "CN=Android Keystore Key"


def bundle(assertion: Assertion, register: Register) -> bytes:
    members = {
        "format": "stepup-evidence/1",
        "evidence": {
            "assertion": json.dumps(assertion.to_json()),
            "credential": {"registration": register("pixel-9", -7, "android-key").registration.to_json()},
        },
    }
    body = canonical_json(members)
    return body[:-1] + b',"digest":"' + hashlib.sha256(body).hexdigest().encode() + b'"}'


def test_an_evidence_bundle_is_opened_and_its_digest_checked(assertion: Assertion, register: Register) -> None:
    data = bundle(assertion, register)
    report = inspect(data)
    assert report.kind == "evidence bundle"
    assert found(report, "/intact")["value"] is True
    assert found(report, "evidence/assertion")["meaning"] == "WebAuthn assertion"
    assert found(report, "registration/response/attestationObject/fmt")["value"] == "android-key"
    altered = inspect(data.replace(b"stepup-evidence/1", b"stepup-evidence/2"))
    assert found(altered, "/intact")["value"] is False


def test_a_private_key_is_named_and_not_shown() -> None:
    text = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n"
    report = inspect(text)
    assert report.kind == "PEM"
    assert "not shown" in report.words()
    assert bytes(range(32)).hex() not in json.dumps(report.to_json())


# --- what is odd is said, and the rest is read --------------------------------------------------------------------------------


def described(hardware_list: str) -> Report:
    """A KeyDescription whose hardware-enforced list holds exactly these bytes."""
    body = bytes.fromhex(
        "020200c80a0101020200c80a01010401630400" + "3000" + f"30{len(hardware_list) // 2:02x}" + hardware_list
    )
    return inspect(bytes([0x30, len(body)]) + body)


def test_an_unknown_tag_is_kept() -> None:
    report = described("bf837702 0500 bf8f7f03 020107".replace(" ", ""))
    assert found(report, "[503] noAuthRequired")["value"] is True
    unknown = found(report, "[2047] unknown")
    assert (unknown["value"], unknown["meaning"]) == ("020107", "kept as it is")


def test_a_boolean_outside_der_is_read_as_true_with_a_remark() -> None:
    report = described("bf85400c300a04000101010a01000400")
    item = found(report, "deviceLocked")
    assert item["value"] is True
    assert "DER does not allow" in item["meaning"]


def test_tags_out_of_order_are_remarked_on() -> None:
    assert (
        "out of order"
        in found(described("bf83780302 0102bf83770205 00".replace(" ", "")), "hardwareEnforced")["meaning"]
    )


def test_a_broken_entry_is_named_and_its_neighbours_are_read() -> None:
    report = described("a106310402ff0201bf8377020500")
    unreadable = report.to_json()["unreadable"]
    assert [one["where"] for one in unreadable] == ["hardwareEnforced.[1] purpose"]
    assert found(report, "[503] noAuthRequired")["value"] is True


def test_a_certificate_that_cannot_be_read_is_kept_between_those_that_can() -> None:
    made = parse_attestation_object(attestation())
    made.statement["x5c"][1] = b"\x30\x03\x02\x01\x00"
    report = inspect(made.encode())
    problems = report.to_json()["unreadable"]
    assert len(problems) == 1
    assert "X.509" in problems[0]["problem"]
    assert found(report, "certificates/[1]")["value"] == "3003020100"
    assert found(report, "[0] issued by [1]")["value"] is False
    assert found(report, "[2] issued by [3]")["value"] is True


def test_a_wrong_issuer_is_said() -> None:
    made = parse_attestation_object(attestation())
    made.statement["x5c"][1], made.statement["x5c"][2] = made.statement["x5c"][2], made.statement["x5c"][1]
    assert found(inspect(made.encode()), "[0] issued by [1]")["value"] is False


def test_unknown_members_of_an_attestation_object_are_kept() -> None:
    report = inspect(
        cbor_encode({"fmt": "net.example.new", "attStmt": {"odd": b"\x01"}, "authData": b"short", "ep": True})
    )
    assert found(report, "/fmt")["meaning"] == "not a registered format"
    assert found(report, "attStmt/odd")["value"] == "01"
    assert found(report, "/ep")["value"] is True
    assert [one["where"] for one in report.to_json()["unreadable"]] == ["authData"]


@pytest.mark.parametrize("data", [b"", b"\x00", b"hello", b"A" * 40, b"\xff" * 36, b"x" * (16 * 2**20 + 1)])
def test_what_nobody_knows_is_reported_with_its_digest(data: bytes) -> None:
    report = inspect(data)
    assert report.kind == UNKNOWN
    assert found(report, "/sha256")["value"] == hashlib.sha256(data).hexdigest()


def test_nesting_without_end_ends() -> None:
    for data in (b"\x30\x80" * 50_000, b"[" * 50_000, b'{"a":' * 50_000, b"\xa1\x00" * 50_000, b"\x81" * 50_000):
        assert inspect(data).kind
    deep: Any = b"x"
    for _ in range(3000):
        deep = b"\x30\x82" + len(deep).to_bytes(2, "big") + deep
    assert inspect(deep).kind == "DER"


# --- genuine material -----------------------------------------------------------------------------------------------------------


def test_every_genuine_chain_is_read_without_rest(vectors: Path) -> None:
    chains = sorted(vectors.glob("android-key/*/*/*.pem"))
    assert chains
    for path in chains:
        report = inspect(path.read_bytes())
        assert report.to_json()["unreadable"] == [], path
        count = path.read_bytes().count(b"BEGIN CERTIFICATE")
        assert report.kind == f"X.509 chain of {count} certificates"
        links = [item["value"] for where, item in every(report.to_json()["contents"]) if " issued by " in where]
        assert links == [True] * (count - 1)


def test_a_genuine_chain_says_what_its_file_says(vectors: Path) -> None:
    report = inspect((vectors / "android-key/tegu/sdk37/TEE_TRUSTED_CONF.pem").read_bytes())
    assert found(report, "[508] trustedConfirmationRequired")["value"] is True
    assert found(report, "[717] attestationIdModel")["value"] == "Pixel 9a"
    assert found(report, "verifiedBootKey")["meaning"].endswith("(all zero: an unlocked phone)")
    assert found(report, "attestationVersion")["meaning"] == "Android 17"
    timed = inspect((vectors / "android-key/akita/sdk34/TEE_RSA_NONE_USERAUTH.pem").read_bytes())
    assert "then open for 2147483647 s" in found(timed, "/gate")["meaning"]


def test_the_malformed_genuine_chain_is_read_and_the_odd_boolean_named(vectors: Path) -> None:
    report = inspect((vectors / "android-key/invalid/malformed_rot_device_locked.pem").read_bytes())
    assert found(report, "deviceLocked") == {
        "name": "deviceLocked",
        "value": True,
        "meaning": "encoded as 01, which DER does not allow",
    }


def test_the_genuine_app_attest_session_is_opened_receipts_too(vectors: Path) -> None:
    report = inspect((vectors / "app-attest/ios-14.4.json").read_bytes())
    kinds = {
        item.get("meaning", "")
        for where, item in every(report.to_json()["contents"])
        if "Base64" in where.rsplit("/", 1)[-1]
    }
    assert {"App Attest attestation (base64)", "App Attest assertion (base64)", "PKCS #7 signed data (base64)"} <= kinds
    assert report.to_json()["unreadable"] == []
    assert found(report, "[12] creation time")["value"] == "2021-01-23T12:13:35.801Z"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_credential_of_the_standard_is_opened(case: Case) -> None:
    made = derive(case)
    object_ = inspect(made["registration"]["attestationObject"])
    assert object_.kind == "WebAuthn attestation object"
    assert found(object_, "/fmt")["meaning"] != "not a registered format"
    assert object_.to_json()["unreadable"] == []
    assertion = inspect(made["authentication"]["authenticatorData"])
    assert assertion.kind == "authenticator data"


# --- no input makes it raise ------------------------------------------------------------------------------------------------------


def survives(data: bytes) -> None:
    report = inspect(data)
    json.dumps(report.to_json())
    assert report.words().splitlines()[0] == report.kind


_MADE = (attestation(), attestation("iphone-17"), attestation("security-key"))
_TEXTS = (json.dumps({"type": "public-key", "response": {"attestationObject": b64url_encode(_MADE[0])}}).encode(),)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(_MADE + _TEXTS)))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(data) - 1))
        data[start : start + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(data)


_ANY = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(lambda text: text.encode(errors="replace")),
    damaged(),
    st.recursive(
        st.one_of(st.none(), st.integers(), st.text(max_size=20), st.just("public-key"), st.just("stepup-evidence/1")),
        lambda inner: st.dictionaries(
            st.sampled_from(["type", "response", "format", "challenge", "origin", "fmt"]), inner
        ),
    ).map(lambda value: json.dumps(value).encode()),
)


@given(_ANY)
@settings(max_examples=150)
def test_no_input_makes_the_inspector_raise(data: bytes) -> None:
    survives(data)


@pytest.mark.deep
@given(_ANY)
@settings(max_examples=10_000)
def test_no_input_makes_the_inspector_raise_in_10_000_examples(data: bytes) -> None:
    survives(data)


@given(st.binary(max_size=120))
@settings(max_examples=150)
def test_the_tolerant_walk_raises_only_format_errors(data: bytes) -> None:
    for reader in (der.read_all, key_description):
        try:
            reader(data)
        except FormatError:
            continue


def test_the_walk_reads_high_tags_and_indefinite_lengths() -> None:
    element, rest = der.read_one(bytes.fromhex("bf8377020500ff"))
    assert (element.tag_class, element.number, element.content.hex(), rest.hex()) == (2, 503, "0500", "ff")
    element, rest = der.read_one(bytes.fromhex("30800201050000aa"))
    assert (element.content.hex(), rest.hex(), element.raw.hex()) == ("020105", "aa", "30800201050000")
    for broken in ("", "30", "3002", "1f", "bf83", "30850000000001", "0280"):
        with pytest.raises(FormatError):
            der.read_one(bytes.fromhex(broken))


def test_every_tag_has_a_name_in_words() -> None:
    listed = {number: described(f"{_tag(number)}020500") for number in TAGS.values()}
    for name, number in TAGS.items():
        camel = name.split("_")[0] + "".join(word.capitalize() for word in name.split("_")[1:])
        assert f"[{number}] {camel}" in listed[number].words()


def _tag(number: int) -> str:
    if number < 31:
        return f"{0xA0 | number:02x}"
    low, high = number & 0x7F, number >> 7
    return f"bf{0x80 | high:02x}{low:02x}"


def test_base64_of_standard_alphabet_inside_json_is_opened() -> None:
    data = attestation()
    report = inspect(json.dumps({"blob": b64encode(data).decode(), "plain": "text"}).encode())
    assert found(report, "/blob")["meaning"] == "WebAuthn attestation object (base64)"
    assert b64decode(b64encode(data)) == data
