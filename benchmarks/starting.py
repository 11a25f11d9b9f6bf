"""Rows `server_start`, `server_memory`, `phone_start`: from spawn to the first answer or the first paint, and memory at rest."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.processes import PEERS, peer
from benchmarks.rounds import Row
from benchmarks.servers import bare, free_port, ours, serving

ROUNDS: Final = 7
SETTLE_SECONDS: Final = 1.5  # by then the rest is imported
PAINT_SECONDS: Final = 60.0
BARE: Final = "bare starlette + uvicorn"


def server_rows() -> tuple[Row, Row]:
    """`server_start` and `server_memory`, from the same starts. The first round warms the files and is not counted."""
    seconds: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        contestants = _contestants(Path(folder))
        for number in range(ROUNDS + 1):
            for name, (command, path) in list(contestants.items()):
                port = free_port()
                try:
                    with serving(command(port), port, path) as server:
                        time.sleep(SETTLE_SECONDS)
                        figures = server.start_seconds, server.resident_mib
                except (OSError, RuntimeError) as problem:
                    print(f"  {name} is left out: {problem}", file=sys.stderr)
                    del contestants[name]
                    continue
                if number:
                    seconds.setdefault(name, []).append(figures[0])
                    memory.setdefault(name, []).append(figures[1])
    start = _multiples(seconds)
    resident = _multiples(memory)
    return (
        Row(
            "server_start",
            f"{BARE}: cold start to the first 200",
            "lower",
            start.pop("ours"),
            1.6,
            _middle(start),
            "s",
            _middle(seconds),
        ),
        Row(
            "server_memory",
            f"{BARE}: resident at rest",
            "lower",
            resident.pop("ours"),
            1.7,
            _middle(resident),
            "MiB",
            _middle(memory),
        ),
    )


def _contestants(folder: Path) -> dict[str, tuple[Callable[[int], list[str]], str]]:
    """Name → how to start it on a port, and the path that answers 200. Ours: as `stepup-server serve` starts, on a file."""
    material = folder / "stack.json"
    material.write_text(
        f'{{"challenges": [], "credentialId": "a", "cose": "00", "database": "{folder / "stack.sqlite3"}"}}'
    )
    database = str(folder / "ours.sqlite3")
    found: dict[str, tuple[Callable[[int], list[str]], str]] = {
        "limit": (lambda port: bare("idle", port), "/"),
        "ours": (lambda port: ours(port, "--database", database), "/_stub/health"),
    }
    stack = peer("stack", "stack.py")
    if stack is not None:
        python = stack[0]
        found["moto"] = (lambda port: [python, "-m", "moto.server", "-p", str(port)], "/moto-api/")
        found["FastAPI + py_webauthn + SQLAlchemy"] = (lambda port: [*stack, str(port), str(material)], "/")
    return found


def phone_row() -> Row:
    """From spawn to the first paint in a terminal, of the phone's screen and of a Textual app that shows a line."""
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        commands = {
            "limit": [sys.executable, str(PEERS / "bare_textual.py")],
            "ours": [
                sys.executable,
                "-m",
                "authenticator",
                "--home",
                str(home),
                "--server",
                f"http://127.0.0.1:{free_port()}",
            ],
        }
        for number in range(ROUNDS + 1):
            for name, command in commands.items():
                took = first_paint(command, home)
                if number:
                    seconds.setdefault(name, []).append(took)
    ratios = _multiples(seconds)
    return Row(
        "phone_start",
        "a bare Textual app: spawn to first paint",
        "lower",
        ratios["ours"],
        1.5,
        {},
        "s",
        _middle(seconds),
    )


def first_paint(command: list[str], home: Path) -> float:
    """Seconds from spawn until the app has written a screenful to its terminal of 120 by 40."""
    shutil.rmtree(home, ignore_errors=True)
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "STEPUP_PHONE_SECRET": "bench"}
    master, slave = pty.openpty()
    _set_size(slave)
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    )
    os.close(slave)
    try:
        return _read_until_painted(master, process) - begun
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(master)


def _read_until_painted(master: int, process: subprocess.Popen[bytes]) -> float:
    """Painted: the cursor was placed and a screen's worth of cells written after the switch to the alternate screen."""
    seen = b""
    deadline = time.perf_counter() + PAINT_SECONDS
    while time.perf_counter() < deadline:
        if select.select([master], [], [], 0.05)[0]:
            try:
                seen += os.read(master, 1 << 16)
            except OSError:
                break
            _, switched, screen = seen.partition(b"\x1b[?1049h")
            if switched and len(screen) > 120 * 20:
                return time.perf_counter()
        elif process.poll() is not None:
            break
    raise RuntimeError(f"nothing was painted: {seen[-500:]!r}")


def _set_size(terminal: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))


def _multiples(values: dict[str, list[float]]) -> dict[str, tuple[float, ...]]:
    """Each contestant over the limit, round by round."""
    return {
        name: tuple(a / b for a, b in zip(figures, values["limit"], strict=False))
        for name, figures in values.items()
        if name != "limit"
    }


def _middle(values: dict[str, tuple[float, ...]] | dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(figures) for name, figures in values.items()}
