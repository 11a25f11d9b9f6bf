"""The pytest plugins as a user's suite meets them (issue 8): each run is a pytest of its own, with warnings as errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from tests.plugin.conftest import PLUGINS, Ran

Run = Callable[..., Ran]


def test_loading_both_plugins_imports_pytest_and_nothing_heavy() -> None:
    """traps 12: an entry point is imported in every pytest run on the machine."""
    program = (
        "import sys, pytest; before = set(sys.modules); import authenticator.pytest_plugin, server_stub.pytest_plugin;"
        "print(sorted(name.partition('.')[0] for name in set(sys.modules) - before))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    loaded = set(eval(said))
    assert loaded <= {"authenticator", "server_stub", "__future__", "collections", "typing"}, loaded


def test_the_markers_are_registered_and_listed(run_pytest: Run) -> None:
    said = run_pytest("", "--markers").text
    for name in ("profile", "fault", "policy", "dialect", "clock", "seed"):
        assert f"@pytest.mark.stepup_{name}(" in said


def test_a_failure_prints_the_first_failing_finding_and_the_active_fault(run_pytest: Run) -> None:
    ran = run_pytest(
        """
import pytest
from authenticator.errors import Refused

@pytest.mark.stepup_fault("altered-payee")
def test_it(enrolled_authenticator, verification_server):
    enrolled_authenticator.pay()
"""
    )
    assert ran.code == 1
    assert "active fault: altered-payee" in ran.text
    assert "refused by binding.payee: " in ran.text
    assert "expected: ACME Ltd" in ran.text


def test_a_passing_run_says_nothing_of_it(run_pytest: Run) -> None:
    ran = run_pytest("def test_it(enrolled_authenticator):\n    enrolled_authenticator.pay()\n")
    assert ran.code == 0, ran.text
    assert "step-up verdict" not in ran.text


WRONG = {
    'stepup_fault("no-such-fault")': "no fault is called 'no-such-fault'",
    'stepup_profile("nokia-3310")': "expected one of pixel-9",
    'stepup_policy("lax")': "expected one of strict, lenient",
    'stepup_dialect("klingon")': "expected one of all, bank, weavr, loginradius",
    'stepup_clock("teatime")': "an ISO 8601 instant",
    "stepup_fault()": "expected one name",
    "stepup_seed(1)": "expected one text",
}


def test_a_wrong_marker_is_one_clear_error(run_pytest: Run) -> None:
    tests = [
        f"@pytest.mark.{marker}\ndef test_{number}(enrolled_authenticator): pass\n"
        for number, marker in enumerate(WRONG)
    ]
    ran = run_pytest("import pytest\n" + "\n".join(tests))
    assert f"{len(WRONG)} errors" in ran.text, ran.text
    for marker, says in WRONG.items():
        assert says in ran.text, marker


def test_each_test_gets_a_fresh_server(run_pytest: Run) -> None:
    ran = run_pytest(
        """
import pytest
USER = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765"

@pytest.mark.parametrize("run", [1, 2])
def test_it(enrolled_authenticator, verification_server, simulator_clock, run):
    assert not verification_server.payments(USER)
    assert len(verification_server.http.get(f"/_stub/users/{USER}/devices").json()) == 1
    assert verification_server.http.get("/_stub/clock").json()["frozen"] is False
    enrolled_authenticator.pay()
    simulator_clock.freeze()
"""
    )
    assert ran.code == 0, ran.text


def test_phone_and_server_are_joined_by_fixture_name_and_each_can_be_switched_off(run_pytest: Run) -> None:
    without_server = PLUGINS[:2]
    ran = run_pytest("def test_it(virtual_authenticator): pass\n", plugins=without_server)
    assert "is the plugin stepup_server switched off?" in ran.text
    ran = run_pytest(
        'def test_it(make_virtual_authenticator):\n    make_virtual_authenticator(server="http://127.0.0.1:9")\n',
        plugins=without_server,
    )
    assert ran.code == 0, ran.text


FREEZES = """
import asyncio
import pytest
from datetime import datetime, timezone
from freezegun import freeze_time

DAY = "2026-01-31"

def pays(server, phone, method="PASSCODE"):
    assert phone.pay(method=method).status == "ACCEPTED"
    return server.verdict().raise_for_refusal().decided_at

@freeze_time(DAY)
def test_decorator(verification_server, enrolled_authenticator):
    assert pays(verification_server, enrolled_authenticator) == "2026-01-31T00:00:00.000000Z"

@freeze_time(DAY)
class TestClass:
    def test_in_class(self, verification_server, enrolled_authenticator):
        assert pays(verification_server, enrolled_authenticator).startswith(DAY)

@freeze_time(DAY, as_arg=False, as_kwarg="frozen")
def test_keyword(verification_server, enrolled_authenticator, **given):
    given["frozen"].tick(3600)
    assert pays(verification_server, enrolled_authenticator).startswith("2026-01-31T01:00:00")

def test_context_manager_and_move_to(verification_server, enrolled_authenticator):
    with freeze_time(DAY) as frozen:
        assert pays(verification_server, enrolled_authenticator).startswith(DAY)
        frozen.move_to("2026-03-31")
        assert pays(verification_server, enrolled_authenticator, "BIOMETRIC").startswith("2026-03-31")

