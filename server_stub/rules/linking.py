"""RTS Art. 5: dynamic linking. Every rule but the n/a ones reads the signed assertion; a payload of unknown shape leaves them open."""

from __future__ import annotations

from collections.abc import Callable

from server_stub.rules.probes import Rejudge, altered_batches, altered_orders, probe_binding
from server_stub.rules.ruling import Ruling, absent, fails, passes, unknown
from server_stub.rules.scene import Platform, Scene
from server_stub.verdict import Grade

_NO_PAYMENT = "the step-up is no payment"


def _for_payments(rule: Callable[[Scene], Ruling]) -> Callable[[Scene], Ruling]:
    """The rule where this is a payment of a known shape, linked to a signed response."""

    def judged(scene: Scene) -> Ruling:
        if not scene.payment:
            return absent(_NO_PAYMENT)
        if not scene.device:
            return unknown("no signed response links a code to amount and payee")
        if scene.order is None:
            return unknown(
                "the order has a shape whose amount and payee this server cannot read; it was signed by its hash"
            )
        return rule(scene)

    judged.__doc__ = rule.__doc__
    return judged


def signing_grade(scene: Scene) -> Grade:
    """What the signature over the commitment is worth: `proved` with a key that hardware attested, else `signed`."""
    return Grade.PROVED if scene.in_hardware else Grade.SIGNED


@_for_payments
def aware(scene: Scene) -> Ruling:
    """The payer was shown amount and payee: the signed `payment` member acknowledges it; trusted confirmation (tag 508) proves it."""
    behind = scene.present("binding.amount", "binding.payee")
    if scene.client_data is None or scene.client_data.payment is None:
        return unknown("the signed response has no payment member", *behind)
    if scene.failed("assertion.type"):
        return fails("what was signed is no payment", signing_grade(scene), "assertion.type", *behind)
    failed = scene.failed(*behind)
    if failed is not None:
        return fails(f"what was acknowledged is not the order: {scene.why(failed)}", signing_grade(scene), *behind)
    if not behind or not scene.passed(*behind):
        return unknown(scene.why(*behind) if behind else "binding.amount was not among the checks", *behind)
    if not scene.of_transaction("display_ack", challenge_id=scene.challenge_id):
        return unknown("the log holds no acknowledgement of what was displayed", *behind)
    return passes(_display_grade(scene), *behind)


def _display_grade(scene: Scene) -> Grade:
    """`proved` only where the key signs nothing but what the trusted confirmation screen showed."""
    description = scene.key_description
    trusted = description is not None and description.hardware_enforced.trusted_confirmation_required
    return (
        Grade.PROVED
        if trusted and scene.platform is Platform.ANDROID and scene.attested is Grade.PROVED
        else Grade.SIGNED
    )


@_for_payments
def specific(scene: Scene) -> Ruling:
    """The commitment, recomputed over the stored order and this transaction, is what was signed."""
    return _bound(scene, signing_grade(scene), "binding.order")


@_for_payments
def corresponds(scene: Scene) -> Ruling:
    """The commitment is to the stored order, the only one that this identifier can execute."""
    edited = _edited_after_challenge(scene)
    if edited is not None and scene.accepted:
        return fails(
            f"entry {edited}: the order was edited after the accepted code's challenge", Grade.LOGGED, "binding.order"
        )
    ruling = _bound(scene, Grade.LOGGED, "binding.order", "challenge.transaction")
    if ruling.verdict == "pass" and not scene.of_transaction("order_created"):
        return unknown("the log holds no record of the original order", *ruling.findings)
    return ruling


def _edited_after_challenge(scene: Scene) -> int | None:
    issued = scene.of_transaction("challenge_issued", challenge_id=scene.challenge_id)
    edits = scene.of_transaction("order_edited")
    return next((edit.seq for edit in edits if issued and edit.seq > issued[-1].seq), None)


def _bound(scene: Scene, grade: Grade, *checks: str) -> Ruling:
    behind = scene.present(*checks)
    failed = scene.failed(*checks)
    if failed is not None:
        return fails(scene.why(failed), grade, *behind)
    return passes(grade, *behind) if scene.passed(*checks) else unknown(scene.why(*checks), *behind)


