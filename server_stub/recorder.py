"""The recorder behind `/_stub/requests`: the last calls as they were, bounded in number and in bytes; secrets are left out when it is read.

It belongs to one process: with `--workers`, each remembers what it answered itself.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

HIDDEN: Final = "…"
SECRET_HEADERS: Final = frozenset(
    {"authorization", "x-apikey", "api-key", "programme-key", "x-loginradius-apisecret", "cookie"}
)
SECRET_MEMBERS: Final = frozenset({
    "passcode", "password", "pin", "newpin", "oldpin", "accesstoken", "refreshtoken", "access_token", "refresh_token", "devicetoken",
    "token",
    "activationcode", "verificationcode", "otp", "code", "securityanswer", "securityquestionanswer", "answer", "value", "backupcode",
    "backupcodes", "authenticatorcode", "googleauthenticatorcode", "secondfactorvalidationtoken", "secondfactorauthenticationtoken",
    "apikey", "apisecret", "manualentrycode", "qrcode", "pushqrcode", "pinauthtoken", "authtoken", "session_token", "sessiontoken", "plain",
})  # fmt: skip
# What an error's `code` looks like and a one-time code never does: figures with dots, words with underscores.
_ERROR_CODE: Final = re.compile(r"[0-9]{3}(?:\.[0-9]{2,3})+|[A-Za-z]+(?:_[A-Za-z]+)+")
MOST_ENTRIES: Final = 1000
MOST_BYTES: Final = 16 * 1024 * 1024
# What an entry costs beside the bytes that came and went.
OVERHEAD: Final = 2048


class Recorder:
    """The newest calls, oldest first; the oldest go when there are too many, or too many bytes of them."""

    def __init__(self, most_entries: int = MOST_ENTRIES, most_bytes: int = MOST_BYTES) -> None:
        self.most_entries = most_entries
        self.most_bytes = most_bytes
        self.bytes = 0
        self._entries: deque[dict[str, Any]] = deque()

    def append(self, entry: dict[str, Any]) -> None:
        """Remember a call."""
        self._entries.append(entry)
        self.bytes += _size(entry)
        while len(self._entries) > self.most_entries or self.bytes > self.most_bytes:
            self.bytes -= _size(self._entries.popleft())

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self.bytes = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _size(entry: dict[str, Any]) -> int:
    text = sum(len(name) + len(value) for part in ("headers", "query") for name, value in entry[part].items())
    return OVERHEAD + len(entry["body"]) + len(entry["answer"]) + len(entry["path"]) + text


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
        return {k: HIDDEN if _is_secret(k, v) else without_secrets(v) for k, v in value.items()}
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return value


def _is_secret(name: str, value: Any) -> bool:
    if name == "code" and isinstance(value, str) and _ERROR_CODE.fullmatch(value):
        return False
    return name.lower() in SECRET_MEMBERS and not isinstance(value, dict)
