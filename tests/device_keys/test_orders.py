"""Money and orders: one unambiguous meaning, exact to the smallest unit, or none at all."""

from __future__ import annotations

import copy
import json
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_keys.currencies import MINOR_UNITS, WITHDRAWN
from device_keys.encoding import FormatError, parse_json
from device_keys.orders import MAX_DIGITS, major_units, minor_units, parse_order, read_order

EXACT = Context(prec=9999, rounding=ROUND_DOWN)
CURRENCIES = st.sampled_from(sorted(MINOR_UNITS))
ONE: dict[str, Any] = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": {"name": "Ada", "sortCode": "010203", "accountNumber": "12345678"},
}
BERLIN_GROUP: dict[str, Any] = {
    "instructedAmount": {"amount": "10.00", "currency": "GBP"},
    "creditorName": "Ada",
    "creditorAccount": {"iban": "DE89370400440532013000"},
}
OBIE: dict[str, Any] = {
    "Data": {
        "Initiation": {
            "InstructedAmount": {"Amount": "10.00", "Currency": "GBP"},
            "CreditorAccount": {"Name": "Ada", "Identification": "08080021325698"},
        }
    }
}
WEAVR: dict[str, Any] = {
    "transferAmount": {"currency": "GBP", "amount": 1000},
    "destinationBeneficiary": {"name": "Ada", "bankAccountDetails": {"iban": "DE89370400440532013000"}},
}


# --- money -----------------------------------------------------------------------------------------------------------


def test_every_active_currency_has_the_decimals_that_iso_4217_gives_it() -> None:
    """CLF and UYW have four, UYI none; metals, units of account and the test code have no smallest unit."""
    iso4217 = pytest.importorskip("iso4217")
    listed = {currency.code: currency.exponent for currency in iso4217.Currency}
    assert {code: decimals for code, decimals in listed.items() if decimals is not None} == {
        code: decimals for code, decimals in MINOR_UNITS.items() if code not in WITHDRAWN
    }
    assert not set(listed) & WITHDRAWN


@given(whole=st.integers(0, 10**60), part=st.text("0123456789", max_size=6), currency=CURRENCIES)
def test_an_amount_is_exact_in_smallest_units_or_refused_for_its_decimals(whole: int, part: str, currency: str) -> None:
    text = f"{whole}.{part}" if part else str(whole)
    if len(part) > MINOR_UNITS[currency]:
        with pytest.raises(FormatError, match="decimals"):
            minor_units(text, currency)
        return
    exact = EXACT.scaleb(EXACT.create_decimal(text), MINOR_UNITS[currency])
    assert minor_units(text, currency) == exact
    assert minor_units(major_units(int(exact), currency), currency) == exact


@given(st.integers(-(10**60), 10**60), CURRENCIES)
def test_a_count_of_smallest_units_is_written_without_rounding(minor: int, currency: str) -> None:
    written = EXACT.create_decimal(major_units(minor, currency))
    assert written == EXACT.scaleb(EXACT.create_decimal(minor), -MINOR_UNITS[currency])


@given(
    st.text(max_size=30) | st.from_regex(r"[-+]?[0-9.eE_\u0661]{1,12}\n?", fullmatch=True),
    st.text(max_size=4) | CURRENCIES,
)
def test_any_text_is_an_amount_or_a_format_error(text: str, currency: str) -> None:
    try:
        minor = minor_units(text, currency)
    except FormatError:
        return
    assert minor >= 0
    assert text.isascii()
    assert text.replace(".", "", 1).isdigit()


def test_amounts_that_differ_beyond_28_digits_differ() -> None:
    """The default context of `decimal` holds 28 digits."""
    assert minor_units("12345678901234567890123456998.00", "GBP") != minor_units(
        "12345678901234567890123456999.00", "GBP"
    )
    assert minor_units("9" * MAX_DIGITS, "GBP") == 100 * (10**MAX_DIGITS - 1)
    with pytest.raises(FormatError, match=f"at most {MAX_DIGITS} digits"):
        minor_units("9" * (MAX_DIGITS + 1), "GBP")


@pytest.mark.parametrize(
    "text", ["10.000", "0.1.", "1e2", "", ".", "1.", ".5", "-1", "+1", " 1", "1\n", "1_0", "١", "NaN", "Infinity"]
)
def test_what_is_no_plain_amount_of_pounds_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        minor_units(text, "GBP")


