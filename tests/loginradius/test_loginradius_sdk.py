"""The vendor's own Python SDK (PyPI `loginradius-v2`), unmodified save for its base address, against our server over a real socket."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyotp
import pytest

from server_stub.testing import LiveServer, new_server
from tests.support.http import open_http

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK's own modules and what they import
    from LoginRadius import LoginRadius
    from LoginRadius.api.advanced.reauthentication_api import ReAuthenticationApi

# The SDK compares versions with distutils and reads the time with utcnow(): both are its own affair.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

KEY = "11111111-1111-4111-8111-111111111111"
SECRET = "22222222-2222-4222-8222-222222222222"
GOOD = {"email": "alice@example.com", "password": "Passw0rd!"}
QUESTION = "5f1c0e6a2b7d4e9fa3c8d1b06e7f4a21"


@pytest.fixture
def base() -> Iterator[str]:
    """The address of a live server with all dialects mounted, on a free port."""
    live = LiveServer(new_server()).start()
    yield live.url
    live.stop()
    live.server.store.database.close()


@pytest.fixture
def make_sdk(base: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The SDK as its pages tell: class attributes, then an instance."""

    def make(*, signing: bool = False, library: str = "requests") -> Any:
        monkeypatch.setattr(LoginRadius, "API_KEY", KEY)
        monkeypatch.setattr(LoginRadius, "API_SECRET", SECRET)
        monkeypatch.setattr(LoginRadius, "CUSTOM_DOMAIN", f"{base}/loginradius/")
        monkeypatch.setattr(LoginRadius, "API_REQUEST_SIGNING", signing)
        monkeypatch.setattr(LoginRadius, "LIBRARY", library)
        return LoginRadius()

    return make


@pytest.fixture
def sdk(make_sdk: Callable[..., Any]) -> Any:
    return make_sdk()


def newest_code(base: str, channel: str) -> str:
    with open_http(base) as http:
        messages = http.get("/_stub/messages", params={"channel": channel}).json()
    code: str = messages[-1]["code"]
    return code


def server_now(base: str) -> datetime:
    with open_http(base) as http:
        return datetime.fromisoformat(http.get("/_stub/clock").json()["now"])


def add_authenticator(sdk: Any, base: str, access: str) -> pyotp.TOTP:
    totp = pyotp.TOTP(sdk.mfa.mfa_configure_by_access_token(access)["ManualEntryCode"])
    answer = sdk.mfa.mfa_verify_authenticator_code(access, {"authenticatorcode": totp.at(server_now(base))})
    assert answer["Uid"]
    with open_http(base) as http:
        http.post("/_stub/clock/advance", json={"seconds": 60})
    return totp


def logged_in(sdk: Any) -> tuple[str, str]:
    body = sdk.authentication.login_by_email(GOOD)
    assert "ErrorCode" not in body, body
    return body["access_token"], body["Profile"]["Uid"]


def demand_token(body: dict[str, Any]) -> dict[str, str]:
    assert "ErrorCode" not in body, body
    return {"secondfactorvalidationtoken": body["SecondFactorValidationToken"]}


def by_sms(sdk: Any, base: str, access: str) -> Any:
    assert sdk.re_authentication.mfa_re_authenticate(access)["IsOTPAuthenticatorVerified"] is True
    return sdk.re_authentication.mfa_re_authenticate_by_otp(access, {"otp": newest_code(base, "sms")})


def by_email(sdk: Any, base: str, access: str) -> Any:
    assert sdk.re_authentication.re_auth_send_email_otp(access, "alice@example.com") == {"IsPosted": True}
    body = {"EmailId": "alice@example.com", "Otp": newest_code(base, "email")}
    return sdk.re_authentication.re_auth_validate_email_otp(access, body)


def by_backup_code(sdk: Any, base: str, access: str) -> Any:
    codes = sdk.mfa.mfa_backup_code_by_access_token(access)["BackUpCodes"]
    return sdk.re_authentication.mfa_re_authenticate_by_backup_code(access, {"BackupCode": codes[0]})