def change_invalidates(rejudge: Rejudge | None = None) -> Callable[[Scene], Ruling]:
    """The rule of Art. 5(1)(d), with the server's own checks to re-run."""

    @_for_payments
    def rule(scene: Scene) -> Ruling:
        """The order changed by one minor unit or one letter no longer fits the code; an edited order voids its open challenges."""
        behind = scene.present("binding.order", "binding.amount", "binding.payee")
        edited = _edited_after_challenge(scene)
        if edited is not None and scene.accepted:
            return fails(
                f"entry {edited}: a code was accepted for a challenge that an edit should have voided",
                Grade.LOGGED,
                *behind,
            )
        if scene.client_data is None or not behind or not scene.passed(*behind):
            return unknown(f"nothing to probe: {scene.why(*behind)}", *behind)
        result = probe_binding(
            scene.evidence, scene.client_data, altered_orders(scene.evidence.transaction.payload), rejudge
        )
        return _probed(scene, result.tried, result.unnoticed, behind)

    return rule


def _probed(scene: Scene, tried: tuple[str, ...], unnoticed: str | None, behind: tuple[str, ...]) -> Ruling:
    if unnoticed is not None:
        return fails(f"a change went unnoticed: {unnoticed}", signing_grade(scene), *behind)
    if not tried:
        return unknown("the order offers nothing that could be changed", *behind)
    words = f"{len(tried)} changed orders tried, each refused: {'; '.join(tried[:8])}{'; …' if len(tried) > 8 else ''}"
    return passes(signing_grade(scene), *behind, reason=words)


def integrity(scene: Scene) -> Ruling:
    """The challenge commits to nonce and order, whatever its shape, so that neither can be exchanged on the way; transport is RTS-35.1."""
    if not scene.payment:
        return absent(_NO_PAYMENT)
    if not scene.device:
        return unknown("no signed response links a code to amount and payee")
    return _bound(scene, Grade.SIGNED, "binding.order", "challenge.known")


@_for_payments
def displayed(scene: Scene) -> Ruling:
    """What the signed payment member shows equals the stored order. That nothing lay over the screen cannot be shown."""
    return _bound(scene, Grade.SIGNED, "binding.amount", "binding.payee")


def preauthorisation(scene: Scene) -> Ruling:
    """Card pre-authorisations only."""
    if not scene.payment:
        return absent(_NO_PAYMENT)
    if not scene.of_transaction("order_created", kind="preauth"):
        return absent("the order is no card pre-authorisation")
    blocked = scene.of_transaction("order_created", kind="preauth")[-1]
    captures = scene.of_transaction("order_executed")
    if not captures:
        return unknown("nothing was captured yet")
    amounts = [entry.fields.get("amount_minor") for entry in captures]
    limit = blocked.fields.get("amount_minor")
    if not isinstance(limit, int) or not all(isinstance(amount, int) for amount in amounts):
        return unknown("the records of block and capture lack their amounts")
    if sum(amount for amount in amounts if isinstance(amount, int)) > limit:
        return fails("more was captured than the payer consented to", Grade.LOGGED)
    if any(entry.fields.get("payee_id") != blocked.fields.get("payee_id") for entry in captures):
        return fails("captured for another payee", Grade.LOGGED)
    return passes(Grade.LOGGED)


def batch(rejudge: Rejudge | None = None) -> Callable[[Scene], Ruling]:
    """The rule of Art. 5(3)(b), with the server's own checks to re-run."""

    def rule(scene: Scene) -> Ruling:
        """The code is specific to the total and to each payee of a batch (EBA Q&A 2018_4435)."""
        if not scene.payment:
            return absent(_NO_PAYMENT)
        if scene.order is None:
            return unknown("the order has a shape that this server cannot read: whether it is a batch is not known")
        if len(scene.order.payees) < 2:
            return absent("the order is no batch")
        behind = scene.present("binding.order", "binding.amount", "binding.payee")
        if not scene.device or scene.client_data is None or not scene.passed("binding.order"):
            return unknown(f"nothing to probe: {scene.why('binding.order')}", *behind)
        result = probe_binding(
            scene.evidence, scene.client_data, altered_batches(scene.evidence.transaction.payload), rejudge
        )
        return _probed(scene, result.tried, result.unnoticed, behind)

    return rule
