"""Checks of Apple's App Attest: the object that vouches for an iPhone's app at enrolment."""

from __future__ import annotations

from typing import Final

from device_keys.attestation.app_attest import CATEGORY_NAMES
from server_stub.checks.engine import Check, Failure, NotApplicable, Result
from server_stub.checks.enrolment import Enrolment

NOT_AN_IPHONE: Final = NotApplicable("no-app-attest-in-this-enrolment")


def environment(enrolment: Enrolment) -> Result:
    app = enrolment.app
    if app is None:
        return NOT_AN_IPHONE
    if app.environment in enrolment.policy.apple_environments:
        return None
    return Failure("environment", " or ".join(enrolment.policy.apple_environments), str(app.environment))


def counter_zero(enrolment: Enrolment) -> Result:
    app = enrolment.app
    if app is None:
        return NOT_AN_IPHONE
    return Failure("counter", "0", str(app.auth_data.sign_count)) if app.auth_data.sign_count else None


def category(enrolment: Enrolment) -> Result:
    app = enrolment.app
    if app is None:
        return NOT_AN_IPHONE
    found = app.validation_category
    if found is None:
        return NotApplicable("not-in-this-version-of-the-format")
    if found in enrolment.policy.validation_categories:
        return None
    return Failure(
        "category", " or ".join(map(category_name, enrolment.policy.validation_categories)), category_name(found)
    )


def category_name(value: int) -> str:
    """How a validation category is called."""
    return CATEGORY_NAMES[value] if 0 <= value < len(CATEGORY_NAMES) else str(value)


_NEEDS = ("attestation.readable",)

APP_ATTEST: Final[tuple[Check[Enrolment], ...]] = (
    Check("app_attest.environment", "Apple: Validating apps that connect to your server: aaguid", environment, _NEEDS),
    Check(
        "app_attest.counter_zero",
        "Apple: Validating apps that connect to your server: counter is 0",
        counter_zero,
        _NEEDS,
    ),
    Check(
        "app_attest.category",
        "Apple: Attestation Object Validation Guide: apple_validation_category_01",
        category,
        _NEEDS,
    ),
)
