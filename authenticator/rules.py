"""Who answers a step-up where no finger touches the screen: a rule over the order, as text for the command line and as values for tests."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from authenticator.errors import UsageError
from device_keys.orders import read_order


class Decision(StrEnum):
    """What a rule says of one step-up. `ask`: nothing; whoever holds the phone (its screen, a script) answers."""

    APPROVE = "approve"
    DECLINE = "decline"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Rule:
    """`decision` for orders up to `limit` (None: for all), `beyond` for the others and for orders of unknown shape.

    With a `currency` the limit holds for orders in it, and any other currency is beyond.
    """

    decision: Decision
    limit: Decimal | None = None
    currency: str | None = None
    beyond: Decision = Decision.DECLINE

    def decide(self, payload: Any) -> Decision:
        """What becomes of a step-up with this payload."""
        if self.limit is None:
            return self.decision
        order = read_order(payload)
        if order is None or self.currency not in (None, order.currency):
            return self.beyond
        return self.decision if Decimal(order.amount) <= self.limit else self.beyond  # a comparison never rounds

    def __str__(self) -> str:
        if self.limit is None:
            return str(_NAMES[self.decision])
        limit = f"amount<={self.limit:f}{f' {self.currency}' if self.currency else ''}"
        return limit if self.beyond is Decision.DECLINE else f"{limit},{self.beyond}"


_NAMES: Final = {Decision.APPROVE: "always", Decision.DECLINE: "never", Decision.ASK: "ask"}
ALWAYS: Final = Rule(Decision.APPROVE)
NEVER: Final = Rule(Decision.DECLINE)
ASK: Final = Rule(Decision.ASK)
EXPECTED: Final = "always, never, ask, amount<=X, amount<=X CUR or amount<=X,ask"


def parse_rule(text: str, field: str = "--approve") -> Rule:
    """`always`, `never`, `ask`, or `amount<=100.00`, `amount<=100.00 GBP`: approve up to it, else decline (or with `,ask` wait)."""
    for rule in (ALWAYS, NEVER, ASK):
        if text == str(rule):
            return rule
    condition, _, otherwise = text.replace(" ", "").partition(",")
    if not condition.startswith("amount<=") or otherwise not in ("", "decline", "ask"):
        raise _unreadable(field)
    number = condition.removeprefix("amount<=").rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    currency = condition.removeprefix("amount<=")[len(number) :]
    return limited(number, currency or None, Decision(otherwise or "decline"), field)


def limited(amount: str, currency: str | None, beyond: Decision, field: str) -> Rule:
    """Approve up to `amount`."""
    plain = amount.replace(".", "", 1)
    if not (plain.isascii() and plain.isdigit()) or (currency is not None and len(currency) != 3):
        raise _unreadable(field)
    return Rule(Decision.APPROVE, Decimal(amount), currency, beyond)


def _unreadable(field: str) -> UsageError:
    return UsageError(f"{field}: expected {EXPECTED}", field=field)
