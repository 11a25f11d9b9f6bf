"""From received text to structures, strictly, and quickly where the text is plain.

A text is plain if decoding and encoding it again gives the same bytes: then it has no duplicate members, no odd
numbers and no white space, and what a C decoder read is what the strict reader would have read. Anything else goes to
the strict reader.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from device_keys.encoding import MAX_JSON_DEPTH, b64url_decode, parse_json_object
from device_keys.messages import Assertion, ClientData, parse_client_data

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode
_NO_EXTENSIONS: Final[dict[str, Any]] = {}


def read_plain(raw: bytes) -> dict[str, Any] | None:
    """The object in `raw` if it is plain JSON, else None."""
    if raw.count(b"{") + raw.count(b"[") > MAX_JSON_DEPTH:
        return None
    try:
        value = _decode(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _encode(value) == raw else None


def read_assertion(text: str) -> Assertion:
    """An AuthenticationResponseJSON. Raises FormatError."""
    record = read_plain(text.encode()) if text.isascii() else None
    if record is None:
        return Assertion.from_json(parse_json_object(text, "assertion"))
    response = record.get("response")
    if type(response) is not dict or record.get("type") != "public-key" or record.get("rawId") != record.get("id"):
        return Assertion.from_json(record)
    handle = response.get("userHandle")
    extensions = record.get("clientExtensionResults")
    if not (extensions is None or type(extensions) is dict):
        return Assertion.from_json(record)
    return Assertion(
        b64url_decode(record.get("id"), "assertion.id"),
        b64url_decode(response.get("clientDataJSON"), "assertion.response.clientDataJSON"),
        b64url_decode(response.get("authenticatorData"), "assertion.response.authenticatorData"),
        b64url_decode(response.get("signature"), "assertion.response.signature"),
        None if handle is None else b64url_decode(handle, "assertion.response.userHandle"),
        extensions or _NO_EXTENSIONS,
    )


def read_client_data(raw: bytes) -> ClientData:
    """Client data. Raises FormatError."""
    fields = read_plain(raw)
    if fields is None:
        return parse_client_data(raw)
    get = fields.get
    kind, origin, top, cross = get("type"), get("origin"), get("topOrigin"), get("crossOrigin")
    payment, device = get("payment"), get("device")
    if (
        type(kind) is not str
        or type(origin) is not str
        or not (top is None or type(top) is str)
        or not (cross is None or type(cross) is bool)
        or not (payment is None or type(payment) is dict)
        or not (device is None or type(device) is dict)
    ):
        return parse_client_data(raw)
    challenge = b64url_decode(get("challenge"), "clientDataJSON.challenge")
    return ClientData(raw, kind, challenge, origin, cross, top, payment, device)
