"""Enrolling the phone at a server: login, activation code by SMS, a key per factor attested by the maker, a device token in return.

All or nothing: keys, enrolment and session are saved together when the server has accepted, and the enrolment that they replace goes then.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from authenticator.approving import hardware_refusal, release
from authenticator.apps.messages import SMS, inbox, newest_id, wait_for_code
from authenticator.ceremonies import HONEST, CreationOptions, Edits, KeyPlan, RegistrationDraft, Scene
from authenticator.client import API_KEY_HEADERS, LOGIN_ROUTES, Call, refusal
from authenticator.errors import Unreadable, UsageError
from authenticator.phone import find_profile
from authenticator.profiles import Platform, Profile
from authenticator.state import BIOMETRIC, POSSESSION, Credential, Enrolment, PhoneState, Session
from device_keys.algorithms import ES256
from device_keys.clock import rfc3339
from device_keys.encoding import FormatError, b64url_encode, member
from device_keys.messages import Flags, Registration, build_authenticator_data
from device_keys.secure_hardware import CounterState, Gate, HardwareError

if TYPE_CHECKING:
    from authenticator.phone import Phone

GATES: Final = {POSSESSION: Gate.NONE, BIOMETRIC: Gate.BIOMETRIC}
SMS_WAIT_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who enrols where. `secret` is the passcode, or at Weavr the password; `code` None: read from the phone's own SMS inbox."""

    server: str
    dialect: str
    user: str
    secret: str
    profile: str
    number: str
    api_key: str
    seed: str | None = None
    code: str | None = None

    def __repr__(self) -> str:
        return f"Applicant({self.user!r} at {self.server!r})"


def enrol(phone: Phone, applicant: Applicant, *, edits: Edits = HONEST) -> Enrolment:
    """The new enrolment, saved; it replaces the one at the same server and dialect."""
    profile = find_profile(applicant.profile)
    enrolment = _login(phone, applicant)
    server = phone.server(applicant.server)
    read_so_far = newest_id(inbox(phone, applicant.server, SMS, applicant.number)) if applicant.code is None else 0
    begun = server.demand("POST", "/device/v1/enrolments", {}, _bearer(enrolment))
    try:
        enrolment_id = member(begun, "enrolmentId", str)
        options = CreationOptions.from_json(member(begun, "publicKey", dict))
    except FormatError as error:
        raise Unreadable("unreadable_answer", f"The server's enrolment cannot be read: {error}") from error
    code = applicant.code or wait_for_code(phone, applicant.server, applicant.number, read_so_far, SMS_WAIT_SECONDS)
    enrolment = msgspec.structs.replace(enrolment, rp_id=options.rp_id)
    finish = Call("POST", f"/device/v1/enrolments/{quote(enrolment_id, safe='')}", _bearer(enrolment))
    with phone.edit() as state:
        _make_room(phone, state, enrolment, applicant.seed)
        if state.profile != profile.name:
            state.profile, state.locks = profile.name, None
        scene = Scene(phone, server, enrolment, phone.now())
        workshop = _Workshop(phone, state, profile, options, edits, scene)
        enrolment, message = workshop.make(enrolment, code)
        enrolment = _send(scene, finish, edits.enrolment(message, scene), enrolment)
        state.enrolments[enrolment.name] = enrolment
    edits.enrolled(Scene(phone, server, enrolment, phone.now()))
    return phone.enrolment(enrolment.server, enrolment.dialect)


def _login(phone: Phone, applicant: Applicant) -> Enrolment:
    """The first element: the dialect's own login."""
    if applicant.dialect not in LOGIN_ROUTES:
        raise UsageError(f"--dialect: expected one of {', '.join(LOGIN_ROUTES)}", field="--dialect")
    server = phone.server(applicant.server)
    path = server.login_path(applicant.dialect)
    body: dict[str, Any] = {"username": applicant.user, "passcode": applicant.secret}
    if applicant.dialect == "weavr":
        body = {"email": applicant.user, "password": {"value": applicant.secret}}
    answer = server.call("POST", path, body, {API_KEY_HEADERS[applicant.dialect]: applicant.api_key})
    if not answer.ok:
        raise refusal(answer)
    try:
        access = member(answer.body, "token" if applicant.dialect == "weavr" else "accessToken", str)
        refresh = member(answer.body, "refreshToken", str, required=False)
    except FormatError as error:
        raise Unreadable("unreadable_answer", f"The login's answer cannot be read: {error}") from error
    return Enrolment(
        server=applicant.server,
        dialect=applicant.dialect,
        user=applicant.user,
        number=applicant.number,
        api_key=applicant.api_key,
        profile=applicant.profile,
        base=path.rsplit("/", 2 if applicant.dialect == "bank" else 1)[0],
        session=Session(access_token=access, refresh_token=refresh, since=rfc3339(phone.now())),
        enrolled_at=rfc3339(phone.now()),
    )


def _bearer(enrolment: Enrolment) -> dict[str, str]:
    token = enrolment.session.access_token if enrolment.session is not None else ""
    return {"Authorization": f"Bearer {token}", API_KEY_HEADERS[enrolment.dialect]: enrolment.api_key}


def _make_room(phone: Phone, state: PhoneState, enrolment: Enrolment, seed: str | None) -> None:
    """Delete the replaced enrolment's keys. A new seed starts the phone anew; the seed that it has already goes on where it is."""
    replaced = state.enrolments.pop(enrolment.name, None)
    for key_id in replaced.key_ids if replaced is not None else ():
        phone.hardware.delete(key_id)
    if seed is None or seed == state.seed:
        return
    if state.enrolments:
        raise UsageError(
            "--seed: this phone has other enrolments, made without this seed; use another --home, or: keys reset",
            field="--seed",
        )
    phone.restart(seed)


