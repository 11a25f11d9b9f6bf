"""PostgreSQL for the properties' smaller number of stories, and what both kinds of run share."""

from __future__ import annotations

from ..postgres.conftest import cluster, shared_database  # noqa: F401  (fixtures)
