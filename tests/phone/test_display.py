"""What you see is what you sign (RTS-5.1.a; traps 4.2): nothing hidden, nothing shortened, nothing misread."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authenticator.display import remarks, show, visible, wrap
from device_keys.messages import Kind

ORDER: dict[str, Any] = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": {"name": "ACME Ltd", "sortCode": "112233", "accountNumber": "12345678"},
}


def payee(name: str) -> dict[str, Any]:
    return {**ORDER, "payee": {**ORDER["payee"], "name": name}}


def test_an_order_is_shown_as_amount_payee_and_account() -> None:
    shown = show(Kind.PAYMENT, ORDER)
    assert shown.lines() == ["Confirm this payment", "10.00 GBP", "to ACME Ltd · 112233 12345678"]
    assert shown.sentence() == "10.00 GBP to ACME Ltd (112233 12345678)"
    assert not shown.notes


def test_every_further_member_is_shown() -> None:
    shown = show(Kind.PAYMENT, {**ORDER, "reference": "rent", "payee2": {"name": "Mallory"}, "flags": [True, None, 3]})
    assert shown.lines(60)[3:] == [
        "reference: rent",
        "payee2.name: Mallory",
        "flags[1]: true",
        "flags[2]: null",
        "flags[3]: 3",
    ]


def test_an_unknown_shape_is_shown_whole_and_said_to_be() -> None:
    shown = show(Kind.PAYMENT, {"cargo": {"gold": "1 t"}, "empty": {}})
    assert shown.amount is None
    assert shown.details == (("cargo.gold", "1 t"), ("empty", "{}"))
    assert "does not know" in shown.notes[0]


def test_account_access_is_no_payment() -> None:
    shown = show(Kind.ACCOUNT_ACCESS, {"purpose": "login", **ORDER})
    assert (shown.title, shown.amount) == ("Confirm access to your account", None)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("ACME\u202edtL", "ACME⟨U+202E⟩dtL"),
        ("AC\u200bME", "AC⟨U+200B⟩ME"),
        ("ACME\n9999.00 GBP", "ACME⟨U+000A⟩9999.00 GBP"),
        ("ACME\x1b[2J", "ACME⟨U+001B⟩[2J"),
        ("ACME ", "ACME⟨U+0020⟩"),
        ("AC  ME", "AC ⟨U+0020⟩ME"),
        ("AC\u00a0ME", "AC⟨U+00A0⟩ME"),
        ("A\u0421ME", "A⟨U+0421⟩ME"),
        ("\uff21CME", "⟨U+FF21⟩CME"),
        ("p\u0131zza", "p⟨U+0131⟩zza"),
        ("e\u0301clair", "e⟨U+0301⟩clair"),
        ("⟨U+202E⟩", "⟨U+27E8⟩U+202E⟨U+27E9⟩"),
        ("\U000e0041CME", "⟨U+E0041⟩CME"),
    ],
    ids=[
        "bidi",
        "zero-width",
        "line",
        "escape",
        "edge",
        "double",
        "nbsp",
        "cyrillic",
        "fullwidth",
        "dotless",
        "combining",
        "imitation",
        "tag",
    ],
)
def test_hostile_characters_are_written_out_with_a_note(name: str, seen: str) -> None:
    shown = show(Kind.PAYMENT, payee(name))
    assert shown.payees[0].name == seen
    assert any("payee.name" in note and "written out" in note for note in shown.notes)


@pytest.mark.parametrize(
    "name",
    [
        "Müller & Söhne",
        "Société Générale",
        "Łódź Węgiel",
        "株式会社アクメ",
        "Ελλάδα ΑΕ",
        "Иванов",
        "शर्मा एंड संस",
    ],
)
def test_honest_names_of_any_script_stay_readable(name: str) -> None:
    assert visible(name) == name


def test_a_name_all_in_look_alike_letters_gets_a_note() -> None:
    """АСМЕ in Cyrillic cannot be told from ACME by eye."""
    assert visible("АСМЕ") == "АСМЕ"
    assert any("Cyrillic" in note for note in remarks("АСМЕ"))


def test_five_hundred_letters_are_all_shown() -> None:
    name = "A" * 250 + "B" * 250
    shown = show(Kind.PAYMENT, payee(name))
    assert name in "".join(shown.lines(38)).replace(" ", "")
    assert any("500 characters long" in note for note in shown.notes)
    assert all(len(line) <= 38 for line in shown.lines(38))


def test_an_amount_that_is_no_number_gets_a_note() -> None:
    shown = show(Kind.PAYMENT, {**ORDER, "amount": "1O.00"})
    assert any("not a plain number" in note for note in shown.notes)


def test_a_hostile_member_name_is_written_out_too() -> None:
    shown = show(Kind.PAYMENT, {**ORDER, "a\u202eb": "x"})
    assert any("⟨U+202E⟩" in path for path, _ in shown.details)


@given(st.text())
def test_different_texts_never_look_the_same(text: str) -> None:
    """`visible` can be undone, so it maps no two texts to one."""
    import re

    shown = visible(text)
    assert re.sub(r"⟨U\+([0-9A-F]{4,6})⟩", lambda m: chr(int(m[1], 16)), shown) == text
    assert not any(char in shown for char in "\u202e\u200b\x1b\n\r")


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cs",))), st.integers(2, 40))
def test_wrapping_drops_nothing(text: str, width: int) -> None:
    assert "".join(wrap(text, width)) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=15,
    )
)
def test_any_payload_can_be_shown(payload: Any) -> None:
    for kind in Kind:
        assert show(kind, payload).lines(20)
