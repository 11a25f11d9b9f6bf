"""What LoginRadius does not publish, and is chosen here; published values beside them. No option changes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from server_stub.blocking import BlockingRule

NAME: Final = "loginradius"
NEVER: Final = timedelta(days=36_500)


@dataclass(frozen=True, slots=True)
class LoginRadiusConstants:
    """Lives, limits and keys of this dialect."""

    # published defaults
    access_life: timedelta = timedelta(minutes=15)
    refresh_life: timedelta = timedelta(days=60)
    otp_life: timedelta = timedelta(seconds=300)
    suspension: timedelta = timedelta(seconds=900)
    backup_codes: int = 10
    # own choices
    api_key: str = "11111111-1111-4111-8111-111111111111"
    api_secret: str = "22222222-2222-4222-8222-222222222222"  # noqa: S105 - guards nothing
    validation_life: timedelta = timedelta(minutes=5)
    step_up_life: timedelta = timedelta(minutes=15)
    mfa_login_life: timedelta = timedelta(minutes=15)
    push_life: timedelta = timedelta(minutes=5)
    push_registration_life: timedelta = timedelta(minutes=15)
    pin_auth_life: timedelta = timedelta(minutes=15)
    otp_digits: int = 6
    send_limit: int = 5
    send_window: timedelta = timedelta(minutes=10)
    failures: int = 5
    pin_digits: tuple[int, int] = (4, 8)
    totp_drift: int = 1
    security_questions: int = 1


LOGINRADIUS: Final = LoginRadiusConstants()

_BASIS: Final = "the vendor's published default of 900 s, or until the named challenge is passed"

# How each brute-force lock counts: the published types; a test user's document names its own (default Suspend).
LOCKS: Final[dict[str, BlockingRule]] = {
    "Suspend": BlockingRule(LOGINRADIUS.failures, LOGINRADIUS.suspension, permanent_after=1_000_000, basis=_BASIS),
    "Captcha": BlockingRule(LOGINRADIUS.failures, NEVER, permanent_after=1_000_000, basis=_BASIS),
    "SecurityQuestion": BlockingRule(LOGINRADIUS.failures, NEVER, permanent_after=1_000_000, basis=_BASIS),
    "Block": BlockingRule(LOGINRADIUS.failures, NEVER, permanent_after=1, basis=_BASIS),
}

# Questions that a customer may answer on their profile: the ids are this simulator's own.
QUESTIONS: Final[dict[str, str]] = {
    "5f1c0e6a2b7d4e9fa3c8d1b06e7f4a21": "What was the name of your first school?",
    "9b3e7d2c4a6f4c1d8e5b0a7f3c9d6e12": "In which town did your parents meet?",
    "c4d8a1f97e2b4b63905d6c3e8f1a7b54": "What was the name of your first pet?",
}
