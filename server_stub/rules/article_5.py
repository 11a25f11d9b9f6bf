"""RTS Article 5: dynamic linking.

On a phone, the signed response links the code to the order; without one, the server's own record of which order the code was made for does
(the law asks for no signature: recital 4). An order of unknown shape leaves amount and payee open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from device_keys.encoding import b64url_encode
from device_keys.messages import payload_digest
from server_stub.log_chain import LogEntry
from server_stub.rules.probes import Altered, ProbeResult, altered_batches, altered_orders, probe_binding
from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, Why, absent, fails, passes, seen, unknown
from server_stub.rules.scene import Platform, Scene
from server_stub.verdict import Grade

_SOURCE: Final = "Delegated Regulation (EU) 2018/389, Art. 5"
_SHAPE: Final = "the order has a shape whose amount and payee this server cannot read; it was signed by its hash"
_NO_LINK: Final = "nothing on record links the code to amount and payee"


def _for_payments(judge: Callable[[Scene], Ruling]) -> Callable[[Scene], Ruling]:
    """The rule where this is a payment of a known shape."""

    def judged(scene: Scene) -> Ruling:
        if not scene.payment:
            return absent(Why.NO_PAYMENT)
        return unknown(_SHAPE) if scene.order is None else judge(scene)

    judged.__doc__ = judge.__doc__
    return judged


def signing_grade(scene: Scene) -> Grade:
    """What the signature over the commitment is worth: `proved` with a key that hardware attested, else `signed`."""
    return Grade.PROVED if scene.in_hardware else Grade.SIGNED


def _made_for(scene: Scene) -> LogEntry | None:
    """The log's record that the code was made for this very order: the hash kept with its challenge is the stored order's."""
    digest = b64url_encode(payload_digest(scene.evidence.transaction.payload))
    issued = scene.of_transaction("challenge_issued")
    return issued[-1] if issued and issued[-1].fields.get("order_hash") == digest else None


def _bound_code(scene: Scene, grade: Grade) -> Ruling:
    """The signed commitment is to the stored order; without a phone, the server made the code for it."""
    if scene.device:
        if not scene.passed("binding.order"):
            return unknown(scene.why("binding.order"))
        vouching = scene.hardware_checks if grade is Grade.PROVED else ()
        return passes(scene.checked("binding.order", *vouching, grade=grade))
    made = _made_for(scene)
    if made is None:
        return unknown(_NO_LINK)
    return passes(seen(made), reason="the server made the code for this order: its hash is kept with the challenge")


def _edited_after_challenge(scene: Scene) -> LogEntry | None:
    code = scene.acceptance.fields.get("code_id") if scene.acceptance is not None else scene.challenge_id
    issued = scene.of_transaction("challenge_issued", challenge_id=code)
    return next((e for e in scene.of_transaction("order_edited") if issued and e.seq > issued[-1].seq), None)


@rule(
    "RTS-5.1.a",
    obligation="the payer is made aware of the amount of the payment and of the payee",
    source=f"{_SOURCE}(1)(a)",
    best=Grade.PROVED,
    passes=(
        "the signed payment member shows the order's amount and payee (proved with trusted confirmation), or "
        "the message with the code did"
    ),
    fails="–",
    open="no code was accepted, the order's shape is unknown, or what was shown is not on record",
    settles="a signed payment member, or a record of what the message with the code said",
    signed=True,
    of_code=True,
)
@_for_payments
def aware(scene: Scene) -> Ruling:
    """The signed `payment` member acknowledges what was shown; trusted confirmation (tag 508) proves it."""
    if not scene.device:
        return _told(scene)
    if scene.client_data is None or scene.client_data.payment is None:
        return unknown("the signed response has no payment member")
    if not scene.passed("binding.amount", "binding.payee"):
        return unknown(scene.why("binding.amount", "binding.payee"))
    acknowledged = scene.of_transaction("display_ack", challenge_id=scene.challenge_id)
    if not acknowledged:
        return unknown("the log holds no acknowledgement of what was displayed")
    return passes(scene.checked("binding.amount", "binding.payee", grade=_display_grade(scene)))


def _told(scene: Scene) -> Ruling:
    """What the message with the code said of amount and payee, as the log has it (`message_sent`)."""
    order = scene.order
    sent = scene.of_transaction("message_sent")
    if not sent or order is None:
        return unknown("what the message with the code said is not on record")
    said = sent[-1].fields
    if (said.get("amount_minor"), said.get("currency"), said.get("payee_name")) != (
        order.minor_units, order.currency, order.payee_name,
    ):  # fmt: skip
        return fails("the message with the code named another amount or payee", Grade.LOGGED)
    return passes(seen(sent[-1]), reason="the message with the code named amount and payee")


def _display_grade(scene: Scene) -> Grade:
    """`proved` only where the key signs nothing but what the trusted confirmation screen showed."""
    description = scene.key_description
    trusted = description is not None and description.hardware_enforced.trusted_confirmation_required
    proved = trusted and scene.platform is Platform.ANDROID and scene.attested is Grade.PROVED
    return Grade.PROVED if proved else Grade.SIGNED


@rule(
    "RTS-5.1.b",
    obligation="the code is specific to the amount and payee the payer agreed to",
    source=f"{_SOURCE}(1)(b)",
    best=Grade.PROVED,
    passes=(
        "the signed commitment, recomputed over the stored order and this transaction, fits; or the code was "
        "made for this order"
    ),
    fails="–",
    open="no code was accepted, the order's shape is unknown, or nothing links code and order",
    settles="a signature over the order, or the order's hash beside the code's challenge in the log",
    signed=True,
    of_code=True,
)
@_for_payments
def specific(scene: Scene) -> Ruling:
    """The commitment, recomputed over the stored order and this transaction, is what was signed."""
    return _bound_code(scene, signing_grade(scene))


@rule(
    "RTS-5.1.c",
    obligation="the accepted code corresponds to the original amount and the payee's identity",
    source=f"{_SOURCE}(1)(c)",
    best=Grade.LOGGED,
    passes=(
        "the code is bound to the order that was created and not edited since, the only one that this "
        "identifier can execute"
    ),
    fails="the order was edited after the accepted code's challenge",
    open="no code was accepted, or the original order is not on record",
    settles="the log's record of the order",
    signed=True,
    of_code=True,
)
@_for_payments
def corresponds(scene: Scene) -> Ruling:
    """The commitment is to the stored order, and that is the original one."""
    edited = _edited_after_challenge(scene)
    if edited is not None:
        return fails(f"entry {edited.seq}: the order was edited after the accepted code's challenge", Grade.LOGGED)
    if scene.device and not scene.passed("challenge.transaction"):
        return unknown(scene.why("challenge.transaction"))
    created = scene.of_transaction("order_created")
    if not created:
        return unknown("the log holds no record of the original order")
    bound = _bound_code(scene, Grade.LOGGED)
    if bound.verdict != "pass":
        return bound
    more = (scene.checked("challenge.transaction"),) if scene.device else ()
    return passes(bound, seen(created[-1]), *more)


@rule(
    "RTS-5.1.d",
    obligation="any change of amount or payee invalidates the code",
    source=f"{_SOURCE}(1)(d)",
    best=Grade.PROVED,
    passes=(
        "negative tests: the server's own checks refuse the order with another amount, currency, name or "
        "account; or such a change was refused"
    ),
    fails="a change went unnoticed, or a code was accepted for a challenge that an edit should have voided",
    open="no code was accepted and no change refused, or the order offers nothing that could be changed",
    settles="an order whose amount, payee and account can be read, signed by a phone",
    signed=True,
)
@_for_payments
def change_invalidates(scene: Scene) -> Ruling:
    """The order changed in one place no longer fits the code; an edited order voids its open challenges."""
    edited = _edited_after_challenge(scene)
    if edited is not None and scene.accepted:
        words = f"entry {edited.seq}: a code was accepted for a challenge that an edit should have voided"
        return fails(words, Grade.LOGGED)
    if not scene.accepted:
        return _refused_change(scene)
    return _probed(scene, altered_orders(scene.evidence.transaction.payload))


def _refused_change(scene: Scene) -> Ruling:
    """A refusal because the signed order is another: that is what the rule asks for."""
    other = scene.failed("binding.order", "binding.amount", "binding.payee")
    if other is None:
        return unknown(scene.no_code)
    return passes(
        scene.checked("assertion.signature", grade=signing_grade(scene)),
        seen(scene.attempt_entry or scene.evidence, grade=signing_grade(scene)),
        reason=f"a changed order was refused: {scene.why(other)}",
    )


def _probed(scene: Scene, altered: Iterator[Altered]) -> Ruling:
    """The negative tests: on a phone by what was signed and the server's own checks, else by the hash kept with the challenge."""
    if scene.device:
        needed = scene.present("binding.order", "binding.amount", "binding.payee")
        if scene.client_data is None or not needed or not scene.passed(*needed):
            return unknown(f"nothing to probe: {scene.why(*(needed or ('binding.order',)))}")
        result = probe_binding(scene.evidence, scene.client_data, altered, scene.rejudge)
        evidence = (
            scene.checked(*needed, *scene.hardware_checks, grade=signing_grade(scene)),
            seen(result, grade=signing_grade(scene)),
        )
    else:
        made = _made_for(scene)
        if made is None:
            return unknown(_NO_LINK)
        result = _probe_hash(made, altered)
        evidence = (seen(made), seen(result))
    if result.unnoticed is not None:
        return fails(f"a change went unnoticed: {result.unnoticed}", evidence[0].grade)
    if not result.tried:
        return unknown("the order offers nothing that could be changed")
    tried = result.tried
    words = f"{len(tried)} changed orders tried, each refused: {'; '.join(tried[:8])}{'; …' if len(tried) > 8 else ''}"
    return passes(*evidence, reason=words)  # fmt: skip


