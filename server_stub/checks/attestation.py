"""Checks of the attestation of the key used: what every format has in common, and the chain behind it.

Certificate dates are judged at the enrolment's instant: an iPhone's leaf lives three days, an Android batch
certificate some weeks.
"""

from __future__ import annotations

import hashlib
from hmac import compare_digest
from typing import Final

from device_keys.algorithms import ALGORITHM_NAMES
from device_keys.attestation import android_key, apple, packed
from device_keys.attestation.app_attest import key_id
from device_keys.attestation.certificates import extension_value
from device_keys.attestation.der import ORGANIZATIONAL_UNIT, texts
from device_keys.encoding import FormatError, b64url_encode
from device_keys.keys import public_key
from device_keys.messages import ClientDataType
from server_stub.checks import chain
from server_stub.checks.engine import Check, Failure, NotApplicable, Result
from server_stub.checks.enrolment import NOT_OF_PHONES, Enrolment, covered

WAIVED: Final = NotApplicable("waived-by-policy")
NO_VOUCHER: Final = NotApplicable("nobody-vouches")
_UP, _BE, _BS = 0x01, 0x08, 0x10


def client_data(enrolment: Enrolment) -> Result:
    data, policy = enrolment.client_data, enrolment.policy
    if data.type != ClientDataType.CREATE:
        return Failure("type", ClientDataType.CREATE.value, data.type)
    if b64url_encode(data.challenge) != enrolment.facts.challenge:
        return Failure("challenge", "the challenge issued for this enrolment", "another")
    if data.origin not in policy.origins:
        return Failure("origin", " or ".join(policy.origins), data.origin)
    if data.cross_origin and not policy.allow_cross_origin:
        return Failure("cross-origin", "not embedded in another origin", "crossOrigin is true")
    if data.top_origin is not None and data.top_origin not in policy.top_origins:
        return Failure("top-origin", " or ".join(policy.top_origins) or "none", data.top_origin)
    return None


def rp_id(enrolment: Enrolment) -> Result:
    expected = hashlib.sha256(enrolment.policy.rp_id.encode()).digest()
    if compare_digest(enrolment.auth_data.rp_id_hash, expected):
        return None
    return Failure("rp-id-hash", f"SHA-256 of {enrolment.policy.rp_id}", enrolment.auth_data.rp_id_hash.hex())


def user_present(enrolment: Enrolment) -> Result:
    if int(enrolment.auth_data.flags) & _UP:
        return None
    return Failure("not-present", "UP set", "UP clear") if enrolment.policy.require_user_presence else WAIVED


def backup_policy(enrolment: Enrolment) -> Result:
    flags = int(enrolment.auth_data.flags)
    if flags & _BS and not flags & _BE:
        return Failure("inconsistent", "BS only with BE", "BS without BE")
    if not flags & _BE:
        return None
    return (
        Failure("synced", "a key that stays on one device (BE clear)", "BE set")
        if enrolment.policy.synced_credential == "reject"
        else WAIVED
    )


def algorithm(enrolment: Enrolment) -> Result:
    if enrolment.key.algorithm in enrolment.policy.algorithms:
        return None
    return Failure("algorithm", ", ".join(ALGORITHM_NAMES[n] for n in enrolment.policy.algorithms), enrolment.key.name)


def format_(enrolment: Enrolment) -> Result:
    kind, accepted = enrolment.kind, enrolment.policy.formats
    if kind in accepted:
        return None
    if kind in NOT_OF_PHONES:
        return Failure("no-phone-makes-it", ", ".join(accepted), f"{kind}: {NOT_OF_PHONES[kind]}")
    return Failure("format", ", ".join(accepted), kind)


def app_attest_present(enrolment: Enrolment) -> Result:
    if enrolment.kind != "packed-self":
        return NotApplicable("only-for-self-attestation")
    if enrolment.facts.app_attest is not None:
        return None
    return (
        Failure("missing", "an App Attest object over the registrations", "none")
        if enrolment.policy.self_attestation_needs_app_attest
        else WAIVED
    )


def readable(enrolment: Enrolment) -> Result:
    error = enrolment.unreadable
    return None if error is None else Failure("unreadable", error.expected, error.field)


def statement(enrolment: Enrolment) -> Result:
    """The format's own signature, over authenticator data and the client data's hash (WebAuthn L3 section 8)."""
    found = enrolment.statement
    if found is None or isinstance(found, apple.Statement):
        return NotApplicable("unsigned-format")
    signed = enrolment.auth_data.raw + enrolment.client_data_hash
    try:
        key = public_key(enrolment.leaf_key, found.algorithm) if found.x5c else enrolment.key
    except FormatError as error:
        return Failure("key", error.expected, error.field)
    if key.algorithm != found.algorithm:
        return Failure("algorithm", key.name, ALGORITHM_NAMES.get(found.algorithm, str(found.algorithm)))
    if not key.verify(found.signature, signed):
        return Failure(
            "signature", "a signature over authenticatorData and the client data's hash", "one that does not verify"
        )
    return _packed_leaf(enrolment) if enrolment.kind == "packed-x5c" else None


