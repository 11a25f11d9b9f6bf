"""A bundle's instants: whatever a forger writes there, the file is refused by name, and never an exception."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server_stub.bundle import BundleError, build_bundle, read_bundle
from server_stub.evidence_key import EvidenceKey
from server_stub.policy import STRICT
from server_stub.trust import load_trust
from tests.support.bundles import resealed

KEY = EvidenceKey(bytes(range(32)))
PLACES = (("now",), ("transaction", "expiresAt"), ("nonce", "issuedAt"), ("credential", "enrolledAt"))


@pytest.mark.parametrize("place", PLACES, ids=".".join)
@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1969-12-31T23:59:59Z",
        "2026-11-22T10:00:00",
        "2026-13-01T00:00:00Z",
    ],
)
def test_an_instant_that_no_clock_shows_is_refused_by_name(step_up: Any, place: tuple[str, ...], text: str) -> None:
    stage = step_up()
    made = build_bundle(
        stage.evidence,
        log_extract=tuple(stage.log),
        key=KEY,
        policy=STRICT,
        trust=load_trust(),
        observed=stage.observed,
    )
    read_bundle(made)
    members = json.loads(made)
    holder = members["evidence"]
    for name in place[:-1]:
        holder = holder[name]
    assert place[-1] in holder
    holder[place[-1]] = text
    with pytest.raises(BundleError, match="bundle"):
        read_bundle(resealed(members, KEY))
