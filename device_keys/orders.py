"""What a payment says: payee, amount and currency, read from the shapes of order that both sides know.

Known shapes: ours (bank dialect), Berlin Group, UK OBIE, Weavr wire transfers, and a batch of ours. Any other object is shown whole and
signed by hash; nothing can then be said of its amount or payee. The same holds where an order has members of several shapes that do not
say the same: every known member that is there must be readable and agree, or the order has no one meaning.

Money is text, and an integer of the currency's smallest unit: nothing rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from math import isfinite
from typing import Any, Final, NamedTuple

from device_keys.currencies import MINOR_UNITS
from device_keys.encoding import FormatError

# Where a value stands in a payload: names of members, and indices of arrays.
Path = tuple[str | int, ...]
MAX_DIGITS: Final = 4000  # of an amount; below what Python turns into an integer
_LARGEST: Final = 2**53 - 1  # the integers that every JSON reader keeps


@dataclass(frozen=True, slots=True)
class Payee:
    """Who is paid: the name, and the account as the order writes it (sort code and number, or IBAN)."""

    name: str
    account: str
    amount: str


@dataclass(frozen=True, slots=True)
class Order:
    """A payment as people read it.

    `amount` is decimal text as the order writes it, `minor_units` the same in the currency's smallest unit; `payees` lists a batch's
    payees, one for a single payment. `amounts` and `names` say from which members of the payload amount and payees were read.
    """

    amount: str
    currency: str
    minor_units: int
    payees: tuple[Payee, ...]
    amounts: tuple[Path, ...]
    names: tuple[Path, ...]

    @property
    def payee_name(self) -> str:
        """The payee's name; for a batch every name, each once a payment, in the order of the batch."""
        return " + ".join(payee.name for payee in self.payees)


def decimals_of(currency: str, field: str = "currency") -> int:
    """How many decimals a currency has; `FormatError` for what ISO 4217 does not list with a smallest unit."""
    decimals = MINOR_UNITS.get(currency)
    if decimals is None:
        raise FormatError(field, "an ISO 4217 code with a smallest unit, such as GBP")
    return decimals


def minor_units(amount: str, currency: str, field: str = "amount") -> int:
    """`"10.5"`, `"GBP"` → 1050. `FormatError` for what is not a plain decimal number with at most the currency's decimals."""
    decimals = decimals_of(currency)
    whole, point, part = amount.partition(".")
    if not (whole.isascii() and whole.isdigit()) or (point and not (part.isascii() and part.isdigit())):
        raise FormatError(field, "a plain decimal number")
    if len(part) > decimals:
        raise FormatError(field, f"at most the {decimals} decimals that {currency} has")
    if len(whole) > MAX_DIGITS:
        raise FormatError(field, f"a number of at most {MAX_DIGITS} digits")
    return int(whole + part.ljust(decimals, "0"))


def major_units(minor: int, currency: str) -> str:
    """`1050`, `"GBP"` → `"10.50"`."""
    decimals = decimals_of(currency)
    sign, digits = "-" if minor < 0 else "", str(abs(minor)).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else sign + digits


def decimal_text(number: float) -> str:
    """A JSON number as plain decimal text: `1e3` → `"1000"`, `0.10` → `"0.1"`; the shortest of that number, as RFC 8785 has it."""
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").removesuffix(".") if "." in text else text


def read_order(payload: Any) -> Order | None:
    """The one meaning of `payload`, or `None` where its shape is not known, is incomplete, contradicts itself, or states no real amount."""
    try:
        return parse_order(payload)
    except FormatError:
        return None


def parse_order(payload: Any) -> Order | None:
    """As `read_order`; but an order of known shape whose amount or currency is none is a `FormatError` that names the member."""
    if not isinstance(payload, dict):
        return None
    try:
        stated = [_read_statement(payload, shape) for roots, shape in _SHAPES if not roots.isdisjoint(payload)]
        order = _batch(payload) if payload.get("payments") is not None else _single(stated)
    except _Unclear:
        return None
    if order is None or not all(_agrees(order, one) for one in stated if one.shape.amount not in order.amounts):
        return None
    return order


# --- shapes ----------------------------------------------------------------------------------------------------------


class _Unclear(Exception):
    """What stands at a known place is nothing that can be read there."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where one shape keeps its parts, and how its amount is written.

    `account`: the first group of members of which the order has any is the account.
    """

    amount: Path
    currency: Path
    name: Path
    account: tuple[tuple[Path, ...], ...]
    read_amount: Callable[[Any, str | None], str | None]

    def roots(self) -> frozenset[str | int]:
        """The outermost members that belong to this shape."""
        return frozenset(path[0] for path in (self.amount, self.currency, self.name, *chain(*self.account)))


class _Statement(NamedTuple):
    """What an order states by the members of one shape; `None` and "" for what it does not state."""

    shape: _Shape
    amount: str | None
    currency: str | None
    name: str | None
    account: str


