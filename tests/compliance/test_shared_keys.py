"""A key that is enrolled twice, as earlier versions allowed: what a step-up by it is worth is not overstated."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest


@pytest.mark.parametrize(("method", "independence"), [("BIOMETRIC", "fail"), ("PASSCODE", "undetermined")])
def test_a_key_that_is_two_factors_passes_for_neither(step_up: Any, method: str, independence: str) -> None:
    """Whoever has the ungated key has the biometric one: RTS-9.1 and RTS-24.1 do not pass."""
    assert [step_up(method=method).rule(rule).verdict for rule in ("RTS-9.1", "RTS-24.1")] == ["pass", "pass"]
    stage = step_up(method=method)
    stage.bend(credential=msgspec.structs.replace(stage.evidence.credential, shared_key=True))
    assert [stage.rule(rule).verdict for rule in ("RTS-9.1", "RTS-24.1")] == [independence, "undetermined"]
    assert "enrolled as another factor" in stage.rule("RTS-24.1").reason
