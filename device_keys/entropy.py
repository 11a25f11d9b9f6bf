"""Where random values come from: the system, or a seed for runs that repeat byte for byte.

Seeded values are derived per purpose and counter, not drawn from one stream: one draw more for one purpose changes no other value.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections import Counter
from typing import Protocol


class Entropy(Protocol):
    """A source of unpredictable (or, with a seed, repeatable) bytes."""

    def bytes(self, purpose: str, size: int) -> bytes:
        """`size` fresh bytes for `purpose`."""
        ...


class SystemEntropy:
    """The operating system's."""

    def bytes(self, purpose: str, size: int) -> bytes:
        return secrets.token_bytes(size)


class SeededEntropy:
    """Values derived from a text: HMAC-SHA256(seed, purpose, counter), in counter mode for longer ones."""

    def __init__(self, seed: str, counters: dict[str, int] | None = None) -> None:
        self._key = hashlib.sha256(b"stepup-simulator seed\0" + seed.encode()).digest()
        self.counters: Counter[str] = Counter(counters or {})

    def bytes(self, purpose: str, size: int) -> bytes:
        self.counters[purpose] += 1
        label = f"{purpose}\0{self.counters[purpose]}".encode()
        blocks = (hmac.digest(self._key, label + block.to_bytes(4, "big"), "sha256") for block in range(-(-size // 32)))
        return b"".join(blocks)[:size]

    def reset(self) -> None:
        """Start every counter anew."""
        self.counters.clear()


def new_uuid(entropy: Entropy, purpose: str) -> str:
    """A version 4 UUID."""
    return str(uuid.UUID(bytes=entropy.bytes(purpose, 16), version=4))


def new_digits(entropy: Entropy, purpose: str, count: int) -> str:
    """A code of `count` decimal digits, each equally likely (the bias of 64 bits modulo 10^count is negligible)."""
    return str(int.from_bytes(entropy.bytes(purpose, 8), "big") % 10**count).zfill(count)
