"""Server processes and phones, as in `tests/server`."""

from __future__ import annotations

from ..server.conftest import bank, handset, live, live_phone, make_phone, make_server, server  # noqa: F401  (fixtures)
