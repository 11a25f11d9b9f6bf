"""Approving a step-up: fetch it, show it, let the user authenticate, sign, hand the evidence on. The same code for every front end."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from authenticator.ceremonies import HONEST, Draft, Edits, Scene, StepUp, draft_step_up
from authenticator.client import Call
from authenticator.errors import Refused, Unreadable, UsageError
from authenticator.phone import find_profile
from authenticator.sensor import lockout_report, present_biometric
from authenticator.state import BIOMETRIC, POSSESSION, Credential, Enrolment, PhoneState
from device_keys.encoding import FormatError, b64url_encode
from device_keys.messages import Assertion
from device_keys.secure_hardware import AuthToken, Gate, HardwareError, KeyInvalidated

if TYPE_CHECKING:
    from authenticator.phone import Phone
    from device_keys.secure_hardware import SecureHardware

METHODS = {POSSESSION: "PASSCODE", BIOMETRIC: "BIOMETRIC"}


@dataclass(frozen=True, slots=True)
class Approval:
    """A signed step-up, with what was shown for it."""

    enrolment: Enrolment
    step_up: StepUp
    factor: str
    assertion: Assertion

    @property
    def method(self) -> str:
        return METHODS[self.factor]


def pending(phone: Phone, server: str) -> list[dict[str, Any]]:
    """What waits for this phone at a server, over all its enrolments there: as the server lists it, and pushed logins."""
    from authenticator.apps.loginradius import pushes

    push_device = server in phone.state.push_devices
    found = [push.to_json() for push in pushes(phone, server)] if push_device else []
    for enrolment in phone.enrolments(server, required=not push_device):
        if enrolment.device_token:
            listed = phone.device_call(enrolment, Call("GET", "/device/v1/step-ups", {})).body
            found += _listed(listed)
    return found


def _listed(body: Any) -> list[dict[str, Any]]:
    if not isinstance(body, list) or not all(isinstance(row, dict) for row in body):
        raise Unreadable("unreadable_answer", "The server's list of step-ups is not a list of objects.")
    return body


def fetch(phone: Phone, server: str, transaction_id: str, dialect: str | None = None) -> tuple[Enrolment, StepUp]:
    """One step-up with a fresh nonce, and the enrolment that it is for."""
    refusal: Refused | None = None
    for enrolment in phone.enrolments(server):
        if not enrolment.device_token or dialect not in (None, enrolment.dialect):
            continue
        try:
            answer = phone.device_call(
                enrolment, Call("GET", f"/device/v1/step-ups/{quote(transaction_id, safe='')}", {})
            )
            return enrolment, StepUp.from_json(answer.body)
        except Refused as error:
            refusal = error
        except (FormatError, ValueError) as error:
            raise Unreadable("unreadable_answer", f"The server's step-up cannot be read: {error}") from error
    raise refusal or UsageError("No enrolment at this server takes step-ups.", code="not_enrolled")


def sign(
    phone: Phone,
    enrolment: Enrolment,
    step_up: StepUp,
    factor: str,
    *,
    outcome: str = "match",
    held: bool = True,
    edits: Edits = HONEST,
) -> Approval:
    """The user has seen the order and authenticates: the assertion, signed by the factor's key.

    `outcome` is what the biometric sensor meets: match, no-match, cancel, timeout. `held`: the owner has unlocked the phone (headless).
    Raises `Refused` where nothing was signed.
    """
    credential = _credential(enrolment, step_up, factor)
    scene = Scene(phone, phone.server(enrolment.server), enrolment, phone.now(), step_up)
    edits.before(scene)
    draft = edits.draft(_draft(scene, step_up, credential), scene)
    assertion = _signed(scene, draft, outcome, held, edits)
    return Approval(enrolment, step_up, factor, edits.assertion(assertion, scene))


def _credential(enrolment: Enrolment, step_up: StepUp, factor: str) -> Credential:
    credential = enrolment.credential(factor)
    if credential is None:
        raise UsageError(f"This phone has no {factor} key at {enrolment.server}: enrol it again.", code="no_such_key")
    if step_up.allowed and credential.credential_id not in {b64url_encode(allowed) for allowed in step_up.allowed}:
        raise Refused("key_not_wanted", "The server does not accept this phone's key for the step-up: enrol again.")
    return credential


def _draft(scene: Scene, step_up: StepUp, credential: Credential) -> Draft:
    return draft_step_up(
        step_up,
        credential,
        origin=scene.enrolment.origin,
        now=scene.now,
        lockout=lockout_report(scene.phone.state),
        level=find_profile(scene.enrolment.profile).security_level,
    )


def _signed(scene: Scene, draft: Draft, outcome: str, held: bool, edits: Edits) -> Assertion:
    """Counters are taken, the user verified where the key wants it, and all of it saved, before the signature is handed out."""
    with scene.phone.edit() as state:
        try:
            operation, token, refused = release(scene.phone, state, draft.key_id, outcome, held=held)
            assertion = None if refused else _assertion(scene, draft, operation, token, edits)
        except HardwareError as error:
            raise hardware_refusal(error) from error
    if refused is not None or assertion is None:
        raise refused or Refused("not_signed", "The secure hardware did not sign.")
    return assertion


def release(
    phone: Phone, state: PhoneState, key_id: str, outcome: str, *, held: bool = True
) -> tuple[int, AuthToken | None, Refused | None]:
    """Open one operation with the key; for a gated one the sensor is asked. A failed match is a result, since it must be remembered."""
    hardware = phone.hardware
    operation = hardware.begin(key_id)
    if hardware.info(key_id).gate is Gate.NONE:
        return operation, None, None
    token, refused = present_biometric(phone, state, operation, outcome, phone.now(), held=held)
    return operation, token, refused


def _assertion(scene: Scene, draft: Draft, operation: int, token: AuthToken | None, edits: Edits) -> Assertion:
    assertion = sign_draft(scene.phone.hardware, draft, operation=operation, token=token)
    if scene.enrolment.app_attest_key is None:
        return assertion
    digest = hashlib.sha256(assertion.client_data_json).digest()
    return msgspec.structs.replace(
        assertion, extensions=_app_attest(scene, scene.enrolment.app_attest_key, digest, edits)
    )


def sign_draft(
    hardware: SecureHardware, draft: Draft, *, operation: int = 0, token: AuthToken | None = None
) -> Assertion:
    """The assertion that `draft` describes, signed in the hardware; the caller saves the hardware's state before it lets it out."""
    next_counter = hardware.next_counter(draft.key_id)
    client_data = draft.client_data()
    authenticator_data = draft.authenticator_data(next_counter if draft.counter is None else draft.counter)
    signed = authenticator_data + hashlib.sha256(client_data).digest()
    return Assertion(
        credential_id=draft.credential_id,
        client_data_json=client_data,
        authenticator_data=authenticator_data,
        signature=hardware.sign(draft.key_id, signed, operation=operation, token=token),
        user_handle=draft.user_handle,
    )


