"""What a phone remembers: one document in the sealed keystore.

Invariant: whatever is secret (private keys, device and session tokens, TOTP secrets, the seed) is here and nowhere else on disk.
"""

from __future__ import annotations

from typing import Any

import msgspec

from authenticator.locks import Locks

POSSESSION = "possession"
BIOMETRIC = "biometric"


class Record(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=True):
    """Base of what is kept: frozen, camelCase in the store; members of a later version are ignored."""


class Credential(Record, frozen=True):
    """One enrolled key: its factor, its id in the secure hardware, its WebAuthn credential id and attestation object (base64url)."""

    factor: str
    key_id: str
    credential_id: str
    attestation: str = ""


class Session(Record, frozen=True):
    """The bank app's token pair; `since` is the instant (RFC 3339) at which the bank gave it."""

    access_token: str
    refresh_token: str | None = None
    since: str = ""

    def __repr__(self) -> str:
        return f"Session(since={self.since!r})"


class Enrolment(Record, frozen=True):
    """This phone as one server knows it, in one dialect. `base` is the path prefix under which the dialect's API is mounted."""

    server: str
    dialect: str
    user: str
    number: str
    api_key: str
    profile: str
    base: str
    device_id: str = ""
    device_token: str = ""
    rp_id: str = ""
    credentials: tuple[Credential, ...] = ()
    app_attest_key: str | None = None
    session: Session | None = None
    enrolled_at: str = ""

    def __repr__(self) -> str:
        return f"Enrolment({self.dialect} at {self.server}, device {self.device_id!r})"

    @property
    def name(self) -> str:
        return f"{self.server}|{self.dialect}"

    @property
    def origin(self) -> str:
        """The relying party's origin, which is a setting of the server and no network address."""
        return f"https://{self.rp_id}"

    def credential(self, factor: str) -> Credential | None:
        """The enrolled key of a factor."""
        return next((credential for credential in self.credentials if credential.factor == factor), None)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Every key in the hardware that serves this enrolment."""
        own = tuple(credential.key_id for credential in self.credentials)
        return own if self.app_attest_key is None else (*own, self.app_attest_key)


class Past(Record, frozen=True):
    """One order in the bank app's history: `at` (RFC 3339), what was asked, its outcome as the bank told it."""

    at: str
    order: str
    outcome: str
    good: bool = False


class PhoneState(msgspec.Struct, rename="camel", kw_only=True):
    """The document. `read` counts the messages seen per inbox; `entropy` the values drawn per purpose under a seed."""

    profile: str = "pixel-9"
    seed: str | None = None
    entropy: dict[str, int] = {}
    skew_seconds: float = 0.0
    hardware: dict[str, Any] = {}
    locks: Locks | None = None
    enrolments: dict[str, Enrolment] = {}
    read: dict[str, int] = {}
    authenticator_app: list[str] = []
    push_devices: dict[str, dict[str, Any]] = {}
    history: list[Past] = []

    def __repr__(self) -> str:
        return f"PhoneState({self.profile}, {len(self.enrolments)} enrolments)"