def _packed_leaf(enrolment: Enrolment) -> Failure | None:
    """WebAuthn L3 section 8.2.1, "Certificate Requirements for Packed Attestation Statements"."""
    from cryptography import x509

    link = enrolment.chain[0]
    leaf = link.certificate
    try:
        authority = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        units = _units(link)
    except (ValueError, x509.ExtensionNotFound):
        return Failure("leaf-profile", "a readable subject and BasicConstraints", "not both")
    if units != ["Authenticator Attestation"]:
        return Failure("leaf-profile", "OU=Authenticator Attestation", leaf.subject.rfc4514_string())
    if leaf.version is not x509.Version.v3 or authority:
        return Failure("leaf-profile", "X.509 v3 with cA=FALSE", "another")
    aaguid = extension_value(leaf, packed.AAGUID_OID)
    if aaguid is not None and aaguid != packed.encode_aaguid_extension(enrolment.credential.aaguid):
        return Failure("aaguid", enrolment.credential.aaguid.hex(), aaguid.hex())
    return None


def _units(leaf: chain.Link) -> list[str | bytes]:
    """The values of OU in the subject, read the quick way where they are of today's string types. Raises ValueError."""
    from cryptography.x509.oid import NameOID

    units = texts(leaf.names.subject, ORGANIZATIONAL_UNIT)
    if units is not None:
        return [*units]
    return [name.value for name in leaf.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)]


def key(enrolment: Enrolment) -> Result:
    """The key that is vouched for is the key that signs: for App Attest its own, whose name is the digest of its
    point."""
    if enrolment.voucher in ("", "fido"):
        return NotApplicable("signature-covers-the-key")
    try:
        if enrolment.app is not None:
            return _app_attest_key(enrolment)
        same = bool(enrolment.leaf_key == enrolment.key.key)
    except FormatError as error:
        return Failure("key", error.expected, error.field)
    return None if same else Failure("other-key", "the attested key is the credential's", "another key is attested")


def _app_attest_key(enrolment: Enrolment) -> Failure | None:
    credential = enrolment.app.auth_data.credential if enrolment.app else None
    leaf = public_key(enrolment.leaf_key)
    name = key_id(leaf)
    if credential is None or credential.public_key.key != leaf.key:
        return Failure("other-key", "the attested key in the authenticator data", "another")
    if not name == enrolment.app_key_id == credential.credential_id:
        return Failure("key-id", f"{name.hex()}, the digest of the key's point", enrolment.app_key_id.hex())
    return None


def chain_(enrolment: Enrolment) -> Result:
    if not enrolment.voucher:
        return NO_VOUCHER
    policy = enrolment.policy
    failure = chain.walk(enrolment.chain, enrolment.trust, enrolment.voucher, leaf_only=policy.leaf_only_chain)
    if failure is not None and enrolment.voucher == "android" and policy.software_keys:
        return chain.walk(enrolment.chain, enrolment.trust, "android-software", leaf_only=policy.leaf_only_chain)
    return failure


def position(enrolment: Enrolment) -> Result:
    """Only the leaf may carry the KeyDescription: else whoever owns the phone could have signed a leaf of their own
    with the attested key."""
    if enrolment.voucher != "android":
        return NotApplicable("no-key-description-in-this-format")
    carriers = [index for index, link in enumerate(enrolment.chain) if link.key_description is not None]
    if carriers == [0]:
        return None
    if not carriers:
        return Failure("TARGET_MISSING_ATTESTATION_EXTENSION", "a KeyDescription in the leaf", "none")
    if carriers[0] == 0:
        return Failure(
            "CHAIN_EXTENDED_WITH_FAKE_ATTESTATION_EXTENSION", "in the leaf only", f"in certificates {carriers}"
        )
    return Failure("CHAIN_EXTENDED_FOR_KEY", "in the leaf", f"in certificate {carriers[0]}")


def validity(enrolment: Enrolment) -> Result:
    if not enrolment.voucher:
        return NO_VOUCHER
    return chain.judge_dates(enrolment.chain, enrolment.at, android=enrolment.voucher == "android")


def revocation(enrolment: Enrolment) -> Result:
    if not enrolment.voucher:
        return NO_VOUCHER
    return chain.judge_revocation(enrolment.chain, enrolment.trust, refuse_suspended=enrolment.policy.refuse_suspended)


def description(enrolment: Enrolment) -> Result:
    if enrolment.voucher != "android":
        return NotApplicable("no-key-description-in-this-format")
    try:
        enrolment.description = android_key.parse_key_description(enrolment.chain[0].key_description or b"")
    except FormatError as error:
        return Failure("unreadable", error.expected, error.field)
    return None


