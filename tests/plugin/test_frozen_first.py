"""Time that is frozen before the phone's first certificate: each form of it alone in a process of its own, and what follows it.

cryptography keeps the class of `datetime` that it meets first, so the order of tests in one file would hide what is tested here.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.plugin.conftest import Ran

Run = Callable[..., Ran]

HEAD = """
import pytest
from datetime import datetime, timezone
from freezegun import freeze_time

DAY = "2031-01-31"

def enrols_and_pays(phone, server, method="PASSCODE"):
    phone.enrol()
    phone.pay(method=method)
    assert server.verdict().raise_for_refusal().decided_at.startswith(DAY)
"""
AFTER = """
def test_second(virtual_authenticator, verification_server):
    from authenticator.authorities import Family, root

    assert root(Family.ANDROID).certificate.not_valid_before_utc.year == 2000
    virtual_authenticator.enrol()
    virtual_authenticator.pay(method="BIOMETRIC")
    decided = verification_server.verdict().raise_for_refusal().decided_at
    assert decided[:4] == str(datetime.now(timezone.utc).year)
"""
FORMS = {
    "decorator": """
@freeze_time(DAY)
def test_first(virtual_authenticator, verification_server):
    enrols_and_pays(virtual_authenticator, verification_server)
""",
    "decorator, enrolment alone": """
@freeze_time(DAY)
def test_first(virtual_authenticator):
    virtual_authenticator.enrol()
""",
    "class decorator": """
@freeze_time(DAY)
class TestFirst:
    def test_it(self, virtual_authenticator, verification_server):
        enrols_and_pays(virtual_authenticator, verification_server)

    def test_again(self, enrolled_authenticator, verification_server):
        enrols_and_pays(enrolled_authenticator, verification_server, "BIOMETRIC")
""",
    "context manager, and on after its end": """
def test_first(virtual_authenticator, verification_server):
    with freeze_time(DAY):
        enrols_and_pays(virtual_authenticator, verification_server)
    virtual_authenticator.enrol()
    virtual_authenticator.pay(method="BIOMETRIC")
    verification_server.verdict().raise_for_refusal()
""",
    "fixture": """
@pytest.fixture
def frozen():
    with freeze_time(DAY) as held:
        yield held

def test_first(frozen, virtual_authenticator, verification_server):
    enrols_and_pays(virtual_authenticator, verification_server)
""",
    "fixture of the session, started and stopped": """
@pytest.fixture(scope="session")
def frozen():
    freezer = freeze_time(DAY)
    yield freezer.start()
    freezer.stop()

def test_first(frozen, virtual_authenticator, verification_server):
    enrols_and_pays(virtual_authenticator, verification_server)

def test_next(frozen, enrolled_authenticator, verification_server):
    enrolled_authenticator.pay(method="BIOMETRIC")
    assert verification_server.verdict().raise_for_refusal().decided_at.startswith(DAY)
""",
    "live server": """
@freeze_time(DAY, real_asyncio=True)
def test_first(virtual_authenticator, live_verification_server):
    enrols_and_pays(virtual_authenticator, live_verification_server)
""",
    "iPhone": """
@pytest.mark.stepup_profile("iphone-17")
@freeze_time(DAY)
def test_first(virtual_authenticator, verification_server):
    enrols_and_pays(virtual_authenticator, verification_server, "BIOMETRIC")
""",
    "a certificate of the user's own": """
@freeze_time(DAY)
def test_first(verification_server):
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key, name, now = Ed25519PrivateKey.generate(), x509.Name([]), datetime.now(timezone.utc)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now).sign(key, None)
    assert str(made.not_valid_before_utc).startswith(DAY)
""",
    "the phone without fixtures, first imported in the freeze": """
@freeze_time(DAY)
def test_first():
    from authenticator.attest import make
    from authenticator.profiles import PROFILES
    from device_keys.clock import system_clock
    from device_keys.entropy import SystemEntropy

    made = make(PROFILES["iphone-17"], bytes(32), format=None, fault=None, now=system_clock(), entropy=SystemEntropy())
    assert made.chain[0].not_valid_before_utc.year == 2031
""",
}


@pytest.mark.parametrize("form", FORMS)
def test_time_may_be_frozen_before_the_first_certificate(form: str, run_pytest: Run) -> None:
    """traps 1: the form, alone in its process; after it a test whose time runs."""
    ran = run_pytest(HEAD + FORMS[form] + AFTER)
    assert ran.code == 0, ran.text
