"""The server as one value: its store, what it judges by, and its settings. Routes get it; nothing is global."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from server_stub.policy import STRICT, Policy
from server_stub.store import Store
from server_stub.trust import Trust


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
    """Everything a route needs."""

    store: Store
    trust: Trust
    policy: Policy = STRICT
    settings: Settings = field(default_factory=Settings)
    requests: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=1000))
    openapi: bytes = b""
