"""The phone in the user's hand, without a screen: what the views call from threads, and the frozen snapshot that they show.

Invariants: nothing here imports Textual; every method but `now` and the plain attributes may block, so the screen calls it in a thread; the
screen reads state only from a `Snapshot`, never from the phone, whose lock another thread may hold while it waits for a server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import httpx2

    from authenticator.ceremonies import Edits
    from authenticator.inspect import Report
    from authenticator.locks import Locks, Outcome
    from authenticator.phone import Phone
    from authenticator.state import Enrolment, Past
    from device_keys.clock import Clock
    from device_keys.entropy import Entropy

MOST_HISTORY: Final = 200
LEVELS: Final = {
    "TrustedEnvironment": "TEE",
    "StrongBox": "StrongBox",
    "SecureEnclave": "Enclave",
    "Software": "software",
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The phone's state as the screen shows it. `device` None: not enrolled at this server. `wait_until`, `sensor_wait`: lockouts."""

    profile: str
    model: str
    os: str
    level: str
    sensor: str
    locked: bool
    needs_pin: str | None
    pin_failures: int
    pin_next_wait: int
    pin_hopeless: bool
    wait_until: datetime | None
    sensor_wait: datetime | None
    sensor_locked: bool
    fingers: int
    skew: float
    enrolments: tuple[Enrolment, ...]
    elsewhere: tuple[str, ...]
    keys: tuple[dict[str, Any], ...]
    accounts: int
    number: str
    address: str
    push_tokens: tuple[str, ...]
    history: tuple[Past, ...]
    read: dict[str, int]

    @property
    def enrolled(self) -> bool:
        """Known to this server: by an enrolment, or by a registration for push alone."""
        return bool(self.push_tokens)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Whatever messages reach this phone by: its number, its user's mail address, its push tokens."""
        return (self.number, self.address, *self.push_tokens)


class Airplane:
    """The radio switch. While it is off, every call fails as if no server answered."""

    def __init__(self) -> None:
        self.on = False

    def guard(self, request: httpx2.Request) -> None:
        """An event hook of the HTTP client."""
        if self.on:
            import httpx2

            raise httpx2.ConnectError("airplane mode is on", request=request)


