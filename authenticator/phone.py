"""The phone as a whole: its home folder, sealed state, secure hardware, locks, own clock and the servers that it speaks to.

Invariants: every change of state is saved, whole, before its result leaves the phone (a counter before its signature); a change that fails
half-way changes nothing; several threads and processes may use one home.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from authenticator.client import Observer, ServerClient, open_http, refusal
from authenticator.errors import PhoneError, Refused, Unreadable, UsageError
from authenticator.network_time import NetworkTime
from authenticator.state import Enrolment, PhoneState, Session
from device_keys.clock import Clock, rfc3339, within_calendar
from device_keys.entropy import Entropy, SeededEntropy, SystemEntropy
from device_keys.keystore import Keystore, KeystoreError, load_or_create_secret
from device_keys.secure_hardware import SecureHardware

if TYPE_CHECKING:
    import httpx2

    from authenticator.client import Answer, Call
    from authenticator.profiles import Profile

APPLICATION: Final = "stepup-simulator"
STORE_FILE: Final = "phone.store"


def default_home() -> Path:
    """The platform's data folder for the phone."""
    from platformdirs import user_data_path

    return user_data_path(APPLICATION) / "phone"


def default_secret() -> bytes:
    """The secret that seals this user's phones; kept in the platform's config folder, never beside a store."""
    from platformdirs import user_config_path

    return load_or_create_secret(user_config_path(APPLICATION))


