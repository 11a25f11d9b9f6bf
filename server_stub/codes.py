"""One-time codes: drawn at random, kept as salted digests, good for a time and once, the newest only.

What a code is for, how it travels and what a wrong one costs is the dialects' business; here is what they share.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from device_keys.clock import Instant
from device_keys.encoding import b64url_decode, b64url_encode
from device_keys.entropy import new_digits
from server_stub.store import UnitOfWork

CodeResult = Literal["right", "wrong", "expired", "used", "superseded", "none-issued"]


class KeptCode(msgspec.Struct, frozen=True, rename="camel"):
    """What is kept of a code: salt and digest (base64url), until when it is good, and whether it was used."""

    salt: str
    digest: str
    issued_at: Instant
    expires_at: Instant
    used: bool = False

    def matches(self, code: str) -> bool:
        """Whether this is the code; compared in constant time."""
        return hmac.compare_digest(_digest(b64url_decode(self.salt), code), self.digest)

    def spent(self) -> KeptCode:
        """The same code, used."""
        return msgspec.structs.replace(self, used=True)

    def to_json(self) -> dict[str, Any]:
        """For a document of the store."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document


def read_code(document: Any) -> KeptCode:
    """The code of a document that `KeptCode.to_json` made."""
    return msgspec.convert(document, KeptCode)


def _digest(salt: bytes, code: str) -> str:
    return hashlib.sha256(salt + code.encode("utf-8", "surrogatepass")).hexdigest()


def issue_code(
    unit: UnitOfWork,
    purpose: str,
    life: timedelta,
    *,
    digits: int = 6,
    fixed: str | None = None,
    unlike: Iterable[KeptCode] = (),
) -> tuple[str, KeptCode]:
    """A new code and what to keep of it. `fixed` is the code of `--fixed-otp`; a random one differs from those in `unlike`."""
    earlier = tuple(unlike)
    code = fixed or new_digits(unit.entropy, purpose, digits)
    while fixed is None and any(kept.matches(code) for kept in earlier):
        code = new_digits(unit.entropy, purpose, digits)
    salt = unit.entropy.bytes(f"{purpose} salt", 16)
    return code, KeptCode(b64url_encode(salt), _digest(salt, code), unit.now, unit.now + life)


def judge_code(code: str, newest: KeptCode | None, now: datetime, earlier: Iterable[KeptCode] = ()) -> CodeResult:
    """What a presented code is: only the newest one can be right; `earlier` tells a superseded code from a wrong one."""
    if newest is None:
        return "none-issued"
    if newest.matches(code):
        return "used" if newest.used else "expired" if now >= newest.expires_at else "right"
    superseded = [kept.matches(code) for kept in earlier]
    return "superseded" if any(superseded) else "wrong"
