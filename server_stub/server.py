"""The server as one value: its store, what it judges by, and its settings. Routes get it; nothing is global."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from server_stub.dialects import load_dialect
from server_stub.policy import STRICT, Policy
from server_stub.recorder import Recorder
from server_stub.shedding import Load
from server_stub.store import Store, UnitOfWork
from server_stub.trust import Trust

if TYPE_CHECKING:
    from server_stub.http import Dialect
    from server_stub.rules.inputs import Config


@dataclass(frozen=True, slots=True)
class Settings:
    """What `serve` was told. `methods`: those that the bank offers (None: what the user can use)."""

    dialects: tuple[str, ...] = ("bank", "weavr", "loginradius")
    at_root: bool = False
    methods: tuple[str, ...] | None = None
    fixed_otp: str | None = None
    token: str | None = None
    loopback: bool = True
    webhook: str | None = None
    sms_webhook: str | None = None
    smtp: str | None = None
    seed: str | None = None


@dataclass(slots=True)
class Server:
    """Everything a route needs. `config`: what the operator declared (None: nothing)."""

    store: Store
    trust: Trust
    policy: Policy = STRICT
    settings: Settings = field(default_factory=Settings)
    config: Config | None = None
    requests: Recorder = field(default_factory=Recorder)
    load: Load = field(default_factory=Load)
    stopping: bool = False

    def dialect(self, name: str) -> Dialect | None:
        """The dialect of this name, if it is served here."""
        return load_dialect(name) if name in self.settings.dialects else None

    def reset(self) -> None:
        """Empty the state and put the demo users in; the clock stays as it is."""
        from server_stub.demo_users import add_demo_users

        self.store.clear()
        self.requests.clear()
        with self.store.begin() as unit:
            self._set_up(unit)
            add_demo_users(unit, self.settings.dialects)

    def start(self) -> None:
        """Put the demo users into a database that has none, and what this run was told."""
        from server_stub.demo_users import add_demo_users

        with self.store.begin() as unit:
            self._set_up(unit)
            add_demo_users(unit, self.settings.dialects)

    def _set_up(self, unit: UnitOfWork) -> None:
        wanted = {
            "sms_webhook": self.settings.sms_webhook,
            "webhook": self.settings.webhook,
            "smtp": self.settings.smtp,
        }
        for name, value in wanted.items():
            if (unit.setting(name) or "") != (value or ""):
                unit.put_setting(name, value or "")

    def mount_of(self, dialect: str) -> str:
        """The path before a dialect's routes."""
        return "" if self.settings.at_root else f"/{dialect}"
