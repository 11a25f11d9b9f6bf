"""Each rule by itself: an honest step-up bent in one place, and the one verdict that must follow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from server_stub.compliance import SERVER_CONFIG, BiometricPolicy, ControlRecord, Observations
from server_stub.evidence import SecretFacts
from server_stub.log_chain import LogEntry

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
BATCH = {
    "payments": [
        {
            "amount": "10.00",
            "currency": "GBP",
            "payee": {"name": "Ada", "sortCode": "010203", "accountNumber": "12345678"},
        },
        {
            "amount": "2.50",
            "currency": "GBP",
            "payee": {"name": "Bob", "sortCode": "010203", "accountNumber": "87654321"},
        },
    ]
}
Bend = Callable[[Any], Any]


def write(event: str, **fields: Any) -> Bend:
    def bend(stage: Any) -> Any:
        stage.write(event, **fields)
        return stage

    return bend


def declare(**facts: Any) -> Bend:
    def bend(stage: Any) -> Any:
        stage.config = msgspec.structs.replace(stage.config, **facts)
        return stage

    return bend


def observe(**facts: Any) -> Bend:
    def bend(stage: Any) -> Any:
        stage.observed = msgspec.structs.replace(stage.observed, **facts)
        return stage

    return bend


def attempts(*outcomes: str, block_after: int | None = None) -> Bend:
    """Earlier attempts of the same user, one a minute; a block of thirty minutes after the given number of them."""

    def bend(stage: Any) -> Any:
        at = NOW - timedelta(hours=2)
        for number, outcome in enumerate(outcomes, 1):
            stage.write("sca_attempt", at=at + timedelta(minutes=number), session="earlier", transaction="earlier", outcome=outcome,
                        internal_reason=["secret.correct"], public_problem_id="403.000.52")  # fmt: skip
            if number == block_after:
                until = (at + timedelta(minutes=number + 30)).isoformat()
                stage.write(
                    "block_temp",
                    at=at + timedelta(minutes=number),
                    session="earlier",
                    transaction="earlier",
                    until=until,
                    basis="fixed",
                )
        return stage

    return bend


def control(covers: str, dated: str = "2026-01-31") -> Bend:
    return declare(control_records=(ControlRecord(covers=covers, reference="a document", dated=dated),))


SENSORS = BiometricPolicy(
    false_accept_rate="1 in 50,000 (Android class 3)",
    lockout="five failures, then the passcode",
    reference="CDD 7.3.10",
)
ONE_CHANNEL = [{"feature": "passcode", "channel": "sms"}, {"feature": "activation-code", "channel": "sms"}]
IN_PERSON = {"in_person_ref": "branch visit 7", "sca_ref": None}

CASES: list[tuple[str, str, Bend, str]] = [
    # -- Art. 97 and Art. 4
    ("PSD2-97.1", "the accepted code's challenge names no trigger", lambda s: s.rewrite("challenge_issued", trigger=""), "undetermined"),
    ("PSD2-97.1", "the enrolment's accepted code is not on record",
     lambda s: s.rewrite("credential_bound", sca_ref="unknown"), "undetermined"),
    ("PSD2-97.1", "the enrolment rests on a proof in person", lambda s: s.rewrite("credential_bound", **IN_PERSON), "pass"),
    ("PSD2-97.1", "refused, and executed all the same",
     lambda s: write("order_executed", order_id="o")(s.fail("secret.correct")), "fail"),
    ("PSD2-97.1", "refused", lambda s: s.fail("secret.correct"), "undetermined"),
    ("RTS-4.1-once", "accepted twice", lambda s: s.rewrite("order_created") and duplicate(s, "code_accepted"), "fail"),
    ("RTS-4.1-once", "presented again, and refused", lambda s: s.fail("challenge.unused", "challenge.fresh"), "pass"),
    ("RTS-4.1-once", "the acceptance is not on record", lambda s: s.drop("code_accepted"), "undetermined"),
    ("RTS-4.2.b", "the nonce occurs twice in the log", observe(nonce_repeated=True), "fail"),
    ("RTS-4.2.b", "nobody looked", observe(nonce_repeated=None), "undetermined"),
    ("RTS-4.2.b", "the challenge was issued twice", lambda s: duplicate(s, "challenge_issued"), "fail"),
    ("RTS-4.2.c", "another key signed", lambda s: s.fail("assertion.signature"), "fail"),
    ("RTS-4.2.c", "no evidence came",
     lambda s: s.bend(assertion=None, credential=None, nonce=None).fail("evidence.present"), "undetermined"),
    ("RTS-4.3.a", "two public answers in the whole log", observe(public_problem_ids=("403.000.52", "401.000.22")), "fail"),
    ("RTS-4.3.a", "one public answer in the whole log", observe(public_problem_ids=("403.000.52",)), "pass"),
    ("RTS-4.3.a", "refused, as others were", lambda s: attempts("failed")(s.fail("secret.correct")), "pass"),
    ("RTS-4.3.a", "refused differently from others",
     lambda s: attempts("failed")(s.fail("secret.correct").refuse("x", problem="400")), "fail"),
    ("RTS-4.3.b", "five failures, a block that ended, then this", attempts(*["failed"] * 5, block_after=5), "pass"),
    ("RTS-4.3.b", "five failures, no block, a sixth", attempts(*["failed"] * 6), "fail"),
    ("RTS-4.3.b", "four failures, a success, four failures", attempts(*["failed"] * 4, "accepted", *["failed"] * 4), "pass"),
    ("RTS-4.3.b", "evaluated while blocked", attempts(*["failed"] * 6, block_after=5), "fail"),
    ("RTS-4.3.b", "turned away while blocked", attempts(*["failed"] * 5, "not_evaluated", "not_evaluated", block_after=5), "pass"),
    ("RTS-4.3.b", "a policy of ten failures", declare(maximum_failures=10), "fail"),
    ("RTS-4.3.b", "this attempt is not on record", lambda s: s.drop("sca_attempt"), "undetermined"),
    ("RTS-4.3.c", "a foreign session was refused", lambda s: s.fail("transaction.session"), "pass"),
    ("RTS-4.3.c", "the challenge is another transaction's", lambda s: s.fail("challenge.transaction"), "undetermined"),
    ("RTS-4.3.d", "a call after 301 s of silence", write("payer_activity", at=NOW + timedelta(seconds=321)), "pass"),
    ("RTS-4.3.d", "a call after 301 s without new authentication", lambda s: late_call(s, 301), "fail"),
    ("RTS-4.3.d", "a call after 300 s without new authentication", lambda s: late_call(s, 300), "pass"),
    ("RTS-4.3.d", "the session's beginning is not on record", lambda s: s.drop("session_started"), "undetermined"),
    ("RTS-4.3.d", "a policy of ten minutes", declare(idle_seconds=600), "fail"),
    ("RTS-4.4-alert", "blocked for good without a warning", write("block_permanent"), "fail"),
    ("RTS-4.4-alert", "warned, then blocked for good", lambda s: write("block_permanent")(write("alert_before_permanent")(s)), "pass"),
    ("RTS-4.4-duration", "a block with its basis", write("block_temp", until="2026-11-22T10:30:00Z", basis="fixed"), "pass"),
    ("RTS-4.4-duration", "a block without a basis", write("block_temp", until="2026-11-22T10:30:00Z"), "undetermined"),
    ("RTS-4.4-unblock", "back with a proof", lambda s: write("unblock", proof_ref="p")(write("block_permanent")(s)), "pass"),
    ("RTS-4.4-unblock", "back without a proof", lambda s: write("unblock", proof_ref="")(write("block_permanent")(s)), "fail"),
    # -- Art. 5
    ("RTS-5.1.a", "the acknowledgement is not on record", lambda s: s.drop("display_ack"), "undetermined"),
    ("RTS-5.1.a", "another amount was shown", lambda s: s.fail("binding.amount"), "fail"),
    ("RTS-5.1.b", "another order was signed", lambda s: s.fail("binding.order"), "fail"),
    ("RTS-5.1.c", "the original order is not on record", lambda s: s.drop("order_created"), "undetermined"),
    ("RTS-5.1.c", "edited after the challenge", write("order_edited", order_id="o"), "fail"),
    ("RTS-5.1.d", "edited after the challenge", write("order_edited", order_id="o"), "fail"),
    ("RTS-5.1.d", "another amount was shown", lambda s: s.fail("binding.amount"), "undetermined"),
    ("RTS-5.2.a", "another order was signed", lambda s: s.fail("binding.order"), "fail"),
    ("RTS-5.2.b", "another payee was shown", lambda s: s.fail("binding.payee"), "fail"),
    # -- Arts 6 to 8
    ("RTS-6.1", "no policy for passcodes", declare(knowledge=()), "undetermined"),
    ("RTS-6.1", "plain text in the store", observe(plaintext_in_store=True), "fail"),
    ("RTS-6.2", "the passcode is in the log", lambda s: s.rewrite("sca_attempt", passcode="111234"), "fail"),
    ("RTS-6.2", "the prompt was not masked", lambda s: s.rewrite("sca_attempt", masked_input=False), "fail"),
    ("RTS-7.1", "the device is unlocked", lambda s: s.fail("attestation.device_locked"), "fail"),
    ("RTS-7.1", "no second element with it",
     lambda s: s.bend(secret=SecretFacts(kind="passcode", result="wrong")).fail("secret.correct"), "undetermined"),
    ("RTS-7.1", "the key was replaced", lambda s: s.fail("credential.active"), "fail"),
    ("RTS-7.2", "the counter went back", lambda s: s.fail("assertion.counter"), "fail"),
    ("RTS-7.2", "the key was imported", lambda s: s.fail("attestation.key_origin"), "fail"),
    ("RTS-8.1", "no inherence", lambda s: s, "not_applicable"),
    # -- Art. 9
    ("RTS-9.1", "passcode and code came by one channel",
     lambda s: s.rewrite("credential_bound", channels=ONE_CHANNEL), "fail"),
    ("RTS-9.2", "boot is not verified", lambda s: s.fail("attestation.verified_boot"), "fail"),
    ("RTS-9.3.a", "a key in software", lambda s: s.fail("attestation.security_level"), "fail"),
    ("RTS-9.3.b", "boot is not verified", lambda s: s.fail("attestation.verified_boot"), "fail"),
    ("RTS-9.3.b", "another app", lambda s: s.fail("attestation.application"), "fail"),
    ("RTS-9.3.c", "altered, and accepted after it", lambda s: insert(s, 7, "attestation_evaluated", verdict="altered"), "fail"),
    ("RTS-9.3.c", "altered, suspended in time",
     lambda s: write("credential_suspended")(write("attestation_evaluated", verdict="altered")(s.refuse("x"))), "pass"),
    ("RTS-9.3.c", "altered, and nothing done for an hour",
     lambda s: write("attestation_evaluated", at=NOW - timedelta(hours=1), verdict="altered")(s.refuse("x")), "fail"),
    ("RTS-9.3.c", "evaluated, and intact", write("attestation_evaluated", verdict="intact"), "not_applicable"),
    # -- Art. 22
    ("RTS-22.1", "a token is in the log", lambda s: s.rewrite("session_started", accessToken="eyJ"), "fail"),
    ("RTS-22.2.a", "not reported", lambda s: s.rewrite("sca_attempt", masked_input=None), "undetermined"),
    ("RTS-22.2.a", "not masked", lambda s: s.rewrite("sca_attempt", masked_input=False), "fail"),
    ("RTS-22.2.b", "walked, and clean", observe(plaintext_in_store=False), "pass"),
    ("RTS-22.2.b", "walked, and not clean", observe(plaintext_in_store=True), "fail"),
    ("RTS-22.2.c", "nobody says how tokens are stored", declare(token_storage=None), "undetermined"),
    ("RTS-22.3", "a dated record", control("key-management"), "pass"),
    ("RTS-22.3", "a record without a date", control("key-management", "soon"), "undetermined"),
    ("RTS-22.4", "a record, but plain HTTP", control("secure-processing"), "undetermined"),
    ("RTS-22.4", "a record, and TLS", lambda s: control("secure-processing")(s.bend(transport="tls")), "pass"),
    # -- Arts 23 to 25
    ("RTS-23-create", "the attested challenge is another", lambda s: s.fail("attestation.challenge"), "undetermined"),
    ("RTS-23-create", "the key was imported", lambda s: s.fail("attestation.key_origin"), "fail"),
    ("RTS-23-loss", "no expiry on record", lambda s: s.rewrite("credential_activated", code_expires_at=None), "undetermined"),
    ("RTS-23-loss", "activated in person", lambda s: s.rewrite("credential_activated", **IN_PERSON), "pass"),
    ("RTS-24.1", "bound elsewhere too", observe(key_bound_to_another_user=True), "fail"),
    ("RTS-24.1", "nobody looked", observe(key_bound_to_another_user=None), "undetermined"),
    ("RTS-24.1", "looked up when it was bound",
     lambda s: observe(key_bound_to_another_user=None)(s.rewrite("credential_bound", bound_elsewhere=0)), "pass"),
    ("RTS-24.2.a", "the enrolment's session is not on record", lambda s: s.rewrite("session_started", channel=None), "undetermined"),
    ("RTS-24.2.a", "another app enrolled", lambda s: s.fail("attestation.application"), "fail"),
    ("RTS-24.2.b", "the reference is empty", lambda s: s.rewrite("credential_bound", sca_ref=""), "fail"),
    ("RTS-24.2.b", "the reference leads nowhere", lambda s: s.rewrite("credential_bound", sca_ref="elsewhere"), "undetermined"),
    ("RTS-24.2.b", "one category only", lambda s: s.rewrite("sca_attempt", elements=["password", "pin"]), "fail"),
    ("RTS-24.2.b", "elements not on record", lambda s: s.rewrite("sca_attempt", elements=None), "undetermined"),
    ("RTS-24.2.b", "bound by itself", lambda s: s.rewrite("sca_attempt", credential_id="Y3JlZGVudGlhbA"), "fail"),
    ("RTS-25.2.a", "the number was never verified",
     lambda s: s.rewrite("credential_bound", channels=[{"channel": "sms", "verified": False}]), "undetermined"),
    ("RTS-25.2.a", "no channel on record", lambda s: s.rewrite("credential_bound", channels=None), "undetermined"),
    ("RTS-25.2.b", "another app enrolled", lambda s: s.fail("attestation.application"), "fail"),
    ("RTS-25.2.c-channel", "one channel for both",
     lambda s: s.rewrite("credential_bound", channels=ONE_CHANNEL), "fail"),
    ("RTS-25.2.c-activation", "no activation on record", lambda s: s.drop("credential_activated"), "undetermined"),
    ("RTS-25.2.c-activation", "used before it was activated",
     lambda s: insert(s, 2, "sca_attempt", credential_id="Y3JlZGVudGlhbA", outcome="failed"), "fail"),
    ("RTS-25.2.d", "the reference leads nowhere", lambda s: s.rewrite("credential_activated", sca_ref="elsewhere"), "undetermined"),
    # -- Arts 26 and 27
    ("RTS-26", "renewed as it was enrolled", lambda s: write("credential_renewed", credential_id="Y3JlZGVudGlhbA")(s), "pass"),
    ("RTS-26", "renewed with one element",
     lambda s: write("credential_renewed", credential_id="Y3JlZGVudGlhbA")(s.rewrite("sca_attempt", elements=["pin"])), "fail"),
    ("RTS-27.a", "accepted after it was revoked", lambda s: insert(s, 7, "credential_revoked", credential_id="Y3JlZGVudGlhbA"), "fail"),
    ("RTS-27.a", "refused after it was revoked",
     lambda s: insert(s.fail("credential.active"), 7, "credential_revoked", credential_id="Y3JlZGVudGlhbA"), "pass"),
    ("RTS-27.b", "another user had the device, and did not release it",
     lambda s: insert(s, 0, "credential_bound", user="other", device_id="device", credential_id="old"), "fail"),
    ("RTS-27.b", "released first",
     lambda s: insert(insert(s, 0, "device_released", user="other", device_id="device"), 0, "credential_bound", user="other",
                      device_id="device", credential_id="old"), "pass"),
    ("RTS-27.b", "nobody looked", observe(device_bound_to_another_user=None), "undetermined"),
    ("RTS-27.c", "revoked, status not on record", write("credential_revoked", credential_id="other"), "undetermined"),
    ("RTS-27.c", "revoked, status at once",
     write("credential_revoked", credential_id="other", status_updated_at="2026-11-22T10:00:05Z"), "pass"),
    ("RTS-27.c", "revoked, status a week later",
     write("credential_revoked", credential_id="other", status_updated_at="2026-11-29T10:00:00Z"), "fail"),
    # -- Arts 28 to 35
    ("RTS-28.2", "another origin", lambda s: s.fail("assertion.origin"), "fail"),
    ("RTS-28.2", "another relying party", lambda s: s.fail("assertion.rp_id"), "fail"),
    ("RTS-29.2.a", "an event names no session", write("payer_activity", session=""), "undetermined"),
    ("RTS-29.2.a", "one session, two users", write("session_started", user="other", channel="app"), "fail"),
    ("RTS-29.2.b", "an entry was altered", lambda s: alter(s, 3, fields={}), "fail"),
    ("RTS-29.2.b", "an entry lacks a field", lambda s: s.rewrite("challenge_issued", exp=None), "undetermined"),
    ("RTS-29.2.c", "a dated record", control("clock-synchronisation"), "pass"),
    ("RTS-29.2.c", "time went back within a session", write("payer_activity", at=NOW - timedelta(minutes=9)), "fail"),
    ("RTS-35.1", "TLS", lambda s: s.bend(transport="tls"), "pass"),
    ("RTS-35.1", "TLS 1.1", lambda s: s.bend(transport="tls").rewrite("session_started", tls={"version": "TLSv1.1"}), "fail"),
    ("RTS-35.1", "plain HTTP beyond loopback", lambda s: s.bend(transport="http"), "fail"),
    ("RTS-35.2", "the session went on", lambda s: s.drop("session_ended"), "undetermined"),
    ("RTS-35.3", "the challenge belongs to another session",
     lambda s: write("challenge_issued", session="other", challenge_id="x")(s), "fail"),
    ("RTS-35.3", "a foreign session was refused", lambda s: s.fail("transaction.session"), "pass"),
    ("RTS-35.4", "the attempt is not on record", lambda s: s.drop("sca_attempt"), "undetermined"),
    ("RTS-35.5", "a dated record", control("staff-access"), "pass"),
    ("RTS-35.5", "a secret in the log", lambda s: s.rewrite("session_started", refresh_token="t"), "fail"),
]  # fmt: skip


def duplicate(stage: Any, event: str) -> Any:
    entry = [entry for entry in stage.log if entry.event == event][-1]
    stage.write(event, at=entry.at, session=entry.session, transaction=entry.transaction, **entry.fields)
    return stage


def insert(stage: Any, place: int, event: str, **fields: Any) -> Any:
    """Put an event at a place of the log, and chain the log anew; its time is that of the entry it stands before."""
    entries, stage.log = stage.log, []
    user = fields.pop("user", None)
    for number, entry in enumerate(entries):
        if number == place:
            named = {"user": user} if user else {}
            stage.write(event, at=entry.at, transaction="", **named, **fields)
        stage.write(
            entry.event,
            at=entry.at,
            session=entry.session,
            transaction=entry.transaction,
            user=entry.user,
            **entry.fields,
        )
    return stage


def alter(stage: Any, place: int, **members: Any) -> Any:
    """Change an entry without giving it a new hash."""
    entry: LogEntry = stage.log[place]
    stage.log[place] = msgspec.structs.replace(entry, **members)
    return stage


def late_call(stage: Any, seconds: int) -> Any:
    """The session's last call before this step-up came after a silence of so many seconds."""
    entries, stage.log = stage.log, []
    for entry in entries:
        at: Any = (
            NOW - timedelta(seconds=20 + seconds)
            if entry.event == "session_started" and entry.session == "session"
            else entry.at
        )
        stage.write(
            entry.event, at=at, session=entry.session, transaction=entry.transaction, user=entry.user, **entry.fields
        )
    return stage


