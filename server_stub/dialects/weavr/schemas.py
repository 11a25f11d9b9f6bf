"""Weavr's shapes as JSON Schema, and how an operation is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from server_stub.openapi import BOOLEAN, INTEGER, STRING, json_body, obj, ref, response

ID: Final = {"type": "string", "pattern": "^[0-9]+$"}
TYPED_ID: Final = obj(("type", "id"), type=STRING, id=ID)
ERRORS: Final = (
    "REQUIRED", "HAS_TEXT", "REQUIRES", "SIZE", "RANGE", "IN", "NOT_IN", "REGEX", "EXACTLY", "AT_LEAST", "AT_MOST", "ALL_OR_NONE",
)  # fmt: skip
_FIELD: Final = obj(params={"type": "array", "items": STRING}, fieldName=STRING, error={"enum": list(ERRORS)})
_MONEY: Final = obj(
    ("currency", "amount"),
    currency={"type": "string", "minLength": 3, "maxLength": 3},
    amount={"type": "integer", "minimum": 1, "maximum": 10**15 - 1},
)
_BANK: Final = {
    "anyOf": [obj(("iban",), iban=STRING), obj(("sortCode", "accountNumber"), sortCode=STRING, accountNumber=STRING)]
}
_PARTY: Final = obj(
    ("name", "bankAccountDetails"), name={"type": "string", "minLength": 1, "maxLength": 150}, bankAccountDetails=_BANK
)
_PASSWORD: Final = obj(("value",), value={"type": "string", "minLength": 1, "maxLength": 100})
CODE: Final = obj(("verificationCode",), verificationCode={"type": "string", "pattern": "^[0-9]{6}$"})
EMAIL: Final = {"type": "string", "minLength": 3, "maxLength": 255}
LOGIN: Final = obj(("email", "password"), email=EMAIL, password=_PASSWORD)
BIOMETRIC_LOGIN: Final = obj(("email",), email=EMAIL, identity=TYPED_ID)
ACCESS_TOKEN: Final = obj(identity=TYPED_ID, token=STRING, clientAssertion=STRING)
NEW_PASSWORD: Final = obj(("password",), password=_PASSWORD)
CHANGED_PASSWORD: Final = obj(("oldPassword", "newPassword"), oldPassword=_PASSWORD, newPassword=_PASSWORD)
RESOURCES: Final = obj(
    ("resourceType", "resourceIds"),
    resourceType={
        "enum": ["outgoing_wire_transfers", "sends", "linked_account_declaration", "correspondent_bank_transfers"]
    },
    resourceIds={"type": "array", "items": ID, "minItems": 1, "maxItems": 100, "uniqueItems": True},
)
CHALLENGE_CODE: Final = obj(
    ("resourceType", "verificationCode"),
    resourceType=RESOURCES["properties"]["resourceType"],
    verificationCode=CODE["properties"]["verificationCode"],
)
TRANSFER: Final = obj(
    ("sourceInstrument", "transferAmount", "destinationBeneficiary"),
    sourceInstrument=obj(("type", "id"), type={"const": "managed_accounts"}, id=ID),
    transferAmount=_MONEY,
    destinationBeneficiary=_PARTY,
    description={"type": "string", "maxLength": 35},
)
USER: Final = obj(
    ("name", "surname", "email", "mobile"), name=STRING, surname=STRING, email=EMAIL,
    mobile=obj(("countryCode", "number"), countryCode=STRING, number=STRING),
)  # fmt: skip
BUYER: Final = obj(tag={"type": "string", "maxLength": 100}, companyName={"type": "string", "maxLength": 100})
RUN: Final = obj(
    ("payments",),
    paymentRunRef={"type": "string", "maxLength": 50},
    payments={
        "type": "array", "minItems": 1, "maxItems": 100,
        "items": obj(
            ("paymentAmount", "supplier"), paymentRef={"type": "string", "maxLength": 50}, paymentAmount=_MONEY,
            supplier={**_PARTY, "properties": {**_PARTY["properties"], "trusted": BOOLEAN}},
        ),
    },
)  # fmt: skip

SCHEMAS: Final[dict[str, Any]] = {
    "WeavrSyntaxError": obj(
        message={"type": "string", "maxLength": 255},
        errorCode=STRING,
        syntaxErrors=obj(invalidFields={"type": "array", "items": _FIELD}),
    ),
    "WeavrError": obj(("code", "message"), code=STRING, message=STRING),
    "WeavrSimulatorError": obj(
        ("message", "validation"), message=STRING, validation=obj(("invalid",), invalid=BOOLEAN, fields={"type": "array"})
    ),
    "WeavrLogin": obj(
        ("token", "tokenType", "identity", "credentials"), token=STRING, tokenType={"enum": ["NO_TYPE", "AUTH", "ACCESS"]},
        identity=TYPED_ID, credentials=TYPED_ID,
    ),
    "WeavrAccessToken": obj(
        ("token", "identity", "credentials", "status"), token=STRING, identity=TYPED_ID, credentials=TYPED_ID,
        status={"enum": ["STANDARD", "STEPPED_UP"]},
    ),
    "WeavrToken": obj(("token",), token=STRING),
    "WeavrIdentities": obj(("identities",), identities={"type": "array", "items": TYPED_ID}),
    "WeavrPassword": obj(("passwordInfo", "token"), passwordInfo=obj(identityId=TYPED_ID, expiryDate=INTEGER), token=STRING),
    "WeavrFactors": obj(
        ("factors",),
        factors={
            "type": "array",
            "items": obj(
                ("type", "channel", "status"), type={"enum": ["OTP", "PUSH", "BIOMETRIC"]}, channel={"enum": ["SMS", "AUTHY", "BIOMETRIC"]},
                status={"enum": ["PENDING_VERIFICATION", "ACTIVE", "INACTIVE"]},
            ),
        },
    ),
    "WeavrId": obj(("id",), id=ID),
    "WeavrChallengeId": obj(("challengeId",), challengeId=ID),
    "WeavrScaChallenge": obj(("scaChallengeId",), scaChallengeId=ID),
    "WeavrTransfer": obj(("id", "type", "state", "transferAmount"), id=ID, type=STRING, state=STRING, transferAmount=_MONEY),
    "WeavrUser": obj(("id", "email", "active", "identity"), id=ID, email=STRING, active=BOOLEAN, identity=TYPED_ID),
    "WeavrBuyer": obj(("id",), id=TYPED_ID, tag=STRING, companyName=STRING),
    "WeavrAccount": obj(
        ("id", "currency", "balances"), id=ID, currency=STRING,
        balances=obj(("availableBalance", "actualBalance"), availableBalance=INTEGER, actualBalance=INTEGER),
    ),
    "WeavrAccounts": obj(
        ("accounts", "count", "responseCount"), accounts={"type": "array", "items": ref("WeavrAccount")}, count=INTEGER,
        responseCount=INTEGER,
    ),
    "WeavrStatement": obj(("entry", "count", "responseCount"), entry={"type": "array"}, count=INTEGER, responseCount=INTEGER),
    "WeavrRun": obj(
        ("id", "status", "payments"), id={"type": "string", "pattern": "^[0-9a-f]{24}$"},
        status={"enum": [
            "PENDING_CONFIRMATION", "PENDING_CHALLENGE", "CONFIRMED", "PENDING_FUNDING", "EXECUTING", "COMPLETED", "SCA_FAILED",
        ]},
        payments={"type": "array"},
    ),
    "WeavrSimulated": obj(("code",), code={"enum": ["COMPLETED", "DENIED"]}),
}  # fmt: skip

_REFERENCE: Final = {"request-ref": {"description": "identifier of the request", "schema": STRING}}
_RATE: Final = {
    "x-ratelimit-limit": {"description": "such as 20, 10;w=60, 20;w=3600", "schema": STRING},
    "x-ratelimit-reset": {"description": "seconds", "schema": STRING},
}


def _header(name: str, *, required: bool = False, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": required, "schema": {**STRING, **schema}}


def _answer(text: str, schema: Mapping[str, Any] | None = None, **headers: Any) -> dict[str, Any]:
    return response(text, schema, {**_REFERENCE, **headers})


def codes(*names: str) -> dict[str, Any]:
    """A refusal that is nothing but one of these codes."""
    return obj(("errorCode",), errorCode={"enum": list(names)})


def operation(
    summary: str,
    *,
    ok: tuple[int, str | None] = (204, None),
    body: Mapping[str, Any] | None = None,
    conflicts: Iterable[str] = (),
    forbidden: Iterable[str] = (),
    more: Iterable[int] = (),
    channels: Iterable[str] = (),
    token: bool = True,
    key: str = "api-key",
    idempotent: bool = True,
    bad: str = "WeavrSyntaxError",
) -> dict[str, Any]:
    """An OpenAPI operation. `conflicts` and `forbidden` are the codes of 409 and 403; `more`: 403, 404, 423 … that say nothing else."""
    status, schema = ok
    answers = {
        str(status): _answer("OK", ref(schema) if schema else None),
        "400": _answer("Request not valid", ref(bad)),
        "401": _answer("API key or token not valid"),
        "413": _answer("Over 64 KiB"),
        "500": _answer("Something went wrong"),
        "503": _answer("Busy, or the database is away"),
    }
    for extra in more:
        answers[str(extra)] = _answer(_MORE[extra], ref("WeavrError") if extra == 404 else None)
    refused, in_the_way = tuple(forbidden), tuple(conflicts)
    if token:
        answers["429"] = response("Too many calls", None, {**_REFERENCE, **_RATE})
        refused = (*refused, "INSUFFICIENT_PERMISSIONS")
    if refused:
        answers["403"] = _answer("Not permitted", codes(*dict.fromkeys(refused)))
    if token and idempotent:
        in_the_way = (*in_the_way, "IDEMPOTENT_REQUEST_IN_PROGRESS")
    if in_the_way:
        answers["409"] = _answer("Not in this state", codes(*dict.fromkeys(in_the_way)))
    parameters = [_header(key, required=True), _header("call-ref", maxLength=255, pattern="^[ -~]*$")]
    if idempotent and token:
        parameters.append(_header("idempotency-ref"))
    names = list(channels)
    if names:
        parameters.append(
            {"name": "channel", "in": "path", "required": True, "schema": {"type": "string", "enum": names}}
        )
    found: dict[str, Any] = {"summary": summary, "parameters": parameters, "responses": answers}
    if token:
        found["security"] = [{"bearer": []}]
    if body is not None:
        found["requestBody"] = json_body(body)
    return found


_MORE: Final = {403: "Refused", 404: "Unknown", 423: "Locked for 30 minutes"}
