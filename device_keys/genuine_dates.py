"""Imported by what handles certificates, so that cryptography never meets freezegun's class in place of `datetime`.

cryptography keeps the class that it finds at its first date, for good: met inside a freeze, it would refuse every genuine instant and,
after the freeze, fail on its own. So while time is frozen it is shown the genuine class first. Where time runs, nothing happens here.
"""

from __future__ import annotations

import datetime

from device_keys.clock import LAST_INSTANT, system_clock


def show_genuine_class() -> None:
    """cryptography's first date is a genuine one."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key, name, day = Ed25519PrivateKey.from_private_bytes(bytes(32)), x509.Name([]), system_clock()
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day)
    frozen, datetime.datetime = datetime.datetime, type(LAST_INSTANT)  # type: ignore[misc]
    try:
        builder.sign(key, None)
    finally:
        datetime.datetime = frozen  # type: ignore[misc]


if datetime.datetime is not type(LAST_INSTANT):
    show_genuine_class()
