"""Every route of this dialect, as a table: method, path, handler, summary, answer, body, parameters."""

from __future__ import annotations

from typing import Any, Final

from server_stub.dialects.loginradius import documented as docs
from server_stub.dialects.loginradius import login, push, settings, stepup
from server_stub.http import Endpoint, Handler
from server_stub.openapi import query, ref

AUTH: Final = "/identity/v2/auth"
MANAGE: Final = "/identity/v2/manage/account"
_TOKEN: Final = ref("LoginRadiusValidationToken")
_FACTORS: Final = ref("LoginRadiusFactors")
_LOGIN: Final = ref("LoginRadiusLogin")
_PROFILE: Final = ref("LoginRadiusProfile")
_TOKENS: Final = ref("LoginRadiusTokens")
_SMS: Final = ref("LoginRadiusSmsStatus")


def _user(
    method: str, path: str, handler: Handler, summary: str, answer: Any, body: Any = None, *parameters: Any
) -> Endpoint:
    """A call of the customer, by access token."""
    return Endpoint(method, AUTH + path, handler, docs.operation(summary, answer, body, *parameters, access="user"))


def _open(
    method: str, path: str, handler: Handler, summary: str, answer: Any, body: Any = None, *parameters: Any
) -> Endpoint:
    """A call with the API key only, or with a token in its query."""
    return Endpoint(method, path, handler, docs.operation(summary, answer, body, *parameters))


def _manage(
    method: str, path: str, handler: Handler, summary: str, answer: Any, body: Any = None, *parameters: Any
) -> Endpoint:
    """A call of the customer's back end, by API secret."""
    return Endpoint(method, MANAGE + path, handler, docs.operation(summary, answer, body, *parameters, access="manage"))


_R: Final = "/account/reauth"
_STEP_UP: Final = (
    _user("GET", f"{_R}/2fa", stepup.trigger, "Factors for a step-up; sends the SMS (S2-11)", _FACTORS),
    _user("PUT", f"{_R}/2fa/otp", stepup.verify_sms, "Step up by SMS OTP", _TOKEN, docs.members("otp")),
    _user(
        "PUT", f"{_R}/2fa/authenticatorcode", stepup.verify_authenticator, "Step up by TOTP", _TOKEN,
        docs.members("authenticatorcode")
    ),
    _user(
        "PUT", f"{_R}/2fa/GoogleAuthenticatorCode", stepup.verify_authenticator, "The same, older name", _TOKEN,
        docs.members("googleauthenticatorcode"),
    ),
    _user(
        "PUT", f"{_R}/2fa/BackupCode", stepup.verify_backup_code, "Step up by backup code", _TOKEN,
        docs.members("backupcode"),
    ),
    _user(
        "GET", f"{_R}/2fa/otp/email", stepup.send_mfa_email, "Send an e-mail OTP (S2-13)", docs.POSTED, None,
        query("emailid", required=True)
    ),
    _user(
        "PUT", f"{_R}/2fa/otp/email/verify", stepup.verify_email, "Step up by e-mail OTP (S2-15)", _TOKEN,
        docs.members("emailid", "otp"),
    ),
    _user(
        "POST", f"{_R}/2fa/securityquestionanswer/verify", stepup.verify_questions, "Step up by security questions",
        _TOKEN,
        docs.members(securityquestionanswer=docs.ANSWERS),
    ),
    _user("PUT", f"{_R}/password", stepup.verify_password, "Step up by password", _TOKEN, docs.members("password")),
    _user("PUT", f"{_R}/pin", stepup.verify_pin, "Step up by PIN", _TOKEN, docs.members("pin")),
    _user(
        "GET", f"{_R}/otp/email", stepup.send_plain_email, "Send an e-mail OTP without MFA", docs.POSTED, None,
        query("emailid"),
    ),
    _user(
        "PUT", f"{_R}/otp/email", stepup.verify_plain_email, "Step up by e-mail OTP without MFA", _TOKEN,
        docs.members("otp"),
    ),
)  # fmt: skip

_VALIDATED: Final = docs.members("secondfactorvalidationtoken")
_VALIDATORS: Final = (
    _manage(
        "POST",
        "/{uid}/reauth/2fa",
        stepup.validate_mfa,
        "Validate the token of an MFA step-up (S2-8)",
        docs.VALID,
        _VALIDATED,
    ),
    _manage(
        "POST",
        "/{uid}/reauth/password",
        stepup.validate_password,
        "Validate that of a password step-up",
        docs.VALID,
        _VALIDATED,
    ),
    _manage("POST", "/{uid}/reauth/pin", stepup.validate_pin, "Validate that of a PIN step-up", docs.VALID, _VALIDATED),
)

