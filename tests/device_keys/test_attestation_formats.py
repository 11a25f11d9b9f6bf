"""Attestation formats against material of others, field by field, and against damage (issue 3, points 1, 2 and 5)."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from authenticator.authorities import Family, root
from device_keys.attestation import android_key, app_attest, apple, packed
from device_keys.attestation.android_key import (
    ApplicationId,
    AuthorizationList,
    KeyDescription,
    Origin,
    Package,
    RootOfTrust,
    SecurityLevel,
    VerifiedBootState,
    parse_key_description,
)
from device_keys.attestation.certificates import (
    certificate_key,
    extension_value,
    load_certificate,
    load_chain,
    parse_x5c,
)
from device_keys.encoding import FormatError, b64url_decode, cbor_encode
from device_keys.entropy import SeededEntropy
from device_keys.messages import Flags, parse_attestation_object, parse_authenticator_data
from device_keys.secure_hardware import SecureHardware
from tests.support.w3c_vectors import CASE_BY_NAME, derive

# --- Android: genuine chains ----------------------------------------------------------------------------------------------

CHAINS = [
    "akita/sdk34/SB_RSA_NONE", "akita/sdk34/TEE_RSA_BASE+IMEI", "akita/sdk34/TEE_RSA_NONE_USERAUTH", "blueline/sdk28/SB_RSA_NONE_USERAUTH",
    "blueline/sdk28/TEE_RSA_BASE+IMEI", "caiman/sdk36/SB_EC_RKP", "marlin/sdk29/TEE_EC_NONE", "sony-xperia10-iii/sdk33/TEE_EC",
    "tegu/sdk36/TEE_EC_2026_ROOT", "tegu/sdk37/TEE_TRUSTED_CONF", "tokay/sdk37/TEE_MLDSA_RKP",
]  # fmt: skip

LEVELS = {"SOFTWARE": 0, "TRUSTED_ENVIRONMENT": 1, "STRONG_BOX": 2}
# Names in the expectation files that are not our field names in camel case.
RENAMED = {
    "purposes": "purpose", "algorithms": "algorithm", "digests": "digest", "paddings": "padding",
    "attestationApplicationId": "attestation_application_id",
}  # fmt: skip


def extension_of(vectors: Path, name: str) -> bytes:
    certificates = x509.load_pem_x509_certificates((vectors / "android-key" / f"{name}.pem").read_bytes())
    content = extension_value(certificates[0], android_key.KEY_DESCRIPTION_OID)
    assert content is not None
    return content


def expectation(vectors: Path, name: str) -> dict[str, Any]:
    lines = (vectors / "android-key" / f"{name}.json").read_text().splitlines()
    parsed: dict[str, Any] = json.loads("\n".join(line for line in lines if not line.strip().startswith("//")))
    return parsed


def snake(name: str) -> str:
    return RENAMED.get(name) or "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def expected_value(name: str, value: Any) -> Any:
    readers = {
        "origin": lambda: Origin[value],
        "rootOfTrust": lambda: RootOfTrust(
            b64decode(value["verifiedBootKey"]),
            value["deviceLocked"],
            VerifiedBootState[value["verifiedBootState"]],
            b64decode(value["verifiedBootHash"]) if "verifiedBootHash" in value else None,
        ),
        "attestationApplicationId": lambda: ApplicationId(
            tuple(
                sorted((Package(one["name"], int(one["version"])) for one in value["packages"]), key=lambda p: p.name)
            ),
            tuple(sorted(map(b64decode, value["signatures"]))),
        ),
        "moduleHash": lambda: b64decode(value),
    }
    if name in readers:
        return readers[name]()
    if name.startswith("attestationId"):
        return value.encode()
    if isinstance(value, list):
        return tuple(sorted(map(int, value)))
    return value if isinstance(value, bool) else int(value)


def expected_list(record: dict[str, Any]) -> AuthorizationList:
    values = {snake(name): expected_value(name, value) for name, value in record.items() if name != "areTagsOrdered"}
    return AuthorizationList(**values)


def in_order(found: AuthorizationList) -> AuthorizationList:
    """Sets compare as sets."""
    application = found.attestation_application_id
    if application is None:
        return found
    packages = tuple(sorted(application.packages, key=lambda package: package.name))
    return replace(found, attestation_application_id=ApplicationId(packages, tuple(sorted(application.signers))))


@pytest.mark.parametrize("name", CHAINS)
def test_genuine_key_descriptions_are_read_field_by_field_as_their_files_say(vectors: Path, name: str) -> None:
    expected = expectation(vectors, name)
    found = parse_key_description(extension_of(vectors, name))
    assert found.attestation_version == int(expected["attestationVersion"])
    assert found.keymint_version == int(expected["keyMintVersion"])
    assert found.attestation_security_level == LEVELS[expected["attestationSecurityLevel"]]
    assert found.keymint_security_level == LEVELS[expected["keyMintSecurityLevel"]]
    assert found.attestation_challenge == b64decode(expected["attestationChallenge"])
    assert found.unique_id == b64decode(expected["uniqueId"])
    assert in_order(found.software_enforced) == expected_list(expected["softwareEnforced"])
    assert in_order(found.hardware_enforced) == expected_list(expected["hardwareEnforced"])


@pytest.mark.parametrize("name", CHAINS)
def test_genuine_key_descriptions_encode_again_byte_for_byte(vectors: Path, name: str) -> None:
    content = extension_of(vectors, name)
    assert parse_key_description(content).encode() == content


def test_every_chain_of_the_vectors_is_in_the_list(vectors: Path) -> None:
    found = {
        str(path.relative_to(vectors / "android-key").with_suffix("")) for path in vectors.glob("android-key/*/*/*.pem")
    }
    assert found == set(CHAINS)


def test_a_boolean_that_der_does_not_allow_is_refused_never_read_as_false(vectors: Path) -> None:
    with pytest.raises(FormatError, match="KeyDescription"):
        parse_key_description(extension_of(vectors, "invalid/malformed_rot_device_locked"))


@pytest.mark.parametrize("name", ["caiman/sdk36/SB_EC_RKP", "marlin/sdk29/TEE_EC_NONE"])
def test_no_damage_to_a_genuine_description_raises_anything_but_a_format_error(vectors: Path, name: str) -> None:
    content = extension_of(vectors, name)
    for position in range(len(content)):
        for damaged in (
            content[:position],
            content[:position] + bytes([content[position] ^ 0x41]) + content[position + 1 :],
        ):
            try:
                parsed = parse_key_description(damaged)
            except FormatError:
                continue
            assert parsed.encode() == damaged, "what is accepted is exactly what was there"


# --- Android: made here ---------------------------------------------------------------------------------------------------

FULL = AuthorizationList(
    purpose=(2, 3),
    algorithm=3,
    key_size=256,
    block_mode=(1,),
    digest=(0, 4),
    padding=(1,),
    ec_curve=1,
    ml_dsa_variant=1,
    rsa_public_exponent=65537,
    rsa_oaep_mgf_digest=(4,),
    active_date_time=1,
    origination_expire_date_time=2,
    usage_expire_date_time=3,
    usage_count_limit=4,
    no_auth_required=True,
    user_auth_type=0xFFFFFFFF,
    auth_timeout=2147483647,
    allow_while_on_body=True,
    trusted_user_presence_required=True,
    trusted_confirmation_required=True,
    unlocked_device_required=True,
    all_applications=True,
    creation_date_time=1782942965900,
    origin=Origin.SECURELY_IMPORTED,
    rollback_resistant=True,
    root_of_trust=RootOfTrust(bytes(32), False, VerifiedBootState.FAILED),
    os_version=160000,
    os_patch_level=202601,
    attestation_application_id=ApplicationId((Package("a.b", 1), Package("c.d", 2)), (bytes(32), b"\xff" * 32)),
    attestation_id_brand=b"b",
    attestation_id_device=b"d",
    attestation_id_product=b"p",
    attestation_id_serial=b"s",
    attestation_id_imei=b"i",
    attestation_id_meid=b"m",
    attestation_id_manufacturer=b"f",
    attestation_id_model=b"o",
    vendor_patch_level=20260105,
    boot_patch_level=20260105,
    attestation_id_second_imei=b"2",
    module_hash=b"h" * 32,
)


def described(**changes: Any) -> KeyDescription:
    level = SecurityLevel.TRUSTED_ENVIRONMENT
    return replace(KeyDescription(400, level, 400, level, b"challenge", b"", AuthorizationList(), FULL), **changes)


def test_every_tag_of_the_schema_survives_encoding() -> None:
    assert parse_key_description(described().encode()) == described()
    assert all(getattr(FULL, field.name) not in (None, False) for field in fields(FULL)), "FULL is to have every field"


def test_tags_are_encoded_as_the_schema_prints_them() -> None:
    encoded = described().encode()
    for tag in (
        "a108",
        "bf8148",
        "bf8377",
        "bf8378",
        "bf8379",
        "bf837c",
        "bf8458",
        "bf853e",
        "bf8540",
        "bf8541",
        "bf8545",
        "bf8554",
    ):
        assert bytes.fromhex(tag) in encoded, tag


@pytest.mark.parametrize("version", [1, 2, 3, 4, 100, 200, 300, 400, 500])
def test_every_version_from_1_to_500_is_carried(version: int) -> None:
    assert parse_key_description(described(attestation_version=version).encode()).attestation_version == version


def test_an_unknown_version_is_refused_by_name() -> None:
    with pytest.raises(FormatError, match="attestationVersion"):
        parse_key_description(described(attestation_version=999).encode())


def with_hardware_list(body: str) -> bytes:
    """A KeyDescription whose hardware-enforced list holds exactly these bytes."""
    empty = described(hardware_enforced=AuthorizationList()).encode()
    assert empty[0] == 0x30
    assert empty.endswith(b"\x30\x00")
    content = empty[2:-2] + bytes([0x30, len(body) // 2]) + bytes.fromhex(body)
    return bytes([0x30, len(content)]) + content


def test_an_empty_and_a_single_entry_list_are_read() -> None:
    assert parse_key_description(with_hardware_list("")).hardware_enforced == AuthorizationList()
    assert parse_key_description(
        with_hardware_list("bf83770205 00".replace(" ", ""))
    ).hardware_enforced.no_auth_required


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("bf83760205 00", "a tag outside the table"),
        ("bf83770205 00bf83770205 00", "a repeated tag"),
        ("bf837802050 0", "NULL for an INTEGER"),
        ("bf83780302 0102bf83770205 00", "tags out of order"),
        ("bf83770201 00bf", "a tag cut off"),
        ("a1083106020103020102", "an unsorted SET"),
        ("bf85400c300a04000101ff0a010504 00", "an unknown boot state"),
    ],
)
def test_departures_from_the_schema_are_refused(body: str, what: str) -> None:
    with pytest.raises(FormatError, match="KeyDescription"):
        parse_key_description(with_hardware_list(body.replace(" ", "")))


@pytest.mark.parametrize(("old", "new"), [("0a0101", "0a0103"), ("0a0101", "020101"), ("0a0101", "0a0181")])
def test_levels_are_enumerated_and_known(old: str, new: str) -> None:
    encoded = described().encode()
    altered = encoded.replace(bytes.fromhex(old), bytes.fromhex(new), 1)
    assert altered != encoded
    with pytest.raises(FormatError, match="attestationSecurityLevel"):
        parse_key_description(altered)


def test_trailing_bytes_are_refused() -> None:
    with pytest.raises(FormatError):
        parse_key_description(described().encode() + b"\0")


def test_an_unknown_origin_is_refused_by_name() -> None:
    encoded = described(hardware_enforced=AuthorizationList(origin=Origin.GENERATED)).encode()
    altered = encoded.replace(bytes.fromhex("bf853e03020100"), bytes.fromhex("bf853e03020109"))
    assert altered != encoded
    with pytest.raises(FormatError, match=r"hardwareEnforced\.origin"):
        parse_key_description(altered)


# --- App Attest -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def genuine_app(vectors: Path) -> list[dict[str, Any]]:
    session: list[dict[str, Any]] = json.loads((vectors / "app-attest" / "ios-14.4.json").read_text())
    return session


def test_the_genuine_attestation_is_read_as_its_file_says(genuine_app: list[dict[str, Any]]) -> None:
    record = genuine_app[0]
    raw = b64decode(record["attestationBase64"])
    found = app_attest.parse_attestation(raw)
    credential = found.auth_data.credential
    assert credential is not None
    leaf = load_chain(found.x5c)[0]
    key = certificate_key(leaf)
    assert found.environment == "appattestdevelop"
    assert (found.auth_data.sign_count, found.auth_data.flags, found.auth_data.extensions) == (0, Flags.AT, None)
    assert found.auth_data.rp_id_hash == app_attest.app_id_hash(
        f"{record['teamIdentifier']}.{record['bundleIdentifier']}"
    )
    assert app_attest.key_id(key) == credential.credential_id == b64decode(record["keyIdBase64"])
    assert credential.public_key.spki() == key.spki()
    extension = extension_value(leaf, apple.NONCE_OID)
    assert extension is not None
    digest = b64decode(record["clientDataHashSha256Base64"])
    assert apple.parse_nonce_extension(extension) == apple.nonce(found.auth_data.raw, digest)
    assert app_attest.encode_attestation(found.auth_data.raw, found.x5c, found.receipt) == raw
    with pytest.raises(FormatError):
        parse_authenticator_data(app_attest.parse_assertion(b64decode(genuine_app[1]["assertionBase64"])).auth_data.raw)


def test_the_genuine_assertion_is_read_and_verifies_hashed_twice(genuine_app: list[dict[str, Any]]) -> None:
    attested, record = genuine_app[0], genuine_app[1]
    found = app_attest.parse_assertion(b64decode(record["assertionBase64"]))
    credential = app_attest.parse_attestation(b64decode(attested["attestationBase64"])).auth_data.credential
    assert credential is not None
    digest = b64decode(record["clientDataHashSha256Base64"])
    message = app_attest.assertion_nonce(found.auth_data.raw, digest)
    assert found.auth_data.sign_count == record["counter"] == 1
    assert credential.public_key.verify(found.signature, message)
    assert not credential.public_key.verify(found.signature, found.auth_data.raw + digest), (
        "hashed once it is no signature"
    )


def app_key() -> Any:
    hardware = SecureHardware(entropy=SeededEntropy("app"))
    return hardware.public_key(hardware.generate())


@pytest.mark.parametrize("flag", [Flags.AT, Flags.AT | Flags.ED])
def test_the_map_of_2026_is_read_with_and_without_the_flag(flag: Flags) -> None:
    extensions = app_attest.extension_map("7", 4)
    production = app_attest.ENVIRONMENTS["appattest"]
    data = app_attest.build_auth_data(bytes(32), 0, aaguid=production, public_key=app_key(), extensions=extensions)
    assert data[32] == 0x40, "iPhones do not set ED"
    assert len(data) == 226, "as Apple's sample: 37 + 16 + 2 + 32 + 77 and a map of 62"
    marked = data[:32] + bytes([flag]) + data[33:]
    found = app_attest.parse_attestation(app_attest.encode_attestation(marked, (b"leaf",), b"receipt"))
    assert (found.environment, found.bundle_version, found.validation_category) == ("appattest", "7", 4)
    assertion = app_attest.build_auth_data(bytes(32), 3, extensions=extensions)
    read = app_attest.parse_assertion(app_attest.encode_assertion(b"signature", assertion))
    assert (read.auth_data.sign_count, read.validation_category) == (3, 4)


def test_the_category_is_four_bytes_little_endian() -> None:
    assert app_attest.extension_map("1", 4)[app_attest.VALIDATION_CATEGORY] == bytes.fromhex("04000000")


def test_another_apps_aaguid_is_no_environment() -> None:
    data = app_attest.build_auth_data(bytes(32), 0, aaguid=b"x" * 16, public_key=app_key())
    assert app_attest.parse_attestation(app_attest.encode_attestation(data, (b"leaf",), b"")).environment is None


@pytest.mark.parametrize(
    "broken",
    [
        {"fmt": "packed", "attStmt": {"x5c": [b"l"], "receipt": b""}, "authData": bytes(37)},
        {"fmt": "apple-appattest", "attStmt": {"x5c": [], "receipt": b""}, "authData": bytes(37)},
        {"fmt": "apple-appattest", "attStmt": {"x5c": [b"l"]}, "authData": bytes(37)},
        {"fmt": "apple-appattest", "attStmt": {"x5c": [b"l"], "receipt": b""}, "authData": bytes(37)},
        {"fmt": "apple-appattest", "attStmt": {"x5c": [b"l"], "receipt": b""}, "authData": "text"},
        {"fmt": "apple-appattest", "attStmt": {"x5c": [b"l"], "receipt": b""}},
        [1, 2],
    ],
)
def test_what_is_no_app_attestation_is_a_format_error(broken: Any) -> None:
    with pytest.raises(FormatError):
        app_attest.parse_attestation(cbor_encode(broken))


# --- packed, apple ------------------------------------------------------------------------------------------------------------


def test_the_nonce_extension_is_exactly_apples_wrapper() -> None:
    nonce = hashlib.sha256(b"n").digest()
    der = apple.encode_nonce_extension(nonce)
    assert der.hex().startswith("3024a1220420")
    assert apple.parse_nonce_extension(der) == nonce
    for broken in (nonce, der[:-1], der + b"\0", b"\x31" + der[1:]):
        with pytest.raises(FormatError):
            apple.parse_nonce_extension(broken)


def test_the_aaguid_extension_is_an_octet_string_in_the_extension() -> None:
    assert packed.encode_aaguid_extension(b"a" * 16).hex().startswith("0410")
    assert packed.parse_aaguid_extension(packed.encode_aaguid_extension(b"a" * 16)) == b"a" * 16
    for broken in (b"a" * 16, b"\x04\x10" + b"a" * 15, b"\x04\x11" + b"a" * 17):
        with pytest.raises(FormatError):
            packed.parse_aaguid_extension(broken)


@pytest.mark.parametrize(
    "name", ["packed-es256", "packed-es384", "packed-es512", "packed-rs256", "packed-eddsa", "packed-ed448"]
)
def test_packed_statements_of_the_standard_are_read_and_encoded_again(name: str) -> None:
    attested = parse_attestation_object(derive(CASE_BY_NAME[name])["registration"]["attestationObject"])
    statement = packed.parse_statement(attested.statement)
    assert statement.encode() == attested.statement
    credential = parse_authenticator_data(attested.auth_data).credential
    assert credential is not None
    content = extension_value(load_chain(statement.x5c)[0], packed.AAGUID_OID)
    if content is not None:
        assert packed.parse_aaguid_extension(content) == credential.aaguid


def test_self_apple_and_android_statements_of_the_standard_are_read() -> None:
    def statement(name: str) -> dict[str, Any]:
        made = derive(CASE_BY_NAME[name])["registration"]
        return parse_attestation_object(made["attestationObject"]).statement

    assert packed.parse_statement(statement("packed-self-es256")).x5c == ()
    leaf = load_chain(apple.parse_statement(statement("apple-es256")).x5c)[0]
    assert len(apple.parse_nonce_extension(extension_value(leaf, apple.NONCE_OID) or b"")) == 32
    android = android_key.parse_statement(statement("android-key-es256"))
    content = extension_value(load_chain(android.x5c)[0], android_key.KEY_DESCRIPTION_OID)
    found = parse_key_description(content or b"")
    assert (found.attestation_version, found.attestation_security_level) == (300, SecurityLevel.SOFTWARE)


@pytest.mark.parametrize("parse", [packed.parse_statement, android_key.parse_statement, apple.parse_statement])
@pytest.mark.parametrize(
    "broken",
    [None, [], {}, {"alg": -7}, {"alg": "ES256", "sig": b"", "x5c": [b"x"]}, {"alg": -7, "sig": b"", "x5c": [b"x"], "more": 1},
     {"x5c": []}, {"x5c": "text"}, {"alg": -7, "sig": b"", "x5c": [1]}, {"alg": True, "sig": b"", "x5c": [b"x"], "y": 0}],
)  # fmt: skip
def test_broken_statements_are_format_errors(parse: Any, broken: Any) -> None:
    with pytest.raises(FormatError):
        parse(broken)


def test_an_extension_that_is_absent_or_unreadable_is_told_apart(vectors: Path) -> None:
    root = x509.load_pem_x509_certificates((vectors / "android-key" / "caiman/sdk36/SB_EC_RKP.pem").read_bytes())[-1]
    assert extension_value(root, android_key.KEY_DESCRIPTION_OID) is None
    with pytest.raises(FormatError, match="certificate"):
        load_certificate(b"\x30\x03\x02\x01\x00")
    with pytest.raises(FormatError, match="x5c"):
        load_chain(parse_x5c([b"nonsense"]))


# --- no input raises anything else --------------------------------------------------------------------------------------------

PARSERS: dict[str, Any] = {
    "key description": parse_key_description,
    "application id": android_key.parse_application_id,
    "app attestation": app_attest.parse_attestation,
    "app assertion": app_attest.parse_assertion,
    "app attested data": lambda data: app_attest.parse_auth_data(data, attested=True),
    "app auth data": lambda data: app_attest.parse_auth_data(data, attested=False),
    "nonce": apple.parse_nonce_extension,
    "aaguid": packed.parse_aaguid_extension,
    "certificate": load_certificate,
    "extension": lambda data: extension_value(load_certificate(data), apple.NONCE_OID),
    "certified key": lambda data: certificate_key(load_certificate(data)),
    "b64url": lambda data: b64url_decode(data.decode("latin-1")),
}

_SEEDS = (
    root(Family.ANDROID).certificate.public_bytes(serialization.Encoding.DER),
    described().encode(),
    app_attest.encode_assertion(
        b"s" * 70, app_attest.build_auth_data(bytes(32), 1, extensions=app_attest.extension_map("1", 4))
    ),
    app_attest.encode_attestation(
        app_attest.build_auth_data(bytes(32), 0, aaguid=bytes(16), public_key=app_key()), (b"x",), b"r"
    ),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Something well-formed, with a few bytes replaced, cut out or put in."""
    data = bytearray(draw(st.sampled_from(_SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, max(0, len(data) - 1)))
        data[start : start + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data)


def only_format_errors(name: str, data: bytes) -> None:
    with suppress(FormatError):
        PARSERS[name](data)


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.one_of(st.binary(max_size=300), damaged()))
@settings(max_examples=60)
def test_parsers_raise_only_format_errors(name: str, data: bytes) -> None:
    only_format_errors(name, data)


@pytest.mark.deep
@pytest.mark.parametrize("name", PARSERS)
@given(data=st.one_of(st.binary(max_size=600), damaged()))
@settings(max_examples=10_000)
def test_parsers_raise_only_format_errors_in_10_000_examples(name: str, data: bytes) -> None:
    only_format_errors(name, data)


_CBOR = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=8), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["alg", "sig", "x5c", "fmt"]), inner)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("parse", [packed.parse_statement, android_key.parse_statement, apple.parse_statement])
@given(fields_=_CBOR)
@settings(max_examples=60)
def test_statement_readers_raise_only_format_errors(parse: Any, fields_: Any) -> None:
    with suppress(FormatError):
        parse(fields_)
