"""Strict encodings: what is not exactly well-formed is a `FormatError`, never a best guess.

Bytes that are signed are kept as received; nothing here re-serialises them.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Callable
from typing import Any, Final

import msgspec

from device_keys.cbor import NotCanonical, decode_prefix

MAX_JSON_DEPTH: Final = 32
_LARGEST: Final = 2**53 - 1  # the integers that RFC 8785 carries

# Base64url to base64; its own two characters, padding and what JSON treats apart become one that is in neither. Then what pads, and what
# may end a text, by its length mod 4.
_TO_BASE64: Final = bytes.maketrans(b'-_+/="\\', b"+/!!!!!")
_FROM_BASE64: Final = bytes.maketrans(b"+/", b"-_")
_PADDING: Final = (b"", b"!", b"==", b"=")
_LAST: Final = (frozenset(range(256)), frozenset[int](), frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))
_decode_base64: Final = msgspec.json.Decoder(bytes).decode  # half the time of binascii's


class FormatError(ValueError):
    """Input that cannot be read: `field` says where, `expected` what should have stood there."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}")
        self.field = field
        self.expected = expected


def b64url_encode(data: bytes) -> str:
    """Base64url without padding (RFC 4648 section 5)."""
    return b2a_base64(data, newline=False).translate(_FROM_BASE64, b"=").decode("ascii")


def b64url_decode(text: object, field: str = "value") -> bytes:
    """The bytes of base64url text without padding; foreign characters and stray trailing bits are refused."""
    if not isinstance(text, str):
        raise FormatError(field, "base64url text")
    try:
        raw = text.encode("ascii")
        data: bytes = _decode_base64(b'"%b"' % (raw.translate(_TO_BASE64) + _PADDING[len(raw) & 3]))
    except ValueError as error:
        raise FormatError(field, "base64url text without padding") from error
    if raw and raw[-1] not in _LAST[len(raw) & 3]:
        raise FormatError(field, "base64url text without padding and without stray bits")
    return data


def parse_json(raw: bytes | str, field: str = "body", *, exact: bool = False) -> Any:
    """The value of a JSON text; duplicate members, NaN, deep nesting and bytes that are not UTF-8 are refused.

    `exact`: a number that a double cannot hold to its last written digit is refused too: RFC 8785 would make it another number.
    """
    try:
        text = raw if isinstance(raw, str) else raw.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=_unique_members, parse_constant=_no_constant, parse_float=_exact if exact else None
        )
    except FormatError as error:
        raise FormatError(field, error.expected) from error
    except RecursionError as error:
        raise FormatError(field, f"JSON nested at most {MAX_JSON_DEPTH} deep") from error
    except ValueError as error:
        raise FormatError(field, "a JSON text in UTF-8") from error
    _check_depth(value, field, MAX_JSON_DEPTH)
    return value


def parse_json_object(raw: bytes | str, field: str = "body", *, exact: bool = False) -> dict[str, Any]:
    """As `parse_json`, for a text that must be an object."""
    value = parse_json(raw, field, exact=exact)
    if not isinstance(value, dict):
        raise FormatError(field, "a JSON object")
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise FormatError("body", "a JSON object without duplicate members")
    return members


def _no_constant(name: str) -> float:
    raise FormatError("body", f"JSON without {name}")


def _exact(digits: str) -> float:
    number = float(digits)
    from decimal import Decimal, InvalidOperation

    try:
        exact = Decimal(digits) == Decimal(repr(number))  # a comparison never rounds
    except InvalidOperation:
        exact = False  # an exponent beyond what even Decimal takes
    if not exact:
        raise FormatError("body", f"a number that RFC 8785 carries exactly, not {digits[:40]}; send it as text")
    return number


def _check_depth(value: Any, field: str, left: int) -> None:
    if left == 0:
        raise FormatError(field, f"JSON nested at most {MAX_JSON_DEPTH} deep")
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        if isinstance(child, dict | list):
            _check_depth(child, field, left - 1)


def canonical_json(value: Any, field: str = "value") -> bytes:
    """RFC 8785 form; numbers that it cannot carry (integers of 2^53 and more, infinities) are a `FormatError`.

    Objects of plain text and small integers, that is nearly every order, take msgspec's way: its sorted form is then the same bytes, if no
    character needs an escape or lies beyond the basic plane, where the two sort differently.
    """
    if _is_plain(value, MAX_JSON_DEPTH):
        try:
            plain = msgspec.json.encode(value, order="sorted")
        except UnicodeEncodeError as error:
            raise FormatError(field, "JSON that RFC 8785 can carry") from error
        if b"\\" not in plain and (plain.isascii() or max(plain) < 0xF0):
            return plain
    import rfc8785

    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise FormatError(field, "JSON that RFC 8785 can carry") from error


def _is_plain(value: Any, left: int) -> bool:
    """Whether a value consists of objects, arrays, text, small integers, true, false and null, of exactly these types."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(-_LARGEST <= value <= _LARGEST)
    if left == 0:
        return False
    if kind is dict:
        return all(type(name) is str and _is_plain(child, left - 1) for name, child in value.items())
    return bool(kind is list and all(_is_plain(child, left - 1) for child in value))


def cbor_encode(value: Any) -> bytes:
    """CTAP2 canonical CBOR."""
    from fido2 import cbor

    return cbor.encode(value)


def cbor_decode_prefix(data: bytes, field: str = "CBOR") -> tuple[Any, bytes]:
    """The first CTAP2 canonical CBOR item of `data`, and the bytes after it."""
    try:
        value, end = decode_prefix(data)
    except NotCanonical as error:
        raise FormatError(field, "CTAP2 canonical CBOR (complete, shortest forms, sorted unique keys)") from error
    return value, data[end:]


def cbor_decode(data: bytes, field: str = "CBOR") -> Any:
    """The one canonical CBOR item that fills `data`."""
    value, rest = cbor_decode_prefix(data, field)
    if rest:
        raise FormatError(field, "one CBOR item and nothing after it")
    return value


def member(record: Any, name: str, kind: type | tuple[type, ...], field: str = "", *, required: bool = True) -> Any:
    """`record[name]` if it has the type asked for; `None` where it is absent and not required."""
    where = f"{field}.{name}" if field else name
    if not isinstance(record, dict):
        raise FormatError(field or "value", "an object")
    value = record.get(name)
    if value is None:
        if required:
            raise FormatError(where, _kind_name(kind))
        return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise FormatError(where, _kind_name(kind))
    return value


_KIND_NAMES: Final[dict[type, str]] = {
    str: "text",
    int: "an integer",
    float: "a number",
    dict: "an object",
    list: "an array",
    bool: "true or false",
    bytes: "a byte string",
}


def _kind_name(kind: type | tuple[type, ...]) -> str:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if set(kinds) == {int, float}:
        return "a number"
    return " or ".join(_KIND_NAMES.get(k, k.__name__) for k in kinds)


Decoder = Callable[[bytes], Any]
