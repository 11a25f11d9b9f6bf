"""What a payment says: payee, amount and currency, read from the shapes of order that both sides know.

Known shapes: ours (bank dialect), Berlin Group, UK OBIE, Weavr wire transfers, and a batch of ours. Any other object is shown whole and
signed by hash; nothing can then be said of its amount or payee.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

# ISO 4217 minor units where they are not 2.
MINOR_UNITS: Final[dict[str, int]] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Order:
    """A payment as people read it. `amount` is the text of the order; `payees` lists a batch's payees, one for a single payment."""

    amount: str
    currency: str
    payees: tuple[Payee, ...]

    @property
    def payee_name(self) -> str:
        """The payee's name; for a batch every name, each once a payment, in the order of the batch."""
        return " + ".join(payee.name for payee in self.payees)

    @property
    def minor_units(self) -> int:
        """The amount in the currency's smallest unit; `ValueError` where it has more decimals than the currency."""
        return minor_units(self.amount, self.currency)


@dataclass(frozen=True, slots=True)
class Payee:
    """Who is paid: the name, and the account as the order writes it (sort code and number, or IBAN)."""

    name: str
    account: str
    amount: str


def minor_units(amount: str, currency: str) -> int:
    """`"10.5"`, `"GBP"` → 1050. `ValueError` for what is not a plain decimal number with at most the currency's decimals."""
    if not amount.isascii() or not amount.replace(".", "", 1).isdigit() or amount[0] == "." or amount[-1] == ".":
        raise ValueError("amount: expected a plain decimal number")
    try:
        scaled = Decimal(amount).scaleb(MINOR_UNITS.get(currency, 2))
        whole = int(scaled)
    except (InvalidOperation, OverflowError) as error:
        raise ValueError("amount: expected a plain decimal number") from error
    if scaled != whole:
        raise ValueError(f"amount: more decimals than {currency} has")
    return whole


def read_order(payload: Any) -> Order | None:
    """The order in `payload`, or `None` where its shape is not known or incomplete."""
    if not isinstance(payload, dict):
        return None
    for reader in (_ours, _batch, _berlin_group, _obie, _weavr):
        order = reader(payload)
        if order is not None:
            return order
    return None


def _text(record: Any, *path: str) -> str | None:
    for name in path:
        if not isinstance(record, dict):
            return None
        record = record.get(name)
    return record if isinstance(record, str) and record else None


def _number(value: Any) -> str | None:
    """Money as decimal text; a JSON number is read as the decimal that it was written as."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{Decimal(repr(value)):f}"
    return value if isinstance(value, str) and value else None


def _single(amount: str | None, currency: str | None, name: str | None, account: str) -> Order | None:
    if amount is None or currency is None or name is None:
        return None
    return Order(amount, currency, (Payee(name, account, amount),))


def _ours(payload: dict[str, Any]) -> Order | None:
    name = _text(payload, "payee", "name")
    parts = (
        _text(payload, "payee", "sortCode"),
        _text(payload, "payee", "accountNumber"),
        _text(payload, "payee", "iban"),
    )
    return _single(
        _number(payload.get("amount")), _text(payload, "currency"), name, " ".join(part for part in parts if part)
    )


def _batch(payload: dict[str, Any]) -> Order | None:
    items = payload.get("payments")
    if not isinstance(items, list) or not items:
        return None
    singles = [_ours(item) for item in items if isinstance(item, dict)]
    orders = [single for single in singles if single is not None]
    if len(orders) != len(items) or len({order.currency for order in orders}) != 1:
        return None
    try:
        total = sum(order.minor_units for order in orders)
    except ValueError:
        return None
    currency = orders[0].currency
    return Order(major_units(total, currency), currency, tuple(order.payees[0] for order in orders))


def major_units(minor: int, currency: str) -> str:
    """`1050`, `"GBP"` → `"10.50"`."""
    digits = MINOR_UNITS.get(currency, 2)
    return f"{Decimal(minor).scaleb(-digits):.{digits}f}"


def _berlin_group(payload: dict[str, Any]) -> Order | None:
    amount, currency = _text(payload, "instructedAmount", "amount"), _text(payload, "instructedAmount", "currency")
    account = _text(payload, "creditorAccount", "iban") or _text(payload, "creditorAccount", "bban") or ""
    return _single(amount, currency, _text(payload, "creditorName"), account)


def _obie(payload: dict[str, Any]) -> Order | None:
    data = payload.get("Data")
    order = data.get("Initiation") if isinstance(data, dict) else None
    amount, currency = _text(order, "InstructedAmount", "Amount"), _text(order, "InstructedAmount", "Currency")
    name, account = _text(order, "CreditorAccount", "Name"), _text(order, "CreditorAccount", "Identification")
    return _single(amount, currency, name, account or "")


def _weavr(payload: dict[str, Any]) -> Order | None:
    amount = payload.get("transferAmount")
    minor = amount.get("amount") if isinstance(amount, dict) else None
    currency = _text(amount, "currency")
    name = _text(payload, "destinationBeneficiary", "name")
    if not isinstance(minor, int) or isinstance(minor, bool) or minor < 0 or currency is None:
        return None
    account = _text(payload, "destinationBeneficiary", "bankAccountDetails", "iban")
    number = _text(payload, "destinationBeneficiary", "bankAccountDetails", "accountNumber")
    sort_code = _text(payload, "destinationBeneficiary", "bankAccountDetails", "sortCode")
    return _single(
        major_units(minor, currency), currency, name, account or " ".join(p for p in (sort_code, number) if p)
    )
