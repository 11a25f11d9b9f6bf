"""The makers of phones: what they certify of a key, as attestation objects in each platform's format.

Everything that a statement will say is first a frozen value (`Claims`), honest as made here. A caller may pass `edit`, which replaces
parts of it before it is encoded and signed: so every defect is made from outside, and this code stays honest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509

from authenticator.authorities import (
    Authority,
    Maker,
    authorities,
    ca_extensions,
    der,
    ecdsa_signer,
    impostor,
    key_usage,
    maker_key,
    name,
    private_extension,
    without_root,
)
from authenticator.batches import Batch, batch_serial, validity
from authenticator.edits import Edit, honest
from authenticator.key_descriptions import describe_key
from authenticator.profiles import AndroidBuild, ChainShape, Platform, Profile
from device_keys.algorithms import ES256
from device_keys.attestation import android_key, app_attest, apple, packed
from device_keys.attestation.android_key import KeyDescription
from device_keys.encoding import cbor_encode
from device_keys.keys import PublicKey
from device_keys.messages import AttestationObject
from device_keys.secure_hardware import KeyInfo, SecureHardware, SecurityLevel, Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a statement about a key will say. `format` as in a profile's `formats`.

    `impostor`: the certified key is another one, which also signs. `extended`: the attested key certifies a further leaf.
    `forged`: the statement's signature is not over what it should be. `nonce`: Apple's, where it is not the right one.
    """

    format: str
    maker: Maker = Maker.KNOWN
    batch: Batch = Batch.CURRENT
    description: KeyDescription | None = None
    aaguid: bytes = b""
    nonce: bytes | None = None
    impostor: bool = False
    extended: bool = False
    forged: bool = False


# --- statements about a key ---------------------------------------------------------------------------------------------


def attest_key(
    profile: Profile,
    hardware: SecureHardware,
    key_id: str,
    *,
    auth_data: bytes,
    client_data_hash: bytes,
    now: datetime,
    format: str | None = None,  # noqa: A002 — the standard's word
    sign: Signer | None = None,
    edit: Edit[Claims] = honest,
) -> AttestationObject:
    """The attestation object for a key over `auth_data` and `client_data_hash`, in `format` (default: the profile's usual one for keys).

    `sign` signs with the key itself; for a gated key it brings the user's token (default: `hardware.sign` without one).
    """
    key = hardware.public_key(key_id)
    chosen = format or key_formats(profile)[0]
    claims = edit(honest_claims(profile, hardware.info(key_id), client_data_hash, now, chosen))
    signer = sign or (lambda data: hardware.sign(key_id, data))
    statement = _STATEMENTS[claims.format](_Subject(profile, key, signer, auth_data, client_data_hash, now), claims)
    return AttestationObject(claims.format.removesuffix("-self"), statement, auth_data)


def key_formats(profile: Profile) -> tuple[str, ...]:
    """The formats in which this phone attests keys (App Attest attests an app)."""
    return tuple(name for name in profile.formats if name != app_attest.FORMAT)


