"""Who may use the operator's routes (`/_stub`, the inbox): programs on this machine, or the bearer of `--token`.

A web page on the developer's machine must not: requests from another origin, and requests under a host name that merely resolves to
loopback (DNS rebinding), are refused.
"""

from __future__ import annotations

import hmac
from typing import Final
from urllib.parse import urlsplit

from server_stub.http import Call
from server_stub.own_routes import refuse
from server_stub.server import Server

LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1", "testserver"})


def check_operator(server: Server, call: Call) -> None:
    """Refuse with 401 or 403 whoever is not the operator."""
    token = server.settings.token
    if token is not None and not hmac.compare_digest(token.encode(), (call.bearer or "").encode()):
        raise refuse(401, "token", "Authorization: expected the bearer token given to serve --token")
    if token is None and host_name(call.headers.get("host", "localhost")) not in LOOPBACK_HOSTS:
        raise refuse(403, "host", "Host: expected a loopback name; elsewhere serve with --token")
    origin = call.headers.get("origin")
    if origin is not None and host_name(origin.partition("://")[2]) not in LOOPBACK_HOSTS:
        raise refuse(403, "origin", "Origin: web pages of other origins may not use this route")
    if call.headers.get("sec-fetch-site", "none") == "cross-site":
        raise refuse(403, "origin", "Sec-Fetch-Site: web pages of other origins may not use this route")


def host_name(host: str) -> str:
    """The name in a Host header, without its port; empty where it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:  # as in "[::1"
        return ""