def _send(scene: Scene, finish: Call, message: dict[str, Any], enrolment: Enrolment) -> Enrolment:
    answer = scene.server.demand(finish.method, finish.path, message, finish.headers)
    try:
        device_id, token = member(answer, "deviceId", str), member(answer, "deviceToken", str)
    except FormatError as error:
        raise Unreadable("unreadable_answer", f"The server's enrolment cannot be read: {error}") from error
    return msgspec.structs.replace(enrolment, device_id=device_id, device_token=token)


@dataclass(frozen=True, slots=True)
class _Workshop:
    """Makes and attests the keys of one enrolment, inside the phone's `edit`."""

    phone: Phone
    state: PhoneState
    profile: Profile
    options: CreationOptions
    edits: Edits
    scene: Scene

    def make(self, enrolment: Enrolment, code: str) -> tuple[Enrolment, dict[str, Any]]:
        """The enrolment with its keys, and the message that registers them."""
        try:
            made = [self._credential(factor) for factor in GATES]
            message: dict[str, Any] = {
                "activationCode": code,
                "credentials": [
                    {"factor": credential.factor, "registration": registration.to_json()}
                    for credential, registration in made
                ],
            }
            app_key = None
            if self.profile.platform is Platform.IOS:
                app_key, message["appAttest"] = self._app_attest([registration for _, registration in made])
        except HardwareError as error:
            raise hardware_refusal(error) from error
        credentials = tuple(credential for credential, _ in made)
        return msgspec.structs.replace(enrolment, credentials=credentials, app_attest_key=app_key), message

    def _algorithm(self) -> int:
        wanted = [algorithm for algorithm in self.profile.algorithms if algorithm in self.options.algorithms]
        return wanted[0] if wanted else ES256

    def _credential(self, factor: str) -> tuple[Credential, Registration]:
        plan = KeyPlan(factor, GATES[factor], self._algorithm(), self.profile.security_level, self.profile.counter)
        plan = self.edits.key(plan, replace(self.scene, plan=plan))
        scene = replace(self.scene, plan=plan)
        hardware = self.phone.hardware
        key_id = hardware.generate(
            gate=plan.gate, algorithm=plan.algorithm, level=plan.level, counter=plan.counter, origin=plan.origin
        )
        draft = self.edits.registration(self._draft(plan, key_id), scene)
        registration = self._attested(draft, scene)
        credential = Credential(
            factor=factor,
            key_id=key_id,
            credential_id=b64url_encode(draft.credential_id),
            attestation=b64url_encode(registration.attestation_object),
        )
        return credential, registration

    def _draft(self, plan: KeyPlan, key_id: str) -> RegistrationDraft:
        return RegistrationDraft(
            plan=plan,
            key_id=key_id,
            credential_id=self.phone.entropy.bytes("credential-id", 32),
            challenge=self.options.challenge,
            origin=self.scene.enrolment.origin,
            rp_id=self.options.rp_id,
            flags=Flags.UP | Flags.UV if plan.factor == BIOMETRIC else Flags.UP,
            aaguid=self.profile.aaguid,
        )

    def _attested(self, draft: RegistrationDraft, scene: Scene) -> Registration:
        """The registration with its attestation; making a gated key asks for the user's biometric, as using it does."""
        from authenticator.maker import attest_key

        hardware, key_id = self.phone.hardware, draft.key_id
        operation, token, refused = release(self.phone, self.state, key_id, "match")
        if refused is not None:
            raise refused
        counter = hardware.next_counter(key_id)
        auth_data = build_authenticator_data(
            draft.rp_id_hash(),
            draft.flags,
            counter if draft.counter is None else draft.counter,
            aaguid=draft.aaguid,
            credential_id=draft.credential_id,
            public_key=hardware.public_key(key_id),
        )
        client_data = draft.client_data()
        attested = attest_key(
            self.profile,
            hardware,
            key_id,
            auth_data=auth_data,
            client_data_hash=hashlib.sha256(client_data).digest(),
            now=scene.now,
            format=key_format(self.profile),
            sign=lambda data: hardware.sign(key_id, data, operation=operation, token=token),
            edit=lambda claims: self.edits.claims(claims, scene),
        )
        attested = self.edits.attested(attested, scene)
        return Registration(draft.credential_id, client_data, attested.encode(), ("internal",))

    def _app_attest(self, registrations: list[Registration]) -> tuple[str, dict[str, str]]:
        """On an iPhone: the app's own key, whose attestation covers all registrations in their order (DESIGN section 4)."""
        from authenticator.app_maker import attest_app
        from device_keys.attestation.app_attest import key_id as app_key_id

        hardware = self.phone.hardware
        key_id = hardware.generate(level=self.profile.security_level, counter=CounterState.INCREASING)
        covered = b"".join(registration.attestation_object for registration in registrations)
        attestation = attest_app(
            self.profile,
            hardware,
            key_id,
            client_data_hash=hashlib.sha256(covered).digest(),
            now=self.scene.now,
            edit=lambda claims: self.edits.app_claims(claims, self.scene),
        )
        name = app_key_id(hardware.public_key(key_id))
        return key_id, {"keyId": b64url_encode(name), "attestation": b64url_encode(attestation)}


def key_format(profile: Profile) -> str:
    """How this phone's factor keys register: on an iPhone as packed self, which App Attest then vouches for."""
    return "packed" if profile.platform is Platform.IOS else profile.formats[0]