@pytest.mark.parametrize(
    ("rule", "what", "bend", "verdict"), CASES, ids=[f"{rule}: {what}" for rule, what, _, _ in CASES]
)
def test_rule(step_up: Any, rule: str, what: str, bend: Bend, verdict: str) -> None:
    honest, bent = step_up().rule(rule), bend(step_up()).rule(rule)
    assert bent.verdict == verdict, bent
    assert verdict != "fail" or honest.verdict != "fail"
    assert verdict == "pass" or bent.reason


def test_every_rule_that_can_go_wrong_is_shown_going_wrong() -> None:
    """Each rule but the few that evidence of this product cannot contradict has a case that is no pass."""
    from server_stub.rules.table import rules

    shown = {rule for rule, _, _, verdict in CASES if verdict in ("fail", "undetermined")}
    elsewhere = {
        "RTS-4.1-elements", "RTS-4.2.a", "RTS-5.3.a", "RTS-5.3.b", "RTS-8.1", "RTS-8.2", "RTS-28.1",
    }  # fmt: skip
    assert {rule.id for rule in rules()} - shown == elsewhere - shown


# -- rules with a wider stage


def test_trusted_confirmation_proves_the_display(step_up: Any) -> None:
    """RTS-5.1.a: proved only with a key attested with tag 508."""
    assert step_up().rule("RTS-5.1.a").grade == "signed"
    assert step_up(trusted_confirmation_required=True).rule("RTS-5.1.a").grade == "proved"


