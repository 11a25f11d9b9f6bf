"""The SQL that both databases run: the named statements of `sql/queries.sql`, and the schema's steps in `sql/migrations`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

SQL_FOLDER: Final = Path(__file__).parent / "sql"


@cache
def load_queries() -> Mapping[str, str]:
    """The statements of `queries.sql`, by name, with placeholders such as `:name`."""
    text = (SQL_FOLDER / "queries.sql").read_text(encoding="utf-8")
    blocks = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    return {name: body.strip().rstrip(";") for name, body in zip(blocks[::2], blocks[1::2], strict=True)}


def migrations() -> list[tuple[int, str]]:
    """The schema's steps in order: (version, script)."""
    return [
        (int(path.name[:4]), path.read_text(encoding="utf-8"))
        for path in sorted((SQL_FOLDER / "migrations").glob("*.sql"))
    ]
