"""The operations of this dialect as OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from server_stub.openapi import BOOLEAN, INTEGER, STRING, json_body, obj, query, ref, response

GUID: Final = {"type": "string", "format": "uuid"}
TEXT_OR_NULL: Final = {"type": ["string", "null"]}
ERROR: Final = ref("LoginRadiusError")

_FACTORS: Final[dict[str, Any]] = {
    "SecondFactorAuthenticationToken": TEXT_OR_NULL,
    "ExpireIn": STRING,
    "QRCode": STRING,
    "PushQRCode": STRING,
    "ManualEntryCode": STRING,
    "DuoAuthEndpoint": {"type": "null"},
    "IsGoogleAuthenticatorVerified": BOOLEAN,
    "IsAuthenticatorVerified": BOOLEAN,
    "IsOTPAuthenticatorVerified": BOOLEAN,
    "IsEmailOtpAuthenticatorVerified": BOOLEAN,
    "IsPushDeviceRegistered": BOOLEAN,
    "IsDuoAuthenticatorVerified": BOOLEAN,
    "IsPasskeyAuthenticatorVerified": BOOLEAN,
    "IsSecurityQuestionAuthenticatorVerified": BOOLEAN,
    "OTPPhoneNo": TEXT_OR_NULL,
    "OTPStatus": {"anyOf": [ref("LoginRadiusSmsStatus"), {"type": "null"}]},
    "Email": {"type": "array", "items": STRING},
    "EmailOTPStatus": {"type": "null"},
    "SecurityQuestions": {
        "type": "array",
        "items": obj(("QuestionId", "Question"), QuestionId=STRING, Question=STRING),
    },
}
_TOKENS: Final[dict[str, Any]] = {"access_token": GUID, "refresh_token": GUID, "expires_in": STRING}

SCHEMAS: Final[dict[str, Any]] = {
    "LoginRadiusError": obj(
        ("Description", "ErrorCode", "Message", "IsProviderError", "ProviderErrorResponse"),
        Description=STRING, ErrorCode=INTEGER, Message=STRING, IsProviderError={"const": False}, ProviderErrorResponse={"type": "null"},
        Data={"type": "object"},
    ),
    "LoginRadiusSmsStatus": obj(("AccountSid", "Sid"), AccountSid=STRING, Sid=STRING),
    "LoginRadiusFactors": obj(_FACTORS, **_FACTORS),
    "LoginRadiusProfile": obj(
        ("Uid", "Email", "IsLoginLocked", "LoginLockedType"), Uid=STRING, Email={"type": "array", "items": {"type": "object"}},
        PhoneId=TEXT_OR_NULL, UserName=TEXT_OR_NULL, IsLoginLocked=BOOLEAN, LoginLockedType=STRING,
    ),
    "LoginRadiusTokens": obj(_TOKENS, **_TOKENS),
    "LoginRadiusLogin": obj(("Profile", *_TOKENS), Profile=ref("LoginRadiusProfile"), PINAuthToken=GUID, **_TOKENS),
    "LoginRadiusSecondStep": obj(
        ("SecondFactorAuthentication", "Profile", *_TOKENS),
        SecondFactorAuthentication=ref("LoginRadiusFactors"), Profile={"type": "null"}, **_TOKENS,
    ),
    "LoginRadiusValidationToken": obj(
        ("SecondFactorValidationToken", "ExpireIn"), SecondFactorValidationToken=GUID, ExpireIn=STRING
    ),
}  # fmt: skip


def _flag(name: str) -> dict[str, Any]:
    return obj((name,), **{name: {"const": True}})


POSTED: Final = _flag("IsPosted")
DELETED: Final = _flag("IsDeleted")
VALID: Final = _flag("IsValid")
REGISTERED: Final = _flag("isRegistered")
BACKUP_CODES: Final = obj(
    ("BackUpCodes",), BackUpCodes={"type": "array", "items": STRING, "minItems": 10, "maxItems": 10}
)
QUESTIONS: Final = {"type": "array", "items": obj(("QuestionId", "Question"), QuestionId=STRING, Question=STRING)}
ANSWERS: Final = {
    "type": "array",
    "maxItems": 10,
    "items": obj(("QuestionId", "Answer"), QuestionId=STRING, Answer=STRING),
}
SECOND_TOKEN: Final = query("secondfactorauthenticationtoken", required=True)

_ERRORS: Final[dict[str, Any]] = {
    "400": response("Key, secret or token missing, or no JSON body", ERROR),
    "401": response("Wrong secret, password or PIN", ERROR),
    "403": response("Refused: the ErrorCode says why", ERROR),
    "413": response("Over 64 KiB", ERROR),
    "503": response("Busy, or the database is away", ERROR),
}


def operation(
    summary: str,
    answer: Mapping[str, Any],
    body: Mapping[str, Any] | None = None,
    *parameters: Mapping[str, Any],
    access: str = "",
) -> dict[str, Any]:
    """An operation with the errors that all share. `access`: "user" for a bearer, "manage" for the API secret."""
    listed = [query("apikey", required=True, description="API key"), *parameters]
    if access == "manage":
        listed.append(query("apisecret", description="or the header X-LoginRadius-ApiSecret, or a signed request"))
    documented: dict[str, Any] = {
        "summary": summary,
        "parameters": listed,
        "responses": {"200": response("Done", answer), **_ERRORS},
    }
    if access == "user":
        documented["security"] = [{"bearer": []}]
    if body is not None:
        documented["requestBody"] = json_body(body)
    return documented


def members(*names: str, **others: Mapping[str, Any]) -> dict[str, Any]:
    """A body of these texts and other members, all of them required; names match in any letter case."""
    properties = {**dict.fromkeys(names, STRING), **others}
    return obj(properties, **properties)