def test_an_unknown_shape_of_order_leaves_dynamic_linking_open(step_up: Any) -> None:
    """DESIGN section 4: signed by hash, nothing said of amount and payee."""
    stage = step_up(payload={"what": "a new standing order", "to": "somebody"})
    verdicts = stage.verdicts()
    assert {verdicts[f"RTS-5.1.{letter}"] for letter in "abcd"} == {"undetermined"}
    assert stage.report().two_factor == "undetermined"


def test_a_batch_is_bound_to_its_total_and_each_payee(step_up: Any) -> None:
    """RTS-5.3.b (EBA Q&A 2018_4435)."""
    rule = step_up(payload=BATCH).rule("RTS-5.3.b")
    assert (rule.verdict, rule.grade.value) == ("pass", "proved")
    assert "3 changed orders tried" in (rule.reason or "")
    assert step_up().rule("RTS-5.3.b").verdict == "not_applicable"


def test_a_pre_authorisation_is_captured_up_to_its_amount(step_up: Any) -> None:
    """RTS-5.3.a."""
    stage = step_up().rewrite("order_created", kind="preauth")
    assert stage.rule("RTS-5.3.a").verdict == "undetermined"
    stage.write("order_executed", amount_minor=900, payee_id="")
    assert stage.rule("RTS-5.3.a").verdict == "pass"
    stage.write("order_executed", amount_minor=101, payee_id="")
    assert stage.rule("RTS-5.3.a").verdict == "fail"