def _probe_hash(made: LogEntry, altered: Iterator[Altered]) -> ProbeResult:
    """Whether each changed order has another hash than the one the code was made for."""
    tried: list[str] = []
    for change in altered:
        tried.append(change.what)
        if b64url_encode(payload_digest(change.payload)) == made.fields.get("order_hash"):
            return ProbeResult(tuple(tried), change.what)
    return ProbeResult(tuple(tried), None)


@rule(
    "RTS-5.2.a",
    obligation="confidentiality, authenticity and integrity of amount and payee throughout the authentication",
    source=f"{_SOURCE}(2)(a)",
    best=Grade.SIGNED,
    passes="the signed challenge commits to nonce and order, and RTS-35.1 passes",
    fails="RTS-35.1 fails",
    open="no code was accepted, RTS-35.1 is open, or no signature covers the order on its way",
    settles="a signature over the order, over TLS",
    signed=True,
    of_code=True,
    capped_by=("RTS-35.1",),
)
def integrity(scene: Scene) -> Ruling:
    """The challenge commits to nonce and order, whatever its shape, so that neither can be exchanged on the way."""
    if not scene.payment:
        return absent(Why.NO_PAYMENT)
    if not scene.device:
        return unknown("no signature protects amount and payee on the way")
    if not scene.passed("binding.order", "challenge.known"):
        return unknown(scene.why("binding.order", "challenge.known"))
    return passes(scene.checked("binding.order", "challenge.known", grade=Grade.SIGNED))


