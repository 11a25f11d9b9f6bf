"""Faults of the signed response and of the call that carries it: the phone signs, or the client sends, something else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from authenticator.ceremonies import Draft, Edit, Edits, Scene, StepUp
from authenticator.client import Call
from authenticator.faults.fault import IPHONES, Fault, device, draft, payment
from authenticator.state import POSSESSION
from device_keys.clock import parse_instant, rfc3339
from device_keys.encoding import b64url_decode, b64url_encode
from device_keys.messages import Flags, payload_digest, step_up_challenge
from device_keys.orders import major_units, minor_units

if TYPE_CHECKING:
    from authenticator.app_maker import AppAssertionClaims
    from device_keys.messages import Assertion

ELSEWHERE: Final = "https://stepup-simulator.example"


# --- what is signed ------------------------------------------------------------------------------------------------------


def _one_unit_more(draft: Draft, scene: Scene) -> Draft:
    total = dict((draft.payment or {}).get("total", {}))
    currency = str(total.get("currency", "GBP"))
    total["value"] = major_units(minor_units(str(total.get("value", "0")), currency) + 1, currency)
    return payment(total=total)(draft, scene)


def _look_alike(draft: Draft, scene: Scene) -> Draft:
    name = str((draft.payment or {}).get("payeeName", ""))
    lookalikes = str.maketrans("aceopxyABCEHKMOPTX", "асеорхуАВСЕНКМОРТХ")
    changed = name.translate(lookalikes)
    return payment(payeeName=changed if changed != name else f"{name}.")(draft, scene)


def _skewed(draft: Draft, scene: Scene) -> Draft:
    signed_at = parse_instant(str(draft.device["signedAt"]), "signedAt") + timedelta(minutes=7)
    return device(signedAt=rfc3339(signed_at))(draft, scene)


def flags(*, plus: Flags = Flags(0), minus: Flags = Flags(0)) -> Edit[Draft]:  # noqa: B008 (an immutable value)
    """Authenticator data with other flags."""
    return lambda honest, scene: msgspec.structs.replace(honest, flags=(honest.flags | plus) & ~minus)


def _step_up(scene: Scene) -> StepUp:
    assert scene.step_up is not None, "a draft is signed for a step-up"
    return scene.step_up


def challenge_for(step_up: StepUp, nonce: bytes, payload: Any) -> bytes:
    """The challenge of this step-up under another nonce or for another payload."""
    return step_up_challenge(step_up.kind, nonce, step_up.transaction_id, payload_digest(payload))


def with_nonce(honest: Draft, scene: Scene, nonce: bytes) -> Draft:
    """The draft under another nonce, its challenge recomputed: only the nonce is wrong."""
    step_up = _step_up(scene)
    named = device(nonce=b64url_encode(nonce))(honest, scene)
    return msgspec.structs.replace(named, challenge=challenge_for(step_up, nonce, step_up.payload))


def _unknown_nonce(honest: Draft, scene: Scene) -> Draft:
    return with_nonce(honest, scene, scene.phone.entropy.bytes("made-up nonce", 32))


def _other_order(honest: Draft, scene: Scene) -> Draft:
    step_up = _step_up(scene)
    payload = (
        {**step_up.payload, "reference": "changed on the way"}
        if isinstance(step_up.payload, dict)
        else {"changed": True}
    )
    return msgspec.structs.replace(honest, challenge=challenge_for(step_up, step_up.nonce, payload))


def _possession_key(honest: Draft, scene: Scene) -> Draft:
    """The key without a gate signs, and claims that the user was verified."""
    credential = scene.enrolment.credential(POSSESSION)
    assert credential is not None, "every enrolment has a possession key"
    return msgspec.structs.replace(
        honest,
        key_id=credential.key_id,
        credential_id=b64url_decode(credential.credential_id),
        flags=Flags.UP | Flags.UV,
    )


def _first_count(honest: Draft, scene: Scene) -> Draft:
    return msgspec.structs.replace(honest, counter=1)


# --- the response after signing ------------------------------------------------------------------------------------------


def _forged(assertion: Assertion, scene: Scene) -> Assertion:
    """A valid signature over the same bytes, by a key that nobody enrolled."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.derive_private_key(int.from_bytes(hashlib.sha256(b"forger").digest(), "big") >> 1, ec.SECP256R1())
    data = assertion.authenticator_data + hashlib.sha256(assertion.client_data_json).digest()
    return msgspec.structs.replace(
        assertion, signature=key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    )


def _response(change: Callable[[Assertion], dict[str, Any]]) -> Edit[Assertion]:
    return lambda assertion, scene: msgspec.structs.replace(assertion, **change(assertion))


