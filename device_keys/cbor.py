"""CTAP2 canonical CBOR, read strictly in one pass: what is not in its one canonical form is refused while it is read.

Libraries decode first and leave it to the caller to encode again and compare, which costs several times as much and must be thought of.
Integers, byte and text strings, arrays, maps, true and false: the types of CTAP2 messages that WebAuthn structures use; no others.
"""

from __future__ import annotations

from typing import Any, Final

MAX_DEPTH: Final = 16


class NotCanonical(ValueError):
    """Bytes that are not canonical CBOR, or end too soon."""


def decode_prefix(data: bytes) -> tuple[Any, int]:
    """The first item of `data` and where it ends. Raises NotCanonical."""
    try:
        return _item(data, 0, MAX_DEPTH)
    except (IndexError, UnicodeDecodeError, TypeError) as error:
        raise NotCanonical("CBOR") from error


def _item(data: bytes, at: int, left: int) -> tuple[Any, int]:
    first = data[at]
    major, value = first >> 5, first & 0x1F
    at += 1
    if value > 23 and major != 7:
        value, at = _argument(data, at, value)
    if major == 2 or major == 3:
        end = at + value
        if end > len(data):
            raise NotCanonical("a string of its announced length")
        return (data[at:end] if major == 2 else data[at:end].decode("utf-8")), end
    if major == 0:
        return value, at
    if major == 1:
        return -1 - value, at
    if major == 7:
        if value == 20 or value == 21:
            return value == 21, at
        raise NotCanonical("true or false")
    if left == 0 or major == 6:
        raise NotCanonical(f"items nested at most {MAX_DEPTH} deep, without tags")
    return _array(data, at, value, left - 1) if major == 4 else _map(data, at, value, left - 1)


def _argument(data: bytes, at: int, info: int) -> tuple[int, int]:
    """The value after the first byte, in 1, 2, 4 or 8 bytes and no more than it needs."""
    if info > 27:
        raise NotCanonical("a definite length")
    size = 1 << (info - 24)
    end = at + size
    if end > len(data):
        raise NotCanonical("a complete item")
    value = int.from_bytes(data[at:end], "big")
    if value < 24 or (size > 1 and value >> (size * 4) == 0):
        raise NotCanonical("the shortest form")
    return value, end


def _array(data: bytes, at: int, count: int, left: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(count):
        item, at = _item(data, at, left)
        items.append(item)
    return items, at


def _map(data: bytes, at: int, count: int, left: int) -> tuple[dict[Any, Any], int]:
    """Keys in order, each once: by the first byte, then the length, then the bytes of the encoded key."""
    entries: dict[Any, Any] = {}
    previous = (-1, 0, b"")
    for _ in range(count):
        start = at
        key, at = _item(data, at, left)
        encoded = data[start:at]
        order = (encoded[0], len(encoded), encoded)
        if order <= previous:
            raise NotCanonical("keys in canonical order, each once")
        previous = order
        entries[key], at = _item(data, at, left)
    if len(entries) != count:
        raise NotCanonical("keys that are different values")
    return entries, at
