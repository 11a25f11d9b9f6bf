"""What the control API reads: one struct for each command's parameters. Strict as WebDriver is: an unknown key is an error."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Text = Annotated[str, Meta(min_length=1, max_length=4096)]
Method = Literal["PASSCODE", "BIOMETRIC"]
Biometric = Literal["match", "no-match", "cancel", "timeout"]
Amount = Annotated[str, Meta(pattern=r"^[0-9]{1,15}(\.[0-9]{1,4})?$")]
Seconds = Annotated[float, Meta(ge=0, le=10_000_000_000)]
Wait = Annotated[float, Meta(ge=0, le=300)]


class Parameters(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Base: camelCase on the wire, unknown keys refused."""


class NoParameters(Parameters, frozen=True):
    """A command without parameters."""


class AddVirtualAuthenticator(Parameters, frozen=True):
    """W3C WebAuthn section 12.4, and `profile` and `seed` of this simulator. Only what such a phone is can be asked of it."""

    protocol: Literal["ctap2", "ctap2_1"] = "ctap2"
    transport: Literal["internal"] = "internal"
    has_resident_key: bool = False
    has_user_verification: bool = True
    is_user_consenting: bool | UnsetType = UNSET
    is_user_verified: bool = True
    profile: Text = "pixel-9"
    seed: Text | None = None


class SetUserVerified(Parameters, frozen=True):
    """Whether the sensor meets the enrolled finger (WebAuthn section 12.10)."""

    is_user_verified: bool


class SetBiometric(Parameters, frozen=True):
    """What the sensor meets from here on."""

    outcome: Biometric


class SetPasscode(Parameters, frozen=True):
    """The passcode that this phone's user knows and types."""

    passcode: Text


class SetProfile(Parameters, frozen=True):
    """Which phone this is, from its next enrolment on."""

    profile: Text


class SetFault(Parameters, frozen=True):
    """The active misbehaviour; null: an honest phone."""

    name: Text | None


class SetAnswers(Parameters, frozen=True):
    """Who answers step-ups: `ask` nobody until told; `approve` or `decline`, once or always; `amountOver` decides by the order's amount.

    With `amountOver`, orders up to it (in `currency`, if given) get `decision` and the others `otherwise`.
    """

    decision: Literal["approve", "decline", "ask"]
    times: Literal["once", "always"] = "always"
    amount_over: Amount | None = None
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    otherwise: Literal["decline", "ask", "approve"] = "decline"
    method: Method | None = None


class Enrol(Parameters, frozen=True):
    """Enrol at the server, by default for the dialect's demo user. At Weavr the passcode is the password."""

    dialect: Literal["bank", "weavr"] = "bank"
    user: Text | None = None
    passcode: Text | None = None
    number: Text = "+447700900123"
    api_key: Text = "demo-api-key"
    code: Text | None = None


class Pay(Parameters, frozen=True):
    """A payment from the phone's own bank app."""

    amount: Text
    currency: Text = "GBP"
    payee: Text = "ACME Ltd"
    sort_code: Text = "112233"
    account: Text = "12345678"
    method: Method = "PASSCODE"
    passcode: Text | None = None


class Approve(Parameters, frozen=True):
    """Approve one step-up; without `transactionId` the only one that waits, waited for up to `waitSeconds`.

    `signOnly` gives back the request that a client would send instead of delivering the evidence.
    """

    transaction_id: Text | None = None
    method: Method = "PASSCODE"
    biometric: Biometric | None = None
    sign_only: bool = False
    passcode: Text | None = None
    refresh_token: Text | None = None
    wait_seconds: Wait = 0


class Decline(Parameters, frozen=True):
    """Decline one step-up; without `transactionId` the only one that waits, waited for up to `waitSeconds`."""

    transaction_id: Text | None = None
    wait_seconds: Wait = 0


class SetClock(Parameters, frozen=True):
    """Set, freeze or release a clock: an ISO 8601 instant in `now`, and whether it stands still."""

    now: Text | None = None
    frozen: bool | None = None


class AdvanceClock(Parameters, frozen=True):
    """Forward, standing still or running as before."""

    seconds: Seconds


class SetPhoneClock(Parameters, frozen=True):
    """The phone's own clock: wrong by `skewSeconds`; or standing at `now`, whatever the server's time; `now` null: network time again."""

    skew_seconds: Annotated[float, Meta(ge=-10_000_000_000, le=10_000_000_000)] | UnsetType = UNSET
    now: Text | UnsetType | None = UNSET


class Unlock(Parameters, frozen=True):
    """The screen lock's PIN is given: a locked sensor is free again."""

    pin: Text = "1234"


class Reset(Parameters, frozen=True):
    """All phones are removed; the server too is as fresh, its clock released, unless `server` is false."""

    server: bool = True
