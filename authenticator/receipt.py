"""App Attest's receipt: PKCS#7 SignedData over a SET of numbered fields, as Apple's fraud-risk service would take it.

Declared, not built with the library's PKCS#7 signer, because that one signs with a random nonce and the machine's own clock.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from authenticator.authorities import END, EPOCH, Family, key_usage, maker_key, name, root, serial_of
from device_keys.encoding import b64url_encode

_SIGNED_DATA: Final = x509.ObjectIdentifier("1.2.840.113549.1.7.2")
_DATA: Final = x509.ObjectIdentifier("1.2.840.113549.1.7.1")
_SHA256: Final = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_ECDSA_SHA256: Final = x509.ObjectIdentifier("1.2.840.10045.4.3.2")


@asn1.sequence
class _Field:
    type: int
    version: int
    value: bytes


@asn1.sequence
class _Algorithm:
    oid: x509.ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class _Content:
    oid: x509.ObjectIdentifier
    data: Annotated[bytes, asn1.Explicit(0)]


@asn1.sequence
class _IssuerAndSerial:
    issuer: asn1.TLV
    serial: int


@asn1.sequence
class _SignerInfo:
    version: int
    signer: _IssuerAndSerial
    digest_algorithm: _Algorithm
    signature_algorithm: _Algorithm
    signature: bytes


@asn1.sequence
class _SignedData:
    version: int
    digest_algorithms: asn1.SetOf[_Algorithm]
    content: _Content
    certificates: Annotated[asn1.SetOf[asn1.TLV], asn1.Implicit(0)]
    signers: asn1.SetOf[_SignerInfo]


@asn1.sequence
class _ContentInfo:
    oid: x509.ObjectIdentifier
    content: Annotated[_SignedData, asn1.Explicit(0)]


def make_receipt(app_id: str, leaf: bytes, client_data_hash: bytes, environment: str, now: datetime) -> bytes:
    """The receipt that accompanies an attestation of `leaf`: field numbers as in genuine receipts, valid for 90 days."""
    fields = {
        2: app_id.encode(),
        3: leaf,
        4: client_data_hash,
        5: b64url_encode(client_data_hash[:16]).encode(),
        6: b"ATTEST",
        7: b"sandbox" if environment == "appattestdevelop" else b"production",
        12: _instant(now),
        21: _instant(now + timedelta(days=90)),
    }
    content = _set_of([_Field(type=number, version=1, value=value) for number, value in fields.items()])
    return _sign(content)


def _instant(moment: datetime) -> bytes:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f").encode()[:-3] + b"Z"


@asn1.sequence
class _Fields:
    fields: asn1.SetOf[_Field]


def _set_of(fields: list[_Field]) -> bytes:
    """The library encodes a SET OF only inside a SEQUENCE: its header comes off."""
    whole = asn1.encode_der(_Fields(fields=asn1.SetOf(fields)))
    return bytes(asn1.decode_der(asn1.TLV, whole).data)


def _sign(content: bytes) -> bytes:
    certificate, key = _signer()
    sha256 = _Algorithm(oid=_SHA256, parameters=None)
    info = _SignerInfo(
        version=1,
        signer=_IssuerAndSerial(issuer=_tlv(certificate.issuer.public_bytes()), serial=certificate.serial_number),
        digest_algorithm=sha256,
        signature_algorithm=_Algorithm(oid=_ECDSA_SHA256, parameters=None),
        signature=key.sign(content, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)),
    )
    chain = [certificate, root(Family.APP_ATTEST).certificate]
    signed = _SignedData(
        version=1,
        digest_algorithms=asn1.SetOf([sha256]),
        content=_Content(oid=_DATA, data=content),
        certificates=asn1.SetOf([_tlv(item.public_bytes(serialization.Encoding.DER)) for item in chain]),
        signers=asn1.SetOf([info]),
    )
    return asn1.encode_der(_ContentInfo(oid=_SIGNED_DATA, content=signed))


def _tlv(element: bytes) -> Any:
    return asn1.decode_der(asn1.TLV, element)


def _signer() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    issuer, key = root(Family.APP_ATTEST), maker_key("receipt signing")
    certificate = issuer.issue(
        name(CN="Simulated App Attestation Receipt Signing", O="stepup-simulator, not Apple"),
        key.public_key(),
        serial=serial_of("receipt signing"),
        not_before=EPOCH,
        not_after=END,
        extensions=[
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (key_usage("digital_signature"), True),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False),
        ],
    )
    return certificate, key
