"""Certificates with dates: which batch a maker signs with, and how long such certificates live, counted from the phone's clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from authenticator.authorities import serial_of


class Batch(StrEnum):
    """Which certificate the maker signs with (or, at Apple, gives the key): today's, one outside its dates, one on the revocation list."""

    CURRENT = "current"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    REVOKED = "revoked"
    SUSPENDED = "suspended"


# Days before and after the phone's clock, by chain shape; what is not listed here is constant.
_LIVES: Final[dict[str, tuple[int, int]]] = {
    "rkp": (7, 14),
    "factory": (3 * 365, 7 * 365),
    "software": (3 * 365, 7 * 365),
    "fido": (365, 20 * 365),
    "app-attest": (1, 2),
    "apple-webauthn": (1, 2),
}


def validity(shape: str, batch: Batch, now: datetime) -> dict[str, datetime]:
    before, after = (timedelta(days=days) for days in _LIVES[shape])
    start, end = now - before, now + after
    if batch is Batch.EXPIRED:
        start, end = start - after - timedelta(days=1), now - timedelta(days=1)
    if batch is Batch.NOT_YET_VALID:
        start, end = now + timedelta(days=1), end + before + timedelta(days=1)
    return {"not_before": start, "not_after": end}


def batch_serial(shape: str, batch: Batch, seed: bytes = b"", *, size: int = 16) -> int:
    """A batch's serial number: constant for the revoked and the suspended one of each shape, else from `seed`."""
    if batch in (Batch.REVOKED, Batch.SUSPENDED):
        return serial_of(f"{shape} {batch} batch", size)
    return serial_of(f"{shape} batch {seed.hex()}", size)
