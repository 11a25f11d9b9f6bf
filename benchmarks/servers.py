"""Servers in processes of their own, and a client that costs them nothing: raw requests over kept connections."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.processes import PEERS

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def bare(what: str, port: int, *arguments: str) -> list[str]:
    """The limit's command: starlette and uvicorn in this interpreter."""
    return [sys.executable, str(PEERS / "bare.py"), what, str(port), *arguments]


def ours(port: int, *options: str) -> list[str]:
    return [sys.executable, "-m", "server_stub", "serve", "--port", str(port), *options]


@contextmanager
def serving(command: Sequence[str], port: int, path: str = "/", *, core: int | None = None) -> Iterator[Process]:
    """The server, from its first 200 at `path` on; `core` pins it to one."""
    server = Process(command, port, path, core=core)
    try:
        yield server
    finally:
        server.stop()


class Process:
    """A started server. `start_seconds`: from spawn to the first answer with status 200."""

    def __init__(self, command: Sequence[str], port: int, path: str, *, core: int | None = None) -> None:
        self.port = port
        environment = {**os.environ, "STEPUP_LOG_LEVEL": "error", "PYTHONDONTWRITEBYTECODE": ""}
        begun = time.perf_counter()
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, start_new_session=True
        )
        if core is not None:
            os.sched_setaffinity(self._process.pid, {core})
        try:
            self._wait(path, begun)
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.perf_counter() - begun

    def _wait(self, path: str, begun: float) -> None:
        request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
        while time.perf_counter() - begun < START_SECONDS:
            if self._process.poll() is not None:
                raise RuntimeError(f"ended with {self._process.returncode} before it answered")
            try:
                with socket.create_connection((HOST, self.port), timeout=5) as connection:
                    connection.sendall(request)
                    if b" 200 " in connection.recv(4096).split(b"\r\n", 1)[0]:
                        return
            except OSError:
                pass
            time.sleep(0.002)
        raise RuntimeError("did not answer in time")

    @property
    def resident_mib(self) -> float:
        """Resident memory of the process and its children."""
        return sum(_resident(pid) for pid in _family(self._process.pid)) / 1024

    @property
    def processor_seconds(self) -> float:
        """Processor time spent so far by the server's process, in user and system mode."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def _family(pid: int) -> list[int]:
    found = [pid]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += _family(int(child))
    return found


class Client:
    """Kept connections to one server; each carries a queue of prepared requests, one at a time."""

    def __init__(self, port: int, connections: int) -> None:
        self._port = port
        self._sockets: list[socket.socket | None] = [None] * connections

    def _ready(self) -> list[socket.socket]:
        """The connections, opened again where the server ended an idle one."""
        self._sockets = [
            one if one is not None and not _hung_up(one) else _connect(self._port) for one in self._sockets
        ]
        return [one for one in self._sockets if one is not None]

    def send_all(self, requests: Sequence[bytes]) -> float:
        """Send request i on connection i modulo their number; the seconds until all were answered with 200."""
        connections = self._ready()
        begun = time.perf_counter()
        for start in range(0, len(requests), len(connections)):
            batch = requests[start : start + len(connections)]
            for connection, request in zip(connections, batch, strict=False):
                connection.sendall(request)
            for connection, _ in zip(connections, batch, strict=False):
                _must_be_200(_read_answer(connection))
        return time.perf_counter() - begun

    def close(self) -> None:
        for connection in self._sockets:
            if connection is not None:
                connection.close()


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection((HOST, port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _hung_up(connection: socket.socket) -> bool:
    """Whether an idle connection has something to read, which can only be its end."""
    if not select.select([connection], [], [], 0)[0]:
        return False
    connection.close()
    return True


def _read_answer(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    while len(body) < size:
        body += _more(connection)
    return head + b"\r\n\r\n" + body


def _more(connection: socket.socket) -> bytes:
    part = connection.recv(65536)
    if not part:
        raise RuntimeError("the server hung up")
    return part


def _must_be_200(answer: bytes) -> None:
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"refused: {answer[:300]!r}")


def post(path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """The bytes of a POST of JSON."""
    lines = {"Host": HOST, "Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body
