"""The authenticator app: time-based one-time passwords (RFC 6238) from otpauth URIs, by the phone's own clock."""

from __future__ import annotations

from base64 import b32decode, b32encode
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from authenticator.errors import UsageError
from device_keys.clock import rfc3339

if TYPE_CHECKING:
    import pyotp

    from authenticator.phone import Phone


LEAST_SECRET: Final = 14  # bytes


@dataclass(frozen=True, slots=True)
class RunningCode:
    """The code of one account now; `seconds_left` until the next one, which is `following`."""

    issuer: str
    account: str
    code: str
    following: str
    seconds_left: int
    at: str

    @property
    def label(self) -> str:
        return f"{self.issuer}:{self.account}" if self.issuer else self.account

    def to_json(self) -> dict[str, Any]:
        """`{"from", "text", "code", "receivedAt"}` as for messages, and how long the code lasts."""
        return {
            "from": self.issuer,
            "text": self.account,
            "code": self.code,
            "receivedAt": self.at,
            "secondsLeft": self.seconds_left,
        }


def _read(uri: str) -> pyotp.TOTP:
    import pyotp

    try:
        parsed = pyotp.parse_uri(_with_long_secret(uri))
        if not isinstance(parsed, pyotp.TOTP):
            raise ValueError("not time-based")
        parsed.at(0)
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError("expected an otpauth://totp/ URI with a base32 secret", field="URI") from error
    return parsed


def _with_long_secret(uri: str) -> str:
    """The URI with a secret of 112 bits at least, as pyotp wants it. Genuine apps take shorter ones, common in examples.

    HMAC fills a short key up with zeros itself, so the codes are the same.
    """
    parts = urlsplit(uri)
    pairs = [(name, _filled(value) if name == "secret" else value) for name, value in parse_qsl(parts.query)]
    return urlunsplit(parts._replace(query=urlencode(pairs)))


def _filled(secret: str) -> str:
    raw = b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
    return secret if len(raw) >= LEAST_SECRET else b32encode(raw.ljust(LEAST_SECRET, b"\0")).decode().rstrip("=")


def add(phone: Phone, uri: str) -> str:
    """Keep an account's secret, sealed; its label. The same account again replaces the earlier secret."""
    account = _read(uri)
    with phone.edit() as state:
        state.authenticator_app = [kept for kept in state.authenticator_app if _label(_read(kept)) != _label(account)]
        state.authenticator_app.append(uri)
    return _label(account)


def remove(phone: Phone, label: str) -> None:
    """Forget an account."""
    with phone.edit() as state:
        kept = [uri for uri in state.authenticator_app if _label(_read(uri)) != label]
        if len(kept) == len(state.authenticator_app):
            raise UsageError(f"no account {label} in the authenticator app", field="LABEL")
        state.authenticator_app = kept


def codes(phone: Phone, now: datetime) -> list[RunningCode]:
    """Every account's code at `now`."""
    return [_running(_read(uri), now) for uri in phone.state.authenticator_app]


def _label(account: pyotp.TOTP) -> str:
    return f"{account.issuer}:{account.name}" if account.issuer else account.name or ""


def _running(account: pyotp.TOTP, now: datetime) -> RunningCode:
    moment = int(now.timestamp())
    return RunningCode(
        issuer=account.issuer or "",
        account=account.name or "",
        code=account.at(moment),
        following=account.at(moment + account.interval),
        seconds_left=account.interval - moment % account.interval,
        at=rfc3339(now),
    )
