"""What all tables stand on: one database transaction, its instant, and its source of randomness."""

from __future__ import annotations

import msgspec

from device_keys.clock import Clock, rfc3339, system_clock
from device_keys.entropy import Entropy, new_uuid
from server_stub.database.protocol import Statements
from server_stub.records import ServerClock
from server_stub.tables.columns import json_text


class Unit:
    """A transaction with one instant: `now`, as text `at`."""

    def __init__(self, statements: Statements, entropy: Entropy, source: Clock) -> None:
        self.sql = statements
        self.entropy = entropy
        self.clock = self._read_clock()
        self.now = self.clock.now(source)
        self.at = rfc3339(self.now)

    def _read_clock(self) -> ServerClock:
        row = self.sql.one("get_setting", name="clock")
        return ServerClock() if row is None else msgspec.json.decode(row[0], type=ServerClock)

    def set_clock(self, clock: ServerClock, source: Clock = system_clock) -> None:
        """Steer the clock from here on."""
        self.put_setting("clock", json_text(clock))
        self.clock = clock
        self.now = clock.now(source)
        self.at = rfc3339(self.now)

    def setting(self, name: str) -> str | None:
        row = self.sql.one("get_setting", name=name)
        return None if row is None else row[0]

    def put_setting(self, name: str, value: str) -> None:
        self.sql.run("put_setting", name=name, value=value)

    def next_seq(self) -> int:
        """A number greater than any before: the order of messages and transactions."""
        row = self.sql.one("next_seq")
        assert row is not None
        return int(row[0])

    def new_id(self, purpose: str) -> str:
        """A UUID."""
        return new_uuid(self.entropy, purpose)
