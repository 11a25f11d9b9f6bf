"""Runs pytest in a process of its own, with both plugins, whether or not their entry points are installed here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = ("-p", "authenticator.pytest_plugin", "-p", "server_stub.pytest_plugin")


@dataclass(frozen=True)
class Ran:
    """How a run of pytest ended, and what it said."""

    code: int
    text: str


@pytest.fixture
def run_pytest(tmp_path: Path) -> Callable[..., Ran]:
    """Write a test file and run it; no plugin is loaded but those that are named."""

    def run(source: str, *options: str, plugins: tuple[str, ...] = PLUGINS) -> Ran:
        (tmp_path / "test_users_own.py").write_text(source)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            "--strict-markers",
            "-p",
            "no:cacheprovider",
            *plugins,
            *options,
        ]
        # Of the plugins that happen to be installed here some take seconds to import; beside them ours run in test_from_the_wheel.
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
        return Ran(done.returncode, done.stdout + done.stderr)

    return run
