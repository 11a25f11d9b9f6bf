"""A verification server as a child process: for the demo and for `--with-server`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Final
from urllib.parse import urlsplit

from authenticator.errors import Unreachable, UsageError

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 6.0
_READY: Final = "Listening on "


@contextmanager
def running_server(*options: str) -> Iterator[str]:
    """The URL of a server started with these options of `stepup-server serve`; it ends with the block."""
    with tempfile.TemporaryFile("w+") as log:
        command = [sys.executable, "-m", "server_stub", "serve", *options]
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            yield _wait_until_ready(child, log)
        finally:
            _stop(child)


def server_at(url: str) -> AbstractContextManager[str]:
    """A server at this very address; `UsageError` where no server of ours could answer there."""
    parts = urlsplit(url)
    if parts.scheme != "http":
        raise UsageError(f"--server: a server can be started at an http:// address, not at {url}", field="--server")
    return running_server("--host", parts.hostname or "127.0.0.1", "--port", str(parts.port or 80))


def _wait_until_ready(child: subprocess.Popen[str], log: IO[str]) -> str:
    assert child.stdout is not None
    watchdog = threading.Timer(START_SECONDS, child.kill)
    watchdog.start()
    try:
        line = child.stdout.readline()
    finally:
        watchdog.cancel()
    if not line.startswith(_READY):
        child.wait()
        log.seek(0)
        said = log.read().strip().splitlines()
        raise Unreachable("server_not_started", f"The server did not start: {said[-1] if said else 'it said nothing'}")
    return line.removeprefix(_READY).strip()


def _stop(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()
