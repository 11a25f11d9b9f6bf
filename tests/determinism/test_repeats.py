"""Issue 8, point 2: under a fixed seed and clock a hundred step-ups give the same bytes in every process and version of Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.missing import skip_without

PROGRAM = Path(__file__).with_name("hundred_step_ups.py")
ROOT = PROGRAM.parents[2]
NEWER = ("3.14", "3.13", "3.12")
NEEDS = "import cryptography, httpx2, msgspec, nacl, platformdirs, rich, starlette, uvicorn, rfc8785, fido2"


def run(python: str, seed: str, count: int, log: Path, *, hash_seed: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed}
    command = [python, str(PROGRAM), seed, str(count), str(log)]
    return subprocess.Popen(
        command, cwd=log.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def result(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def first_difference(one: Path, other: Path) -> str:
    """Which answer differs first: what a digest alone does not tell."""
    pairs = zip(one.read_text().splitlines(), other.read_text().splitlines(), strict=False)
    return next(
        (f"answer {number}: {a} / {b}" for number, (a, b) in enumerate(pairs) if a != b), "only their number differs"
    )


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What this Python gives, and the log of its answers."""
    log = tmp_path_factory.mktemp("golden") / "this.log"
    return result(run(sys.executable, "golden", 100, log, hash_seed="1")), log


def test_a_hundred_step_ups_repeat_byte_for_byte_in_another_process(golden: tuple[str, Path], tmp_path: Path) -> None:
    log = tmp_path / "other.log"
    other = result(run(sys.executable, "golden", 100, log, hash_seed="2"))
    assert golden[0].endswith("90 payments\n"), golden[0]  # every tenth phone misbehaves and is refused
    assert other == golden[0], first_difference(golden[1], log)


def test_another_seed_gives_other_bytes(tmp_path: Path) -> None:
    one, other = (result(run(sys.executable, seed, 2, tmp_path / seed, hash_seed="0")) for seed in ("golden", "other"))
    assert one.split()[1:] == other.split()[1:]
    assert one.split()[0] != other.split()[0]


def other_python() -> str:
    """Another version of Python that has the simulator's dependencies; skips where there is none."""
    this = f"{sys.version_info.major}.{sys.version_info.minor}"
    given = os.environ.get("STEPUP_OTHER_PYTHON")
    found = [given] if given else [shutil.which(f"python{version}") for version in NEWER if version != this]
    for python in filter(None, found):
        if subprocess.run([python, "-c", NEEDS], capture_output=True, check=False).returncode == 0:
            return str(python)
    return skip_without(
        "another Python with the simulator's dependencies", "let STEPUP_OTHER_PYTHON name its executable"
    )


def test_the_same_bytes_under_another_version_of_python(golden: tuple[str, Path], tmp_path: Path) -> None:
    log = tmp_path / "other.log"
    other = result(run(other_python(), "golden", 100, log, hash_seed="0"))
    assert other == golden[0], first_difference(golden[1], log)