class Phone:
    """One simulated phone.

    `clock` None: network time, from its servers' answers. `entropy` None: the system's, or the seed's if it has one.
    """

    def __init__(
        self,
        home: Path,
        *,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        http_factory: Callable[[str], httpx2.Client] = open_http,
        secret: bytes | None = None,
        token: str | None = None,
    ) -> None:
        self.home = home
        self._clock = clock
        self._network_time = NetworkTime()
        self._given_entropy = entropy
        self._http_factory = http_factory
        self._token = token
        self._mutex = threading.RLock()
        self._servers: dict[str, ServerClient] = {}
        self._observe: Observer = lambda call, answer: None
        self._loaded: tuple[int, int] | None = None
        self._state = PhoneState()
        self._hardware = SecureHardware(None, entropy=SystemEntropy())
        self._entropy: Entropy = SystemEntropy()
        with _store_errors():
            self._secret = secret if secret is not None else default_secret()
            self._store = Keystore(home / STORE_FILE, self._secret)

    def __repr__(self) -> str:
        return f"Phone({str(self.home)!r})"

    def close(self) -> None:
        """Hang up."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    # --- time ---------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The phone's own time: network time or the clock given, plus its skew; it stops at the ends of the years that clocks show."""
        clock = self._clock or self._network_time
        return within_calendar(clock(), timedelta(seconds=self._state.skew_seconds))

    def use_clock(self, clock: Clock | None) -> None:
        """Follow this clock from here on; None: network time."""
        self._clock = clock

    # --- state --------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> PhoneState:
        """The state as last saved by whichever process; to be read, not changed."""
        with self._mutex, _store_errors():
            self._refresh()
            return self._state

    @property
    def hardware(self) -> SecureHardware:
        """The secure hardware. Use that changes it (keys, counters) belongs inside `edit`."""
        with self._mutex, _store_errors():
            self._refresh()
            return self._hardware

    @property
    def entropy(self) -> Entropy:
        return self._entropy

    @property
    def profile(self) -> Profile:
        """Which phone this is."""
        return find_profile(self.state.profile)

    @contextmanager
    def edit(self) -> Iterator[PhoneState]:
        """The state to be changed: saved at the end, or left as it was if the change fails."""
        with self._mutex, _store_errors(), self._store.locked():
            self._refresh()
            try:
                yield self._state
                self._save()
            except BaseException:
                self._loaded = None
                raise

    def _refresh(self) -> None:
        """Load anew if another process has written; a first load makes new hardware where there is no store yet."""
        stamp = self._stamp()
        if self._loaded is not None and stamp == self._loaded:
            return
        try:
            self._state = msgspec.convert(self._store.load(), PhoneState)
        except msgspec.ValidationError as error:
            raise Unreadable("store", f"The phone's store holds something unexpected: {error}") from error
        self._use_seed(self._state.seed)
        self._hardware = SecureHardware(self._state.hardware or None, entropy=self._entropy)
        self._loaded = stamp

    def _use_seed(self, seed: str | None) -> None:
        seeded = SystemEntropy() if seed is None else SeededEntropy(seed, self._state.entropy)
        self._entropy = self._given_entropy or seeded

    def _save(self) -> None:
        self._state.hardware = self._hardware.state
        if isinstance(self._entropy, SeededEntropy):
            self._state.entropy = dict(self._entropy.counters)
        self._store.save(msgspec.to_builtins(self._state))
        self._loaded = self._stamp()

    def _stamp(self) -> tuple[int, int]:
        """Tells one saved store from another: each save is a new file."""
        try:
            status = self._store.path.stat()
        except FileNotFoundError:
            return (0, 0)
        except OSError as error:
            raise Unreadable("store", f"cannot read the phone's store {self._store.path}: {error.strerror}") from error
        return (status.st_ino, status.st_mtime_ns)

    def restart(self, seed: str | None) -> None:
        """Inside `edit`: new hardware under `seed` (None: unpredictable); keys and enrolments are gone."""
        self._state.seed, self._state.entropy, self._state.enrolments, self._state.locks = seed, {}, {}, None
        self._use_seed(seed)
        self._hardware = SecureHardware(None, entropy=self._entropy)

    def wipe(self) -> None:
        """Factory reset: no keys, enrolments, sessions, codes or messages read; the seed and profile stay."""
        with self.edit() as state:
            self.restart(state.seed)
            state.read, state.authenticator_app, state.push_devices, state.history = {}, [], {}, []

    # --- servers and enrolments -----------------------------------------------------------------------------------------

    def server(self, url: str) -> ServerClient:
        """The connection to a server; its answers set the phone's network time."""
        with self._mutex:
            if url not in self._servers:
                self._servers[url] = ServerClient(
                    url,
                    self._http_factory(url),
                    token=self._token,
                    hear_date=self._network_time.hear,
                    observe=lambda call, answer: self._observe(call, answer),
                )
            return self._servers[url]

    def another(self, home: Path) -> Phone:
        """A second phone with a home of its own, on the same network and clock."""
        secret = self.entropy.bytes("another phone", 32)
        return Phone(home, clock=self._clock, http_factory=self._http_factory, secret=secret, token=self._token)

    def twin(self, home: Path) -> Phone:
        """A phone that opens a copy of this one's home with this one's secret: what a thief of both would have."""
        return Phone(home, clock=self._clock, http_factory=self._http_factory, secret=self._secret, token=self._token)

    def observe(self, observer: Observer) -> None:
        """Show every exchange with a server to `observer` (the demo, the reviewer's pane)."""
        self._observe = observer

    def enrolments(self, server: str, *, required: bool = True) -> list[Enrolment]:
        """This phone's enrolments at a server; where one is required and there is none, `UsageError` says how to enrol."""
        found = [enrolment for enrolment in self.state.enrolments.values() if enrolment.server == server]
        if required and not found:
            raise not_enrolled(server)
        return found

    def enrolment(self, server: str, dialect: str) -> Enrolment:
        """The enrolment at a server in a dialect."""
        found = self.state.enrolments.get(f"{server}|{dialect}")
        if found is None:
            raise not_enrolled(server, dialect)
        return found

    def keep_session(self, enrolment: Enrolment, access_token: str, refresh_token: str | None) -> Enrolment:
        """The enrolment with the bank's new token pair, sealed."""
        session = Session(access_token=access_token, refresh_token=refresh_token, since=rfc3339(self.now()))
        with self.edit() as state:
            kept = msgspec.structs.replace(state.enrolments.get(enrolment.name, enrolment), session=session)
            state.enrolments[enrolment.name] = kept
        return kept

    def device_call(self, enrolment: Enrolment, call: Call) -> Answer:
        """A call of `/device/v1` as this device; `Refused` with the way out where the server no longer knows it."""
        bearer = {"Authorization": f"Bearer {enrolment.device_token}"}
        answer = self.server(enrolment.server).send(replace(call, headers={**call.headers, **bearer}))
        if answer.status == 401:
            raise Refused(
                "not_enrolled_any_more",
                f"The server at {enrolment.server} does not know this phone (it was reset, or the device was revoked). "
                f"Enrol again: stepup-phone enrol --server {enrolment.server} --dialect {enrolment.dialect}",
            )
        if not answer.ok:
            raise refusal(answer)
        return answer


def not_enrolled(server: str, dialect: str | None = None) -> UsageError:
    """The error that says how to enrol."""
    at = f" --dialect {dialect}" if dialect else ""
    return UsageError(
        f"This phone is not enrolled at {server}. Enrol first: stepup-phone enrol --server {server}{at}",
        code="not_enrolled",
    )


def find_profile(name: str) -> Profile:
    """The profile of that name; `UsageError` lists the names there are."""
    from authenticator.profiles import PROFILES

    if name not in PROFILES:
        raise UsageError(f"--profile: expected one of {', '.join(PROFILES)}", field="--profile")
    return PROFILES[name]


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except KeystoreError as error:
        raise Unreadable("store", str(error)) from error


__all__ = ["Phone", "PhoneError", "default_home", "default_secret", "find_profile", "not_enrolled"]