@pytest.mark.parametrize("year", [2001, 2019, 2040, 2090])
def test_any_year(verification_server, enrolled_authenticator, year):
    with freeze_time(f"{year}-06-01"):
        assert pays(verification_server, enrolled_authenticator).startswith(str(year))

@freeze_time(DAY, tick=True)
def test_ticking(verification_server, enrolled_authenticator):
    assert pays(verification_server, enrolled_authenticator).startswith(DAY)

@freeze_time(DAY, auto_tick_seconds=1)
def test_auto_tick(verification_server, enrolled_authenticator):
    assert pays(verification_server, enrolled_authenticator).startswith(DAY)

@pytest.fixture
def frozen_fixture():
    with freeze_time(DAY) as frozen:
        yield frozen

def test_fixture_first(frozen_fixture, verification_server, enrolled_authenticator):
    assert pays(verification_server, enrolled_authenticator).startswith(DAY)

@freeze_time(DAY)
def test_live_server_under_a_plain_freeze(live_verification_server, enrolled_authenticator):
    assert pays(live_verification_server, enrolled_authenticator).startswith(DAY)

@freeze_time(DAY, real_asyncio=True)
def test_live_server_with_real_asyncio(live_verification_server, enrolled_authenticator):
    assert pays(live_verification_server, enrolled_authenticator).startswith(DAY)

@freeze_time(DAY)
def test_async(verification_server, enrolled_authenticator):
    import httpx2

    async def story():
        transport = verification_server.async_transport()
        async with httpx2.AsyncClient(transport=transport, base_url=verification_server.url) as http:
            health = await http.get("/_stub/health")
            return health.json()["now"]

    assert asyncio.run(story()).startswith(DAY)
    assert pays(verification_server, enrolled_authenticator).startswith(DAY)

@freeze_time(DAY)
def test_async_test_body(verification_server, enrolled_authenticator):
    async def body():
        return pays(verification_server, enrolled_authenticator)
    assert asyncio.run(body()).startswith(DAY)

@freeze_time(DAY)
def test_both_clocks_together(verification_server, enrolled_authenticator, simulator_clock):
    simulator_clock.advance(90)
    assert pays(verification_server, enrolled_authenticator).startswith("2026-01-31T00:01:30")

def test_and_after_all_of_it_the_time_is_the_machines(verification_server, enrolled_authenticator):
    assert pays(verification_server, enrolled_authenticator)[:4] == str(datetime.now(timezone.utc).year)
"""


def test_freezegun_in_every_way_users_write_it(run_pytest: Run) -> None:
    """traps 1 and 2; none needs an option, and none hangs."""
    ran = run_pytest(FREEZES)
    assert ran.code == 0, ran.text


def test_a_first_import_inside_a_freeze_poisons_nothing(run_pytest: Run) -> None:
    """traps 1: a library that first meets the frozen class keeps it."""
    ran = run_pytest(
        """
from freezegun import freeze_time

@freeze_time("2026-01-31")
def test_frozen():
    import authenticator.attest, authenticator.virtual, server_stub.testing

@freeze_time("2026-01-31")
def test_frozen_use(verification_server, enrolled_authenticator):
    enrolled_authenticator.pay()

def test_thawed(verification_server, enrolled_authenticator):
    enrolled_authenticator.pay(method="BIOMETRIC")
    verification_server.verdict().raise_for_refusal()
"""
    )
    assert ran.code == 0, ran.text


def test_ageing_is_not_undone_by_the_second_enrolment(run_pytest: Run) -> None:
    """RTS-9.3.b: a phone enrolled long ago is too old, also in frozen time."""
    ran = run_pytest(
        """
from freezegun import freeze_time

def test_advanced(verification_server, enrolled_authenticator, simulator_clock):
    simulator_clock.advance(181 * 86400)
    try:
        enrolled_authenticator.pay()
    except Exception:
        pass
    assert verification_server.verdict().first_failure.check == "attestation.age"

def test_moved(verification_server, enrolled_authenticator):
    with freeze_time("2026-01-31") as frozen:
        enrolled_authenticator.pay()
        frozen.move_to("2026-09-01")
        try:
            enrolled_authenticator.pay()
        except Exception:
            pass
        assert verification_server.verdict().first_failure.check == "attestation.age"
"""
    )
    assert ran.code == 0, ran.text


def test_parallel_runs_do_not_collide(run_pytest: Run) -> None:
    source = """
import pytest

@pytest.mark.parametrize("number", range(8))
def test_it(live_verification_server, verification_server, make_virtual_authenticator, number):
    for server in (live_verification_server, verification_server):
        phone = make_virtual_authenticator(server=server)
        phone.enrol()
        phone.pay()
"""
    ran = run_pytest(source, "-p", "xdist", "-n", "4")
    assert ran.code == 0, ran.text
    assert "8 passed" in ran.text


def test_at_weavr_the_phone_enrols_too(run_pytest: Run) -> None:
    ran = run_pytest(
        """
import pytest

@pytest.mark.stepup_dialect("weavr")
def test_it(verification_server, enrolled_authenticator):
    (enrolment,) = enrolled_authenticator.enrolments
    assert enrolment.dialect == "weavr"
    assert enrolled_authenticator.pending() == []

@pytest.mark.stepup_dialect("loginradius")
def test_no_phone_to_enrol(virtual_authenticator):
    assert virtual_authenticator.enrolments == []
"""
    )
    assert ran.code == 0, ran.text
