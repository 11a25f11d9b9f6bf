"""The strict CBOR reader against python-fido2's, which decodes more and encodes canonically: what differs when encoded again is refused."""

from __future__ import annotations

from typing import Any

import pytest
from fido2 import cbor as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from device_keys.cbor import NotCanonical, decode_prefix

ATOMS = st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=30)
VALUES = st.recursive(
    ATOMS,
    lambda children: (
        st.lists(children, max_size=30)
        | st.dictionaries(st.integers(-30, 300) | st.text(max_size=30), children, max_size=30)
    ),
    max_leaves=30,
)


@given(VALUES, st.binary(max_size=4))
def test_canonical_items_are_read_with_what_follows(value: Any, rest: bytes) -> None:
    data = reference.encode(value)
    try:
        assert decode_prefix(data + rest) == (value, len(data))
    except NotCanonical:
        assert _depth(value) > 16


def _depth(value: Any) -> int:
    children = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return 1 + max(map(_depth, children), default=0) if isinstance(value, dict | list) else 0


@settings(max_examples=500)
@given(st.binary(max_size=24) | st.binary(max_size=24).map(lambda tail: b"\xa2\x01" + tail))
def test_any_bytes_are_read_as_the_reference_reads_and_writes_them(data: bytes) -> None:
    """Read alike if the reference's own encoding of what it read is the bytes themselves; else refused."""
    try:
        value, rest = reference.decode_from(data)
        canonical = reference.encode(value) == data[: len(data) - len(rest)]
    except Exception:  # its decoder lets errors of struct and dict out
        canonical = False
    if canonical:
        assert decode_prefix(data) == (value, len(data) - len(rest))
    else:
        with pytest.raises(NotCanonical):
            decode_prefix(data)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x18\x17", b"\x19\x00\xff", b"\x1a\x00\x00\xff\xff", b"\x1b" + b"\x00" * 4 + b"\xff" * 4, b"\x58\x02a", b"\x9f\xff",
        b"\xa2\x01\x01\x01\x02", b"\xa2\x02\x01\x01\x01", b"\xf6", b"\xf8\x15", b"\xc0\x01", b"\x61\xff", b"\xa1\x80\x01", b"\x81" * 40,
        b"\xfb" + b"\x00" * 8, b"\xa2\xf5\x01\x01\x01",
    ],
)  # fmt: skip
def test_what_is_not_canonical_is_refused(data: bytes) -> None:
    """Traps section 5: duplicate keys, longer forms, indefinite lengths, tags, null, floats, bad text, deep nesting."""
    with pytest.raises(NotCanonical):
        decode_prefix(data)
