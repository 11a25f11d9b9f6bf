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
_decode_base64: Final = msgspec.json.Decoder(bytes).decode
_NO_EXTENSIONS: Final[dict[str, Any]] = {}

# To the alphabet of base64; its own two characters, padding and what JSON treats apart become one that is in neither.
_TO_BASE64: Final = bytes.maketrans(b'-_+/="\\', b"+/!!!!!")
_PADDING: Final = (b"", b"!", b"==", b"=")
_LAST: Final = (b"", b"", b"AQgw", b"AEIMQUYcgkosw048")


def quick_b64url(text: Any, field: str) -> bytes:
    """As `b64url_decode`, by a C decoder that refuses all but stray trailing bits. Raises FormatError."""
    try:
        raw = text.encode("ascii").translate(_TO_BASE64)
        data: bytes = _decode_base64(b'"%b"' % (raw + _PADDING[len(raw) & 3]))
    except (ValueError, AttributeError):
        return b64url_decode(text, field)
    return data if not len(raw) & 3 or raw[-1] in _LAST[len(raw) & 3] else b64url_decode(text, field)


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
        quick_b64url(record.get("id"), "assertion.id"),
        quick_b64url(response.get("clientDataJSON"), "assertion.response.clientDataJSON"),
        quick_b64url(response.get("authenticatorData"), "assertion.response.authenticatorData"),
        quick_b64url(response.get("signature"), "assertion.response.signature"),
        None if handle is None else quick_b64url(handle, "assertion.response.userHandle"),
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
    challenge = quick_b64url(get("challenge"), "clientDataJSON.challenge")
    return ClientData(raw, kind, challenge, origin, cross, top, payment, device)
