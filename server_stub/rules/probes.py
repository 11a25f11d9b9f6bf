"""Negative tests: the binding checks re-run on an order that was changed in one place; each must fail.

Pure functions over evidence. What is changed is exactly what `read_order` reads of this order, found by asking it: a member counts as the
amount, the currency, a payee's name or an account where another value there makes the order read differently in that respect, and in no
other. The changed order keeps everything else, so only what was changed can make a check fail.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from device_keys.encoding import FormatError, b64url_decode
from device_keys.messages import ClientData, Kind, payload_digest, step_up_challenge
from device_keys.orders import Order, major_units, minor_units, read_order
from server_stub.evidence import Evidence
from server_stub.verdict import Finding, Outcome

Path = tuple[str | int, ...]
Rejudge = Callable[[Evidence], tuple[Finding, ...]]

# An order larger than this is looked through no further: what lies beyond is not tried, and nothing is said of it.
_MOST_MEMBERS: Final = 2_000
_DEEPEST: Final = 12
# The server's own checks are re-run on so many changed orders; the rest are recomputed against what was signed.
_MOST_REJUDGED: Final = 12
_OTHER_CURRENCIES: Final = ("EUR", "USD", "JPY", "KRW", "KWD", "BHD", "CLF", "UYW")


class Altered(NamedTuple):
    """A changed order: what was changed, the payload, and which reading of it must now disagree (`amount`, `payee` or neither)."""

    what: str
    payload: Any
    part: str


class ProbeResult(NamedTuple):
    """What was changed in the orders that were tried, and the first change that the binding did not notice."""

    tried: tuple[str, ...]
    unnoticed: str | None


def altered_orders(payload: Any) -> Iterator[Altered]:
    """The order with another amount (one minor unit up, down), another currency, and one letter of each name and account changed."""
    order = read_order(payload)
    if order is None or _minor(order) is None:
        return
    if len(order.payees) == 1:
        yield from _altered_single(payload, order, "")
        return
    items = payload["payments"]
    for number, item in enumerate(items):
        single = read_order(item)
        if single is None or _minor(single) is None:
            continue
        place = f" of payment {number + 1}"
        for change in _altered_single(item, single, place):
            if change.what.startswith("another currency"):
                continue  # a batch has one currency: it is changed in every payment at once, below
            whole = {**payload, "payments": [*items[:number], change.payload, *items[number + 1 :]]}
            if _differs(order, read_order(whole)):
                yield change._replace(payload=whole)
    yield from _other_currency_throughout(payload, order)


def altered_batches(payload: Any) -> Iterator[Altered]:
    """A batch with a payee left out, one added, and two exchanged; only where the order reads as a batch, before and after."""
    order = read_order(payload)
    if order is None or len(order.payees) < 2:
        return
    items = payload["payments"]
    changes = [("a payee left out", items[:-1]), ("a payee added", [*items, items[0]])]
    other = next((number for number, payee in enumerate(order.payees) if payee != order.payees[0]), None)
    if other is not None:
        exchanged = list(items)
        exchanged[0], exchanged[other] = items[other], items[0]
        changes.append(("two payees exchanged", exchanged))
    for what, changed in changes:
        whole = {**payload, "payments": changed}
        if _differs(order, read_order(whole)):
            yield Altered(what, whole, "")


def _altered_single(payload: Any, order: Order, place: str) -> Iterator[Altered]:
    """The changes of one payment: amount, currency, then names and accounts."""
    members = tuple(_members(payload))
    for change in _CHANGES:
        for words, changed in _changed(payload, members, order, change):
            yield Altered(f"{words}{place}", changed, change.part)


class _Change(NamedTuple):
    """One kind of change: in words, which reading it concerns, other values for a member, whether a reading is as meant."""

    what: str
    part: str
    others: Callable[[Any, Order], Iterator[Any]]
    meant: Callable[[Order, Order], bool]


def _changed(
    payload: Any, members: tuple[tuple[Path, Any], ...], order: Order, change: _Change
) -> Iterator[tuple[str, Any]]:
    """The change at each member where it can be made; where an order states it in several that must agree, at all at once."""
    proposals = [(path, tuple(change.others(value, order))) for path, value in members]
    proposals = [(path, others) for path, others in proposals if others]
    found = False
    for path, others in proposals:
        for other in others:
            if _is_meant(changed := _replaced(payload, path, other), order, change):
                yield change.what.format(member=path[-1]), changed
                found = True
                break
    if not found and len(proposals) > 1:
        changed = payload
        for path, others in proposals:
            changed = _replaced(changed, path, others[0])
        if _is_meant(changed, order, change):
            yield change.what.format(member="account"), changed


def _is_meant(payload: Any, order: Order, change: _Change) -> bool:
    """Whether the changed payload is an order that differs in just what was meant to change."""
    read = read_order(payload)
    return read is not None and change.meant(read, order)


def _amount_changed(step: int) -> _Change:
    def others(value: Any, order: Order) -> Iterator[Any]:
        minor = _minor(order)
        assert minor is not None, "only an order with an amount is changed"
        return _other_numbers(value, order.currency, minor, minor + step)

    def meant(read: Order, order: Order) -> bool:
        before, after = _minor(order), _minor(read)
        return before is not None and after == before + step and _parts(read)[1:] == _parts(order)[1:]

    return _Change(f"amount {'+' if step > 0 else '-'} one minor unit", "amount", others, meant)


def _other_currencies(value: Any, order: Order) -> Iterator[str]:
    return iter(tuple(code for code in _OTHER_CURRENCIES if code != value) if value == order.currency else ())


def _other_name(value: Any, order: Order) -> Iterator[str]:
    return iter((_other_letter(value),) if value in {payee.name for payee in order.payees} and value else ())


def _other_account(value: Any, order: Order) -> Iterator[str]:
    known = isinstance(value, str) and value and any(value in payee.account for payee in order.payees)
    return iter((_other_letter(value),) if known else ())


def _only(part: int) -> Callable[[Order, Order], bool]:
    """Whether two readings differ in this one of their parts alone (0 amount, 1 currency, 2 names, 3 accounts)."""

    def meant(read: Order, order: Order) -> bool:
        pairs = tuple(zip(_parts(read), _parts(order), strict=True))
        return all((before == after) is (number != part) for number, (before, after) in enumerate(pairs) if number)

    return meant


_CHANGES: Final = (
    _amount_changed(1),
    _amount_changed(-1),
    _Change("another currency", "amount", _other_currencies, _only(1)),
    _Change("one letter of the payee's name", "payee", _other_name, _only(2)),
    _Change("one character of the payee's {member}", "", _other_account, _only(3)),
)


def _members(value: Any) -> Iterator[tuple[Path, Any]]:
    """Every text and number of a payload with its path, up to the limits; in an order that no re-writing of the JSON changes."""
    waiting: list[tuple[Path, Any]] = [((), value)]
    seen = 0
    while waiting and seen < _MOST_MEMBERS:
        path, inner = waiting.pop(0)
        seen += 1
        if isinstance(inner, dict) and len(path) < _DEEPEST:
            waiting.extend(((*path, name), item) for name, item in sorted(inner.items()))
        elif isinstance(inner, list) and len(path) < _DEEPEST:
            waiting.extend(((*path, number), item) for number, item in enumerate(inner))
        elif isinstance(inner, str | int | float) and not isinstance(inner, bool):
            yield path, inner


def _other_numbers(value: Any, currency: str, minor: int, wanted: int) -> Iterator[Any]:
    """Ways to write the amount `wanted` where `value` says `minor`: minor units as a number, major units as a number, or decimal text."""
    if wanted < 0:
        return
    if isinstance(value, int):
        if value == minor:
            yield wanted
        if _minor_of(str(value), currency) == minor:
            yield major_units(wanted, currency)
    elif isinstance(value, float):
        text = major_units(wanted, currency)
        yield float(text)
        yield text
    elif _minor_of(value, currency) == minor:
        yield major_units(wanted, currency)


def _other_currency_throughout(payload: Any, order: Order) -> Iterator[Altered]:
    """Every payment of a batch in another currency."""
    for currency in _OTHER_CURRENCIES:
        items = [{**item, "currency": currency} if isinstance(item, dict) else item for item in payload["payments"]]
        whole = {**payload, "payments": items}
        read = read_order(whole)
        if read is not None and read.currency == currency != order.currency and _who(read) == _who(order):
            yield Altered("another currency", whole, "amount")
            return


def _parts(order: Order) -> tuple[Any, ...]:
    """What an order says, apart: amount, currency, names, accounts."""
    return _minor(order), order.currency, *_who(order)


def _who(order: Order) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(payee.name for payee in order.payees), tuple(payee.account for payee in order.payees)


def _differs(order: Order, other: Order | None) -> bool:
    """Whether the changed order is an order that says something else: then, and only then, must it be refused."""
    if other is None:
        return False
    shares = tuple(payee.amount for payee in order.payees), tuple(payee.amount for payee in other.payees)
    return _parts(order) != _parts(other) or shares[0] != shares[1]


def _minor(order: Order) -> int | None:
    """The amount in minor units, None where it is no amount of its currency."""
    try:
        return order.minor_units
    except ValueError:
        return None


def _minor_of(text: str, currency: str) -> int | None:
    try:
        return minor_units(text, currency)
    except ValueError:
        return None


def _replaced(value: Any, path: Path, other: Any) -> Any:
    """A copy in which the value at `path` is another; what is not on the way to it is shared."""
    if not path:
        return other
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {name: _replaced(inner, rest, other) if name == step else inner for name, inner in value.items()}
    return [_replaced(inner, rest, other) if number == step else inner for number, inner in enumerate(value)]


def _other_letter(value: str) -> str:
    """Another first character, so that nothing but that one changes; a digit stays a digit."""
    if value[0].isascii() and value[0].isdigit():
        return ("1" if value[0] == "0" else "0") + value[1:]
    return ("b" if value[0] == "a" else "a") + value[1:]


def probe_binding(
    evidence: Evidence, client_data: ClientData, altered: Iterator[Altered], rejudge: Rejudge | None = None
) -> ProbeResult:
    """Try each changed order against what was signed: by recomputation, and by the server's own checks where `rejudge` is given."""
    tried: list[str] = []
    for change in altered:
        tried.append(change.what)
        if not _noticed(evidence, client_data, change):
            return ProbeResult(tuple(tried), change.what)
        if rejudge is not None and len(tried) <= _MOST_REJUDGED and not _refused(evidence, change, rejudge):
            return ProbeResult(tuple(tried), change.what)
    return ProbeResult(tuple(tried), None)


