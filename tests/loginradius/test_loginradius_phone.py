"""The simulated phone with LoginRadius: it reads the SMS and the mail, and runs the authenticator app."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from authenticator.apps import totp
from authenticator.apps.mail import mail_address
from authenticator.apps.messages import DEMO_NUMBER, EMAIL, SMS, inbox, mark_read, unread
from authenticator.phone import Phone
from tests.support.server import phones

URL = "http://127.0.0.1:9"
R = "/identity/v2/auth/account/reauth"
A = "/identity/v2/auth/account/2fa"


@pytest.fixture
def phone(site: Any, tmp_path: Path) -> Iterator[Phone]:
    with phones(tmp_path) as new:
        yield new(site.http)


def test_s2_14_the_mail_arrives_in_the_phones_mail(site: Any, phone: Phone) -> None:
    site.ok(site.get(f"{R}/2fa/otp/email", emailid="alice@example.com"))
    (mail,) = unread(phone, URL, EMAIL, mail_address(phone, URL), inbox(phone, URL, EMAIL, mail_address(phone, URL)))
    assert mail.sender == "no-reply@stepup-simulator.test"
    assert mail.code is not None
    assert mail.code in mail.text
    site.ok(site.put(f"{R}/2fa/otp/email/verify", {"emailid": "alice@example.com", "otp": mail.code}))
    mark_read(phone, URL, EMAIL, "alice@example.com", [mail])
    assert unread(phone, URL, EMAIL, "alice@example.com", [mail]) == []


def test_s2_6_the_sms_arrives_on_the_phone(site: Any, phone: Phone) -> None:
    site.ok(site.get(f"{R}/2fa"))
    (sms,) = inbox(phone, URL, SMS, DEMO_NUMBER)
    site.ok(site.put(f"{R}/2fa/otp", {"otp": sms.code}))


def test_the_phones_authenticator_app_takes_the_secret_and_steps_up(site: Any, phone: Phone) -> None:
    secret = site.ok(site.get(A))["ManualEntryCode"]
    totp.add(phone, f"otpauth://totp/LoginRadius:{quote('alice@example.com')}?secret={secret}&issuer=LoginRadius")
    inbox(phone, URL, SMS, DEMO_NUMBER)  # any call brings the network's time
    (running,) = totp.codes(phone, phone.now())
    site.ok(site.put(f"{A}/verification/authenticatorcode", {"authenticatorcode": running.code}))
    following = site.put(f"{R}/2fa/authenticatorcode", {"authenticatorcode": running.following})
    site.ok(following)  # one step of drift is allowed
