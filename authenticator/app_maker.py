"""Apple's part: App Attest's attestation of the app and its key, and the assertions made with that key.

As in `authenticator.maker`, what will be said is first an honest frozen value, which `edit` may replace parts of.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from cryptography import x509
from cryptography.hazmat import asn1

from authenticator.authorities import (
    Authority,
    Maker,
    authorities,
    der,
    impostor,
    key_usage,
    name,
    private_extension,
    without_root,
)
from authenticator.batches import Batch, batch_serial, validity
from authenticator.edits import Edit, honest
from authenticator.profiles import Profile
from authenticator.receipt import make_receipt
from device_keys.attestation import app_attest, apple
from device_keys.keys import PublicKey, public_key
from device_keys.secure_hardware import SecureHardware


@dataclass(frozen=True, slots=True, kw_only=True)
class AppClaims:
    """What App Attest will say of app and key. `nonce`, `key_id`: where they are not the right ones."""

    app_id: str
    aaguid: bytes
    counter: int = 0
    extensions: dict[str, Any] | None = None
    maker: Maker = Maker.KNOWN
    batch: Batch = Batch.CURRENT
    nonce: bytes | None = None
    key_id: bytes | None = None
    impostor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AppAssertionClaims:
    """What an App Attest assertion will say."""

    app_id: str
    counter: int
    extensions: dict[str, Any] | None = None
    forged: bool = False


def attest_app(
    profile: Profile,
    hardware: SecureHardware,
    key_id: str,
    *,
    client_data_hash: bytes,
    now: datetime,
    edit: Edit[AppClaims] = honest,
) -> bytes:
    """The App Attest attestation object for a key of the app, over whatever bytes the app passes as `client_data_hash`."""
    key = hardware.public_key(key_id)
    claims = edit(honest_app_claims(profile))
    named = public_key(impostor().public_key()) if claims.impostor else key
    auth_data = app_attest.build_auth_data(
        app_attest.app_id_hash(claims.app_id),
        claims.counter,
        aaguid=claims.aaguid,
        public_key=key,
        credential_id=claims.key_id,
        extensions=claims.extensions,
    )
    nonce = claims.nonce or apple.nonce(auth_data, client_data_hash)
    issuers = authorities("app-attest", claims.maker)
    leaf = der(_app_leaf(profile, claims, issuers[0], named, nonce, now))
    environment = "appattestdevelop" if claims.aaguid == app_attest.ENVIRONMENTS["appattestdevelop"] else "appattest"
    receipt = make_receipt(claims.app_id, leaf, client_data_hash, environment, now)
    return app_attest.encode_attestation(auth_data, (leaf, *without_root(issuers)), receipt)


def honest_app_claims(profile: Profile) -> AppClaims:
    """What Apple honestly says of the bank app on this iPhone. Raises ValueError for other phones."""
    build = profile.apple
    if build is None:
        raise ValueError(f"apple-appattest: {profile.name} is not an iPhone")
    extensions = (
        app_attest.extension_map(build.bundle_version, build.validation_category) if build.extension_map else None
    )
    return AppClaims(
        app_id=profile.app.apple_id, aaguid=app_attest.ENVIRONMENTS[build.environment], extensions=extensions
    )


def assert_app(
    profile: Profile,
    hardware: SecureHardware,
    key_id: str,
    *,
    client_data_hash: bytes,
    edit: Edit[AppAssertionClaims] = honest,
) -> bytes:
    """An App Attest assertion over `client_data_hash`; its counter is 1 in the first one."""
    extensions = honest_app_claims(profile).extensions
    counter = hardware.next_counter(key_id)
    claims = edit(AppAssertionClaims(app_id=profile.app.apple_id, counter=counter, extensions=extensions))
    auth_data = app_attest.build_auth_data(
        app_attest.app_id_hash(claims.app_id), claims.counter, extensions=claims.extensions
    )
    message = app_attest.assertion_nonce(auth_data, client_data_hash)
    return app_attest.encode_assertion(hardware.sign(key_id, message[::-1] if claims.forged else message), auth_data)


@asn1.sequence
class _KeyFacts:
    """Extension .8.5, whose content Apple does not document: the shape of a genuine one, with our app's id in it."""

    a: Annotated[int, asn1.Explicit(4)]
    b: Annotated[int, asn1.Explicit(1200)]
    c: Annotated[int, asn1.Explicit(1201)]
    d: Annotated[int, asn1.Explicit(1202)]
    e: Annotated[int, asn1.Explicit(1203)]
    app_id: Annotated[bytes, asn1.Explicit(1204)]
    store: Annotated[bytes, asn1.Explicit(5)]
    f: Annotated[int, asn1.Explicit(1206)]
    g: Annotated[int, asn1.Explicit(1207)]
    h: Annotated[int, asn1.Explicit(1209)]
    i: Annotated[int, asn1.Explicit(1210)]


@asn1.sequence
class _SystemFacts:
    """Extension .8.7: the system's version."""

    version: Annotated[bytes, asn1.Explicit(1400)]


def _app_leaf(
    profile: Profile, claims: AppClaims, issuer: Authority, key: PublicKey, nonce: bytes, now: datetime
) -> x509.Certificate:
    """The credential certificate: three days valid, named for the key."""
    identity = app_attest.key_id(key)
    facts = _KeyFacts(a=10, b=1, c=0, d=0, e=1, app_id=claims.app_id.encode(), store=b" sks", f=5, g=0, h=0, i=0)
    system = _SystemFacts(version=profile.apple.os_version.encode() if profile.apple else b"")
    eku = x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.2.840.113635.100.4.24")])
    return issuer.issue(
        name(CN=identity.hex(), OU="AAA Certification", O="stepup-simulator, not Apple", ST="California"),
        key.key,
        serial=batch_serial("app-attest", claims.batch, identity, size=6),
        **validity("app-attest", claims.batch, now),
        extensions=[
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (key_usage("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"), True),
            *([(eku, False)] if claims.extensions else []),
            (private_extension("1.2.840.113635.100.8.5", asn1.encode_der(facts)), False),
            (private_extension("1.2.840.113635.100.8.7", asn1.encode_der(system)), False),
            (private_extension(apple.NONCE_OID, apple.encode_nonce_extension(nonce)), False),
        ],
    )
