"""One local test CA for `--tls`, made on first use and kept in the platform's config folder.

It signs certificates for loopback names only. It is a transport's CA: nothing that it signs is evidence for a step-up.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from platformdirs import user_config_path

from device_keys.genuine_dates import show_genuine_class

show_genuine_class()


# Clients judge these certificates by the machine's own time, frozen tests included: they live from long ago to far ahead.
NOT_BEFORE: Final = datetime(2000, 1, 1, tzinfo=UTC)
NOT_AFTER: Final = datetime(2099, 12, 31, tzinfo=UTC)


def folder() -> Path:
    """Where the CA is kept; `STEPUP_CA_DIR` moves it."""
    given = os.environ.get("STEPUP_CA_DIR")
    return Path(given) if given else user_config_path("stepup-simulator") / "ca"


def ca_certificate() -> Path:
    """The path of the CA's certificate, which need not exist yet."""
    return folder() / "ca.pem"


def make_ca() -> Path:
    """Make the CA if there is none; the path of its certificate."""
    path = ca_certificate()
    key_path = folder() / "ca.key"
    if path.is_file() and key_path.is_file():
        return path
    folder().mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stepup-simulator local test CA")])
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_private(key_path, key)
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path


def certificate_for(host: str) -> tuple[Path, Path]:
    """A fresh certificate (with its chain) and key for this machine's loopback names and `host`."""
    make_ca()
    ca = x509.load_pem_x509_certificate(ca_certificate().read_bytes())
    ca_key = serialization.load_pem_private_key((folder() / "ca.key").read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        *(x509.IPAddress(ip_address(text)) for text in ("127.0.0.1", "::1")),
    ]
    try:
        address = x509.IPAddress(ip_address(host))
        names += [] if address in names else [address]
    except ValueError:
        names += [x509.DNSName(host)] if host != "localhost" else []
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stepup-simulator")]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    chain_path, key_path = folder() / f"server-{os.getpid()}.pem", folder() / f"server-{os.getpid()}.key"
    chain_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_private(key_path, key)
    return chain_path, key_path


def _write_private(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    raw = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
