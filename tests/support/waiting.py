"""Waiting for what another process or thread does, and ports for servers that start later."""

from __future__ import annotations

import socket
from typing import Final

# How long a test waits before it says that something hangs. It says nothing about speed: a busy machine may need most of it.
PATIENCE_SECONDS: Final = 90.0


def reserved_port() -> int:
    """A port of the loopback address where nobody listens yet, and which the system gives to nobody else for a minute.

    A connection that was closed here holds the port back from those who ask for any port; who names it gets it (with SO_REUSEADDR,
    as servers set it).
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            connection, _ = listener.accept()
            connection.close()  # the side that closes first keeps the port in TIME_WAIT
    return port
