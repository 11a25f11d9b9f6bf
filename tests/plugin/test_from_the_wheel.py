"""Issue 8, point 1: a project outside the repository, with only the built wheel installed, under freezegun and with `-n 4`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.missing import skip_without

ROOT = Path(__file__).parents[2]
FIXTURES = (
    "virtual_authenticator", "make_virtual_authenticator", "enrolled_authenticator", "verification_server", "live_verification_server",
    "simulator_clock",
)  # fmt: skip
MARKERS = ("stepup_profile", "stepup_fault", "stepup_policy", "stepup_dialect", "stepup_clock", "stepup_seed")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what belongs to it."""
    for tool in ("build", "hatchling"):
        if subprocess.run([sys.executable, "-c", f"import {tool}"], capture_output=True, check=False).returncode:
            skip_without(tool, "install the dependency group `test`")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("authenticator", "device_keys", "server_stub"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it; the third-party packages are this environment's, so that no registry is asked."""
    folder = tmp_path_factory.mktemp("project-venv")
    venv.create(folder, with_pip=False)
    site = next((folder / "lib").glob("python*")) / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    ours = [path for path in sys.path if path.endswith("site-packages")]
    # Not by site.addsitedir: an editable install there would bring the checkout in.
    (site / "third_party.pth").write_text("\n".join(ours) + "\n")
    return folder / "bin" / "python"


def run(python: Path, folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
    # These two come with this environment, not with the project, and take seconds of each of its processes.
    unwanted = ["-p", "no:schemathesis", "-p", "no:hypothesispytest"]
    command = [str(python), "-m", "pytest", "-q", "-W", "error", "--strict-markers", *unwanted, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_declares_a_plugin_for_each_side(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        text = archive.read(name).decode()
    assert "[pytest11]" in text
    assert "stepup_phone = authenticator.pytest_plugin" in text
    assert "stepup_server = server_stub.pytest_plugin" in text


@pytest.mark.parametrize("parallel", [(), ("-n", "4")])
def test_a_project_of_its_own_passes_with_every_fixture_and_marker(
    python: Path, tmp_path: Path, parallel: tuple[str, ...]
) -> None:
    source = (ROOT / "examples" / "test_bank_client.py").read_text()
    for name in (*FIXTURES, *MARKERS, "freeze_time"):
        assert name in source, f"the sample project does not use {name}"
    (tmp_path / "test_bank_client.py").write_text(source)
    (tmp_path / "test_where.py").write_text(
        "import authenticator, server_stub, sys\n"
        "def test_from_the_wheel():\n"
        "    for package in (authenticator, server_stub):\n"
        "        assert package.__file__.startswith(sys.prefix), package.__file__\n"
    )
    assert "15 passed" in run(python, tmp_path, *parallel)
