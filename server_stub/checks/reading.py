"""From received text to what the checks read: strictly, and quickly where the text is plain.

The quick way decodes into typed structures, which cannot show a duplicate member. It is taken only if the text can have none: a text
without escapes has two quotation marks for every member's name and every text, and those of what was read account for all of them.
Anything else goes the strict way, through `device_keys.messages`, whose answer the quick one always equals.
"""

from __future__ import annotations

import struct
import sys
from functools import lru_cache
from typing import Any, Final

import msgspec

from device_keys.encoding import MAX_JSON_DEPTH, FormatError, b64url_decode, b64url_encode, parse_json_object
from device_keys.messages import Assertion, parse_authenticator_data, parse_client_data


class Response(msgspec.Struct, frozen=True, gc=False):
    """An AuthenticationResponseJSON as received. `credential_id` and `user_handle` are base64url; `extensions` are not signed."""

    credential_id: str
    client_data_json: bytes
    authenticator_data: bytes
    signature: bytes
    user_handle: str | None
    extensions: dict[str, Any]


class SignedFields(msgspec.Struct, frozen=True, gc=False):
    """What client data says, as `device_keys.messages.ClientData` names it."""

    type: str
    challenge: bytes
    origin: str
    cross_origin: bool | None
    top_origin: str | None
    payment: dict[str, Any] | None
    device: dict[str, Any] | None


class AuthFields(msgspec.Struct, frozen=True, gc=False):
    """What authenticator data says, without attested credential data."""

    rp_id_hash: bytes
    flags: int
    sign_count: int


class _ResponseText(msgspec.Struct, gc=False):
    clientDataJSON: str  # noqa: N815 - the wire's names
    authenticatorData: str  # noqa: N815
    signature: str
    userHandle: str | None = None  # noqa: N815


class _CredentialText(msgspec.Struct, gc=False):
    id: str
    type: str
    response: _ResponseText
    rawId: str | None = None  # noqa: N815
    authenticatorAttachment: str | None = None  # noqa: N815
    clientExtensionResults: dict[str, Any] | None = None  # noqa: N815


class _ClientDataText(msgspec.Struct, gc=False):
    type: str
    challenge: str
    origin: str
    crossOrigin: bool | None = None  # noqa: N815
    topOrigin: str | None = None  # noqa: N815
    payment: dict[str, Any] | None = None
    device: dict[str, Any] | None = None


_decode_credential: Final = msgspec.json.Decoder(_CredentialText).decode
_decode_client_data: Final = msgspec.json.Decoder(_ClientDataText).decode
_unpack: Final = struct.Struct(">32sBI").unpack_from
_NO_EXTENSIONS: Final[dict[str, Any]] = {}


@lru_cache(maxsize=4096)
def _checked(text: str, field: str) -> str:
    """The text, being base64url: ids come again and again. Raises FormatError."""
    b64url_decode(text, field)
    return text


def _is_plain(text: str, quotes: int) -> bool:
    """Whether a JSON text has no escapes, and just so many quotation marks: members and texts that were not read,
    or read twice, would show as more of them."""
    return text.count('"') == quotes and "\\" not in text


def _quotes(value: Any, left: int = MAX_JSON_DEPTH - 2) -> int:
    """How many quotation marks a value is written with; more than any text has where it is nested too deep."""
    kind = type(value)
    if kind is str:
        return 2
    if (kind is not dict and kind is not list) or not value:
        return 0
    if left == 0:
        return sys.maxsize
    if kind is dict:
        return 2 * len(value) + sum([_quotes(child, left - 1) for child in value.values()])
    return sum([_quotes(child, left - 1) for child in value])


def read_assertion(text: str) -> Response:
    """An AuthenticationResponseJSON. Raises FormatError."""
    if not text.isascii():
        return _strict_assertion(text)
    try:
        found = _decode_credential(text)
    except (ValueError, RecursionError):
        return _strict_assertion(text)
    inner, handle, extensions = found.response, found.response.userHandle, found.clientExtensionResults
    quotes = (
        22
        + (0 if handle is None else 4)
        + (0 if found.rawId is None else 4)
        + (0 if found.authenticatorAttachment is None else 4)
        + (0 if extensions is None else 2 + _quotes(extensions))
    )
    if found.type != "public-key" or found.rawId not in (found.id, None) or not _is_plain(text, quotes):
        return _strict_assertion(text)
    return Response(
        _checked(found.id, "assertion.id"),
        b64url_decode(inner.clientDataJSON, "assertion.response.clientDataJSON"),
        b64url_decode(inner.authenticatorData, "assertion.response.authenticatorData"),
        b64url_decode(inner.signature, "assertion.response.signature"),
        None if handle is None else _checked(handle, "assertion.response.userHandle"),
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
    cross, top, payment, device = found.crossOrigin, found.topOrigin, found.payment, found.device
    quotes = (
        12
        + (0 if cross is None else 2)
        + (0 if top is None else 4)
        + (0 if payment is None else 2 + _quotes(payment))
        + (0 if device is None else 2 + _quotes(device))
    )
    if not _is_plain(text, quotes):
        return _strict_client_data(raw)
    challenge = b64url_decode(found.challenge, "clientDataJSON.challenge")
    return SignedFields(found.type, challenge, found.origin, cross, top, payment, device)


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
    return AuthFields(*_unpack(raw))


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
