"""Faults of circumstance: honest evidence in the wrong session, for the wrong transaction, too late, twice, or from the wrong phone.

They prepare the world through the dialect's own routes and the server's test routes: they may enrol again, spend earlier attempts or
advance the server's clock.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from authenticator.apps.bank import BankApp, Means, Payment
from authenticator.apps.bank_client import BankClient
from authenticator.ceremonies import Draft, Edits, Scene, StepUp
from authenticator.client import Call
from authenticator.errors import Refused
from authenticator.faults.fault import IPHONES, Fault, Flow, advance_server
from authenticator.faults.response import body, challenge_for, last_digit_changed, with_nonce
from authenticator.state import BIOMETRIC, POSSESSION

if TYPE_CHECKING:
    from device_keys.messages import Assertion

STRANGER: Final[dict[str, Any]] = {
    "dialect": "bank", "id": "57a4e2d0-0000-4000-8000-000000000002", "passcode": "222333", "mobile": "+447700900222",
    "balances": {"GBP": "100.00"},
}  # fmt: skip


def stranger_session(scene: Scene) -> tuple[BankClient, dict[str, Any]]:
    """Another customer of the bank, logged in with a client of their own; and what they log in with."""
    scene.server.stub("PUT", "users", STRANGER)
    stranger = BankClient(scene.server, msgspec.structs.replace(scene.enrolment, user=STRANGER["id"], session=None))
    stranger.login(STRANGER["passcode"])
    return stranger, {"username": STRANGER["id"], "passcode": STRANGER["passcode"]}


def _scene(app: BankApp) -> Scene:
    return Scene(app.phone, app.phone.server(app.enrolment.server), app.enrolment, app.phone.now())


def _signed_call(app: BankApp, step_up: StepUp, means: Means) -> Call:
    """The step-up call for a step-up as it stands, evidence included."""
    from authenticator.approving import client_request, sign

    approval = sign(app.phone, app.enrolment, step_up, means.factor, outcome=means.outcome)
    session = app.enrolment.session
    token = session.refresh_token if session is not None else None
    return client_request(app.phone, approval, passcode=means.passcode, refresh_token=token)


# --- scripts of the bank app ---------------------------------------------------------------------------------------------


def _foreign_transaction(app: BankApp, order: dict[str, Any], means: Means) -> Payment:
    """The phone signs for its own user; the call names another customer's transaction, for the same order."""
    from authenticator.approving import fetch

    if means.factor == BIOMETRIC:
        raise Refused("needs_passcode", "The other customer has no phone, so no biometric is offered: use --passcode.")
    app.open_session(means)
    own = app.start(order)
    _, step_up = fetch(app.phone, app.enrolment.server, own)
    stranger, _ = stranger_session(_scene(app))
    foreign = stranger.start(order)
    forged = replace(step_up, transaction_id=foreign)
    forged = replace(forged, challenge=challenge_for(forged, step_up.nonce, step_up.payload))
    app.step_up(_signed_call(app, forged, means))
    return app.replay(order, foreign, means)


def _other_session(app: BankApp, order: dict[str, Any], means: Means) -> Payment:
    """The payment is asked for in one session and stepped up in the next."""
    app.open_session(means)
    transaction_id = app.start(order)
    _new_session(app, means)
    app.step_up(app.approve(transaction_id, means))
    return app.replay(order, transaction_id, means)


def _new_session(app: BankApp, means: Means) -> None:
    """Another session of the same user: by passcode, or (without one) by outliving the idle time and refreshing."""
    if means.passcode is not None:
        app.login(means.passcode)
        return
    raise Refused("needs_passcode", "This fault logs in twice: give --passcode.")


def _spent(app: BankApp, order: dict[str, Any], means: Means) -> Payment:
    """Two approvals are signed for one transaction; the second is used after the first was accepted."""
    app.open_session(means)
    transaction_id = app.start(order)
    first, second = app.approve(transaction_id, means), app.approve(transaction_id, means)
    app.step_up(first)
    session = app.enrolment.session
    if means.factor == BIOMETRIC and session is not None:
        second = replace(second, body={**(second.body or {}), "refreshToken": session.refresh_token})
    app.step_up(second)
    return app.replay(order, transaction_id, means)


def _replayed(app: BankApp, order: dict[str, Any], means: Means) -> Payment:
    """The same evidence twice: first with a wrong element, then with the right one."""
    app.open_session(means)
    transaction_id = app.start(order)
    call = app.approve(transaction_id, means)
    wrong = (
        body(refreshToken=lambda token: token[::-1]) if means.factor == BIOMETRIC else body(passcode=last_digit_changed)
    )
    app.send(wrong(call, _scene(app)))
    app.step_up(call)
    return app.replay(order, transaction_id, means)


def _count_of_the_other_factor(app: BankApp, order: dict[str, Any], means: Means) -> Payment:
    """The other factor pays first; the app's assertion beside this one then counts as that one's did, not on from it."""
    other = POSSESSION if means.factor == BIOMETRIC else BIOMETRIC
    if means.passcode is None:
        raise Refused("needs_passcode", "This fault pays with both factors: give --passcode.")
    BankApp(app.phone, app.enrolment).pay(order, replace(means, factor=other, outcome="match"))
    app.edits = Edits(app_attest=lambda honest, _: replace(honest, counter=honest.counter - 1))
    app.open_session(means)
    transaction_id = app.start(order)
    app.step_up(app.approve(transaction_id, means))
    return app.replay(order, transaction_id, means)


# --- acts around a client's call -----------------------------------------------------------------------------------------


