"""`stepup-phone control` as a process: it announces itself, serves events, and ends when told to, streams open or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.control.conftest import ROOT
from tests.support.http import open_http
from tests.support.waiting import PATIENCE_SECONDS


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"STEPUP_PHONE_SECRET": "c2VjcmV0" * 6}
    command = [
        sys.executable,
        "-m",
        "authenticator",
        "control",
        "--port",
        "0",
        "--server",
        "http://127.0.0.1:9",
        *arguments,
    ]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    started = start(tmp_path)
    yield started
    if started.poll() is None:
        started.kill()
    started.communicate()


def test_events_are_streamed_and_sigterm_ends_it_within_five_seconds(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Listening on http://127.0.0.1:")
    url = line.removeprefix("Listening on ").strip()
    with open_http(url) as http, http.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry:")
        name = http.post(ROOT, json={}).json()["value"]
        seen = [next(lines) for _ in range(6)]
        assert "event: added" in seen
        assert any(name in line for line in seen)
        process.terminate()
        assert process.wait(5) is not None
    out, err = process.communicate()
    assert out == ""
    assert "Traceback" not in err


def test_its_phones_go_with_it_unless_they_have_a_home(tmp_path: Path) -> None:
    process = start(tmp_path, "--home", str(tmp_path / "home"), "--json")
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["url"]
    with open_http(url) as http:
        name = http.post(ROOT, json={}).json()["value"]
        http.put(f"{ROOT}/{name}/clock", json={"skewSeconds": 1})
    process.terminate()
    process.communicate(timeout=PATIENCE_SECONDS)
    again = start(tmp_path, "--home", str(tmp_path / "home"), "--json")
    assert again.stdout is not None
    url = json.loads(again.stdout.readline())["url"]
    with open_http(url) as http:
        (phone,) = http.get(ROOT).json()["value"]
    again.terminate()
    again.communicate(timeout=PATIENCE_SECONDS)
    assert (phone["authenticatorId"], phone["skewSeconds"]) == (name, 1.0)


def test_another_address_than_loopback_demands_a_token(tmp_path: Path) -> None:
    process = start(tmp_path, "--host", "0.0.0.0", "--json")
    out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 2
    assert json.loads(out)["error"]["field"] == "--host"