@rule(
    "RTS-5.2.b",
    obligation="the same for the information that is displayed to the payer",
    source=f"{_SOURCE}(2)(b)",
    best=Grade.SIGNED,
    passes=(
        "the signed payment member equals the stored order, and RTS-35.1 passes; that nothing lay over the "
        "screen cannot be shown"
    ),
    fails="RTS-35.1 fails",
    open="no code was accepted, RTS-35.1 is open, or nothing signed says what was displayed",
    settles="a signed payment member, over TLS",
    signed=True,
    of_code=True,
    capped_by=("RTS-35.1",),
)
@_for_payments
def displayed(scene: Scene) -> Ruling:
    """What the signed payment member shows equals the stored order."""
    if not scene.device:
        return unknown("nothing signed says what was displayed")
    if not scene.passed("binding.amount", "binding.payee"):
        return unknown(scene.why("binding.amount", "binding.payee"))
    return passes(scene.checked("binding.amount", "binding.payee", grade=Grade.SIGNED))


@rule(
    "RTS-5.3.a",
    obligation="card payment with a blocked amount: the code is specific to the amount consented to be blocked",
    source=f"{_SOURCE}(3)(a)",
    best=Grade.PROVED,
    passes="the order blocks an amount, and RTS-5.1.b passes for it",
    fails="RTS-5.1.b fails for it",
    open="RTS-5.1.b is open for it",
    settles="what settles RTS-5.1.b",
    of_code=True,
    capped_by=("RTS-5.1.b",),
)
def blocked_amount(scene: Scene) -> Ruling:
    """Card pre-authorisations only; no dialect here has them."""
    if not scene.of_transaction("order_created", kind="preauth"):
        return absent(Why.NO_BLOCKED_AMOUNT)
    return scene.together("RTS-5.1.b")


@rule(
    "RTS-5.3.b",
    obligation="batch: the code is specific to the total and to the specified payees",
    source=f"{_SOURCE}(3)(b); EBA Q&A 2018_4435",
    best=Grade.PROVED,
    passes="negative tests: a payee left out, one added and two exchanged are each refused",
    fails="such a change went unnoticed",
    open="no code was accepted, or the order's shape is unknown",
    settles="a batch whose payments can be read, signed by a phone",
    signed=True,
    of_code=True,
)
def batch(scene: Scene) -> Ruling:
    """The code is specific to the total and to each payee of a batch."""
    if not scene.payment:
        return absent(Why.NO_PAYMENT)
    if scene.order is None:
        return unknown("the order has a shape that this server cannot read: whether it is a batch is not known")
    if len(scene.order.payees) < 2:
        return absent(Why.NO_BATCH)
    return _probed(scene, altered_batches(scene.evidence.transaction.payload))