def _five_failures(call: Call, scene: Scene) -> Call:
    """Five wrong logins from elsewhere: they count like wrong step-ups."""
    wrong = last_digit_changed(str((call.body or {}).get("passcode") or "000000"))
    enrolment = scene.enrolment
    for _ in range(5):
        body = {"username": enrolment.user, "passcode": wrong}
        scene.server.call("POST", f"{enrolment.base}/oauth2/login", body, {"X-APIKEY": enrolment.api_key})
    return call


def _revoked(call: Call, scene: Scene) -> Call:
    enrolment = scene.enrolment
    scene.server.stub("DELETE", f"users/{enrolment.user}/devices/{enrolment.device_id}?dialect={enrolment.dialect}")
    return call


def _aged(scene: Scene) -> None:
    scene.server.stub("POST", "clock/advance", {"seconds": 181 * 86400})


def _nonce_of_another(honest: Draft, scene: Scene) -> Draft:
    """The nonce of a second payment that waits for the same phone."""
    from authenticator.approving import fetch

    step_up = scene.step_up
    assert step_up is not None, "a draft is signed for a step-up"
    app = BankApp(scene.phone, scene.phone.enrolment(scene.enrolment.server, scene.enrolment.dialect))
    other = app.start(step_up.payload)
    _, waiting = fetch(scene.phone, scene.enrolment.server, other)
    return with_nonce(honest, scene, waiting.nonce)


def _another_phone(honest: Assertion, scene: Scene) -> Assertion:
    """Another customer's enrolled phone signs this user's step-up."""
    from authenticator.approving import sign
    from authenticator.enrolling import Applicant, enrol

    assert scene.step_up is not None, "an assertion answers a step-up"
    scene.server.stub("PUT", "users", STRANGER)
    enrolment = scene.enrolment
    stranger = Applicant(
        enrolment.server, enrolment.dialect, STRANGER["id"], STRANGER["passcode"], enrolment.profile, STRANGER["mobile"],
        enrolment.api_key,
    )  # fmt: skip
    mine = enrolment.credential(BIOMETRIC)
    factor = BIOMETRIC if mine is not None and mine.credential_id == _name(honest) else POSSESSION
    with tempfile.TemporaryDirectory() as home:
        phone = scene.phone.another(Path(home))
        try:
            theirs = enrol(phone, stranger)
            return sign(phone, theirs, replace(scene.step_up, allowed=()), factor).assertion
        finally:
            phone.close()


def _name(assertion: Assertion) -> str:
    from device_keys.encoding import b64url_encode

    return b64url_encode(assertion.credential_id)


FAULTS: Final = (
    Fault(
        name="five-failures-before",
        simulates="five wrong attempts were made before the right one",
        attack="guessing: the limit of Art. 4(3)(b) must hold even for the right passcode",
        check="user.not_blocked",
        edits=Edits(after=_five_failures),
    ),
    Fault(
        name="foreign-transaction",
        simulates="the call names another customer's transaction",
        attack="an approval is used for somebody else's payment",
        check="transaction.user",
        flow=Flow.BANK_APP,
        edits=Edits(bank_app=_foreign_transaction),
    ),
    Fault(
        name="other-session",
        simulates="the payment was asked for in another session of the same user",
        attack="a payment started by a thief in a parallel session is approved by the owner",
        check="transaction.session",
        flow=Flow.BANK_APP,
        edits=Edits(bank_app=_other_session),
    ),
    Fault(
        name="spent-transaction",
        simulates="the identifier was stepped up already",
        attack="a second approval is collected for a payment that has one",
        check="transaction.issued",
        flow=Flow.BANK_APP,
        edits=Edits(bank_app=_spent),
    ),
    Fault(
        name="expired-transaction",
        simulates="the identifier's life is over when the step-up comes",
        attack="an old request is approved long after it was made",
        check="transaction.live",
        edits=Edits(after=advance_server(241)),
    ),
    Fault(
        name="foreign-phone",
        simulates="another customer's enrolled phone signs",
        attack="an insider approves with their own phone",
        check="credential.user",
        edits=Edits(assertion=_another_phone),
    ),
    Fault(
        name="revoked-phone",
        simulates="the phone was reported lost between signature and call",
        attack="a stolen phone goes on approving",
        check="credential.active",
        edits=Edits(after=_revoked),
    ),
    Fault(
        name="stale-attestation",
        simulates="the enrolment is 181 days old",
        attack="a phone that was sound then is rooted now",
        check="attestation.age",
        edits=Edits(enrolled=_aged),
    ),
    Fault(
        name="nonce-of-another-transaction",
        simulates="the signed nonce was issued for another payment",
        attack="a stolen assertion is carried over to another transaction",
        check="challenge.transaction",
        edits=Edits(draft=_nonce_of_another),
    ),
    Fault(
        name="replayed-assertion",
        simulates="the evidence was used in an earlier attempt",
        attack="a captured response is sent again",
        check="challenge.unused",
        flow=Flow.BANK_APP,
        edits=Edits(bank_app=_replayed),
    ),
    Fault(
        name="app-counter-of-the-other-factor",
        simulates="the app's counter repeats what it was beside the other factor's key",
        attack="an app assertion made for one factor's response is used to vouch for the other's",
        check="app_attest.counter_of_key",
        flow=Flow.BANK_APP,
        profiles=IPHONES,
        edits=Edits(bank_app=_count_of_the_other_factor),
    ),
    Fault(
        name="late-assertion",
        simulates="the evidence arrives after the nonce's life",
        attack="a captured response is held back and used when convenient",
        check="challenge.fresh",
        edits=Edits(after=advance_server(130)),
    ),
)
