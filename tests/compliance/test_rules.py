"""Each rule by itself: a recorded step-up bent in one place, and the one verdict that must follow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from device_keys.messages import Flags
from server_stub.compliance import ControlRecord, Declaration
from server_stub.evidence import SecretFacts
from server_stub.rules.registry import rules
from server_stub.verdict import Outcome

Bend = Callable[[Any], Any]
ANDROID, BIOMETRIC, TLS, BATCH = "Android, passcode", "Android, biometric", "Android, passcode, TLS", "Android, batch"
IPHONE, EMULATOR, WEAVR, FIXED = (
    "iPhone, biometric",
    "emulator, passcode, lenient",
    "Weavr, code by SMS",
    "Weavr, fixed code",
)
SMS_PAYMENT, REFUSED, BLOCKED = "Weavr, payment by SMS", "Android, wrong passcode", "Android, refused in a block"
PIN = "LoginRadius, PIN"


def as_recorded(stage: Any) -> Any:
    return stage


def write(event: str, **fields: Any) -> Bend:
    return lambda stage: stage.write(event, **fields)


def rewrite(event: str, **fields: Any) -> Bend:
    return lambda stage: stage.rewrite(event, **fields)


def drop(*events: str) -> Bend:
    return lambda stage: stage.drop(*events)


def declare(rule: str, **changes: str) -> Bend:
    stated = {"rule": rule, "statement": "so it is", "reference": "a document", "date": "2026-01-31"} | changes

    def bend(stage: Any) -> Any:
        stage.config = msgspec.structs.replace(stage.config, declarations=(Declaration(**stated),))
        return stage

    return bend


def observe(**facts: Any) -> Bend:
    def bend(stage: Any) -> Any:
        stage.observed = msgspec.structs.replace(stage.observed, **facts)
        return stage

    return bend


def both(*bends: Bend) -> Bend:
    def bend(stage: Any) -> Any:
        for one in bends:
            one(stage)
        return stage

    return bend


def accepted_with(outcome: Outcome, *checks: str) -> Bend:
    """The step-up stays accepted although these checks did not pass: what a provider could do, and this server does not."""
    return lambda stage: stage.set(outcome, *checks)


def secret(**facts: Any) -> Bend:
    return lambda stage: stage.bend(secret=msgspec.structs.replace(stage.evidence.secret, **facts))


def looked(*places: str) -> Bend:
    """The server looked for the call's secrets in its records, and found them in these places."""
    return rewrite("sca_attempt", secret_found_in=list(places))


def wrong(count: int, *, block: timedelta | None = None, method: str = "PASSCODE", after: int = 5) -> Bend:
    """Failures of this user two hours ago, one a minute, and a block after so many of them."""

    def bend(stage: Any) -> Any:
        entries, stage.log = stage.log, []
        at = stage.now - timedelta(hours=2)
        for number in range(1, count + 1):
            when = at + timedelta(minutes=number)
            stage.write("sca_attempt", at=when, session="earlier", transaction="earlier", outcome="failed", method=method,
                        internal_reason=["secret.correct"], public_problem_id="403.000.52")  # fmt: skip
            if block is not None and number == after:
                until = (when + block).isoformat()
                stage.write("block_temp", at=when, session="earlier", transaction="earlier", until=until, basis="fixed")
        for entry in entries:
            where = {"session": entry.session, "transaction": entry.transaction, "user": entry.user}
            stage.write(entry.event, at=entry.at, **where, **entry.fields)
        return stage

    return bend


def in_the_block(event: str, **fields: Any) -> Bend:
    """An event a minute after the first block began."""

    def bend(stage: Any) -> Any:
        first = next(entry for entry in stage.log if entry.event == "block_temp")
        place = stage.log.index(first) + 1
        rest, stage.log = stage.log[place:], stage.log[:place]
        at = stage.now - timedelta(hours=2) + timedelta(minutes=6)
        stage.write(event, at=at, session=fields.pop("session", "earlier"), transaction="earlier", **fields)
        for entry in rest:
            where = {"session": entry.session, "transaction": entry.transaction, "user": entry.user}
            stage.write(entry.event, at=entry.at, **where, **entry.fields)
        return stage

    return bend


def altered_before(stage: Any) -> Any:
    return stage.insert("order_created", "attestation_evaluated", verdict="altered")


HALF_HOUR = timedelta(minutes=30)
UNSEEN = rewrite("sca_attempt", secret_found_in=None)
REFUSED_STEP_UP = in_the_block("sca_attempt", outcome="not_evaluated", internal_reason=["user.not_blocked"])
REFUSED_LOGIN = in_the_block("action_refused", action="login", because="blocked")
OTHER_CHANNEL = both(
    rewrite("delivery", verified_by="in person"),
    write("delivery", feature="passcode", channel="branch", verified_by="in person"),
)
ONE_CHANNEL = both(
    rewrite("delivery", verified_by="sca"),
    write("delivery", feature="passcode", channel="sms", verified_by="sca"),
)
CLEAN = observe(plaintext_in_store=False)
IN_PERSON = rewrite("credential_bound", in_person_ref="branch visit 7")
ACCESS_USED = both(write("code_accepted", code_id="earlier"), write("payer_activity"))

