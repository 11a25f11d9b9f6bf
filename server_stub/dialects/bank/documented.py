"""The bank's operations as OpenAPI."""

from __future__ import annotations

from typing import Any, Final

from server_stub.openapi import INTEGER, STRING, header, json_body, obj, ref, response

KEY: Final = header("X-APIKEY", required=True, description="API key of the client")
TRANSACTION: Final = header("X-TransactionId", description="the identifier of the refused payment")
ERROR: Final = ref("BankError")

SCHEMAS: Final[dict[str, Any]] = {
    "BankError": obj(("code", "message", "info"), code=STRING, message=STRING, info=STRING),
    "BankStepUpRequired": obj(
        ("code", "message", "info", "transactionId", "requestPayload", "authenticationMethods"),
        code={"const": "403.000.51"}, message=STRING, info=STRING, transactionId={"type": "string", "format": "uuid"},
        requestPayload={"type": "object"}, authenticationMethods={"type": "array", "items": {"enum": ["PASSCODE", "BIOMETRIC"]}},
    ),
    "BankTokens": obj(
        ("accessToken", "refreshToken", "tokenType", "expiresIn"),
        accessToken=STRING, refreshToken=STRING, tokenType={"const": "Bearer"}, expiresIn=INTEGER,
    ),
    "BankPayment": obj(("paymentId", "status"), paymentId={"type": "string", "format": "uuid"}, status={"const": "ACCEPTED"}),
}  # fmt: skip

_COMMON: Final[dict[str, Any]] = {
    "400": response("Request not valid", ERROR),
    "401": response("API key or token not valid", ERROR),
    "403": response("Refused", ERROR),
    "413": response("Over 64 KiB", ERROR),
    "503": response("Busy, or the database is away", ERROR),
}
_LOGIN_BODY: Final = obj(("username", "passcode"), username=STRING, passcode=STRING)
_BIOMETRIC_BODY: Final = obj(
    ("refreshToken", "authenticationMethod"), refreshToken=STRING, authenticationMethod={"const": "BIOMETRIC"}
)

LOGIN: Final[dict[str, Any]] = {
    "summary": "Log in with one element; gives no right to pay",
    "parameters": [KEY],
    "requestBody": json_body(_LOGIN_BODY),
    "responses": {"200": response("Tokens", ref("BankTokens")), **_COMMON},
}
PAY: Final[dict[str, Any]] = {
    "summary": "Pay; without a valid transaction identifier refused with 403 and a new one (S0-5)",
    "parameters": [KEY, TRANSACTION, header("Idempotency-Key")],
    "security": [{"bearer": []}],
    "requestBody": json_body({"type": "object"}),
    "responses": {
        "201": response("Paid", ref("BankPayment")),
        **_COMMON,
        "403": response("Step-up required", ref("BankStepUpRequired")),
    },
}
STEP_UP: Final[dict[str, Any]] = {
    "summary": "Step up with passcode or biometric, together with the device (S0-11)",
    "parameters": [
        KEY,
        {**TRANSACTION, "required": True},
        header("X-Device-Assertion", description="base64url of AuthenticationResponseJSON"),
    ],
    "security": [{"bearer": []}],
    "requestBody": json_body({"anyOf": [_LOGIN_BODY, _BIOMETRIC_BODY]}),
    "responses": {"200": response("New tokens", ref("BankTokens")), **_COMMON},
}
REFRESH: Final[dict[str, Any]] = {
    "summary": "New tokens for a refresh token, once",
    "parameters": [KEY],
    "requestBody": json_body(obj(("refreshToken",), refreshToken=STRING)),
    "responses": {"200": response("Tokens", ref("BankTokens")), **_COMMON},
}
