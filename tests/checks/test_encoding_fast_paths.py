"""The quick ways through `device_keys.encoding` say exactly what the slow and strict ways say."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from device_keys.encoding import FormatError, b64url_decode, b64url_encode, canonical_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(JSON)
def test_canonical_json_is_rfc_8785_for_any_value(value: Any) -> None:
    """RTS-5.1.b: the payload's digest is over RFC 8785, whatever shortcut leads to it."""
    try:
        expected = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        with pytest.raises(FormatError):
            canonical_json(value)
        return
    assert canonical_json(value) == expected


@pytest.mark.parametrize(
    "value", [b"bytes", {"a": b"bytes"}, {1: "number as name"}, 2**53, float("inf"), {"a": "\ud800"}, object()]
)
def test_canonical_json_refuses_what_rfc_8785_cannot_carry(value: Any) -> None:
    with pytest.raises(FormatError):
        canonical_json(value)


@given(st.binary(max_size=80))
def test_base64url_round_trips(data: bytes) -> None:
    assert b64url_decode(b64url_encode(data)) == data


@given(st.text(alphabet='AQgwEIMabz09-_+/= \n"\\Ä\0', max_size=12))
def test_base64url_decoding_accepts_exactly_what_encoding_gives(text: str) -> None:
    """Foreign characters, padding and stray trailing bits are refused (AB and AC would give the same byte)."""
    try:
        accepted = b64url_encode(b64url_decode(text)) == text
    except FormatError:
        accepted = False
    assert accepted == _is_canonical(text)


def _is_canonical(text: str) -> bool:
    """By decoding leniently and encoding again: only canonical text comes back the same."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return False
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode() == text
