"""`stepup-phone demo`: the main job with no set-up, as a process of its own (issue 2; DESIGN section 2)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE_SECONDS


def run_demo(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "authenticator", "demo", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)},
    )


def test_the_demo_as_json_is_the_contracts_document(tmp_path: Path) -> None:
    ran = run_demo(tmp_path, "--json")
    assert ran.returncode == 0, ran.stderr
    story = json.loads(ran.stdout)
    assert list(story) == ["steps", "transactions", "ok"]
    assert story["ok"] is True
    assert [entry["verdict"]["accepted"] for entry in story["transactions"]] == [True, True]
    assert [entry["verdict"]["transactionId"] for entry in story["transactions"]] == [
        entry["transactionId"] for entry in story["transactions"]
    ]
    elements = [{e["category"] for e in entry["verdict"]["elements"]} for entry in story["transactions"]]
    assert elements == [{"knowledge", "possession"}, {"possession", "inherence"}]
    assert "111234" not in ran.stdout
    assert not list(tmp_path.iterdir()), "the demo leaves nothing behind"


def test_the_demo_tells_the_story_with_the_403_in_full(tmp_path: Path) -> None:
    """S0-5, S0-7, S0-9: readable by someone who has never heard of SCA."""
    ran = run_demo(tmp_path)
    assert ran.returncode == 0, ran.stderr
    for words in (
        "strong customer authentication",
        '"code": "403.000.51"',
        '"requestPayload": {}',
        "10.00 GBP",
        "challenge",
        "two-factor pass",
        "Paid: 201",
    ):
        assert words in ran.stdout
    assert max(len(line) for line in ran.stdout.splitlines()) <= 100


def test_without_the_server_package_the_demo_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "shadow"))
    (tmp_path / "shadow" / "server_stub").mkdir(parents=True)
    (tmp_path / "shadow" / "server_stub" / "__init__.py").touch()
    (tmp_path / "shadow" / "server_stub" / "__main__.py").write_text("raise SystemExit('broken on purpose')")
    ran = subprocess.run(
        [sys.executable, "-m", "authenticator", "demo", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        cwd=tmp_path / "shadow",
        env={**os.environ, "PYTHONPATH": f"{tmp_path / 'shadow'}{os.pathsep}{Path(__file__).parents[2]}"},
    )
    assert ran.returncode == 3
    error = json.loads(ran.stdout)["error"]
    assert (error["code"], "broken on purpose" in error["message"]) == ("server_not_started", True)