# --- numbers in JSON ---------------------------------------------------------------------------------------------------


@given(
    st.integers(0, 10**20).map(str),
    st.text("0123456789", max_size=20),
    st.sampled_from(["", "e0", "E3", "e-2", "e+20", "e-330", "e400", "e99999999999999999999"]),
)
def test_a_json_number_is_read_as_it_was_written_or_refused(whole: str, part: str, exponent: str) -> None:
    text = whole + (f".{part}" if part else "") + exponent
    try:
        value = parse_json(text, exact=True)
    except FormatError:
        return
    assert Decimal(repr(value)) == Decimal(text)
    order = read_order({**ONE, "amount": value})
    if order is not None:
        assert EXACT.create_decimal(order.amount) == Decimal(text)
        assert order.minor_units == EXACT.scaleb(EXACT.create_decimal(text), 2)


def test_a_number_that_a_double_alters_is_refused() -> None:
    with pytest.raises(FormatError, match="RFC 8785"):
        parse_json('{"amount": 100000000000000000.01}', exact=True)


@pytest.mark.parametrize(
    ("value", "amount"),
    [(10.1, "10.1"), (1e3, "1000"), (10, "10"), (20.0, "20"), (1e22, "1" + "0" * 22), (0.01, "0.01")],
)
def test_an_amount_may_be_a_number(value: float, amount: str) -> None:
    order = read_order({**ONE, "amount": value})
    assert order is not None
    assert order.amount == amount


@pytest.mark.parametrize(
    "value", [True, False, None, [], {}, float("nan"), float("inf"), 2**53, 10**400, -1, -0.0, 1e-3, 10.001]
)
def test_what_is_no_amount_leaves_the_order_unknown(value: Any) -> None:
    assert read_order({**ONE, "amount": value}) is None


# --- shapes mixed --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        {**ONE, "instructedAmount": {"amount": "10.00", "currency": "GBP"}},
        {**ONE, "creditorName": "Ada"},
        {**BERLIN_GROUP, "amount": "10"},
        {**BERLIN_GROUP, "amount": 10.0, "currency": "GBP"},
        {**OBIE, "amount": "10.0"},
        {**OBIE, "transferAmount": {"currency": "GBP", "amount": 1000}},
        {**BERLIN_GROUP, **WEAVR},
        {"payments": [ONE, ONE], "amount": "20.00", "currency": "GBP", "payee": {"name": "Ada"}},
        {**ONE, "Data": {"note": "nothing of an order"}, "payments": None},
    ],
)
def test_shapes_that_agree_are_one_order(payload: dict[str, Any]) -> None:
    order = read_order(payload)
    assert order is not None
    assert order.minor_units in (1000, 2000)
    assert {payee.name for payee in order.payees} == {"Ada"}