Case = tuple[str, str, str, Bend, str]
CASES: list[Case] = [
    # -- PSD2
    ("PSD2-97.1", ANDROID, "as recorded", as_recorded, "pass"),
    ("PSD2-97.1", ANDROID, "the challenge names no trigger", rewrite("challenge_issued", trigger=""), "undetermined"),
    ("PSD2-97.1", PIN, "one category, and accepted", as_recorded, "fail"),
    ("PSD2-97.1", REFUSED, "refused", as_recorded, "undetermined"),
    ("PSD2-97.1", REFUSED, "refused, and executed all the same", write("order_executed"), "fail"),
    ("PSD2-97.1", ANDROID, "replayed after it was paid",
     lambda s: (s.write("order_executed") and setattr(s, "accepted", False)) or s, "undetermined"),
    ("PSD2-97.2", ANDROID, "as recorded", as_recorded, "pass"),
    ("PSD2-97.2", SMS_PAYMENT, "the code was made for the order", as_recorded, "pass"),
    ("PSD2-97.2", WEAVR, "no payment", as_recorded, "not_applicable"),
    ("PSD2-97.2", "Android, order of unknown shape", "amount and payee cannot be read", as_recorded, "undetermined"),
    ("PSD2-97.2", ANDROID, "the order was edited", write("order_edited"), "fail"),
    ("PSD2-97.3", TLS, "looked for, and found nowhere", both(looked(), CLEAN), "pass"),
    ("PSD2-97.3", TLS, "nobody looked", both(UNSEEN, CLEAN), "undetermined"),
    ("PSD2-97.3", TLS, "a secret in plain text", both(looked(), observe(plaintext_in_store=True)), "fail"),
    ("PSD2-70.1", ANDROID, "nothing declared", as_recorded, "undetermined"),
    ("PSD2-70.1", ANDROID, "declared", declare("PSD2-70.1"), "pass"),
    ("PSD2-72.1", ANDROID, "not executed yet", as_recorded, "undetermined"),
    ("PSD2-72.1", ANDROID, "executed", write("order_executed"), "pass"),
    ("PSD2-72.1", ANDROID, "executed, by a log that was altered",
     lambda s: alter(s.write("order_executed"), 3), "fail"),
    ("PSD2-72.1", WEAVR, "no payment", as_recorded, "not_applicable"),
    # -- Art. 2
    ("RTS-2.2.a", ANDROID, "nothing declared", as_recorded, "undetermined"),
    ("RTS-2.2.a", ANDROID, "declared", declare("RTS-2.2.a"), "pass"),
    ("RTS-2.2.a", ANDROID, "declared, and a revoked key was accepted",
     both(declare("RTS-2.2.a"), accepted_with(Outcome.FAIL, "attestation.revocation")), "fail"),
    ("RTS-2.2.d", ANDROID, "nothing declared", as_recorded, "undetermined"),
    ("RTS-2.2.d", ANDROID, "declared", declare("RTS-2.2.d"), "pass"),
    # -- Art. 4
    ("RTS-4.1-elements", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-4.1-elements", WEAVR, "a drawn code beside the password", as_recorded, "pass"),
    ("RTS-4.1-elements", FIXED, "a fixed code beside the password", as_recorded, "fail"),
    ("RTS-4.1-elements", WEAVR, "nobody recorded how the code was made", secret(fixed_code=None), "undetermined"),
    ("RTS-4.1-elements", REFUSED, "refused", as_recorded, "undetermined"),
    ("RTS-4.1-once", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-4.1-once", ANDROID, "accepted twice", lambda s: s.duplicate("code_accepted"), "fail"),
    ("RTS-4.1-once", ANDROID, "a used code was accepted", accepted_with(Outcome.FAIL, "challenge.unused"), "fail"),
    ("RTS-4.1-once", "Android, replayed", "presented again, and refused", as_recorded, "pass"),
    ("RTS-4.1-once", ANDROID, "the acceptance is not on record", drop("code_accepted"), "undetermined"),
    ("RTS-4.1-once", FIXED, "one code for all", as_recorded, "fail"),
    ("RTS-4.1-once", PIN, "a PIN is no code", as_recorded, "undetermined"),
    ("RTS-4.2.a", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-4.2.a", ANDROID, "an unknown member", lambda s: s.sign(amr=["pin"]), "undetermined"),
    ("RTS-4.2.a", ANDROID, "a member named like a secret",
     lambda s: s.sign(device={"nonce": s.evidence.nonce.value, "passcode": "111234"}), "fail"),
    ("RTS-4.2.a", FIXED, "a fixed code", as_recorded, "undetermined"),
    ("RTS-4.2.b", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-4.2.b", ANDROID, "the nonce occurs twice in the log", observe(nonce_repeated=True), "fail"),
    ("RTS-4.2.b", ANDROID, "nobody looked", observe(nonce_repeated=None), "undetermined"),
    ("RTS-4.2.b", ANDROID, "the challenge was issued twice", lambda s: s.duplicate("challenge_issued"), "fail"),
    ("RTS-4.2.b", FIXED, "a fixed code", as_recorded, "fail"),
    ("RTS-4.2.b", "Weavr, code from a seed", "who knows the seed knows the next", as_recorded, "undetermined"),
    ("RTS-4.2.c", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-4.2.c", ANDROID, "another key signed, and accepted", accepted_with(Outcome.FAIL, "assertion.signature"), "fail"),
    ("RTS-4.2.c", ANDROID, "another key signed, and refused", lambda s: s.fail("assertion.signature"), "undetermined"),
    ("RTS-4.2.c", FIXED, "a fixed code", as_recorded, "fail"),
    ("RTS-4.2.c", PIN, "a PIN is no code", as_recorded, "undetermined"),
    ("RTS-4.3.a", ANDROID, "no refusal on record", observe(public_problem_ids=None), "undetermined"),
    ("RTS-4.3.a", REFUSED, "refused", as_recorded, "pass"),
    ("RTS-4.3.a", REFUSED, "refused differently from others",
     both(wrong(1), lambda s: s.refuse("x", problem="400")), "fail"),
    ("RTS-4.3.a", "Weavr, wrong code", "the vendor names the element", as_recorded, "fail"),
    ("RTS-4.3.a", "Weavr, right code after a wrong one", "not this attempt", as_recorded, "undetermined"),
    ("RTS-4.3.b", ANDROID, "nothing failed", as_recorded, "undetermined"),
    ("RTS-4.3.b", BLOCKED, "as recorded", as_recorded, "pass"),
    ("RTS-4.3.b", "Android, after a block", "nothing was tried in the block", as_recorded, "undetermined"),
    ("RTS-4.3.b", ANDROID, "five failures, no block, a sixth", wrong(6), "fail"),
    ("RTS-4.3.b", ANDROID, "five failures, a block, a try in it", both(wrong(5, block=HALF_HOUR), REFUSED_STEP_UP), "pass"),
    ("RTS-4.3.b", ANDROID, "five failures, a block of no length", wrong(6, block=timedelta(0)), "fail"),
    ("RTS-4.3.b", ANDROID, "evaluated in the block", wrong(6, block=HALF_HOUR), "fail"),
    ("RTS-4.3.b", ANDROID, "a login in the block",
     both(wrong(5, block=HALF_HOUR), in_the_block("session_started", channel="api", session="other")), "fail"),
    ("RTS-4.3.b", ANDROID, "wrong activation codes count with the rest", both(wrong(5, method="ENROLMENT")), "fail"),
    ("RTS-4.3.b-actions", ANDROID, "no block", as_recorded, "undetermined"),
    ("RTS-4.3.b-actions", BLOCKED, "no login was tried", as_recorded, "undetermined"),
    ("RTS-4.3.b-actions", ANDROID, "login and step-up refused",
     both(wrong(5, block=HALF_HOUR), REFUSED_STEP_UP, REFUSED_LOGIN), "pass"),
    ("RTS-4.3.b-actions", ANDROID, "a payment in the block",
     both(wrong(5, block=HALF_HOUR), in_the_block("order_executed")), "fail"),
    ("RTS-4.3.c", ANDROID, "loopback", as_recorded, "undetermined"),
    ("RTS-4.3.c", TLS, "TLS", as_recorded, "pass"),
    ("RTS-4.3.c", TLS, "a foreign session was refused", lambda s: s.fail("transaction.session"), "pass"),
    ("RTS-4.3.c", ANDROID, "plain HTTP from elsewhere", lambda s: s.bend(transport="http"), "fail"),
    ("RTS-4.3.d", ANDROID, "a payment", as_recorded, "not_applicable"),
    ("RTS-4.3.d", WEAVR, "nothing followed", as_recorded, "undetermined"),
    ("RTS-4.3.d", WEAVR, "used at once", ACCESS_USED, "pass"),
    ("RTS-4.3.d", WEAVR, "used after 301 seconds",
     lambda s: s.write("payer_activity", at=s.now + timedelta(seconds=301)), "fail"),
    ("RTS-4.3.d", WEAVR, "used after 300 seconds",
     lambda s: s.write("payer_activity", at=s.now + timedelta(seconds=300)), "pass"),
    ("RTS-4.4-alert", ANDROID, "no block is permanent", as_recorded, "undetermined"),
    ("RTS-4.4-alert", ANDROID, "blocked for good without a warning", write("block_permanent"), "fail"),
    ("RTS-4.4-alert", ANDROID, "warned, then blocked", both(write("alert_before_permanent"), write("block_permanent")), "pass"),
    ("RTS-4.4-duration", ANDROID, "nothing declared", as_recorded, "undetermined"),
    ("RTS-4.4-duration", ANDROID, "declared", declare("RTS-4.4-duration"), "pass"),
    ("RTS-4.4-duration", ANDROID, "declared, and a block of no length",
     both(declare("RTS-4.4-duration"), wrong(5, block=timedelta(0))), "fail"),
    ("RTS-4.4-retries", ANDROID, "nothing declared", as_recorded, "undetermined"),
    ("RTS-4.4-retries", ANDROID, "declared", declare("RTS-4.4-retries"), "pass"),
    ("RTS-4.4-retries", ANDROID, "declared, and seven in a row", both(declare("RTS-4.4-retries"), wrong(7)), "fail"),
    ("RTS-4.4-unblock", ANDROID, "nobody returned", as_recorded, "undetermined"),
    ("RTS-4.4-unblock", ANDROID, "back with a proof", both(write("block_permanent"), write("unblock", proof_ref="p")), "pass"),
    ("RTS-4.4-unblock", ANDROID, "back without", both(write("block_permanent"), write("unblock", proof_ref="")), "fail"),
    # -- Art. 5
    ("RTS-5.1.a", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-5.1.a", ANDROID, "the acknowledgement is not on record", drop("display_ack"), "undetermined"),
    ("RTS-5.1.a", SMS_PAYMENT, "as recorded", as_recorded, "pass"),
    ("RTS-5.1.a", SMS_PAYMENT, "what the SMS said is not on record", drop("message_sent"), "undetermined"),
    ("RTS-5.1.a", SMS_PAYMENT, "the SMS named amount and payee",
     write("message_sent", amount_minor=1050, currency="GBP", payee_name="ACME Ltd"), "pass"),
    ("RTS-5.1.a", SMS_PAYMENT, "the SMS named another amount",
     write("message_sent", amount_minor=1, currency="GBP", payee_name="ACME Ltd"), "fail"),
    ("RTS-5.1.b", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-5.1.b", SMS_PAYMENT, "made for this order", as_recorded, "pass"),
    ("RTS-5.1.b", SMS_PAYMENT, "made for another", rewrite("challenge_issued", order_hash="x"), "undetermined"),
    ("RTS-5.1.b", "Android, another amount signed", "refused", as_recorded, "undetermined"),
    ("RTS-5.1.c", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-5.1.c", ANDROID, "the original order is not on record", drop("order_created"), "undetermined"),
    ("RTS-5.1.c", ANDROID, "edited after the challenge", write("order_edited"), "fail"),
    ("RTS-5.1.c", "Android, another amount signed", "refused", as_recorded, "undetermined"),
    ("RTS-5.1.d", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-5.1.d", "Android, amount as a float", "as recorded", as_recorded, "pass"),
    ("RTS-5.1.d", ANDROID, "edited, and accepted", write("order_edited"), "fail"),
    ("RTS-5.1.d", "Android, another amount signed", "the change was refused", as_recorded, "pass"),
    ("RTS-5.1.d", REFUSED, "refused for another reason", as_recorded, "undetermined"),
    ("RTS-5.1.d", SMS_PAYMENT, "each change has another hash", as_recorded, "pass"),
    ("RTS-5.2.a", ANDROID, "loopback", as_recorded, "undetermined"),
    ("RTS-5.2.a", TLS, "TLS", as_recorded, "pass"),
    ("RTS-5.2.a", ANDROID, "plain HTTP from elsewhere", lambda s: s.bend(transport="http"), "fail"),
    ("RTS-5.2.b", ANDROID, "loopback", as_recorded, "undetermined"),
    ("RTS-5.2.b", TLS, "TLS", as_recorded, "pass"),
    ("RTS-5.2.b", ANDROID, "plain HTTP from elsewhere", lambda s: s.bend(transport="http"), "fail"),
    ("RTS-5.3.a", ANDROID, "no blocked amount", as_recorded, "not_applicable"),
    ("RTS-5.3.a", ANDROID, "a blocked amount, signed", rewrite("order_created", kind="preauth"), "pass"),
    ("RTS-5.3.b", ANDROID, "one payee", as_recorded, "not_applicable"),
    ("RTS-5.3.b", BATCH, "as recorded", as_recorded, "pass"),
    ("RTS-5.3.b", "Android, order of unknown shape", "unknown", as_recorded, "undetermined"),
    # -- Arts 6 to 8
    ("RTS-6.1", ANDROID, "the length is not on record", drop("secret_set"), "undetermined"),
    ("RTS-6.1", ANDROID, "six digits, noted when it was set", as_recorded, "pass"),
    ("RTS-6.1", ANDROID, "none at all", write("secret_set", method="passcode", length_class="0"), "fail"),
    ("RTS-6.1", "Android, passcode of one digit", "noted when it was set",
     write("secret_set", method="passcode", length_class="1-3"), "fail"),
    ("RTS-6.1", BIOMETRIC, "no knowledge", as_recorded, "not_applicable"),
    ("RTS-6.2", ANDROID, "loopback", looked(), "undetermined"),
    ("RTS-6.2", TLS, "nobody looked", UNSEEN, "undetermined"),
    ("RTS-6.2", TLS, "looked for, and found nowhere", as_recorded, "pass"),
    ("RTS-6.2", TLS, "found in a record", looked("log 7 note"), "fail"),
    ("RTS-6.2", TLS, "a member named like a secret", both(looked(), rewrite("sca_attempt", passcode="111234")), "fail"),
    ("RTS-6.2", TLS, "the prompt was not masked", both(looked(), rewrite("sca_attempt", masked_input=False)), "fail"),
    ("RTS-7.1", ANDROID, "the key signs for whoever holds the phone", as_recorded, "undetermined"),
    ("RTS-7.1", ANDROID, "declared", declare("RTS-7.1"), "pass"),
    ("RTS-7.1", BIOMETRIC, "its gate", as_recorded, "pass"),
    ("RTS-7.1", IPHONE, "the app's word", as_recorded, "pass"),
    ("RTS-7.1", BIOMETRIC, "not in force, and accepted", accepted_with(Outcome.FAIL, "credential.active"), "fail"),
    ("RTS-7.1", PIN, "no possession", as_recorded, "not_applicable"),
    ("RTS-7.2", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-7.2", ANDROID, "the counter went back, and accepted", accepted_with(Outcome.FAIL, "assertion.counter"), "fail"),
    ("RTS-7.2", ANDROID, "a synced passkey", lambda s: s.sign(flags=Flags.UP | Flags.BE), "undetermined"),
    ("RTS-7.2", WEAVR, "a SIM", as_recorded, "undetermined"),
    ("RTS-8.1", ANDROID, "no inherence", as_recorded, "not_applicable"),
    ("RTS-8.1", BIOMETRIC, "a strong biometric, attested", as_recorded, "pass"),
    ("RTS-8.1", IPHONE, "Apple's word", as_recorded, "pass"),
    ("RTS-8.1", "emulator, biometric, lenient", "nothing attests a sensor", as_recorded, "undetermined"),
    ("RTS-8.1", BIOMETRIC, "boot was not judged", accepted_with(Outcome.NOT_APPLICABLE, "attestation.verified_boot"), "undetermined"),
    ("RTS-8.1", BIOMETRIC, "a template in the log", rewrite("sca_attempt", biometric_template="x"), "fail"),
    ("RTS-8.2", BIOMETRIC, "nobody attests it", as_recorded, "undetermined"),
    ("RTS-8.2", BIOMETRIC, "declared", declare("RTS-8.2"), "pass"),
    ("RTS-8.2", BIOMETRIC, "no biometric needed, and accepted", accepted_with(Outcome.FAIL, "attestation.gate"), "fail"),
    ("RTS-8.2", ANDROID, "no inherence", as_recorded, "not_applicable"),
    # -- Art. 9
    ("RTS-9.1", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-9.1", ANDROID, "one channel for both", ONE_CHANNEL, "fail"),
    ("RTS-9.1", PIN, "one place for both", as_recorded, "fail"),
    ("RTS-9.1", EMULATOR, "a key in software", as_recorded, "undetermined"),
    ("RTS-9.2", BIOMETRIC, "nothing was altered", as_recorded, "undetermined"),
    ("RTS-9.2", EMULATOR, "a key in software", as_recorded, "fail"),
    ("RTS-9.2", "security key, passcode, lenient", "the passcode passed through something", as_recorded, "undetermined"),
    ("RTS-9.3.a", ANDROID, "the passcode is typed outside", as_recorded, "undetermined"),
    ("RTS-9.3.a", BIOMETRIC, "as recorded", as_recorded, "pass"),
    ("RTS-9.3.a", EMULATOR, "a key in software", as_recorded, "fail"),
    ("RTS-9.3.b", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-9.3.b", WEAVR, "nothing attests the phone", as_recorded, "undetermined"),
    ("RTS-9.3.b", ANDROID, "boot is not verified, and refused", lambda s: s.fail("attestation.verified_boot"), "undetermined"),
    ("RTS-9.3.c", ANDROID, "nothing was altered", as_recorded, "undetermined"),
    ("RTS-9.3.c", ANDROID, "altered, and refused for it", lambda s: s.fail("attestation.verified_boot"), "pass"),
    ("RTS-9.3.c", ANDROID, "altered, and accepted", altered_before, "fail"),
    ("RTS-9.3.c", REFUSED, "altered, then suspended", both(altered_before, write("credential_suspended")), "pass"),
    # -- exemptions
    ("RTS-10.2", ANDROID, "none", as_recorded, "not_applicable"),
    ("RTS-10.2", ANDROID, "used", write("exemption_applied", article="10"), "undetermined"),
    ("RTS-10a", ANDROID, "none", as_recorded, "not_applicable"),
    ("RTS-10a", ANDROID, "used", write("exemption_applied", article="10a"), "undetermined"),
    ("RTS-13.1", ANDROID, "none", as_recorded, "not_applicable"),
    ("RTS-13.1", ANDROID, "used", write("exemption_applied", article="13"), "undetermined"),
    ("RTS-14.1", ANDROID, "none", as_recorded, "not_applicable"),
    ("RTS-14.1", ANDROID, "used", write("exemption_applied", article="14"), "undetermined"),
    # -- Art. 22
    ("RTS-22.1", ANDROID, "loopback", looked(), "undetermined"),
    ("RTS-22.1", TLS, "looked for, and found nowhere", looked(), "pass"),
    ("RTS-22.1", TLS, "found in a log value", looked("log 7 note"), "fail"),
    ("RTS-22.1", TLS, "a token in the log", both(looked(), rewrite("session_started", accessToken="eyJ")), "fail"),
    ("RTS-22.2.a", ANDROID, "not reported", as_recorded, "undetermined"),
    ("RTS-22.2.a", ANDROID, "reported", rewrite("sca_attempt", masked_input=True), "pass"),
    ("RTS-22.2.a", ANDROID, "not masked, whatever is declared",
     both(declare("RTS-22.2.a"), rewrite("sca_attempt", masked_input=False)), "fail"),
    ("RTS-22.2.a", BIOMETRIC, "no knowledge", as_recorded, "not_applicable"),
    ("RTS-22.2.b", ANDROID, "not walked", as_recorded, "undetermined"),
    ("RTS-22.2.b", ANDROID, "walked, and clean", CLEAN, "pass"),
    ("RTS-22.2.b", ANDROID, "walked, and not clean", observe(plaintext_in_store=True), "fail"),
    ("RTS-22.2.c", ANDROID, "walked, and clean", CLEAN, "pass"),
    ("RTS-22.2.c", IPHONE, "nothing attests where the key is", CLEAN, "undetermined"),
    ("RTS-22.2.c", WEAVR, "a SIM", CLEAN, "undetermined"),
    ("RTS-22.2.c", EMULATOR, "a key in software", CLEAN, "fail"),
    ("RTS-22.3", ANDROID, "nothing declared", as_recorded, "undetermined"),
    ("RTS-22.3", ANDROID, "declared", declare("RTS-22.3"), "pass"),
    ("RTS-22.3", ANDROID, "declared without a date", declare("RTS-22.3", date="soon"), "undetermined"),
    ("RTS-22.4", ANDROID, "declared, over plain HTTP", declare("RTS-22.4"), "undetermined"),
    ("RTS-22.4", TLS, "declared, over TLS", declare("RTS-22.4"), "pass"),
    ("RTS-22.4", ANDROID, "declared, over plain HTTP from elsewhere",
     lambda s: declare("RTS-22.4")(s.bend(transport="http")), "fail"),
    # -- Arts 23 to 25
    ("RTS-23-create", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-23-create", EMULATOR, "made in software", as_recorded, "fail"),
    ("RTS-23-create", WEAVR, "a number", as_recorded, "undetermined"),
    ("RTS-23-create", ANDROID, "imported, and refused", lambda s: s.fail("attestation.key_origin"), "undetermined"),
    ("RTS-23-loss", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-23-loss", "Android, passcode, fixed activation code", "a fixed code", as_recorded, "fail"),
    ("RTS-23-loss", ANDROID, "no expiry on record", rewrite("credential_activated", code_expires_at=None), "undetermined"),
    ("RTS-23-loss", ANDROID, "nobody recorded how the code was made", rewrite("credential_activated", fixed_code=None), "undetermined"),
    ("RTS-24.1", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-24.1", ANDROID, "bound elsewhere too", observe(key_bound_to_another_user=True), "fail"),
    ("RTS-24.1", ANDROID, "nobody looked", observe(key_bound_to_another_user=None), "undetermined"),
    ("RTS-24.1", WEAVR, "a number", as_recorded, "undetermined"),
    ("RTS-24.1-inherence", BIOMETRIC, "other fingers", as_recorded, "undetermined"),
    ("RTS-24.1-inherence", BIOMETRIC, "declared", declare("RTS-24.1-inherence"), "pass"),
    ("RTS-24.1-inherence", ANDROID, "no inherence", as_recorded, "not_applicable"),
    ("RTS-24.2.a", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-24.2.a", ANDROID, "another app enrolled, and accepted", accepted_with(Outcome.FAIL, "attestation.application"), "fail"),
    ("RTS-24.2.a", ANDROID, "the enrolment's session is not on record", drop("session_started"), "undetermined"),
    ("RTS-24.2.b", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-24.2.b", ANDROID, "in person", IN_PERSON, "pass"),
    ("RTS-24.2.b", ANDROID, "not on record", rewrite("sca_attempt", shown=None), "undetermined"),
    ("RTS-24.2.b", "Android, enrolled after a refresh token", "the code alone", as_recorded, "fail"),
    ("RTS-24.2.b", "Android, enrolled after a refresh token", "the code alone, in an older log",
     rewrite("sca_attempt", shown=None), "fail"),
    ("RTS-24.2.b", "Android, passcode, fixed activation code", "a fixed code", as_recorded, "fail"),
    ("RTS-24.2.b", ANDROID, "the reference is empty", rewrite("credential_bound", sca_ref=""), "fail"),
    ("RTS-25.1", ANDROID, "no delivery on record", as_recorded, "undetermined"),
    ("RTS-25.1", ANDROID, "deliveries on record", OTHER_CHANNEL, "pass"),
    ("RTS-25.1", ANDROID, "one channel for both", ONE_CHANNEL, "fail"),
    ("RTS-25.2.a", ANDROID, "no delivery on record", as_recorded, "undetermined"),
    ("RTS-25.2.a", ANDROID, "verified", OTHER_CHANNEL, "pass"),
    ("RTS-25.2.a", ANDROID, "declared", declare("RTS-25.2.a"), "pass"),
    ("RTS-25.2.b", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-25.2.b", ANDROID, "another app, and accepted", accepted_with(Outcome.FAIL, "attestation.application"), "fail"),
    ("RTS-25.2.b", ANDROID, "another app, and refused", lambda s: s.fail("attestation.application"), "undetermined"),
    ("RTS-25.2.c-channel", ANDROID, "no delivery on record", as_recorded, "undetermined"),
    ("RTS-25.2.c-channel", ANDROID, "two channels", OTHER_CHANNEL, "pass"),
    ("RTS-25.2.c-channel", ANDROID, "declared, and one channel for both", both(declare("RTS-25.2.c-channel"), ONE_CHANNEL), "fail"),
    ("RTS-25.2.c-activation", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-25.2.c-activation", ANDROID, "no activation on record", drop("credential_activated"), "undetermined"),
    ("RTS-25.2.c-activation", ANDROID, "used before it was activated",
     lambda s: s.insert("credential_bound", "sca_attempt", credential_id=s.evidence.credential.credential_id, outcome="failed"), "fail"),
    ("RTS-25.2.d", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-25.2.d", ANDROID, "no activation on record", drop("credential_activated"), "undetermined"),
    ("RTS-25.2.d", "Android, enrolled after a refresh token", "the code alone", as_recorded, "fail"),
    # -- Arts 26 and 27
    ("RTS-26", ANDROID, "no renewal", as_recorded, "undetermined"),
    ("RTS-26", "Android, phone replaced", "deliveries on record", OTHER_CHANNEL, "pass"),
    ("RTS-26", "Android, phone replaced", "one channel for both", ONE_CHANNEL, "fail"),
    ("RTS-27.a", ANDROID, "nothing ended", as_recorded, "undetermined"),
    ("RTS-27.a", "Android, by the phone that was replaced", "refused", as_recorded, "pass"),
    ("RTS-27.a", "Android, phone replaced", "nothing accepted after", as_recorded, "pass"),
    ("RTS-27.a", ANDROID, "accepted with what had ended",
     lambda s: s.insert("order_created", "credential_revoked", credential_id=s.evidence.credential.credential_id), "fail"),
    ("RTS-27.b", ANDROID, "not on record", as_recorded, "undetermined"),
    ("RTS-27.b", ANDROID, "declared", declare("RTS-27.b"), "pass"),
    ("RTS-27.b", ANDROID, "another user still had it",
     lambda s: s.insert("session_started", "credential_bound", user="other", device_id=s.evidence.credential.device_id), "fail"),
    ("RTS-27.c", ANDROID, "nothing was revoked", as_recorded, "undetermined"),
    ("RTS-27.c", ANDROID, "revoked, and the status is dated",
     write("credential_revoked", credential_id="other", status_updated_at="2026-03-02T12:00:05Z"), "pass"),
    ("RTS-27.c", ANDROID, "revoked, and the store holds it as active",
     lambda s: s.write("credential_revoked", credential_id=s.evidence.credential.credential_id), "fail"),
    # -- Arts 28 to 36
    ("RTS-28.1", ANDROID, "no terminal", as_recorded, "not_applicable"),
    ("RTS-28.2", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-28.2", WEAVR, "nothing signed", as_recorded, "undetermined"),
    ("RTS-29.1", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-29.1", ANDROID, "the challenge is not in the log", drop("challenge_issued"), "undetermined"),
    ("RTS-29.2.a", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-29.2.a", ANDROID, "an event names no session", write("payer_activity", session=""), "undetermined"),
    ("RTS-29.2.a", ANDROID, "one session, two users", write("session_started", user="other", channel="api"), "fail"),
    ("RTS-29.2.b", ANDROID, "as recorded", as_recorded, "pass"),
    ("RTS-29.2.b", ANDROID, "an entry was altered", lambda s: alter(s, 3), "fail"),
    ("RTS-29.2.b", ANDROID, "an entry lacks a field", rewrite("challenge_issued", exp=None), "undetermined"),
    ("RTS-29.2.c", ANDROID, "nothing declared", as_recorded, "undetermined"),
    ("RTS-29.2.c", ANDROID, "declared", declare("RTS-29.2.c"), "pass"),
    ("RTS-29.2.c", ANDROID, "declared, and time went back",
     both(declare("RTS-29.2.c"), lambda s: s.write("payer_activity", at=s.now - timedelta(minutes=9))), "fail"),
    ("RTS-35.1", ANDROID, "loopback", as_recorded, "undetermined"),
    ("RTS-35.1", TLS, "TLS", as_recorded, "pass"),
    ("RTS-35.1", TLS, "TLS 1.1", rewrite("session_started", tls={"version": "TLSv1.1"}), "fail"),
    ("RTS-35.1", ANDROID, "TLS, after a login without", lambda s: s.bend(transport="tls"), "undetermined"),
    ("RTS-35.1", "Android, passcode, plain HTTP from elsewhere", "as recorded", as_recorded, "fail"),
    ("RTS-35.5", ANDROID, "nothing declared", as_recorded, "undetermined"),
    ("RTS-35.5", ANDROID, "declared", declare("RTS-35.5"), "pass"),
    ("RTS-35.5", ANDROID, "declared, and a secret in the log",
     both(declare("RTS-35.5"), rewrite("session_started", refresh_token="t")), "fail"),
    ("RTS-35.5-notice", ANDROID, "nothing declared", as_recorded, "undetermined"),
    ("RTS-35.5-notice", ANDROID, "declared", declare("RTS-35.5-notice"), "pass"),
    *((rule, ANDROID, "no third party", as_recorded, "not_applicable")
      for rule in ("RTS-30.2.c", "RTS-34", "RTS-35.2", "RTS-35.3", "RTS-35.4", "RTS-36.5")),
    *((rule, ANDROID, "a third party's session", rewrite("session_started", third_party="a provider"), "undetermined")
      for rule in ("RTS-30.2.c", "RTS-34", "RTS-35.2", "RTS-35.3", "RTS-35.4", "RTS-36.5")),
]  # fmt: skip


def alter(stage: Any, place: int) -> Any:
    """Change an entry without giving it a new hash."""
    stage.log[place] = msgspec.structs.replace(stage.log[place], fields={"altered": True})
    return stage


@pytest.mark.parametrize(
    ("rule", "kind", "what", "bend", "verdict"), CASES, ids=[f"{r} {k}: {w}" for r, k, w, _, _ in CASES]
)
def test_rule(step_up: Any, rule: str, kind: str, what: str, bend: Bend, verdict: str) -> None:
    judged = bend(step_up(kind)).rule(rule)
    assert judged.verdict == verdict, judged
    assert verdict == "pass" or judged.reason


# The verdicts that no evidence can lead to, with the reason.
NEVER = {
    "fail": {
        "PSD2-70.1", "RTS-10.2", "RTS-10a", "RTS-13.1", "RTS-14.1", "RTS-22.3", "RTS-24.1-inherence", "RTS-25.2.a", "RTS-28.1",
        "RTS-30.2.c", "RTS-34", "RTS-35.2", "RTS-35.3", "RTS-35.4", "RTS-35.5-notice", "RTS-36.5",  # an operator's word, or nothing here
        "RTS-5.1.b", "RTS-5.3.a", "RTS-28.2", "RTS-29.1",  # a code that is not bound to the order is not accepted
        "RTS-9.3.b", "RTS-2.2.d",  # needs a phone whose attestation says that its system was altered: below
        "RTS-5.3.b",  # needs a binding that misses a change: below
    },
    "pass": {"RTS-10.2", "RTS-10a", "RTS-13.1", "RTS-14.1", "RTS-28.1", "RTS-30.2.c", "RTS-34", "RTS-35.2", "RTS-35.3", "RTS-35.4",
             "RTS-36.5", "RTS-9.2"},
    "undetermined": {"RTS-28.1", "RTS-5.3.a"},
}  # fmt: skip


@pytest.mark.parametrize("verdict", NEVER)
def test_every_rule_is_shown_passing_failing_and_open_where_it_can_be(verdict: str) -> None:
    shown = {rule for rule, _, _, _, outcome in CASES if outcome == verdict}
    assert {rule.id for rule in rules()} - shown == NEVER[verdict]


# -- rules with a wider stage


@pytest.mark.parametrize("rule", ["RTS-9.3.b", "RTS-2.2.d"])
def test_an_altered_phone_that_was_accepted_fails(step_up: Any, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider is judged for what it accepted, by what the phone's own attestation says."""
    from server_stub.rules.scene import Scene

    assert step_up(ANDROID).rule(rule).verdict != "fail"
    monkeypatch.setattr(Scene, "altered", "boot state unverified")
    assert step_up(ANDROID).rule(rule).verdict == "fail"


def test_a_batch_whose_binding_misses_a_change_fails(step_up: Any) -> None:
    stage = step_up(BATCH)
    stage.rejudge = lambda evidence: stage.findings  # checks that pass whatever the order says
    assert stage.rule("RTS-5.3.b").verdict == "fail"
    assert stage.rule("RTS-5.1.d").verdict == "fail"


def test_an_older_control_record_is_a_declaration(step_up: Any) -> None:
    """Bundles of before hold them in another form."""
    stage = step_up(ANDROID)
    record = ControlRecord(covers="key-management", reference="a document", dated="2026-01-31")
    stage.config = msgspec.structs.replace(stage.config, control_records=(record,))
    rule = stage.rule("RTS-22.3")
    assert (rule.verdict, rule.grade) == ("pass", "declared")
    assert "a document" in (rule.reason or "")


def test_a_grade_is_the_weakest_of_what_it_rests_on(step_up: Any) -> None:
    """Proved by Android's hardware, signed under App Attest, declared by an operator."""
    assert step_up(BIOMETRIC).rule("RTS-9.3.a").grade == "proved"
    assert step_up(IPHONE).rule("RTS-9.3.a").grade == "signed"
    assert step_up(ANDROID).rule("RTS-9.1").grade == "logged"
    assert step_up(BIOMETRIC).rule("RTS-9.1").grade == "declared"
    assert declare("RTS-7.1")(step_up(ANDROID)).rule("RTS-7.1").grade == "declared"


def test_a_code_that_expired_leaves_nothing_to_look_at(step_up: Any) -> None:
    stage = step_up(WEAVR).bend(secret=SecretFacts(kind="otp-sms", result="expired", fixed_code=False))
    assert stage.fail("secret.fresh").rule("RTS-4.2.c").verdict == "undetermined"
