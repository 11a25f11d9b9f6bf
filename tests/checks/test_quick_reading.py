"""The quick readers say exactly what the strict ones say: the same fields, or a format error from both."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_keys.encoding import FormatError, b64url_decode, b64url_encode, parse_json_object
from device_keys.messages import Assertion, parse_authenticator_data, parse_client_data
from server_stub.checks.reading import look_up, read_assertion, read_authenticator_data, read_client_data

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text('a:{}[],\\"\n é€', max_size=8),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text('ab:" ', max_size=3), children, max_size=3)
    ),
    max_leaves=6,
)
CLIENT_DATA = st.fixed_dictionaries(
    {
        "type": st.just("webauthn.get"),
        "challenge": st.sampled_from(["AAAA", "AAA", "AB", "?"]),
        "origin": st.text("a:/", max_size=5),
    },
    optional={
        "crossOrigin": st.booleans() | st.none() | VALUES,
        "topOrigin": st.text(max_size=4) | st.none() | VALUES,
        "payment": st.dictionaries(st.text("ab", max_size=2), VALUES, max_size=3) | VALUES,
        "device": st.dictionaries(st.text("ab", max_size=2), VALUES, max_size=3) | VALUES,
        "extra": VALUES,
    },
)
ASSERTION = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["AAAA", "AB", "A"]),
        "type": st.sampled_from(["public-key", "other"]),
        "response": st.fixed_dictionaries(
            {
                "clientDataJSON": st.just("e30"),
                "authenticatorData": st.sampled_from(["AAAA", "AAA="]),
                "signature": st.just("AA"),
            },
            optional={"userHandle": st.sampled_from(["AAAA", "AB", None]), "extra": VALUES},
        ),
    },
    optional={
        "rawId": st.sampled_from(["AAAA", None, 5]),
        "authenticatorAttachment": st.sampled_from(["platform", None, 5]),
        "clientExtensionResults": st.dictionaries(st.text("ab", max_size=2), VALUES, max_size=3) | VALUES,
        "extra": VALUES,
    },
)


@st.composite
def texts(draw: st.DrawFn, records: st.SearchStrategy[dict[str, Any]]) -> str:
    """JSON as various writers write it: spaced or not, escaped or not, sometimes with a member twice or a letter changed."""
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (",", " :"), (",\n", ":\t")]))
    record = draw(records)
    text = json.dumps(record, separators=separators, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 3)) == 1:
        name = draw(st.sampled_from(sorted(record)))
        space = draw(st.sampled_from(["", " ", "\n"]))
        text = f"{text[:-1]},{json.dumps(name)}{space}:{json.dumps(draw(st.just(record[name]) | VALUES))}" + "}"
    if draw(st.integers(0, 5)) == 1 and text:
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(st.sampled_from(["", "}", '"', "\\", "x", "\ufeff"])) + text[at + 1 :]
    return text


@settings(max_examples=400)
@given(texts(CLIENT_DATA))
def test_client_data_is_read_alike(text: str) -> None:
    """WebAuthn L3 section 5.8.1: members in any order, unknown ones ignored, duplicates refused."""
    raw = text.encode("utf-8", "surrogatepass")
    try:
        expected = parse_client_data(raw)
    except FormatError:
        with pytest.raises(FormatError):
            read_client_data(raw)
        return
    found = read_client_data(raw)
    names = ("type", "challenge", "origin", "cross_origin", "top_origin")
    assert [getattr(found, name) for name in names] == [getattr(expected, name) for name in names]
    assert str(found.payment) == str(expected.payment) or _odd(text)
    assert str(found.device) == str(expected.device) or _odd(text)


def _odd(text: str) -> bool:
    """Numbers beyond 64 bits and exponents are read as either type by either reader; no check reads a number."""
    return any(mark in text for mark in ("e+", "e-")) or any(len(word) > 17 for word in text.replace("-", " ").split())


@settings(max_examples=400)
@given(texts(ASSERTION))
def test_assertions_are_read_alike(text: str) -> None:
    try:
        expected = Assertion.from_json(parse_json_object(text, "assertion"))
    except FormatError:
        with pytest.raises(FormatError):
            read_assertion(text)
        assert look_up(text) == (None, None)
        return
    found = read_assertion(text)
    names = ("client_data_json", "authenticator_data", "signature")
    assert [getattr(found, name) for name in names] == [getattr(expected, name) for name in names]
    assert b64url_decode(found.credential_id) == expected.credential_id
    assert (None if found.user_handle is None else b64url_decode(found.user_handle)) == expected.user_handle
    assert str(found.extensions) == str(expected.extensions) or _odd(text)
    assert look_up(text)[0] == b64url_encode(expected.credential_id)


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"a","challenge":"AA","origin":"b","origin":"c"}',
        '{"type":"a","challenge":"AA","origin" :"b","origin":"c"}',
        '{"type":"a","challenge":"AA","origin":"b","device":{"nonce":"A","nonce":"B"}}',
        '{"type":"a","challenge":"AA","origin":"b","device":{"nonce"\n:"A","nonce":"B"}}',
        '{"type":"a","challenge":"AA","origin":"b","payment":{"total":[{"value":"1","value":"2"}]}}',
    ],
)
def test_a_member_twice_is_refused(text: str) -> None:
    """Two readers of one text must not see two different payments (RTS Art. 5)."""
    with pytest.raises(FormatError):
        read_client_data(text.encode())


@given(st.binary(min_size=30, max_size=45) | st.binary(min_size=37, max_size=37))
def test_authenticator_data_is_read_alike(raw: bytes) -> None:
    try:
        expected = parse_authenticator_data(raw)
    except FormatError:
        with pytest.raises(FormatError):
            read_authenticator_data(raw)
        return
    found = read_authenticator_data(raw)
    assert (found.rp_id_hash, found.flags, found.sign_count) == (
        expected.rp_id_hash,
        int(expected.flags),
        expected.sign_count,
    )