def by_authenticator(sdk: Any, base: str, access: str) -> Any:
    totp = add_authenticator(sdk, base, access)
    body = {"AuthenticatorCode": totp.at(server_now(base))}
    return sdk.re_authentication.mfa_re_authenticate_by_authenticator_code(access, body)


def by_questions(sdk: Any, base: str, access: str) -> Any:
    questions = sdk.authentication.get_security_questions_by_access_token(access)
    answers = {"securityquestionanswer": [{"QuestionId": questions[0]["QuestionId"], "Answer": "St. Mary"}]}
    assert sdk.mfa.mfa_security_question_answer_by_access_token(access, answers) == {"IsPosted": True}
    return sdk.re_authentication.re_auth_by_security_question(access, answers)


def by_password(sdk: Any, base: str, access: str) -> Any:
    return sdk.re_authentication.mfa_re_authenticate_by_password(access, {"Password": "Passw0rd!"})


def by_pin(sdk: Any, base: str, access: str) -> Any:
    return sdk.re_authentication.verify_pin_authentication(access, {"PIN": "1234"})


METHODS = {
    "sms": (by_sms, "verify_multi_factor_otp_reauthentication"),
    "email": (by_email, "verify_multi_factor_otp_reauthentication"),
    "backup-code": (by_backup_code, "verify_multi_factor_otp_reauthentication"),
    "authenticator": (by_authenticator, "verify_multi_factor_otp_reauthentication"),
    "questions": (by_questions, "verify_multi_factor_otp_reauthentication"),
    "password": (by_password, "verify_multi_factor_password_reauthentication"),
    "pin": (by_pin, "verify_multi_factor_pin_reauthentication"),
}


def test_s2_4_to_s2_9_by_every_method_that_the_sdk_offers(sdk: Any, base: str) -> None:
    """Log in, step up, let the back end validate: true once, then 1193; the session stays as it is (S2-2)."""
    access, uid = logged_in(sdk)
    for name, (step_up, validator) in METHODS.items():
        token = demand_token(step_up(sdk, base, access))
        validate = getattr(sdk.re_authentication, validator)
        assert validate(token, uid) == {"IsValid": True}, name
        assert validate(token, uid)["ErrorCode"] == 1193, name
        assert sdk.authentication.auth_validate_access_token(access)["access_token"] == access, name


def test_the_sdk_has_no_step_up_method_that_is_not_tried_here() -> None:
    offered = {
        name
        for name in dir(ReAuthenticationApi)
        if name.startswith(("mfa_re_auth", "re_auth_by", "re_auth_validate", "verify_pin"))
    }
    assert offered == {
        "mfa_re_authenticate", "mfa_re_authenticate_by_otp", "mfa_re_authenticate_by_backup_code",
        "mfa_re_authenticate_by_password",
        "mfa_re_authenticate_by_authenticator_code", "re_auth_validate_email_otp", "re_auth_by_security_question",
        "verify_pin_authentication",
    }  # fmt: skip


@pytest.mark.parametrize("library", ["requests", "urllib3"])
def test_validators_with_signed_requests_instead_of_the_secret(
    make_sdk: Callable[..., Any], base: str, library: str
) -> None:
    sdk = make_sdk(signing=True, library=library)
    access, uid = logged_in(sdk)
    token = demand_token(by_pin(sdk, base, access))
    assert sdk.re_authentication.verify_multi_factor_pin_reauthentication(token, uid) == {"IsValid": True}


def test_wrong_answers_reach_the_sdk_as_published_codes(sdk: Any, base: str) -> None:
    access, uid = logged_in(sdk)
    again = sdk.re_authentication
    again.mfa_re_authenticate(access)
    assert again.mfa_re_authenticate_by_otp(access, {"otp": "no"})["ErrorCode"] == 1067
    assert again.verify_pin_authentication(access, {"PIN": "9999"})["ErrorCode"] == 1236
    assert again.mfa_re_authenticate_by_password(access, {"Password": "no"})["ErrorCode"] == 1205
    assert (
        again.verify_multi_factor_otp_reauthentication({"secondfactorvalidationtoken": KEY}, uid)["ErrorCode"] == 1193
    )


