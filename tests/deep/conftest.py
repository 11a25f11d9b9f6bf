"""Server processes and phones, as in `tests/server`."""

from __future__ import annotations

from ..server.conftest import live, live_phone  # noqa: F401  (fixtures)
