"""cryptography must never meet freezegun's class in place of `datetime`.

cryptography keeps the class that it finds when it first signs a certificate or reads one's dates, for good. If that is freezegun's, it
refuses every genuine instant from then on, in every later test of the process, the user's own included. So modules that handle
certificates, when they are imported, and servers of tests, when they are made, show it the genuine class: before time is frozen, or
although it is.
"""

from __future__ import annotations

import datetime
from functools import cache

from device_keys.clock import LAST_INSTANT, system_clock


@cache
def show_genuine_class() -> None:
    """Let cryptography's first date be a genuine one. Costs a signature, once in a process."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key, name, day = Ed25519PrivateKey.from_private_bytes(bytes(32)), x509.Name([]), system_clock()
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day)
    present, datetime.datetime = datetime.datetime, type(LAST_INSTANT)  # type: ignore[misc]
    try:
        builder.sign(key, None)
    finally:
        datetime.datetime = present  # type: ignore[misc]
