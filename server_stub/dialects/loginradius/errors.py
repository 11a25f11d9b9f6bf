"""The published error table: one body shape, each ErrorCode with its HTTP status (wire contract, section 7)."""

from __future__ import annotations

from typing import Any, Final

from server_stub.http import Refusal, Reply

# ErrorCode → (HTTP status, Message). Messages of codes whose text is not published are our own words for the published meaning.
ERRORS: Final[dict[int, tuple[int, str]]] = {
    901: (403, "The API key is unauthorized"),
    902: (401, "The API secret is unauthorized"),
    905: (403, "Access token is invalid"),
    906: (403, "Access token has expired"),
    908: (403, "A parameter is not formatted correctly"),
    920: (400, "API key is invalid"),
    921: (400, "API secret is invalid"),
    922: (400, "API key is missing"),
    923: (400, "API secret is missing"),
    938: (403, "User does not exist"),
    965: (400, "The post body is invalid"),
    966: (401, "Invalid user ID and/or password"),
    991: (403, "Your account is blocked"),
    1032: (403, "Email address is required"),
    1060: (400, "Access token is missing"),
    1067: (403, "Invalid OTP Code"),
    1068: (403, "The OTP has already been used"),
    1069: (403, "The OTP has expired"),
    1094: (403, "Your security answer or question is incorrect"),
    1099: (403, "No authenticator is configured on this profile"),
    1100: (403, "The OTP authenticator is not enabled on this profile"),
    1101: (403, "Two factor authentication is not configured on this profile"),
    1102: (403, "The two-factor authenticator code is incorrect"),
    1103: (403, "The second factor authentication token is invalid"),
    1104: (403, "The second factor authentication token has expired"),
    1117: (403, "The phone number is not registered for two factor authentication"),
    1127: (403, "Backup codes have already been generated"),
    1128: (403, "Backup codes are not configured on this profile"),
    1129: (403, "The backup code is invalid or has been used"),
    1132: (403, "Your account has been locked, please enter reCAPTCHA in order to login"),
    1148: (403, "Your account has been locked"),
    1179: (403, "The limit of OTP requests has been reached"),
    1185: (403, "Verification OTP is invalid"),
    1186: (403, "The verification OTP has already been used"),
    1187: (403, "The verification OTP has expired"),
    1188: (403, "Invalid email verification OTP"),
    1192: (403, "The verification code is required"),
    1193: (403, "Two factor validation token is invalid"),
    1198: (403, "Your account has been locked"),
    1205: (401, "Invalid password"),
    1234: (403, "PIN is required"),
    1235: (403, "No PIN is configured on this profile"),
    1236: (401, "Invalid PIN"),
    1241: (401, "The current PIN is incorrect"),
    1256: (403, "The email OTP authenticator is not enabled on this profile"),
    1259: (403, "Security questions are not configured on this profile"),
    1260: (403, "Not enough security questions were answered"),
    1295: (403, "The push notification has not been answered yet"),
    1296: (403, "The second factor authentication token is invalid or has expired"),
    1297: (403, "The signature of the device could not be verified"),
    1299: (403, "Push notification is not set up"),
    1311: (403, "The push notification has already been answered"),
    1312: (403, "The push notification was denied"),
    1313: (403, "No push device is registered on this profile"),
}


def error_body(code: int, message: str, description: str = "", data: dict[str, Any] | None = None) -> dict[str, Any]:
    """The one error shape; `Data` only where there is some."""
    body = {
        "Description": description or f"{message}.",
        "ErrorCode": code,
        "Message": message,
        "IsProviderError": False,
        "ProviderErrorResponse": None,
    }
    return body if data is None else {**body, "Data": data}


def error(code: int, description: str = "", data: dict[str, Any] | None = None) -> Reply:
    """A refusal with a published ErrorCode."""
    status, message = ERRORS[code]
    return Reply(status, error_body(code, message, description, data))


def refuse(code: int, description: str = "") -> Refusal:
    """The same, to raise."""
    return Refusal(error(code, description))


def http_error(status: int, description: str, **headers: str) -> Reply:
    """A refusal that has no published code: ErrorCode 908 in the same shape (own choice)."""
    return Reply(status, error_body(908, ERRORS[908][1], description), headers)
