"""Checks of freshness and of dynamic linking: the nonce's ladder, and what the challenge and the signed payment
commit to (RTS Art. 4, 5).

Nothing is read from bytes whose signature did not verify.
"""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from hmac import compare_digest
from typing import Any, Final

from device_keys.clock import parse_instant
from device_keys.encoding import FormatError, b64url_decode
from device_keys.messages import Kind, payload_digest, step_up_challenge
from device_keys.orders import Order, minor_units
from server_stub.checks.case import Case
from server_stub.checks.engine import Check, Failure, NotApplicable, Result
from server_stub.checks.factors import TRANSACTION
from server_stub.evidence import NonceFacts

NO_PAYMENT: Final = NotApplicable("not-a-payment")
UNKNOWN_SHAPE: Final = NotApplicable("order-of-unknown-shape")
_KINDS: Final = {kind.value: kind for kind in Kind}


def known(case: Case) -> Result:
    nonce, signed = case.evidence.nonce, case.device.get("nonce")
    if nonce is not None and nonce.value == signed:
        return None
    return Failure("unknown", "a nonce that this server issued", "another" if signed else "none")


def _nonce(case: Case) -> NonceFacts:
    nonce = case.evidence.nonce
    assert nonce is not None, "challenge.known passed"
    return nonce


def of_this_transaction(case: Case) -> Result:
    if _nonce(case).transaction_id == case.evidence.transaction.id:
        return None
    return Failure("other-transaction", case.evidence.transaction.id, _nonce(case).transaction_id)


def unused(case: Case) -> Result:
    consumed = _nonce(case).consumed_at
    return None if consumed is None else Failure("used", "a nonce not used before", f"used at {consumed.isoformat()}")


def fresh(case: Case) -> Result:
    until, now = _nonce(case).expires_at, case.evidence.now
    return None if now < until else Failure("expired", f"evidence before {until.isoformat()}", now.isoformat())


def skew(case: Case) -> Result:
    try:
        signed_at = parse_instant(case.device.get("signedAt"), "device.signedAt")
    except FormatError:
        return Failure("unreadable", "device.signedAt as RFC 3339", "another or none")
    tolerance = _seconds(case.policy.signed_at_tolerance_seconds)
    first, last = _nonce(case).issued_at, case.evidence.now
    if -tolerance <= signed_at - first and signed_at - last <= tolerance:  # no sum, which may leave the calendar
        return None
    wanted = f"from {first.isoformat()} to {last.isoformat()}, give or take {tolerance.seconds} s"
    return Failure("skew", wanted, signed_at.isoformat())


_seconds: Final = lru_cache(maxsize=16)(lambda seconds: timedelta(seconds=seconds))


def order(case: Case) -> Result:
    """The signed challenge is the one that this server computes for this transaction and the stored payload (RTS Art.
    5(1)(b), (c))."""
    transaction = case.evidence.transaction
    try:
        nonce = b64url_decode(case.device.get("nonce"), "device.nonce")
        expected = step_up_challenge(
            _KINDS[transaction.kind], nonce, transaction.id, payload_digest(transaction.payload)
        )
    except FormatError as error:
        return Failure("not-computable", error.expected, error.field)
    if compare_digest(case.client_data.challenge, expected):
        return None
    return Failure("challenge", expected.hex(), case.client_data.challenge.hex())


def _total(payment: dict[str, Any] | None) -> tuple[str, str] | None:
    total = (payment or {}).get("total")
    if not isinstance(total, dict):
        return None
    value, currency = total.get("value"), total.get("currency")
    return (value, currency) if isinstance(value, str) and isinstance(currency, str) else None


def amount(case: Case) -> Result:
    if case.evidence.transaction.kind != "payment":
        return NO_PAYMENT
    if case.order is None:
        return UNKNOWN_SHAPE
    total = _total(case.client_data.payment)
    expected = case.order.amount, case.order.currency
    if total is None:
        return Failure("missing", " ".join(expected), "no total signed")
    if total == expected or (total[1] == expected[1] and _is_amount(total[0], case.order)):
        return None
    return Failure("amount", " ".join(expected), " ".join(total))


def _is_amount(signed: str, order: Order) -> bool:
    """Whether the text is the order's number of smallest units: 10 and 10.00 are the same, money is never a float."""
    try:
        return minor_units(signed, order.currency) == order.minor_units
    except FormatError:
        return False


def payee(case: Case) -> Result:
    if case.evidence.transaction.kind != "payment":
        return NO_PAYMENT
    if case.order is None:
        return UNKNOWN_SHAPE
    signed, expected = (case.client_data.payment or {}).get("payeeName"), case.order.payee_name
    return (
        None
        if signed == expected
        else Failure("payee", expected, str(signed) if signed is not None else "no payee signed")
    )


def context(case: Case) -> Result:
    """The signed payment names this bank and its page, and the instrument that pays (SPC, "Verifying an
    Authentication Assertion")."""
    if case.evidence.transaction.kind != "payment":
        return NO_PAYMENT
    payment = case.client_data.payment
    if payment is None:
        return Failure("missing", "a signed payment member", "none")
    if payment.get("rpId") != case.policy.rp_id:
        return Failure("rp-id", case.policy.rp_id, str(payment.get("rpId")))
    if payment.get("topOrigin") not in (*case.policy.origins, *case.policy.top_origins):
        return Failure(
            "top-origin", " or ".join((*case.policy.origins, *case.policy.top_origins)), str(payment.get("topOrigin"))
        )
    instrument = payment.get("instrument")
    if not isinstance(instrument, dict) or not isinstance(instrument.get("displayName"), str):
        return Failure("instrument", "an instrument with a displayName", "none")
    return None


_SIGNED = ("assertion.signature",)

CHALLENGE: Final[tuple[Check[Case], ...]] = (
    Check(
        "challenge.known",
        "WebAuthn L3 Verifying an Authentication Assertion: challenge; RTS Art. 4(2)(b)",
        known,
        (*_SIGNED, *TRANSACTION),
    ),
    Check("challenge.transaction", "RTS Art. 4(3)(c), 35(4)", of_this_transaction, ("challenge.known",)),
    Check("challenge.unused", "RTS Art. 4(1): a code is accepted only once", unused, ("challenge.transaction",)),
    Check(
        "challenge.fresh",
        "WebAuthn L3 section 13.4.3: life of a challenge; RTS Art. 4(2)(b)",
        fresh,
        ("challenge.unused",),
    ),
    Check("challenge.skew", "RTS Art. 29(2)(c): one time reference", skew, ("challenge.known",)),
    Check("binding.order", "RTS Art. 5(1)(b), 5(1)(c), 5(3)(b)", order, _SIGNED),
    Check("binding.amount", "RTS Art. 5(1)(a), 5(1)(b); SPC: payment.total", amount, _SIGNED),
    Check("binding.payee", "RTS Art. 5(1)(a), 5(1)(b); SPC: payment.payeeName", payee, _SIGNED),
    Check("binding.context", "SPC: payment.rpId, payment.topOrigin, payment.instrument", context, _SIGNED),
)
