"""Where the server's state is kept: SQLite or PostgreSQL, chosen by URL, behind one protocol.

`protocol` says what both offer; `statements` reads the SQL that both run, from `sql/`; `sqlite` and `postgresql` are the two.
"""

from __future__ import annotations

from typing import Final

from server_stub.database.protocol import Database

MEMORY: Final = "memory"


def open_database(url: str) -> Database:
    """Open (and migrate) the database at `url`: `memory`, a file path, `sqlite:///path` or `postgresql://…`."""
    if url.startswith(("postgresql://", "postgres://")):
        from server_stub.database.postgresql import PostgreSQL

        return PostgreSQL(url)
    from server_stub.database.sqlite import IN_MEMORY, SQLite

    return SQLite(IN_MEMORY if url == MEMORY else url.removeprefix("sqlite:///"))
