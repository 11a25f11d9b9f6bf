"""For every test: what costs much and is the same each time is done once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def argon2id_once() -> Iterator[None]:
    """In this process, one hash and one secret are compared by Argon2id once; the demo users log in thousands of times.

    Nothing but the time changes: the comparison depends on the two texts alone. Hashing a new secret, server processes and the
    benchmarks have the full cost.
    """
    from nacl.exceptions import InvalidkeyError
    from nacl.pwhash import argon2id

    genuine = argon2id.verify
    known: dict[tuple[bytes, bytes], bool] = {}

    def verify(password_hash: bytes, password: bytes) -> bool:
        key = password_hash, password
        if key not in known:
            try:
                known[key] = genuine(password_hash, password)
            except InvalidkeyError:
                known[key] = False
        if not known[key]:
            raise InvalidkeyError("Wrong password")
        return True

    argon2id.verify = verify
    yield
    argon2id.verify = genuine
