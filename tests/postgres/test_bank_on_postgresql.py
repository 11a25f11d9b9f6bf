"""The bank's requirements and limits (S0-1 to S0-15, RTS-4.1.*, RTS-4.3.*) once more, the server's state in PostgreSQL."""

from __future__ import annotations

from ..server.test_bank_limits import *  # noqa: F403
from ..server.test_bank_requirements import *  # noqa: F403
