"""Negative tests: the binding checks re-run on an order that was changed by one minor unit, one letter, one payee; each must fail.

Pure functions over evidence. The changed order keeps everything else: only what was changed can make the check fail.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from device_keys.encoding import FormatError, b64url_decode
from device_keys.messages import ClientData, Kind, payload_digest, step_up_challenge
from device_keys.orders import MINOR_UNITS, Order, minor_units, read_order
from server_stub.evidence import Evidence
from server_stub.verdict import Finding, Outcome

Path = tuple[str | int, ...]
Rejudge = Callable[[Evidence], tuple[Finding, ...]]

# Where the known shapes of order keep amount and payee name: ours, Berlin Group, OBIE, Weavr (minor units as a number).
_AMOUNTS: Final[tuple[Path, ...]] = (
    ("amount",), ("payments", 0, "amount"), ("instructedAmount", "amount"), ("Data", "Initiation", "InstructedAmount", "Amount"),
    ("transferAmount", "amount"),
)  # fmt: skip
_NAMES: Final[tuple[Path, ...]] = (
    ("payee", "name"), ("payments", 0, "payee", "name"), ("creditorName",), ("Data", "Initiation", "CreditorAccount", "Name"),
    ("destinationBeneficiary", "name"),
)  # fmt: skip


class Altered(NamedTuple):
    """A changed order: what was changed, the payload, and which reading of it must now disagree (`amount`, `payee` or neither)."""

    what: str
    payload: Any
    part: str


class ProbeResult(NamedTuple):
    """How many changed orders were tried, and the first that the binding did not notice."""

    tried: int
    unnoticed: str | None


def altered_amounts_and_payees(payload: Any) -> Iterator[Altered]:
    """The order with its amount one minor unit higher and lower, and with one letter of the payee's name changed."""
    order = read_order(payload)
    if order is None:
        return
    for path in _AMOUNTS:
        for step in (1, -1):
            changed = _changed(payload, path, partial(_other_amount, currency=order.currency, step=step))
            if changed is not None:
                yield Altered(f"amount {'+' if step > 0 else '-'} one minor unit", changed, "amount")
    for path in _NAMES:
        changed = _changed(payload, path, _other_letter)
        if changed is not None:
            yield Altered("one letter of the payee's name", changed, "payee")


def altered_batches(payload: Any) -> Iterator[Altered]:
    """A batch with a payee left out, one added, and two exchanged."""
    items = payload.get("payments") if isinstance(payload, dict) else None
    if not isinstance(items, list) or len(items) < 2:
        return
    yield Altered("a payee left out", {**payload, "payments": items[:-1]}, "")
    yield Altered("a payee added", {**payload, "payments": [*items, items[0]]}, "")
    if items[0] != items[1]:
        yield Altered("two payees exchanged", {**payload, "payments": [items[1], items[0], *items[2:]]}, "")


def _changed(payload: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """A copy with the value at `path` changed; None where it has no such value, or the change is not possible."""
    copy = _copy(payload)
    holder = copy
    for step in path[:-1]:
        try:
            holder = holder[step]
        except (KeyError, IndexError, TypeError):
            return None
    if not isinstance(holder, dict) or path[-1] not in holder:
        return None
    value = change(holder[path[-1]])
    if value is None:
        return None
    holder[path[-1]] = value
    return copy


def _copy(value: Any) -> Any:
    """A copy in which nothing is shared, not even what the original shares with itself."""
    if isinstance(value, dict):
        return {name: _copy(inner) for name, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def _other_amount(value: Any, currency: str, step: int) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value + step if value + step >= 0 else None
    if not isinstance(value, str):
        return None
    try:
        minor = minor_units(value, currency) + step
    except ValueError:
        return None
    digits = MINOR_UNITS.get(currency, 2)
    whole, part = divmod(minor, 10**digits)
    return None if minor < 0 else f"{whole}.{part:0{digits}d}" if digits else str(whole)


def _other_letter(value: Any) -> Any:
    """The first character replaced by its neighbour in Unicode, so that nothing but that letter changes."""
    if not isinstance(value, str) or not value:
        return None
    return ("b" if value[0] == "a" else "a") + value[1:]


def probe_binding(
    evidence: Evidence, client_data: ClientData, altered: Iterator[Altered], rejudge: Rejudge | None = None
) -> ProbeResult:
    """Try each changed order against what was signed: by recomputation, and by the server's own checks where `rejudge` is given."""
    tried = 0
    for change in altered:
        tried += 1
        if not _noticed(evidence, client_data, change):
            return ProbeResult(tried, change.what)
        if rejudge is not None and not _refused(evidence, change, rejudge):
            return ProbeResult(tried, change.what)
    return ProbeResult(tried, None)


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
    try:
        return minor_units(str(total.get("value")), order.currency) == order.minor_units
    except ValueError:
        return False


def _refused(evidence: Evidence, change: Altered, rejudge: Rejudge) -> bool:
    """Whether the server's own checks refuse the same assertion for the changed order."""
    import msgspec

    transaction = msgspec.structs.replace(evidence.transaction, payload=change.payload)
    outcomes = {
        finding.check: finding.outcome
        for finding in rejudge(msgspec.structs.replace(evidence, transaction=transaction))
    }
    part = f"binding.{change.part}" if change.part else "binding.order"
    return outcomes.get("binding.order") is Outcome.FAIL and outcomes.get(part) is not Outcome.PASS
