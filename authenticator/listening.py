"""Running an ASGI app of the phone's side: bind, announce, serve until told to stop."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Any, Final

from authenticator.errors import Unreachable

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from authenticator.output import Output

SHUTDOWN_SECONDS: Final = 2


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks one. `Unreachable` where the address is taken or not this machine's."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise Unreachable("address", f"Cannot listen on {host} port {port}: {error}") from error
    return listener


def serve(app: ASGIApp, listener: socket.socket, output: Output, *, tls_host: str | None = None) -> None:
    """Serve until SIGINT or SIGTERM; `Listening on URL` is the one line on stdout. `tls_host`: by TLS, under the local test CA."""
    import uvicorn

    host, port = listener.getsockname()[:2]
    url = f"http{'s' if tls_host else ''}://{f'[{host}]' if ':' in host else host}:{port}"

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                output.result({"url": url}, f"Listening on {url}")

    # An answer cut short upstream is cut short here, which uvicorn would call an error of ours.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, date_header=False, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS, ws="none", lifespan="on", **_tls(tls_host),
    )  # fmt: skip
    Announcing(config).run(sockets=[listener])


def _tls(host: str | None) -> dict[str, Any]:
    if host is None:
        return {}
    from device_keys.local_ca import certificate_for

    chain, key = certificate_for(host)
    return {"ssl_certfile": str(chain), "ssl_keyfile": str(key)}