def app_assertion(**values: Any) -> Edit[AppAssertionClaims]:
    """The iPhone app's own assertion says something else."""
    return lambda honest, scene: replace(honest, **values)


# --- the client's call ---------------------------------------------------------------------------------------------------


def body(**members: Callable[[str], str]) -> Edit[Call]:
    """The step-up's body with other values; each is made from the honest one."""

    def edit(call: Call, scene: Scene) -> Call:
        changed = {name: change(str((call.body or {}).get(name) or "")) for name, change in members.items()}
        return replace(call, body={**(call.body or {}), **changed})

    return edit


def last_digit_changed(text: str) -> str:
    """A wrong passcode, one digit off."""
    return text[:-1] + ("0" if text[-1:] != "0" else "1")


def _header(value: str | None) -> Edit[Call]:
    def edit(call: Call, scene: Scene) -> Call:
        kept = {name: text for name, text in call.headers.items() if name != "X-Device-Assertion"}
        return replace(call, headers=kept if value is None else {**kept, "X-Device-Assertion": value})

    return edit


def _declined(call: Call, scene: Scene) -> Call:
    """The user says no on the phone; the client calls all the same, without evidence."""
    from authenticator.approving import decline

    decline(scene.phone, scene.enrolment.server, _step_up(scene).transaction_id)
    return _header(None)(call, scene)