def challenge(enrolment: Enrolment) -> Result:
    """What the maker's certificate says was attested is this registration, or on an iPhone all registrations of the
    enrolment."""
    if enrolment.voucher in ("", "fido"):
        return NotApplicable("signature-covers-the-challenge")
    if enrolment.voucher == "android":
        if compare_digest(enrolment.description.attestation_challenge, enrolment.client_data_hash):
            return None
        return Failure("challenge", enrolment.client_data_hash.hex(), enrolment.description.attestation_challenge.hex())
    try:
        return _nonce(enrolment)
    except FormatError as error:
        return Failure("nonce", error.expected, error.field)


def _nonce(enrolment: Enrolment) -> Failure | None:
    signed = enrolment.auth_data.raw, enrolment.client_data_hash
    if enrolment.app is not None:
        own = enrolment.facts.registration["response"]["attestationObject"]
        if own not in enrolment.facts.app_attest_covers:
            return Failure("not-covered", "this registration among those vouched for", "others")
        signed = enrolment.app.auth_data.raw, covered(enrolment.facts.app_attest_covers)
    return nonce_matches(enrolment, *signed)


def nonce_matches(enrolment: Enrolment, auth_data: bytes, client_data_hash: bytes) -> Failure | None:
    """Whether the leaf's nonce extension is the digest of both. Raises FormatError where it is unreadable."""
    found = apple.parse_nonce_extension(extension_value(enrolment.chain[0].certificate, apple.NONCE_OID) or b"")
    expected = apple.nonce(auth_data, client_data_hash)
    return None if compare_digest(found, expected) else Failure("nonce", expected.hex(), found.hex())


_NEEDS_KEY = ("credential.known",)
_NEEDS_STATEMENT = ("attestation.readable",)

GENERAL: Final[tuple[Check[Enrolment], ...]] = (
    Check(
        "attestation.client_data",
        "WebAuthn L3 Registering a New Credential: type, challenge, origin, cross-origin, top-origin; RTS Art. 23",
        client_data,
        _NEEDS_KEY,
    ),
    Check(
        "attestation.rp_id", "WebAuthn L3 Registering a New Credential: rp-id-hash; RTS Art. 28(2)", rp_id, _NEEDS_KEY
    ),
    Check(
        "attestation.user_present", "WebAuthn L3 Registering a New Credential: user-present", user_present, _NEEDS_KEY
    ),
    Check(
        "attestation.backup_policy",
        "WebAuthn L3 Registering a New Credential: backup-consistent, backup-policy; RTS Art. 7(2)",
        backup_policy,
        _NEEDS_KEY,
    ),
    Check(
        "attestation.algorithm",
        "WebAuthn L3 Registering a New Credential: algorithm; RTS Art. 4(2)(c)",
        algorithm,
        _NEEDS_KEY,
    ),
    Check(
        "attestation.format",
        "WebAuthn L3 Registering a New Credential: format-known, trust-assessed",
        format_,
        _NEEDS_KEY,
    ),
    Check(
        "app_attest.present",
        "Apple: Validating apps that connect to your server; RTS Art. 7(2)",
        app_attest_present,
        ("attestation.format",),
    ),
    Check(
        "attestation.readable",
        "WebAuthn L3 section 8: syntax of the statement",
        readable,
        ("attestation.format", "app_attest.present"),
    ),
    Check(
        "attestation.statement",
        "WebAuthn L3 Registering a New Credential: statement-valid",
        statement,
        _NEEDS_STATEMENT,
    ),
    Check(
        "attestation.key", "WebAuthn L3 section 8.4, 8.8: key of the leaf; Apple: key identifier", key, _NEEDS_STATEMENT
    ),
    Check(
        "attestation.chain",
        "WebAuthn L3 Registering a New Credential: trust-anchors; RTS Art. 9(3)(a)",
        chain_,
        _NEEDS_STATEMENT,
    ),
    Check(
        "attestation.position",
        "Android key attestation: the extension belongs to the leaf alone (CHAIN_EXTENDED_*)",
        position,
        _NEEDS_STATEMENT,
    ),
    Check(
        "attestation.validity",
        "RFC 5280 section 4.1.2.5, at the enrolment's instant; Google's and Apple's exceptions",
        validity,
        _NEEDS_STATEMENT,
    ),
    Check(
        "attestation.revocation",
        "Android key attestation: certificate status list; RTS Art. 27(c)",
        revocation,
        _NEEDS_STATEMENT,
    ),
    Check(
        "attestation.description",
        "Android key attestation: schema of KeyDescription",
        description,
        ("attestation.position",),
    ),
    Check(
        "attestation.challenge",
        "WebAuthn L3 section 8.4, 8.8: challenge or nonce of the leaf; Apple: nonce",
        challenge,
        ("attestation.description",),
    ),
)