@pytest.mark.parametrize(
    "payload",
    [
        {**ONE, "instructedAmount": {"amount": "99.00", "currency": "GBP"}},
        {**ONE, "instructedAmount": {"currency": "EUR"}},
        {**ONE, "creditorName": "Eve"},
        {**ONE, "creditorAccount": {"iban": "DE89370400440532013000"}},
        {**ONE, "transferAmount": {"currency": "GBP", "amount": 1001}},
        {**ONE, "transferAmount": {"amount": 1000}},
        {**ONE, "payments": []},
        {**ONE, "payments": "monthly"},
        {**ONE, "payee": {"name": "Ada", "iban": 7}},
        {**BERLIN_GROUP, "amount": "11"},
        {**BERLIN_GROUP, "amount": True},
        {**BERLIN_GROUP, "payee": "Eve"},
        {**OBIE, "amount": "10.01"},
        {"payments": [ONE, ONE], "amount": "10.00"},
        {"payments": [ONE, ONE], "payee": {"name": "Eve"}},
        {"payments": [ONE, {**ONE, "currency": "EUR"}]},
        {"payments": [ONE, BERLIN_GROUP]},
        {"payments": [ONE, {"payments": [ONE]}]},
    ],
)
def test_an_order_that_says_two_things_has_no_meaning(payload: dict[str, Any]) -> None:
    """It is shown whole and signed by its hash, as any object is; nobody claims to know its amount or payee."""
    assert parse_order(payload) is None


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({**ONE, "amount": "10.001"}, "amount"),
        ({**ONE, "currency": "GPB"}, "currency"),
        ({**ONE, "currency": "XAU"}, "currency"),
        ({**BERLIN_GROUP, "instructedAmount": {"amount": "ten", "currency": "GBP"}}, "instructedAmount.amount"),
        ({"payments": [ONE, {**ONE, "amount": "1.001"}]}, "payments[1].amount"),
    ],
)
def test_a_known_shape_without_a_real_amount_names_the_member(payload: dict[str, Any], field: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_order(payload)
    assert caught.value.field == field
    assert read_order(payload) is None


AMOUNTS = st.sampled_from(
    ["10.00", "10", "10.1", "0010.00", "10.000", "1e1", "", 10, 10.0, 10.1, 1e1, 1e22, True, None, 2**53, [], {}]
)
NAMES = st.sampled_from(["Ada", "Ада", "A\u0301da", "Ada + Eve", "\u202eadA", "", None, 7])
CODES = st.sampled_from(["GBP", "JPY", "KWD", "gbp", "XAU", "", None, 826])
TEXTS = st.sampled_from(["12345678", "1234 5678", "", None, 5])


def objects(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional=members)


OURS = {
    "amount": AMOUNTS,
    "currency": CODES,
    "payee": objects(name=NAMES, iban=TEXTS, sortCode=TEXTS, accountNumber=TEXTS) | NAMES,
}
MIXED = objects(
    **OURS,
    payments=st.lists(objects(**OURS) | st.just(ONE), max_size=3) | NAMES,
    instructedAmount=objects(amount=AMOUNTS, currency=CODES) | AMOUNTS,
    creditorName=NAMES,
    creditorAccount=objects(iban=TEXTS, bban=TEXTS) | TEXTS,
    Data=st.just(OBIE["Data"])
    | objects(Initiation=objects(InstructedAmount=objects(Amount=AMOUNTS, Currency=CODES)))
    | TEXTS,
    transferAmount=objects(amount=AMOUNTS, currency=CODES),
    destinationBeneficiary=objects(name=NAMES),
    reference=NAMES,
)
KNOWN = st.sampled_from([ONE, BERLIN_GROUP, OBIE, WEAVR, {"payments": [ONE, ONE]}])
ORDERS = st.builds(lambda known, other: {**known, **other}, KNOWN | st.just({}), MIXED)


def amounts_stated(payload: dict[str, Any]) -> list[Any]:
    """Every amount that a reader of any known shape would find, as (value, whether it counts smallest units)."""
    found = [(payload.get("amount"), False)]
    for path in (
        ("instructedAmount", "amount"),
        ("Data", "Initiation", "InstructedAmount", "Amount"),
        ("transferAmount", "amount"),
    ):
        value: Any = payload
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        found.append((value, path[0] == "transferAmount"))
    return [(value, minor) for value, minor in found if value not in (None, "")]


@given(ORDERS)
def test_an_order_of_any_mix_has_one_meaning_or_none(payload: dict[str, Any]) -> None:
    """Whatever amount stands at a known place is the order's: no reader of another shape could take it for another sum."""
    before = copy.deepcopy(payload)
    order = read_order(payload)
    assert payload == before
    if order is None:
        return
    assert minor_units(order.amount, order.currency) == order.minor_units
    for value, counts in amounts_stated(payload):
        assert not isinstance(value, bool)
        amount = EXACT.create_decimal(value if isinstance(value, str) else repr(value))
        assert (amount if counts else EXACT.scaleb(amount, MINOR_UNITS[order.currency])) == order.minor_units
    assert all(payee.name for payee in order.payees)
    for path, name in zip(order.names, (payee.name for payee in order.payees), strict=True):
        assert at(payload, path) == name


def at(payload: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        payload = payload[name]
    return payload


@given(ORDERS)
def test_what_a_changed_member_says_is_another_meaning_or_none(payload: dict[str, Any]) -> None:
    """Each place that `amounts` and `names` give is one that the reading depends on."""
    order = read_order(payload)
    if order is None:
        return
    for path in (*order.amounts, *order.names):
        changed = copy.deepcopy(payload)
        value = at(payload, path)
        holder = at(changed, path[:-1])
        holder[path[-1]] = value + 1 if isinstance(value, int | float) else f"1{value}"
        assert json.dumps(changed) != json.dumps(payload)
        other = read_order(changed)
        assert other is None or (other.minor_units, other.payee_name) != (order.minor_units, order.payee_name)