_CREDENTIALS: Final = docs.members("email", "password")
_SECOND: Final = docs.SECOND_TOKEN
_V: Final = f"{AUTH}/login/2fa/verification"
_LOGINS: Final = (
    _open("POST", f"{AUTH}/login", login.login, "Log in with a password (S2-4)", _LOGIN, _CREDENTIALS),
    _open(
        "POST", f"{AUTH}/login/2fa", login.mfa_login, "Log in with a second step to come; or, with its token, push it again",
        {"anyOf": [ref("LoginRadiusSecondStep"), _LOGIN, docs.POSTED]}, _CREDENTIALS,
        query("secondfactorauthenticationtoken"),
    ),
    _open(
        "PUT", f"{AUTH}/login/2fa", login.check_phone, "SMS to the number on the profile", _SMS,
        docs.members("phoneno2fa"), _SECOND,
    ),
    _open("GET", f"{AUTH}/login/2fa/resend", login.resend_sms, "Send the SMS again", _SMS, None, _SECOND),
    _open(
        "POST", f"{AUTH}/login/2fa/otp/email", login.send_login_email, "Send an e-mail OTP", docs.POSTED,
        docs.members("emailid"), _SECOND,
    ),
    _open("PUT", f"{_V}/otp", login.second_sms, "Second step by SMS OTP", _LOGIN, docs.members("otp"), _SECOND),
    _open(
        "PUT", f"{_V}/otp/email", login.second_email, "Second step by e-mail OTP", _LOGIN, docs.members("emailid",
        "otp"), _SECOND,
    ),
    _open(
        "PUT", f"{_V}/authenticatorcode", login.second_authenticator, "Second step by TOTP", _LOGIN,
        docs.members("authenticatorcode"), _SECOND
    ),
    _open(
        "PUT", f"{_V}/GoogleAuthenticatorCode", login.second_authenticator, "The same, older name", _LOGIN,
        docs.members("googleauthenticatorcode"), _SECOND,
    ),
    _open(
        "PUT", f"{_V}/BackupCode", login.second_backup_code, "Second step by backup code", _LOGIN,
        docs.members("backupcode"), _SECOND,
    ),
    _open(
        "POST", f"{_V}/securityquestionanswer", login.second_questions, "Second step by security questions", _LOGIN,
        docs.members(securityquestionanswer=docs.ANSWERS), _SECOND,
    ),
    _open(
        "PUT", f"{_V}/push", push.answer_push, "The phone's answer to a push", docs.POSTED, docs.members("verify",
        "signature"), _SECOND,
    ),
    _open("GET", f"{AUTH}/login/2fa/push/ping", login.ping, "Whether the phone has answered", _LOGIN, None, _SECOND),
    _open("GET", "/login/2fa/push/ping", login.ping, "The same, as it is printed", _LOGIN, None, _SECOND),
    _open(
        "POST", f"{AUTH}/qr-code", push.register, "Register a phone for push", docs.REGISTERED,
        docs.members("deviceName", "deviceType", "publicKey", "deviceToken"), query("token", required=True),
    ),
)  # fmt: skip
_QR: Final = Endpoint(
    "GET", f"{AUTH}/qr-code", push.registration_qr,
    {
        **docs.operation("The registration address as a QR code", {}, None, query("token", required=True)),
        "responses": {
            **docs.operation("", {})["responses"],
            "200": {"description": "PNG", "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
        },
    },
)  # fmt: skip

_SESSIONS: Final = (
    _user("GET", "/access_token/Validate", login.validate_token, "Whether an access token is live", _TOKENS),
    _user("GET", "/access_token", login.validate_token, "The same", _TOKENS),
    _user("GET", "/access_token/InValidate", login.log_out, "Log out", docs.POSTED),
    _user("GET", "/account", login.get_profile, "The profile", _PROFILE),
    _user(
        "PUT", "/account/unlock", settings.unlock, "Unlock by captcha or security answers", docs.POSTED,
        {"type": "object"},
    ),
    _manage(
        "GET", "/access_token", login.token_by_uid, "A login by the back end", _TOKENS, None, query("uid",
        required=True),
    ),
    _manage(
        "GET", "/access_token/refresh", login.refresh, "New tokens, once", _TOKENS, None, query("refresh_token",
        required=True),
    ),
    _manage(
        "GET", "/access_token/refresh/revoke", login.revoke_refresh, "End a refresh token", docs.DELETED, None,
        query("refresh_token", required=True),
    ),
)  # fmt: skip

_A: Final = "/account/2fa"
_REMOVED: Final = {
    "type": "object",
    "properties": {"authenticator": {"type": "boolean"}, "otpauthenticator": {"type": "boolean"}},
}
_UID: Final = query("uid", required=True)
_SETTINGS: Final = (
    _user("GET", _A, settings.get_settings, "Factors, and what is needed to set them up", _FACTORS),
    _user("PUT", _A, settings.change_phone, "SMS to a new number", _SMS, docs.members("phoneno2fa")),
    _user(
        "GET", f"{_A}/otp/email", settings.send_setup_email, "E-mail OTP to confirm an address", docs.POSTED, None,
        query("emailid", required=True),
    ),
    _user("PUT", f"{_A}/verification/otp", settings.confirm_phone, "Confirm the number", _PROFILE, docs.members("otp")),
    _user(
        "PUT", f"{_A}/verification/otp/email", settings.confirm_email, "Confirm the address", _PROFILE,
        docs.members("emailid", "otp"),
    ),
    _user(
        "PUT", f"{_A}/verification/authenticatorcode", settings.confirm_authenticator,
        "Confirm the authenticator app", _PROFILE,
        docs.members("authenticatorcode"),
    ),
    _user(
        "PUT", f"{_A}/verification/GoogleAuthenticatorCode", settings.confirm_authenticator, "The same, older name",
        _PROFILE,
        docs.members("googleauthenticatorcode"),
    ),
    _user(
        "PUT", f"{_A}/securityquestionanswer", settings.set_questions, "Answer security questions", docs.POSTED,
        docs.members(securityquestionanswer=docs.ANSWERS),
    ),
    _user("GET", "/securityquestion/accesstoken", settings.get_questions, "The questions there are", docs.QUESTIONS),
    _user("GET", f"{_A}/backupcode", settings.get_backup_codes, "Ten backup codes, once", docs.BACKUP_CODES),
    _user("GET", f"{_A}/backupcode/reset", settings.reset_backup_codes, "Ten new ones", docs.BACKUP_CODES),
    _user("DELETE", f"{_A}/authenticator", settings.remove_authenticator, "Remove TOTP or SMS", docs.DELETED, _REMOVED),
    _user("DELETE", f"{_A}/authenticator/otp/email", settings.remove_email, "Remove e-mail OTP", docs.DELETED),
    _user(
        "DELETE", f"{_A}/authenticator/securityquestionanswer", settings.remove_questions, "Remove the answers",
        docs.DELETED,
    ),
    _user("DELETE", f"{_A}/authenticator/push", settings.remove_push, "Remove the phone", docs.DELETED),
    _open(
        "POST", f"{AUTH}/pin/set/pinauthtoken", settings.set_pin, "Set the first PIN", _LOGIN, docs.members("pin"),
        query("pinauthtoken", required=True),
    ),
    _user("PUT", "/pin/change", settings.change_pin, "Change the PIN", docs.POSTED, docs.members("oldpin", "newpin")),
    _manage(
        "GET", "/2fa/backupcode", settings.manage_backup_codes, "Ten backup codes, once", docs.BACKUP_CODES, None,
        _UID,
    ),
    _manage(
        "GET", "/2fa/backupcode/reset", settings.manage_reset_backup_codes, "Ten new ones", docs.BACKUP_CODES, None,
        _UID,
    ),
    _manage(
        "DELETE", "/2fa/authenticator", settings.manage_remove_authenticator, "Remove TOTP or SMS", docs.DELETED,
        _REMOVED, _UID,
    ),
    _manage(
        "DELETE", "/2fa/authenticator/otp/email", settings.manage_remove_email, "Remove e-mail OTP", docs.DELETED,
        None, _UID,
    ),
    _manage(
        "DELETE", "/2fa/authenticator/securityquestionanswer", settings.manage_remove_questions,
        "Remove the answers", docs.DELETED, None, _UID
    ),
)  # fmt: skip

ENDPOINTS: Final = (*_STEP_UP, *_VALIDATORS, *_LOGINS, _QR, *_SESSIONS, *_SETTINGS)