def test_a_biometric_rests_on_a_declared_false_accept_limit(step_up: Any) -> None:
    """RTS-8.1, RTS-8.2: no platform attests the rate or the lockout."""
    stage = step_up(method="BIOMETRIC")
    stage.config = msgspec.structs.replace(SERVER_CONFIG, biometrics=None)
    assert stage.rule("RTS-8.1").verdict == stage.rule("RTS-8.2").verdict == "undetermined"
    stage.config = msgspec.structs.replace(SERVER_CONFIG, biometrics=SENSORS)
    assert (stage.rule("RTS-8.1").verdict, stage.rule("RTS-8.1").grade.value) == ("pass", "declared")
    assert stage.rule("RTS-8.2").verdict == "pass"


def test_a_synced_credential_never_passes_article_7_2(step_up: Any, signed: Any) -> None:
    """BE=1 (section 7.3): refused by default, otherwise undetermined."""
    from device_keys.messages import Flags

    stage = step_up()
    stage.bend(assertion=signed(stage.evidence.transaction.payload, "PASSCODE", flags=Flags.UP | Flags.BE))
    assert stage.rule("RTS-7.2").verdict == "fail"
    stage.config = msgspec.structs.replace(SERVER_CONFIG, synced_credential="accept")
    assert stage.rule("RTS-7.2").verdict == "undetermined"


