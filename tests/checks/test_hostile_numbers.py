"""Numbers too long to be written as text, in what a phone sends: judged like any other evidence, never an exception."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from authenticator.profiles import PROFILES
from device_keys.attestation.android_key import Package, parse_key_description
from device_keys.attestation.app_attest import VALIDATION_CATEGORY
from device_keys.encoding import FormatError
from server_stub.checks.table import judge
from server_stub.policy import STRICT
from server_stub.trust import load_trust
from server_stub.verdict import Outcome
from tests.checks.honest import Approval, Enrolled

HUGE = 10**5000
NUMBERS = ("os_patch_level", "vendor_patch_level", "user_auth_type", "auth_timeout", "os_version", "creation_date_time")


def failed(evidence: Any) -> list[str]:
    return [finding.check for finding in judge(evidence, STRICT, load_trust()) if finding.outcome is Outcome.FAIL]


@pytest.mark.parametrize("name", [*NUMBERS, "purpose", "keymint_version", "package_version"])
@pytest.mark.parametrize("number", [HUGE, -HUGE, 2**64], ids=["huge", "hugely negative", "65 bits"])
def test_an_attested_number_of_more_than_64_bits_makes_the_description_unreadable(name: str, number: int) -> None:
    def edit(claims: Any) -> Any:
        described = claims.description
        if name == "keymint_version":
            return replace(claims, description=replace(described, keymint_version=number))
        if name == "package_version":
            software = described.software_enforced
            application = replace(software.attestation_application_id, packages=(Package("a", number),))
            software = replace(software, attestation_application_id=application)
            return replace(claims, description=replace(described, software_enforced=software))
        value = (2, number) if name == "purpose" else number
        return replace(
            claims,
            description=replace(described, hardware_enforced=replace(described.hardware_enforced, **{name: value})),
        )

    evidence = Approval(Enrolled(PROFILES["pixel-9"], claims=edit)).evidence()
    assert failed(evidence) == ["attestation.description"]


@pytest.mark.parametrize("value", [b"", b"\x04", b"\x04" + bytes(4), b"\xff" * 4000, 4, "4", True])
def test_a_validation_category_that_is_no_four_bytes_is_not_the_app_stores(value: Any) -> None:
    """Neither taken for absent, as in earlier versions of the format, nor for the number 4."""

    def edit(claims: Any) -> Any:
        return replace(claims, extensions={**claims.extensions, VALIDATION_CATEGORY: value})

    assert failed(Approval(Enrolled(PROFILES["iphone-17"], app_claims=edit)).evidence()) == ["app_attest.category"]


def test_a_description_with_such_a_number_is_named() -> None:
    made: list[bytes] = []

    def edit(claims: Any) -> Any:
        hardware = replace(claims.description.hardware_enforced, auth_timeout=HUGE)
        made.append(replace(claims.description, hardware_enforced=hardware).encode())
        return claims

    Enrolled(PROFILES["pixel-9"], claims=edit)
    with pytest.raises(FormatError, match=r"hardwareEnforced\.auth_timeout: expected a number of at most 64 bits"):
        parse_key_description(made[0])