def _noticed(evidence: Evidence, client_data: ClientData, change: Altered) -> bool:
    """Whether the signed challenge and the signed payment member both disagree with the changed order."""
    try:
        nonce = b64url_decode((client_data.device or {}).get("nonce"))
        kind = Kind(evidence.transaction.kind)
        challenge = step_up_challenge(kind, nonce, evidence.transaction.id, payload_digest(change.payload))
    except (FormatError, ValueError):
        return True
    if hmac.compare_digest(challenge, client_data.challenge):
        return False
    order = read_order(change.payload)
    return change.part == "" or order is None or not _same(order, client_data.payment, change.part)


def _same(order: Order, payment: dict[str, Any] | None, part: str) -> bool:
    """Whether the signed payment member shows this order's amount, or its payee."""
    member = payment or {}
    if part == "payee":
        return bool(member.get("payeeName") == order.payee_name)
    total = member.get("total")
    if not isinstance(total, dict) or total.get("currency") != order.currency:
        return False
    return _minor_of(str(total.get("value")), order.currency) == _minor(order)


def _refused(evidence: Evidence, change: Altered, rejudge: Rejudge) -> bool:
    """Whether the server's own checks refuse the same assertion for the changed order."""
    transaction = msgspec.structs.replace(evidence.transaction, payload=change.payload)
    outcomes = {
        finding.check: finding.outcome
        for finding in rejudge(msgspec.structs.replace(evidence, transaction=transaction))
    }
    part = f"binding.{change.part}" if change.part else "binding.order"
    return outcomes.get("binding.order") is Outcome.FAIL and outcomes.get(part) is not Outcome.PASS
