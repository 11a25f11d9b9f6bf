"""The recorder behind `/_stub/requests`: the last thousand calls as they were; secrets are left out when it is read."""

from __future__ import annotations

import json
from typing import Any, Final

HIDDEN: Final = "…"
SECRET_HEADERS: Final = frozenset(
    {"authorization", "x-apikey", "api-key", "programme-key", "x-loginradius-apisecret", "cookie"}
)
SECRET_MEMBERS: Final = frozenset({
    "passcode", "password", "pin", "newpin", "oldpin", "accesstoken", "refreshtoken", "access_token", "refresh_token", "devicetoken", "token",
    "activationcode", "verificationcode", "otp", "code", "securityanswer", "securityquestionanswer", "answer", "value", "backupcode",
    "backupcodes", "authenticatorcode", "googleauthenticatorcode", "secondfactorvalidationtoken", "secondfactorauthenticationtoken",
    "apikey", "apisecret", "manualentrycode", "qrcode", "pushqrcode", "pinauthtoken", "authtoken", "session_token", "sessiontoken", "plain",
})  # fmt: skip


def recorded(entry: dict[str, Any]) -> dict[str, Any]:
    """One call for a reader: method, path, query, headers, body, status and answer, without secrets."""
    return {
        "requestId": entry["id"],
        "at": entry["at"],
        "method": entry["method"],
        "path": entry["path"],
        "query": {k: HIDDEN if k.lower() in SECRET_MEMBERS else v for k, v in entry["query"].items()},
        "headers": {k: HIDDEN if k.lower() in SECRET_HEADERS else v for k, v in entry["headers"].items()},
        "body": _readable(entry["body"]),
        "status": entry["status"],
        "answer": _readable(entry["answer"]),
    }


def _readable(raw: bytes) -> Any:
    if not raw:
        return None
    try:
        return without_secrets(json.loads(raw))
    except (ValueError, RecursionError):
        return f"{len(raw)} bytes that are not JSON"


def without_secrets(value: Any) -> Any:
    """A copy in which the values of secret members are hidden."""
    if isinstance(value, dict):
        return {
            k: HIDDEN if k.lower() in SECRET_MEMBERS and not isinstance(v, dict) else without_secrets(v)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return value