@pytest.mark.parametrize(
    ("members", "verdict"),
    [
        ({"amr": ["pin"]}, "undetermined"),
        ({"device": {"nonce": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "passcode": "111234"}}, "fail"),
        ({"device": {"nonce": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "pinHash": "e3b0c442"}}, "undetermined"),
    ],
)
def test_a_response_with_a_member_made_from_a_secret_is_noticed(
    step_up: Any, signed: Any, members: dict[str, Any], verdict: str
) -> None:
    """RTS-4.2.a: the response fits an allow-list."""
    stage = step_up()
    assert stage.rule("RTS-4.2.a").verdict == "pass"
    stage.bend(assertion=signed(stage.evidence.transaction.payload, "PASSCODE", **members))
    assert stage.rule("RTS-4.2.a").verdict == verdict


def test_wrong_activation_codes_have_a_count_and_an_answer_of_their_own(step_up: Any) -> None:
    """RTS-4.3.b, RTS-4.3.a: four wrong activation codes and one wrong passcode are not five in a row."""
    stage = step_up()
    for _ in range(4):
        stage.write("sca_attempt", session="enrolment-session", transaction="enrolment", outcome="failed", method="ENROLMENT",
                    internal_reason=["activation code"], public_problem_id="activation_code")  # fmt: skip
    attempts("failed", "failed")(stage)
    assert stage.rule("RTS-4.3.b").verdict == "pass"
    assert stage.rule("RTS-4.3.a").verdict == "pass"
    stage.write(
        "sca_attempt",
        transaction="enrolment",
        outcome="failed",
        method="ENROLMENT",
        internal_reason=[],
        public_problem_id="x",
    )
    stage.write(
        "sca_attempt",
        transaction="enrolment",
        outcome="failed",
        method="ENROLMENT",
        internal_reason=[],
        public_problem_id="x",
    )
    assert stage.rule("RTS-4.3.b").verdict == "fail"


def test_nothing_is_observed_by_default(step_up: Any) -> None:
    stage = step_up()
    stage.observed = Observations()
    for rule in ("RTS-4.2.b", "RTS-24.1", "RTS-27.b", "RTS-22.2.b"):
        assert stage.rule(rule).verdict == "undetermined"


def test_a_biometric_key_that_needs_no_biometric_fails_article_8(step_up: Any) -> None:
    """RTS-8.2: the gate is attested, and it is another."""
    rule = step_up(method="BIOMETRIC").fail("attestation.gate").rule("RTS-8.2")
    assert (rule.verdict, rule.grade.value) == ("fail", "signed")
    assert "does not need a biometric" in (rule.reason or "")
    assert step_up().fail("attestation.gate").rule("RTS-8.2").verdict == "not_applicable"
