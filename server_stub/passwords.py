"""Secrets that users know, kept as Argon2id hashes; hashing runs off the event loop and outside database transactions."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from device_keys.entropy import Entropy
from server_stub.shedding import Overloaded

if TYPE_CHECKING:
    from anyio import CapacityLimiter
    from anyio.lowlevel import RunVar


@dataclass(frozen=True, slots=True)
class HashCost:
    """Argon2id cost. The default is OWASP's second recommendation: 2 passes over 19 MiB."""

    passes: int = 2
    memory: int = 19 * 1024 * 1024


DEFAULT_COST: Final = HashCost()
HASHER_WAIT_SECONDS: Final = 5.0
# Hash of a random text that nobody knows: unknown users cost as much time as known ones.
UNKNOWN: Final = "$argon2id$v=19$m=19456,t=2,p=1$mwoBL49fHcnQslt2/nRvpg$mKKC8dhNEpk10SxX5SsXY7VoGrMMHWw30tees2hKctY"


def hash_secret(secret: str, entropy: Entropy, cost: HashCost = DEFAULT_COST) -> str:
    """The PHC string of a secret; the salt comes from `entropy`."""
    from nacl.pwhash import argon2id

    salt = entropy.bytes("password salt", 16)
    size = 32
    key = argon2id.kdf(size, secret.encode(), salt, opslimit=cost.passes, memlimit=cost.memory)
    return f"$argon2id$v=19$m={cost.memory // 1024},t={cost.passes},p=1${_b64(salt)}${_b64(key)}"


def _b64(data: bytes) -> str:
    from base64 import b64encode

    return b64encode(data).rstrip(b"=").decode()


def secret_matches(phc: str | None, secret: str) -> bool:
    """Whether the secret has this hash; None stands for an unknown user and costs the same time."""
    from nacl.exceptions import InvalidkeyError
    from nacl.pwhash import argon2id

    try:
        return argon2id.verify((phc or UNKNOWN).encode(), secret.encode("utf-8", "surrogatepass")) and phc is not None
    except InvalidkeyError:
        return False


async def secret_matches_off_loop(phc: str | None, secret: str) -> bool:
    """As `secret_matches`, in a worker thread, so that tens of milliseconds of Argon2id hold up no other call.

    As many at once as there are processors: more would be no sooner, and each takes the memory of its cost. A call that waits too long for
    one of them is refused as `Overloaded`.
    """
    import anyio
    import anyio.to_thread

    limiter = _hashers().get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(os.cpu_count() or 1)
        _hashers().set(limiter)
    caller = object()
    try:
        with anyio.fail_after(HASHER_WAIT_SECONDS):
            await limiter.acquire_on_behalf_of(caller)
    except TimeoutError as problem:
        raise Overloaded from problem
    try:
        return await anyio.to_thread.run_sync(secret_matches, phc, secret)
    finally:
        limiter.release_on_behalf_of(caller)


@cache
def _hashers() -> RunVar[CapacityLimiter]:
    """The limit of each event loop."""
    from anyio.lowlevel import RunVar

    return RunVar("hashers")