class Handset:
    """One phone and the server that its screen talks to. `open` before anything else."""

    def __init__(
        self,
        url: str,
        *,
        home: Path | None = None,
        clock: Clock | None = None,
        token: str | None = None,
        http_factory: Callable[[str], httpx2.Client] | None = None,
        secret: bytes | None = None,
        entropy: Entropy | None = None,
    ) -> None:
        self.url = url
        self.token = token
        self.airplane = Airplane()
        self.fault: str | None = None
        self.clock_stands = clock is not None
        self._home, self._clock, self._factory = home, clock, http_factory
        self._secret, self._entropy = secret, entropy
        self._phone: Phone | None = None

    def open(self) -> Snapshot:
        """Read the sealed store; everything heavy is imported here, after the first paint."""
        from authenticator.client import open_http
        from authenticator.phone import Phone, default_home

        make = self._factory or open_http

        def guarded(url: str) -> httpx2.Client:
            client = make(url)
            client.event_hooks = {**client.event_hooks, "request": [self.airplane.guard]}
            return client

        self._phone = Phone(
            self._home or default_home(),
            clock=self._clock,
            http_factory=guarded,
            token=self.token,
            secret=self._secret,
            entropy=self._entropy,
        )
        return self.snapshot()

    @property
    def folder(self) -> Path:
        """Where this phone lives."""
        return self.phone.home

    def close(self) -> None:
        """Hang up."""
        if self._phone is not None:
            self._phone.close()

    @property
    def phone(self) -> Phone:
        assert self._phone is not None, "open() comes first"
        return self._phone

    def now(self) -> datetime | None:
        """The phone's own time; None while it is still starting. Never blocks."""
        return self._phone.now() if self._phone is not None else None

    # --- what is shown ----------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The state as it is now."""
        from authenticator.apps.mail import mail_address
        from authenticator.apps.messages import sms_address
        from authenticator.commands.keys import key_rows
        from authenticator.profiles import BiometricClass

        phone = self.phone
        state, profile = phone.state, phone.profile
        here = tuple(one for one in state.enrolments.values() if one.server == self.url)
        push = state.push_devices.get(self.url)
        tokens = [one.device_id for one in here if one.device_id] + ([push["pushToken"]] if push else [])
        return Snapshot(
            profile=profile.name,
            model=profile.model,
            os=profile.os,
            level=LEVELS[profile.security_level],
            sensor="face" if profile.biometric is BiometricClass.FACE_ID else "fingerprint",
            skew=state.skew_seconds,
            enrolments=here,
            elsewhere=tuple(sorted({one.server for one in state.enrolments.values()} - {self.url})),
            keys=tuple(key_rows(phone)),
            accounts=len(state.authenticator_app),
            number=sms_address(phone, self.url),
            address=mail_address(phone, self.url),
            push_tokens=tuple(tokens),
            history=tuple(state.history),
            read=dict(state.read),
            **self._lock_facts(state.locks, phone.now()),
        )

    def _lock_facts(self, locks: Locks | None, now: datetime) -> dict[str, Any]:
        from authenticator.locks import credential_required
        from authenticator.schedules import LOCK_SCHEDULES

        if locks is None:
            return {
                "locked": False, "needs_pin": None, "pin_failures": 0, "pin_next_wait": 0, "pin_hopeless": False,
                "wait_until": None, "sensor_wait": None, "sensor_locked": False, "fingers": 1,
            }  # fmt: skip
        rules = LOCK_SCHEDULES[locks.lock.schedule]
        failures = locks.lock.failures
        return {
            "locked": locks.locked,
            "needs_pin": credential_required(locks, now),
            "pin_failures": failures,
            "pin_next_wait": rules.wait(failures + 1),
            "pin_hopeless": rules.limit is not None and failures >= rules.limit,
            "wait_until": _ahead(locks.lock.wait_until, now),
            "sensor_wait": _ahead(locks.sensor.wait_until, now),
            "sensor_locked": locks.sensor.locked,
            "fingers": locks.sensor.enrolled,
        }

    def attestation(self, key_id: str) -> Report | str:
        """What the maker attested for this key at its enrolment, decoded; or why there is nothing to decode."""
        from authenticator.inspect import inspect
        from device_keys.encoding import b64url_decode

        for enrolment in self.phone.state.enrolments.values():
            for credential in enrolment.credentials:
                if credential.key_id == key_id and credential.attestation:
                    return inspect(b64url_decode(credential.attestation))
            if enrolment.app_attest_key == key_id:
                return "The app's own key: App Attest vouches for it, and it vouches for each response of this app."
        return "Nothing is kept about this key's attestation. Enrol again to see it."

    def edits(self, command: str) -> Edits:
        """The armed fault's edits where it acts in `command`; honest ones otherwise."""
        from authenticator.ceremonies import HONEST
        from authenticator.faults import find_fault

        if self.fault is None:
            return HONEST
        fault = find_fault(self.fault)
        return fault.edits if fault.acts_in(command) else HONEST

    def remember(self, order: str, outcome: str, *, good: bool) -> None:
        """One line more of the bank's history; the oldest go."""
        from authenticator.state import Past
        from device_keys.clock import rfc3339

        with self.phone.edit() as state:
            past = Past(at=rfc3339(self.phone.now()), order=order, outcome=outcome, good=good)
            state.history = [*state.history[-(MOST_HISTORY - 1) :], past]

    def mark_read(self, channel: str, newest: int) -> None:
        """The inbox was looked at, as far as message `newest`."""
        with self.phone.edit() as state:
            state.read[self.inbox_name(channel)] = newest

    def inbox_name(self, channel: str) -> str:
        """Under which the phone remembers how far it has read: as the command line does."""
        snapshot = self.snapshot()
        to = snapshot.address if channel == "email" else snapshot.number
        return f"{self.url}|{channel}|{to}"

    # --- lock and sensor --------------------------------------------------------------------------------------------------

    def lock(self) -> None:
        """The screen is locked."""
        from authenticator import locks as rules
        from authenticator.sensor import locks_of

        with self.phone.edit() as state:
            state.locks = rules.lock_screen(locks_of(self.phone, state, self.phone.now()))

    def enter_pin(self, pin: str) -> Outcome:
        """Try the screen lock; a wrong PIN counts, as the platform counts it."""
        from authenticator import locks as rules
        from authenticator.sensor import locks_of

        with self.phone.edit() as state:
            now = self.phone.now()
            state.locks, outcome = rules.enter_credential(locks_of(self.phone, state, now), pin, now)
        return outcome

    def touch(self, presented: str) -> Outcome:
        """A finger or face at the lock screen's sensor."""
        from authenticator import locks as rules
        from authenticator.sensor import locks_of

        with self.phone.edit() as state:
            now = self.phone.now()
            locks = locks_of(self.phone, state, now)
            state.locks, outcome = rules.present_biometric(locks, rules.Result(presented), now)
        return outcome

    # --- settings ---------------------------------------------------------------------------------------------------------

    def doomed(self) -> list[dict[str, Any]]:
        """The keys that a newly enrolled finger would kill, as the hardware would: those gated by the biometric set."""
        return [row for row in self.snapshot().keys if row["gate"] == "biometric" and not row["invalidated"]]

    def enrol_finger(self) -> None:
        """One biometric more: the set's id changes, and every key bound to the old set is dead for good."""
        from authenticator import locks as rules
        from authenticator.sensor import locks_of

        with self.phone.edit() as state:
            state.locks = rules.enrol_biometric(locks_of(self.phone, state, self.phone.now()))
            self.phone.hardware.enrol_biometric()

    def reboot(self) -> None:
        """Tokens are void, no biometric before the PIN, waits start again where the platform says so."""
        from authenticator import locks as rules
        from authenticator.sensor import locks_of

        with self.phone.edit() as state:
            now = self.phone.now()
            state.locks = rules.reboot(locks_of(self.phone, state, now), now)
            self.phone.hardware.reboot()

    def wipe(self) -> None:
        """Factory reset."""
        self.phone.wipe()

    def become(self, profile: str) -> None:
        """Another phone in the hand: the old one's keys and enrolments stay behind with it."""
        from authenticator.phone import find_profile

        find_profile(profile)
        self.phone.wipe()
        with self.phone.edit() as state:
            state.profile, state.locks = profile, None

    def move_clock(self, seconds: float | None) -> None:
        """The phone's clock differs from its network's by so much more; None: by nothing any more."""
        with self.phone.edit() as state:
            state.skew_seconds = 0.0 if seconds is None else state.skew_seconds + seconds

    # --- the server -------------------------------------------------------------------------------------------------------

    def find_server(self) -> None:
        """`Unreachable` where no server answers; its answer sets the phone's clock."""
        server = self.phone.server(self.url)
        server.call("GET", "/_stub/health", None, server.guard())

    def inbox(self) -> list[dict[str, Any]]:
        """Every message for this phone's addresses, oldest first, as the server lists it."""
        from urllib.parse import urlencode

        server = self.phone.server(self.url)
        to = ",".join(self.snapshot().addresses)
        found = server.demand("GET", f"/device/v1/inbox?{urlencode({'to': to})}", None, server.guard())
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def enrol(self, dialect: str, user: str, secret: str, *, number: str, api_key: str) -> Enrolment:
        """Enrol this phone, by the armed fault's edits if there is one."""
        from authenticator.enrolling import Applicant, enrol
        from authenticator.faults import ENROL

        applicant = Applicant(self.url, dialect, user, secret, self.phone.state.profile, number, api_key)
        return enrol(self.phone, applicant, edits=self.edits(ENROL))


def _ahead(moment: datetime | None, now: datetime) -> datetime | None:
    return moment if moment is not None and moment > now else None