def _app_attest(scene: Scene, key_id: str, client_data_hash: bytes, edits: Edits) -> dict[str, Any]:
    """On an iPhone the app vouches for each response, over its client data (attestation section 9)."""
    from authenticator.app_maker import assert_app

    made = assert_app(
        find_profile(scene.enrolment.profile),
        scene.phone.hardware,
        key_id,
        client_data_hash=client_data_hash,
        edit=lambda claims: edits.app_attest(claims, scene),
    )
    return {"appAttest": b64url_encode(made)}


def hardware_refusal(error: HardwareError) -> Refused:
    """The hardware's refusal in the user's words."""
    if isinstance(error, KeyInvalidated):
        return Refused("key_invalidated", f"The key is dead for good ({error}): enrol this phone again.")
    return Refused("hardware_refused", f"The secure hardware refused: {error}.")


# --- handing the evidence on ----------------------------------------------------------------------------------------------


def deliver(phone: Phone, approval: Approval, *, edits: Edits = HONEST) -> None:
    """Decoupled: the server keeps the assertion for the client's own step-up call."""
    enrolment, step_up = approval.enrolment, approval.step_up
    call = _answer(step_up.transaction_id, "approved", approval.assertion)
    scene = Scene(phone, phone.server(enrolment.server), enrolment, phone.now(), step_up)
    phone.device_call(enrolment, edits.after(call, scene))


def decline(phone: Phone, server: str, transaction_id: str) -> None:
    """The user said no; the server is told."""
    enrolment, step_up = fetch(phone, server, transaction_id)
    phone.device_call(enrolment, _answer(step_up.transaction_id, "declined", None))


def _answer(transaction_id: str, outcome: str, assertion: Assertion | None) -> Call:
    body: dict[str, Any] = {"outcome": outcome}
    if assertion is not None:
        body["assertion"] = assertion.to_json()
    return Call("POST", f"/device/v1/step-ups/{quote(transaction_id, safe='')}", {}, body)


def client_request(
    phone: Phone,
    approval: Approval,
    *,
    passcode: str | None = None,
    refresh_token: str | None = None,
    edits: Edits = HONEST,
) -> Call:
    """The step-up call that a client would send: the evidence in its header, the knowledge factor or the method in its body."""
    step_up, enrolment = approval.step_up, approval.enrolment
    if step_up.request is None:
        raise UsageError("This step-up has no call of a client that could carry evidence: approve without --sign-only.")
    body: dict[str, Any] = {"username": enrolment.user, "passcode": passcode}
    if approval.factor == BIOMETRIC:
        body = {"refreshToken": refresh_token, "authenticationMethod": "BIOMETRIC"}
    headers = {"X-TransactionId": step_up.transaction_id, "X-Device-Assertion": approval.assertion.to_header()}
    scene = Scene(phone, phone.server(enrolment.server), enrolment, phone.now(), step_up)
    call = edits.request(Call(step_up.request[0], step_up.request[1], headers, body), scene)
    return edits.after(call, scene)