def test_mfa_login_through_the_sdk(sdk: Any, base: str) -> None:
    first = sdk.mfa.mfa_login_by_email(GOOD["email"], GOOD["password"])
    assert first["Profile"] is None
    second_token = first["SecondFactorAuthentication"]["SecondFactorAuthenticationToken"]
    assert set(sdk.mfa.mfa_resend_otp(second_token)) == {"AccountSid", "Sid"}
    body = sdk.mfa.mfa_validate_otp_by_phone({"otp": newest_code(base, "sms")}, second_token)
    assert body["Profile"]["Uid"]
    assert sdk.authentication.get_profile_by_access_token(body["access_token"])["Uid"] == body["Profile"]["Uid"]
    assert sdk.mfa.mfa_validate_otp_by_phone({"otp": "1"}, second_token)["ErrorCode"] == 1103


def test_mfa_settings_through_the_sdk(sdk: Any, base: str) -> None:
    access, uid = logged_in(sdk)
    assert sdk.mfa.mfa_reset_sms_auth_by_token(access, True) == {"IsDeleted": True}
    assert sdk.re_authentication.mfa_re_authenticate_by_otp(access, {"otp": "1"})["ErrorCode"] == 1100
    sent = sdk.mfa.mfa_update_phone_number_by_token(access, "+447700900999")
    assert "Sid" in sent
    assert sdk.mfa.mfa_update_setting(access, {"otp": newest_code(base, "sms")})["Uid"] == uid
    assert sdk.mfa.mfa_reset_email_otp_authenticator_by_access_token(access) == {"IsDeleted": True}
    assert sdk.mfa.mfa_email_otp_by_access_token(access, "alice@example.com") == {"IsPosted": True}
    body = {"EmailId": "alice@example.com", "Otp": newest_code(base, "email")}
    assert sdk.mfa.mfa_validate_email_otp_by_access_token(access, body)["Uid"] == uid
    assert len(sdk.mfa.mfa_backup_code_by_uid(uid)["BackUpCodes"]) == 10
    assert sdk.pin_authentication.change_pin_by_access_token(access, {"OldPIN": "1234", "NewPIN": "4321"}) == {
        "IsPosted": True
    }
    assert "SecondFactorValidationToken" in sdk.re_authentication.verify_pin_authentication(access, {"PIN": "4321"})


def test_tokens_through_the_sdk(sdk: Any) -> None:
    access, uid = logged_in(sdk)
    pair = sdk.authentication.get_access_token_info(access)
    new = sdk.account.refresh_access_token_by_refresh_token(pair["refresh_token"])
    assert new["access_token"] != access
    assert sdk.authentication.auth_validate_access_token(access)["ErrorCode"] == 905
    assert sdk.authentication.auth_in_validate_access_token(new["access_token"]) == {"IsPosted": True}
    assert sdk.authentication.auth_validate_access_token(new["access_token"])["ErrorCode"] == 905
    assert "access_token" in sdk.account.get_access_token_by_uid(uid)


def test_the_walk_through_of_the_documentation_works(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python block of docs/loginradius.md, run as it stands, the address and the code of the SMS filled in."""
    page = (Path(__file__).parents[2] / "docs" / "loginradius.md").read_text()
    lines = page.split("```python\n")[1].split("```")[0].splitlines()
    (where,) = [number for number, line in enumerate(lines) if line.startswith("code = ")]
    for name in ("API_KEY", "API_SECRET", "CUSTOM_DOMAIN", "LIBRARY"):
        monkeypatch.setattr(LoginRadius, name, "requests" if name == "LIBRARY" else None)
    found: dict[str, Any] = {}
    exec("\n".join(lines[:where]).replace("http://127.0.0.1:8080", base), found)
    found["code"] = newest_code(base, "sms")
    exec("\n".join(lines[where + 1 : -1]), found)
    validate = found["site"].re_authentication.verify_multi_factor_otp_reauthentication
    assert validate(found["body"], found["login"]["Profile"]["Uid"]) == {"IsValid": True}
    assert lines[-1].startswith("site.re_authentication.verify_multi_factor_otp_reauthentication(body, login")
