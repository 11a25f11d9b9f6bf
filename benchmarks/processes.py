"""Contestants in processes of their own: peers with their own interpreter and packages, and servers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PEERS = FOLDER / "peers"
INSTALLED = Path(os.environ.get("STEPUP_BENCH_PEERS") or FOLDER / ".peers")


class External:
    """A program that reads a line of JSON with its material, then counts, and answers each with the processor seconds it spent."""

    def __init__(self, command: list[str], material: Any) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._tell(json.dumps(material))
        if self._hear() != "ready":
            raise RuntimeError(f"{command} did not start")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def run(self, count: int) -> float:
        self._tell(str(count))
        return float(self._hear())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def externals(commands: dict[str, list[str] | None], material: dict[str, Any]) -> Iterator[dict[str, External]]:
    """Those of the programs that start; the others are left out, and stderr says so."""
    running: dict[str, External] = {}
    try:
        for name, command in commands.items():
            if command is None:
                continue
            try:
                running[name] = External(command, material)
            except (OSError, RuntimeError, ValueError) as problem:
                print(f"  {name} is left out: {problem}", file=sys.stderr)
        yield running
    finally:
        for external in running.values():
            external.close()


# --- peers and what they are installed into -----------------------------------------------------------------------------


def python_of(name: str) -> str | None:
    """The interpreter of the environment `name` with the packages of `requirements-NAME.txt`; None where it cannot be made."""
    folder = INSTALLED / name
    python = folder / "bin" / "python"
    requirements = FOLDER / f"requirements-{name}.txt"
    mark = folder / ".installed"
    if mark.is_file() and mark.read_text() == requirements.read_text():
        return str(python)
    print(f"  installing {requirements.name}", file=sys.stderr)
    try:
        venv.create(folder, with_pip=True, clear=True)
        command = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
            str(requirements),
        ]
        subprocess.run(command, check=True, timeout=600, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as problem:
        print(f"  left out, {requirements.name} cannot be installed: {problem}", file=sys.stderr)
        return None
    mark.write_text(requirements.read_text())
    return str(python)


def peer(environment: str, script: str, *arguments: str) -> list[str] | None:
    """The command that runs a peer's script under its own interpreter."""
    python = python_of(environment)
    return None if python is None else [python, str(PEERS / script), *arguments]


def node(script: str, *arguments: str) -> list[str] | None:
    """The command that runs a peer's script under Node.js, with the packages of `peers/package.json`; None where that cannot be."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        print("  Node.js and npm are not here: their peers are left out", file=sys.stderr)
        return None
    folder = INSTALLED / "node"
    wanted = (PEERS / "package.json").read_text()
    package = folder / "package.json"
    if not (folder / "node_modules").is_dir() or package.read_text() != wanted:
        print("  installing peers/package.json", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        package.write_text(wanted)
        install = ["npm", "install", "--no-audit", "--no-fund", "--silent"]
        try:
            subprocess.run(
                install, cwd=folder, check=True, timeout=300, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        except (OSError, subprocess.SubprocessError) as problem:
            print(f"  left out, npm cannot install: {problem}", file=sys.stderr)
            return None
    shutil.copy(PEERS / script, folder / script)  # so that its imports are found beside it
    return ["node", str(folder / script), *arguments]
