"""`serve --workers N`: N processes over one listening socket and one database; a worker that dies is started again."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import socket
import sys
import time
from io import StringIO
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Final, TextIO

from server_stub.exits import Exit
from server_stub.serving import BACKLOG, SHUTDOWN_SECONDS, bind, build_server, run, set_up_logging, url_of

RESTART_SECONDS: Final = 0.5
READY_SECONDS: Final = 30.0


def serve_many(options: argparse.Namespace, out: TextIO) -> int:
    """Serve with several processes until SIGTERM or SIGINT."""
    # The parent opens the database once: a usage error is told once, the schema is migrated once.
    build_server(options).store.database.close()
    listener = bind(options.host, options.port)
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    return _Parent(options, listener, out).run()


class _Parent:
    def __init__(self, options: argparse.Namespace, listener: socket.socket, out: TextIO) -> None:
        # All but the command, a function that a new process need not be sent.
        self.options = argparse.Namespace(**{k: v for k, v in vars(options).items() if k != "command"})
        self.listener = listener
        self.out = out
        self.stopping = False
        self.context = multiprocessing.get_context("spawn")
        self.workers: list[BaseProcess] = []

    def run(self) -> int:
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, self._stop)
        self.workers = [self._start() for _ in range(self.options.workers)]
        if self._wait_until_ready():
            print(f"Listening on {url_of(self.options, self.listener)}", file=self.out, flush=True)
        while not self.stopping:
            self._replace_the_dead()
            time.sleep(RESTART_SECONDS)
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.join(SHUTDOWN_SECONDS + 1)
            if worker.is_alive():
                worker.kill()
        return Exit.DONE

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def _start(self) -> BaseProcess:
        worker = self.context.Process(target=_work, args=(self.options, self.listener, os.getpid()), daemon=True)
        worker.start()
        return worker

    def _wait_until_ready(self) -> bool:
        """Whether the server answers: any worker will do, since all share the socket."""
        from urllib.error import HTTPError, URLError
        from urllib.request import urlopen

        if self.options.tls or self.options.tls_cert:
            return True
        url = f"{url_of(self.options, self.listener)}/openapi.json"
        until = time.monotonic() + READY_SECONDS
        while not self.stopping and time.monotonic() < until:
            try:
                with urlopen(url, timeout=READY_SECONDS):  # noqa: S310 (our own address)
                    return True
            except (HTTPError, URLError, TimeoutError, ConnectionError):
                time.sleep(0.05)
        return False

    def _replace_the_dead(self) -> None:
        for index, worker in enumerate(self.workers):
            if not worker.is_alive():
                print(
                    f"stepup-server: worker {worker.pid} ended ({worker.exitcode}); starting another", file=sys.stderr
                )
                self.workers[index] = self._start()


def _work(options: argparse.Namespace, listener: socket.socket, parent: int) -> None:
    """One worker process; it ends with its parent."""
    import threading

    set_up_logging()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    run(build_server(options), options, listener, StringIO())
