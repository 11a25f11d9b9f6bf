"""The examples run as a user runs them: as programs, over real sockets (issue 2, point 2; issue 8, points 3 and 4)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """This checkout's packages, and a `stepup-phone` on PATH that runs them."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "stepup-phone"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m authenticator "$@"\n')
    command.chmod(0o755)
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "STEPUP_PHONE_SECRET": "c2VjcmV0" * 6,
    }


@contextmanager
def running(environment: dict[str, str], folder: Path, module: str, *arguments: str) -> Iterator[str]:
    """The URL of a command that says where it listens."""
    with (folder / f"{module}.log").open("w") as log:
        command = [sys.executable, "-m", module, *arguments]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("Listening on "), (folder / f"{module}.log").read_text()
            yield line.removeprefix("Listening on ").strip()
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)
            process.stdout.close()


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("dialect", ["all", "bank"])
def test_s0_a_client_of_curl_alone_pays(environment: dict[str, str], tmp_path: Path, dialect: str, curl: str) -> None:
    """S0-5 to S0-15 by a shell script that knows the bank's page, and `approve --sign-only`; the second replay is refused (S0-9)."""
    options = ("serve", "--port", "0", "--database", "memory", "--dialect", dialect)
    prefix = {} if dialect == "all" else {"PREFIX": ""}
    with running(environment, tmp_path, "server_stub", *options) as url:
        done = run(["sh", str(EXAMPLES / "pay_with_curl.sh"), url], environment | prefix)
    steps = [line.split()[0] for line in done.stdout.splitlines() if line[0].isdigit()]
    assert steps == ["200", "403", "200", "201", "403"]
    assert "10.00 GBP" in done.stdout  # what the phone showed


def test_the_suite_in_javascript_drives_phone_clock_and_faults_through_the_control_api(
    environment: dict[str, str], tmp_path: Path, node: str
) -> None:
    source = (EXAMPLES / "bank_client.test.mjs").read_text()
    assert "_stub" not in source
    assert "/device/v1" not in source
    with (
        running(environment, tmp_path, "server_stub", "serve", "--port", "0", "--database", "memory") as server,
        running(environment, tmp_path, "authenticator", "control", "--port", "0", "--server", server) as control,
    ):
        urls = {"BANK": f"{server}/bank/v1", "CONTROL": control}
        done = run([node, "--test", str(EXAMPLES / "bank_client.test.mjs")], environment | urls)
    assert "fail 0" in done.stdout
    assert "pass 9" in done.stdout


def test_the_suite_in_pytest_passes(environment: dict[str, str], tmp_path: Path) -> None:
    """Beside this project's configuration, as a project of its own."""
    copy = tmp_path / "test_bank_client.py"
    copy.write_text((EXAMPLES / "test_bank_client.py").read_text())
    plugins = ["-p", "authenticator.pytest_plugin", "-p", "server_stub.pytest_plugin"]
    options = ["-q", "-W", "error", "--strict-markers", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(copy)]
    alone = environment | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = run([sys.executable, "-m", "pytest", *plugins, *options], alone)
    assert "14 passed" in done.stdout
