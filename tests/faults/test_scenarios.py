"""Each scenario trips exactly the checks that it names (issue: stories of attack), over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from authenticator.faults.flows import Stage
from authenticator.phone import Phone
from authenticator.scenarios import SCENARIOS, Scenario
from authenticator.server_process import running_server
from tests.support.http import open_http


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_server("--port", "0", "--database", "memory") as found:
        yield found


@pytest.fixture
def clean(url: str) -> Iterator[str]:
    with open_http(url) as http:
        assert http.post("/_stub/reset").is_success
        yield url
        assert http.put("/_stub/clock", json={"frozen": False}).is_success


@pytest.mark.parametrize("scenario", [pytest.param(scenario, id=scenario.name) for scenario in SCENARIOS.values()])
def test_a_scenario_trips_the_checks_that_it_names(scenario: Scenario, clean: str, tmp_path: Path) -> None:
    phone = Phone(tmp_path, secret=b"s" * 32)
    verdict = scenario.play(Stage(clean, scenario.profile), phone)
    phone.close()
    assert verdict["accepted"] is False
    assert tuple(f["check"] for f in verdict["findings"] if f["outcome"] == "fail") == scenario.trips