FAULTS: Final = (
    Fault(
        name="wrong-passcode",
        simulates="the passcode's last digit is wrong",
        attack="a thief has the phone and guesses the passcode",
        check="secret.correct",
        edits=Edits(request=body(passcode=last_digit_changed)),
    ),
    Fault(
        name="foreign-username",
        simulates="the step-up names another user than the bearer's",
        attack="one user's passcode is tried in another's session",
        check="secret.username",
        edits=Edits(request=body(username=lambda _: "00000000-0000-4000-8000-000000000000")),
    ),
    Fault(
        name="biometric-foreign-refresh-token",
        simulates="the biometric step-up carries a refresh token of no session",
        attack="a biometric approval is attached to another session",
        check="secret.refresh_token",
        edits=Edits(request=body(refreshToken=lambda token: token[::-1])),
    ),
    Fault(
        name="declined-on-the-phone",
        simulates="the user declines, and the client calls all the same",
        attack="a client ignores that the payer said no",
        check="evidence.approved",
        edits=Edits(request=_declined),
    ),
    Fault(
        name="no-evidence",
        simulates="the client's call carries no device evidence",
        attack="the passcode is used without the phone",
        check="evidence.present",
        edits=Edits(request=_header(None)),
    ),
    Fault(
        name="garbled-evidence",
        simulates="the header is no base64url of a response",
        attack="a parser is fed what it does not expect",
        check="evidence.readable",
        edits=Edits(request=_header("%not-base64url%")),
    ),
    Fault(
        name="garbled-client-data",
        simulates="the client data is cut off",
        attack="a parser is fed what it does not expect",
        check="client_data.readable",
        edits=Edits(assertion=_response(lambda a: {"client_data_json": a.client_data_json[:-1]})),
    ),
    Fault(
        name="trailing-authenticator-data",
        simulates="a byte follows the authenticator data",
        attack="content is smuggled behind what a lax parser reads",
        check="authenticator_data.readable",
        edits=Edits(assertion=_response(lambda a: {"authenticator_data": a.authenticator_data + b"\0"})),
    ),
    Fault(
        name="unknown-credential",
        simulates="the response names a key that nobody enrolled",
        attack="a phone that was never enrolled answers",
        check="credential.known",
        edits=Edits(assertion=_response(lambda a: {"credential_id": hashlib.sha256(a.credential_id).digest()})),
    ),
    Fault(
        name="biometric-by-possession-key",
        simulates="the key without a gate signs a biometric approval and claims a match",
        attack="malware skips the sensor and sets the verified flag",
        check="credential.factor",
        edits=Edits(draft=_possession_key),
    ),
    Fault(
        name="foreign-user-handle",
        simulates="the response names another user",
        attack="one user's response is offered as another's",
        check="credential.user_handle",
        edits=Edits(draft=draft(user_handle=hashlib.sha256(b"somebody else").digest())),
    ),
    Fault(
        name="access-assertion",
        simulates="a login assertion is used for a payment",
        attack="the user is asked to log in, and pays",
        check="assertion.type",
        edits=Edits(draft=draft(type="webauthn.get")),
    ),
    Fault(
        name="wrong-origin",
        simulates="the client data names another origin",
        attack="a phishing site relays the bank's challenge",
        check="assertion.origin",
        edits=Edits(draft=draft(origin=ELSEWHERE)),
    ),
    Fault(
        name="framed",
        simulates="the response was made inside another site's frame",
        attack="the approval is embedded where the user does not see whose it is",
        check="assertion.cross_origin",
        edits=Edits(draft=draft(extra={"crossOrigin": True})),
    ),
    Fault(
        name="foreign-top-origin",
        simulates="the page at the top is another site's",
        attack="the approval is embedded in an attacker's page",
        check="assertion.top_origin",
        edits=Edits(draft=draft(extra={"topOrigin": ELSEWHERE})),
    ),
    Fault(
        name="wrong-rp-id",
        simulates="the authenticator data is for another relying party",
        attack="a response made for another service is relayed",
        check="assertion.rp_id",
        edits=Edits(draft=draft(rp_id="stepup-simulator.example")),
    ),
    Fault(
        name="nobody-present",
        simulates="the presence flag is clear",
        attack="malware signs while nobody touches the phone",
        check="assertion.user_present",
        edits=Edits(draft=flags(minus=Flags.UP)),
    ),
    Fault(
        name="biometric-not-verified",
        simulates="the biometric key's response says that no user was verified",
        attack="a hooked prompt returns without a match",
        check="assertion.user_verified",
        edits=Edits(draft=flags(minus=Flags.UV)),
    ),
    Fault(
        name="backed-up-but-not-eligible",
        simulates="a key that cannot be backed up says that it is",
        attack="flags are forged by software that stands in for the phone",
        check="assertion.backup_state",
        edits=Edits(draft=flags(plus=Flags.BS)),
    ),
    Fault(
        name="suddenly-synced",
        simulates="a device-bound key says that it may be synced",
        attack="the key was moved to a syncing store",
        check="assertion.backup_eligibility",
        edits=Edits(draft=flags(plus=Flags.BE)),
    ),
    Fault(
        name="forged-signature",
        simulates="the signature is another key's",
        attack="the evidence is made up without the phone",
        check="assertion.signature",
        edits=Edits(assertion=_forged),
    ),
    Fault(
        name="counter-regression",
        simulates="the signature counter does not rise",
        attack="a cloned phone signs with an older counter",
        check="assertion.counter",
        edits=Edits(draft=_first_count),
    ),
    Fault(
        name="forged-app-assertion",
        simulates="the app's own assertion is signed by another key",
        attack="a repackaged app cannot use the genuine app's key",
        check="app_attest.assertion",
        profiles=IPHONES,
        edits=Edits(app_attest=app_assertion(forged=True)),
    ),
    Fault(
        name="app-counter-regression",
        simulates="the app's counter does not rise",
        attack="an old app assertion is replayed",
        check="app_attest.counter",
        profiles=IPHONES,
        edits=Edits(app_attest=app_assertion(counter=0)),
    ),
    Fault(
        name="other-app-asserts",
        simulates="the app assertion is another app's",
        attack="another app on the phone speaks for the bank's",
        check="app_attest.application",
        profiles=IPHONES,
        edits=Edits(app_attest=app_assertion(app_id="ATTACKER00.test.stepup.other")),
    ),
    Fault(
        name="unknown-nonce",
        simulates="the signed nonce was never issued",
        attack="evidence is prepared without asking the server",
        check="challenge.known",
        edits=Edits(draft=_unknown_nonce),
    ),
    Fault(
        name="skewed-clock",
        simulates="the phone's clock is seven minutes fast",
        attack="evidence is dated ahead, to be used later",
        check="challenge.skew",
        edits=Edits(draft=_skewed),
    ),
    Fault(
        name="altered-order",
        simulates="the challenge commits to an order with another reference",
        attack="what is executed differs from what was signed, beside amount and payee",
        check="binding.order",
        edits=Edits(draft=_other_order),
    ),
    Fault(
        name="altered-amount",
        simulates="the signed amount is one smallest unit more than the order's",
        attack="malware raises the amount between display and signature",
        check="binding.amount",
        edits=Edits(draft=_one_unit_more),
    ),
    Fault(
        name="altered-payee",
        simulates="the signed payee's name has look-alike letters",
        attack="the payee is replaced by one that looks the same",
        check="binding.payee",
        edits=Edits(draft=_look_alike),
    ),
    Fault(
        name="foreign-payment-page",
        simulates="the signed payment names another page",
        attack="a payment confirmed on an attacker's page is relayed",
        check="binding.context",
        edits=Edits(draft=payment(topOrigin=ELSEWHERE)),
    ),
)
