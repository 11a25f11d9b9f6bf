"""From received text to what the checks read: strictly, and quickly where the text is plain.

The quick way decodes into typed structures, which cannot show a duplicate member. It is taken only if the text can have none: in a text
without escapes and without white space after a quote every member shows as `":`, and there are as many of those as members were read.
Anything else goes the strict way, through `device_keys.messages`, whose answer the quick one always equals.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any, Final

import msgspec

from device_keys.encoding import MAX_JSON_DEPTH, FormatError, b64url_decode, b64url_encode, parse_json_object
from device_keys.messages import Assertion, parse_authenticator_data, parse_client_data


class Response(msgspec.Struct, frozen=True):
    """An AuthenticationResponseJSON as received. `credential_id` and `user_handle` are base64url; `extensions` are not signed."""

    credential_id: str
    client_data_json: bytes
    authenticator_data: bytes
    signature: bytes
    user_handle: str | None
    extensions: dict[str, Any]


class SignedFields(msgspec.Struct, frozen=True):
    """What client data says, as `device_keys.messages.ClientData` names it."""

    type: str
    challenge: bytes
    origin: str
    cross_origin: bool | None
    top_origin: str | None
    payment: dict[str, Any] | None
    device: dict[str, Any] | None


class AuthFields(msgspec.Struct, frozen=True):
    """What authenticator data says, without attested credential data."""

    rp_id_hash: bytes
    flags: int
    sign_count: int


class _ResponseText(msgspec.Struct):
    clientDataJSON: str  # noqa: N815 - the wire's names
    authenticatorData: str  # noqa: N815
    signature: str
    userHandle: str | None = None  # noqa: N815


class _CredentialText(msgspec.Struct):
    id: str
    type: str
    response: _ResponseText
    rawId: str | None = None  # noqa: N815
    authenticatorAttachment: str | None = None  # noqa: N815
    clientExtensionResults: dict[str, Any] | None = None  # noqa: N815


class _ClientDataText(msgspec.Struct):
    type: str
    challenge: str
    origin: str
    crossOrigin: bool | None = None  # noqa: N815
    topOrigin: str | None = None  # noqa: N815
    payment: dict[str, Any] | None = None
    device: dict[str, Any] | None = None


_decode_credential: Final = msgspec.json.Decoder(_CredentialText).decode
_decode_client_data: Final = msgspec.json.Decoder(_ClientDataText).decode
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


@lru_cache(maxsize=4096)
def _checked(text: str, field: str) -> str:
    """The text, being base64url: ids come again and again. Raises FormatError."""
    quick_b64url(text, field)
    return text


def _has_members(text: str, count: int) -> bool:
    """Whether a JSON text is plain and holds exactly so many members, none of them twice."""
    return (
        text.count('":') == count
        and "\\" not in text
        and (" " not in text or '" ' not in text)
        and "\n" not in text
        and "\r" not in text
        and "\t" not in text
    )


def _members(value: Any, left: int = MAX_JSON_DEPTH - 2) -> int:
    """How many members an object has, with those of what it contains; more than any text has where it is nested too deep."""
    if left == 0:
        return sys.maxsize
    if type(value) is dict:
        count = len(value)
        for child in value.values():
            if type(child) is dict or type(child) is list:
                count += _members(child, left - 1)
        return count
    return sum(_members(child, left - 1) for child in value) if type(value) is list else 0


def read_assertion(text: str) -> Response:
    """An AuthenticationResponseJSON. Raises FormatError."""
    if not text.isascii():
        return _strict_assertion(text)
    try:
        found = _decode_credential(text)
    except (ValueError, RecursionError):
        return _strict_assertion(text)
    inner, extensions = found.response, found.clientExtensionResults
    members = (
        6
        + (inner.userHandle is not None)
        + (found.rawId is not None)
        + (found.authenticatorAttachment is not None)
        + (0 if extensions is None else 1 + _members(extensions))
    )
    if found.type != "public-key" or found.rawId not in (found.id, None) or not _has_members(text, members):
        return _strict_assertion(text)
    return Response(
        _checked(found.id, "assertion.id"),
        quick_b64url(inner.clientDataJSON, "assertion.response.clientDataJSON"),
        quick_b64url(inner.authenticatorData, "assertion.response.authenticatorData"),
        quick_b64url(inner.signature, "assertion.response.signature"),
        None if inner.userHandle is None else _checked(inner.userHandle, "assertion.response.userHandle"),
        extensions or _NO_EXTENSIONS,
    )


def _strict_assertion(text: str) -> Response:
    found = Assertion.from_json(parse_json_object(text, "assertion"))
    handle = None if found.user_handle is None else b64url_encode(found.user_handle)
    return Response(
        b64url_encode(found.credential_id),
        found.client_data_json,
        found.authenticator_data,
        found.signature,
        handle,
        found.extensions,
    )


def read_client_data(raw: bytes) -> SignedFields:
    """Client data. Raises FormatError."""
    try:
        text = raw.decode()
        found = _decode_client_data(text)
    except (ValueError, RecursionError):
        return _strict_client_data(raw)
    payment, device = found.payment, found.device
    members = (
        3
        + (found.crossOrigin is not None)
        + (found.topOrigin is not None)
        + (0 if payment is None else 1 + _members(payment))
        + (0 if device is None else 1 + _members(device))
    )
    if not _has_members(text, members):
        return _strict_client_data(raw)
    challenge = quick_b64url(found.challenge, "clientDataJSON.challenge")
    return SignedFields(found.type, challenge, found.origin, found.crossOrigin, found.topOrigin, payment, device)


def _strict_client_data(raw: bytes) -> SignedFields:
    found = parse_client_data(raw)
    return SignedFields(
        found.type,
        found.challenge,
        found.origin,
        found.cross_origin,
        found.top_origin,
        found.payment,
        found.device,
    )


def read_authenticator_data(raw: bytes) -> AuthFields:
    """Authenticator data. Raises FormatError."""
    if len(raw) != 37 or raw[32] & 0xC0:
        parse_authenticator_data(raw)
    return AuthFields(raw[:32], raw[32], int.from_bytes(raw[33:37], "big"))


def look_up(text: str) -> tuple[str | None, str | None]:
    """The credential id and the nonce that a received assertion names, None for each that cannot be read: for finding what is stored."""
    try:
        response = read_assertion(text)
    except FormatError:
        return None, None
    try:
        nonce = (read_client_data(response.client_data_json).device or {}).get("nonce")
    except FormatError:
        nonce = None
    return response.credential_id, nonce if isinstance(nonce, str) and len(nonce) < 200 else None
