"""What a call brings: key, secret or signature, token, and a body whose member names match in any letter case."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from device_keys.encoding import FormatError, parse_json
from server_stub.dialects.loginradius.constants import LOGINRADIUS
from server_stub.dialects.loginradius.errors import refuse
from server_stub.http import Call

_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
MAX_TEXT: Final = 4096


def equal(one: str, other: str) -> bool:
    """Whether two texts are equal, in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def is_guid(text: str) -> bool:
    return _GUID.fullmatch(text) is not None


# --- key, secret, token ----------------------------------------------------------------------------------------------


def check_api_key(call: Call) -> None:
    """Query `apikey`: absent 922, empty or no GUID 920, unknown 901."""
    _check_credential(call.query.get("apikey"), LOGINRADIUS.api_key, missing=922, invalid=920, unknown=901)


def _check_credential(given: str | None, known: str, *, missing: int, invalid: int, unknown: int) -> None:
    if given is None:
        raise refuse(missing)
    if not is_guid(given):
        raise refuse(invalid)
    if not equal(given.lower(), known):
        raise refuse(unknown)


def check_api_secret(call: Call, now: datetime) -> None:
    """Query `apisecret`, header `X-LoginRadius-ApiSecret`, or a signed request: absent 923, empty or no GUID 921, unknown 902."""
    if "digest" in call.headers:
        _check_signature(call, now)
        return
    given = call.query.get("apisecret", call.headers.get("x-loginradius-apisecret"))
    _check_credential(given, LOGINRADIUS.api_secret, missing=923, invalid=921, unknown=902)


def _check_signature(call: Call, now: datetime) -> None:
    """`digest: SHA-256=…`: HMAC over the expiry, the lower-case escaped URL and the body, as the vendor's SDKs make it."""
    expires = call.headers.get("x-request-expires", "")
    try:
        until = datetime.strptime(expires, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise refuse(908, "X-Request-Expires: expected YYYY-MM-DD HH:MM:SS in UTC.") from None
    given = call.headers["digest"].removeprefix("SHA-256=")
    if now >= until or not any(equal(given, digest) for digest in request_digests(call, expires)):
        raise refuse(902, "The signature of the request is not valid, or has expired.")


def request_digests(call: Call, expires: str) -> list[str]:
    """The digests that an honest client may have made: its scheme is known only up to a TLS proxy before us."""
    signed = []
    for scheme in ("https", "http"):
        url = f"{scheme}://{call.headers.get('host', '')}{call.target}"
        text = f"{expires}:{quote(url.lower(), safe='')}".lower()
        message = text.encode() if call.method == "GET" else text.encode() + b":" + call.body
        signed.append(base64.b64encode(hmac.digest(LOGINRADIUS.api_secret.encode(), message, hashlib.sha256)).decode())
    return signed


def access_token(call: Call) -> str:
    """The bearer, or query `access_token`; absent 1060."""
    token = call.bearer or call.query.get("access_token")
    if not token:
        raise refuse(1060)
    return token


# --- body ------------------------------------------------------------------------------------------------------------


def body_of(call: Call) -> dict[str, Any]:
    """The JSON object, names in lower case at every depth; what is none is 965."""
    try:
        value = lower_names(parse_json(call.body))
    except FormatError as problem:
        raise refuse(965, f"Please use a valid JSON body ({problem}).") from None
    if not isinstance(value, dict):
        raise refuse(965, "Please use a JSON object as the body.")
    return value


def lower_names(value: Any) -> Any:
    """The same value with member names in lower case; two names that then agree are refused."""
    if isinstance(value, list):
        return [lower_names(item) for item in value]
    if not isinstance(value, dict):
        return value
    lowered = {name.lower(): lower_names(item) for name, item in value.items()}
    if len(lowered) != len(value):
        raise FormatError("body", "no member twice, in whatever letter case")
    return lowered


def text(record: dict[str, Any], *names: str) -> str | None:
    """The first of these members that is there: text, or a whole number as digits; None where there is none or it is empty."""
    for name in names:
        value = record.get(name)
        if value is None or value == "":
            continue
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise FormatError(name, "text")
        return clean(value, name)
    return None


def clean(value: str, name: str) -> str:
    """Text that can be stored: of bounded length, no NUL, no lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise FormatError(name, "Unicode text") from None
    if "\0" in value or len(value) > MAX_TEXT:
        raise FormatError(name, f"at most {MAX_TEXT} characters, none of them NUL")
    return value


def query_text(call: Call, name: str) -> str | None:
    """A query parameter, None where it is absent or empty."""
    value = call.query.get(name)
    return clean(value, name) if value else None
