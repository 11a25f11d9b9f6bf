"""What our own test run promises: the same examples each time, seeds that repeat, one skip for each missing thing, no second chance."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """What a pytest of its own prints that has this suite's conftest and one test file."""

    def started(source: str, *options: str, **environment: str) -> str:
        (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
        (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    deep: long\naddopts = -m 'not deep'\n")
        (tmp_path / "test_it.py").write_text(source)
        plugins = ("-p", "hypothesispytest", "-p", "random_order", "-p", "xdist")
        command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *plugins, *options]
        inherited = {name: value for name, value in os.environ.items() if name not in ("CI", "STEPUP_VECTORS")}
        own = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            command, cwd=tmp_path, env=inherited | own | environment, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return started


DRAWS = """
import pytest
from hypothesis import given, settings, strategies as st

drawn = []

@given(st.integers())
@settings(max_examples=20)
def draw(number):
    drawn.append(number)

def draws():
    assert settings.default.deadline is None
    assert settings.default.database is None
    draw()
    with open("drawn", "a") as file:
        file.write(repr(drawn) + "\\n")
"""


@pytest.mark.parametrize("environment", [{}, {"CI": "true"}], ids=["by hand", "in CI"])
def test_the_ordinary_run_draws_the_same_examples_each_time(
    run: Run, tmp_path: Path, environment: dict[str, str]
) -> None:
    for _ in range(2):
        run(f"{DRAWS}\ndef test_it():\n    draws()\n", **environment)
    one, other = (tmp_path / "drawn").read_text().splitlines()
    assert one == other


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one process", "two workers"])
def test_the_deep_run_draws_others_and_its_printed_seed_repeats_them(
    run: Run, tmp_path: Path, workers: list[str]
) -> None:
    deep = f"{DRAWS}\n@pytest.mark.deep\ndef test_it():\n    draws()\n"
    said = run(deep, "-m", "deep", *workers)
    seed = re.search(r"^Random examples: to repeat them add (--hypothesis-seed=\d+)$", said, re.MULTILINE)
    assert seed is not None, said
    run(deep, "-m", "deep", seed[1], *workers)
    run(deep, "-m", "deep", *workers)
    first, again, other = (tmp_path / "drawn").read_text().splitlines()
    assert first == again != other


def test_a_random_order_is_off_until_asked_for_and_its_printed_seed_repeats_it(run: Run, tmp_path: Path) -> None:
    source = """
import pytest

@pytest.mark.parametrize("number", range(20))
def test_it(number):
    with open("order", "a") as file:
        file.write(f"{number} ")
"""

    def order(*options: str) -> tuple[str, str]:
        (tmp_path / "order").unlink(missing_ok=True)
        said = run(source, *options)
        return (tmp_path / "order").read_text(), said

    filed = " ".join(map(str, range(20))) + " "
    assert order()[0] == filed
    shuffled, said = order("--random-order")
    assert shuffled != filed
    seed = re.search(r"^Random order: to repeat it add (--random-order-seed=\d+)$", said, re.MULTILINE)
    assert seed is not None, said
    assert order(seed[1])[0] == shuffled


def test_a_missing_folder_is_one_skip_and_the_last_line_says_how_to_get_it(run: Run) -> None:
    source = """
import pytest

@pytest.mark.parametrize("number", range(20))
def test_it(vectors, number):
    assert False, "not run"

def test_other():
    pass
"""
    for workers in ((), ("-n", "2")):
        said = run(source, *workers)
        assert "1 passed, 1 skipped" in said
        assert said.count("SKIPPED [1] ") == 1
        line = "Missing here, so not tested: the folder of outside vectors (20 tests): let STEPUP_VECTORS name it"
        assert sum(line in one for one in said.splitlines()) == 1, said


def test_where_the_folder_is_every_test_of_it_runs_and_nothing_is_said_to_be_missing(run: Run, tmp_path: Path) -> None:
    source = "import pytest\n@pytest.mark.parametrize('n', range(3))\ndef test_it(vectors, n):\n    assert vectors.is_dir()\n"
    said = run(source, STEPUP_VECTORS=str(tmp_path))
    assert "3 passed" in said
    assert "Missing here" not in said


def test_what_is_found_missing_while_a_test_runs_is_in_the_last_line_too(run: Run) -> None:
    source = """
from tests.support.missing import skip_without

def test_it():
    skip_without("a moon", "look\\nup")
"""
    assert "Missing here, so not tested: a moon (1 test): look up." in run(source).splitlines()


def test_the_reviewers_run_gives_no_second_chance() -> None:
    commands = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if not line.startswith("#")]
    assert "set -euo pipefail" in commands
    assert [line for line in commands if line.startswith("make ")] == ["make lint", "make test"]
    assert not any("--last-failed" in line or "||" in line for line in commands)