def _number(value: Any, currency: str | None) -> str | None:
    """Money as decimal text. A JSON number is read as the decimal that it is written as."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Unclear
    if abs(value) > _LARGEST if isinstance(value, int) else not isfinite(value):
        raise _Unclear
    return decimal_text(value)


def _count(value: Any, currency: str | None) -> str | None:
    """Money as a count of smallest units, which only its currency makes an amount."""
    if value is None:
        return None
    if (
        currency is None
        or isinstance(value, bool)
        or not isinstance(value, int)
        or not 0 <= value <= _LARGEST
        or currency not in MINOR_UNITS
    ):
        raise _Unclear
    return major_units(value, currency)


_DETAILS: Final = ("destinationBeneficiary", "bankAccountDetails")
_OURS: Final = _Shape(
    ("amount",),
    ("currency",),
    ("payee", "name"),
    ((("payee", "sortCode"), ("payee", "accountNumber"), ("payee", "iban")),),
    _number,
)
_BERLIN_GROUP: Final = _Shape(
    ("instructedAmount", "amount"),
    ("instructedAmount", "currency"),
    ("creditorName",),
    ((("creditorAccount", "iban"),), (("creditorAccount", "bban"),)),
    _number,
)
_OBIE: Final = _Shape(
    ("Data", "Initiation", "InstructedAmount", "Amount"),
    ("Data", "Initiation", "InstructedAmount", "Currency"),
    ("Data", "Initiation", "CreditorAccount", "Name"),
    ((("Data", "Initiation", "CreditorAccount", "Identification"),),),
    _number,
)
_WEAVR: Final = _Shape(
    ("transferAmount", "amount"),
    ("transferAmount", "currency"),
    ("destinationBeneficiary", "name"),
    (((*_DETAILS, "iban"),), ((*_DETAILS, "sortCode"), (*_DETAILS, "accountNumber"))),
    _count,
)
_SHAPES: Final = tuple((shape.roots(), shape) for shape in (_OURS, _BERLIN_GROUP, _OBIE, _WEAVR))


def _at(payload: Any, path: Path) -> Any:
    for name in path:
        if payload is None:
            return None
        if not isinstance(payload, dict):
            raise _Unclear
        payload = payload.get(name)
    return payload


def _text(payload: Any, path: Path) -> str | None:
    value = _at(payload, path)
    if value is not None and not isinstance(value, str):
        raise _Unclear
    return value or None


def _read_statement(payload: dict[str, Any], shape: _Shape) -> _Statement:
    currency = _text(payload, shape.currency)
    return _Statement(
        shape,
        shape.read_amount(_at(payload, shape.amount), currency),
        currency,
        _text(payload, shape.name),
        _account(payload, shape),
    )


def _account(payload: dict[str, Any], shape: _Shape) -> str:
    for group in shape.account:
        parts = [part for path in group if (part := _text(payload, path))]
        if parts:
            return " ".join(parts)
    return ""


def _single(stated: list[_Statement]) -> Order | None:
    """The order of the first shape that has all parts."""
    for one in stated:
        if one.amount is not None and one.currency is not None and one.name is not None:
            decimals_of(one.currency, _dotted(one.shape.currency))
            minor = minor_units(one.amount, one.currency, _dotted(one.shape.amount))
            payee = Payee(one.name, one.account, one.amount)
            return Order(one.amount, one.currency, minor, (payee,), (one.shape.amount,), (one.shape.name,))
    return None


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))


def _batch(payload: dict[str, Any]) -> Order | None:
    """Several payments of our shape, in one currency: the amount is their sum."""
    items = payload["payments"]
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        return None
    orders = []
    for index, item in enumerate(items):
        try:
            order = parse_order(item)
        except FormatError as error:
            raise FormatError(f"payments[{index}].{error.field}", error.expected) from error
        if order is None or order.amounts != (_OURS.amount,):
            return None
        orders.append(order)
    currency = orders[0].currency
    if any(order.currency != currency for order in orders):
        return None
    total = sum(order.minor_units for order in orders)
    return Order(
        amount=major_units(total, currency),
        currency=currency,
        minor_units=total,
        payees=tuple(order.payees[0] for order in orders),
        amounts=tuple(("payments", index, *_OURS.amount) for index in range(len(orders))),
        names=tuple(("payments", index, *_OURS.name) for index in range(len(orders))),
    )


def _agrees(order: Order, stated: _Statement) -> bool:
    """Whether everything that these members state is so in this order."""
    if stated.currency not in (None, order.currency):
        return False
    if stated.name is not None and any(payee.name != stated.name for payee in order.payees):
        return False
    if stated.account and any(_compact(payee.account) != _compact(stated.account) for payee in order.payees):
        return False
    if stated.amount is None:
        return True
    try:
        return minor_units(stated.amount, order.currency) == order.minor_units
    except FormatError:
        return False


def _compact(account: str) -> str:
    return account.replace(" ", "")