def honest_claims(profile: Profile, info: KeyInfo, challenge: bytes, now: datetime, format: str) -> Claims:  # noqa: A002
    """What an honest phone of this profile says of the key. Raises ValueError for a format that it does not have."""
    if format not in key_formats(profile):
        raise ValueError(f"format: {profile.name} attests a key as {', '.join(key_formats(profile))}, not {format}")
    if format == packed.FORMAT and profile.platform is not Platform.FIDO:
        format = "packed-self"  # noqa: A001 — only a security key's maker certifies packed statements
    description = describe_key(profile, info, challenge, now) if format == android_key.FORMAT else None
    return Claims(format=format, description=description, aaguid=profile.aaguid)


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a statement is about, and who may sign for it."""

    profile: Profile
    key: PublicKey
    sign: Signer
    auth_data: bytes
    client_data_hash: bytes
    now: datetime

    def signature(self, sign: Signer, *, forged: bool) -> bytes:
        """Over authData ‖ clientDataHash; a forged one over the same bytes in the wrong order."""
        parts = (self.auth_data, self.client_data_hash)
        return sign(b"".join(reversed(parts) if forged else parts))


def _none(subject: _Subject, claims: Claims) -> dict[str, Any]:
    return {}


def _packed_self(subject: _Subject, claims: Claims) -> dict[str, Any]:
    signature = subject.signature(subject.sign, forged=claims.forged)
    return packed.Statement(subject.key.algorithm, signature).encode()


def _packed(subject: _Subject, claims: Claims) -> dict[str, Any]:
    issuers = authorities("fido", claims.maker)
    key = maker_key(f"fido batch {subject.profile.name}")
    leaf = issuers[0].issue(
        name(C="AA", O="stepup-simulator", OU="Authenticator Attestation", CN=f"{subject.profile.model} batch"),
        key.public_key(),
        serial=batch_serial("fido", claims.batch, claims.aaguid),
        **validity("fido", claims.batch, subject.now),
        extensions=[
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (private_extension(packed.AAGUID_OID, packed.encode_aaguid_extension(claims.aaguid)), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuers[0].key.public_key()), False),
        ],
    )
    signature = subject.signature(ecdsa_signer(key), forged=claims.forged)
    return packed.Statement(ES256, signature, (der(leaf), *without_root(issuers))).encode()


def _apple(subject: _Subject, claims: Claims) -> dict[str, Any]:
    issuers = authorities("apple-webauthn", claims.maker)
    nonce = claims.nonce or apple.nonce(subject.auth_data, subject.client_data_hash)
    key = impostor().public_key() if claims.impostor else subject.key.key
    leaf = issuers[0].issue(
        name(
            CN=hashlib.sha256(subject.key.spki()).hexdigest(),
            OU="AAA Certification",
            O="stepup-simulator, not Apple",
            ST="California",
        ),
        key,
        serial=batch_serial("apple-webauthn", claims.batch, subject.key.spki(), size=6),
        **validity("apple-webauthn", claims.batch, subject.now),
        extensions=[
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (key_usage("digital_signature", "key_encipherment", "data_encipherment", "key_agreement"), True),
            (private_extension(apple.NONCE_OID, apple.encode_nonce_extension(nonce)), False),
        ],
    )
    return apple.Statement((der(leaf), *without_root(issuers))).encode()


def _android_key(subject: _Subject, claims: Claims) -> dict[str, Any]:
    """Leaf first, root last, as Android's key store hands chains out."""
    if claims.description is None or subject.profile.android is None:
        raise ValueError("android-key: only an Android phone describes its keys")
    chain = [*_batch(subject, claims), *authorities(subject.profile.android.chain, claims.maker)]
    other = impostor()
    attested = other.public_key() if claims.impostor or claims.extended else subject.key.key
    certificates = [_android_leaf(chain[0], attested, claims.description, subject.profile.android)]
    if claims.extended:
        extender = Authority(certificates[0], other)
        certificates.insert(0, _android_leaf(extender, subject.key.key, claims.description, subject.profile.android))
    signature = subject.signature(ecdsa_signer(other) if claims.impostor else subject.sign, forged=claims.forged)
    x5c = (*map(der, certificates), *(der(authority.certificate) for authority in chain))
    return android_key.Statement(subject.key.algorithm, signature, x5c).encode()


_LEAF_END: Final = datetime(2048, 1, 1, tzinfo=UTC)
_FACTORY_LEAF_END: Final = datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)


def _android_leaf(issuer: Authority, key: Any, description: KeyDescription, build: AndroidBuild) -> x509.Certificate:
    """Dates and serial as every phone sets them: nobody judges a leaf by them."""
    return issuer.issue(
        name(CN="Android Keystore Key"),
        key,
        serial=1,
        not_before=datetime(1970, 1, 1, tzinfo=UTC),
        not_after=_FACTORY_LEAF_END if build.chain is ChainShape.FACTORY else _LEAF_END,
        extensions=[
            (key_usage("digital_signature"), True),
            (private_extension(android_key.KEY_DESCRIPTION_OID, description.encode()), False),
        ],
    )


_STATEMENTS: Final[dict[str, Callable[[_Subject, Claims], dict[str, Any]]]] = {
    "none": _none,
    "packed": _packed,
    "packed-self": _packed_self,
    "apple": _apple,
    "android-key": _android_key,
}


def _batch(subject: _Subject, claims: Claims) -> tuple[Authority]:
    """The attestation certificate that signs an Android leaf: one for each key, as remote provisioning hands them out."""
    if subject.profile.android is None:
        raise ValueError("android-key: only an Android phone has attestation batches")
    shape = subject.profile.android.chain
    issuer = authorities(shape, claims.maker)[0]
    serial = batch_serial(shape, claims.batch, subject.key.spki())
    key = maker_key(f"{shape} batch {serial:x}")
    kind = "StrongBox" if subject.profile.security_level is SecurityLevel.STRONG_BOX else "TEE"
    provisioning = (private_extension(android_key.PROVISIONING_INFO_OID, cbor_encode({1: 32})), False)
    certificate = issuer.issue(
        _batch_name(shape, serial, kind),
        key.public_key(),
        serial=serial,
        **validity(shape, claims.batch, subject.now),
        extensions=[
            *ca_extensions(key.public_key(), issuer.key.public_key()),
            *([provisioning] if shape == ChainShape.REMOTELY_PROVISIONED else []),
        ],
    )
    return (Authority(certificate, key),)


def _batch_name(shape: str, serial: int, kind: str) -> x509.Name:
    if shape == ChainShape.REMOTELY_PROVISIONED:
        return name(CN=f"{serial:032x}", O=kind)
    if shape == ChainShape.FACTORY:
        return name(T=kind, serialNumber=f"{serial:032x}"[:16])
    return name(CN="Simulated Android Software Attestation Intermediate", O="stepup-simulator, not Google")
