"""What only a dialect understands: payment runs, factors, push requests, as JSON by kind and id."""

from __future__ import annotations

from typing import Any

import msgspec

from server_stub.tables.columns import json_text
from server_stub.tables.unit import Unit


class Documents(Unit):
    """Free documents of the dialects."""

    def record(self, kind: str, record_id: str) -> dict[str, Any] | None:
        row = self.sql.one("get_record", kind=kind, id=record_id)
        return None if row is None else msgspec.json.decode(row[2])

    def records(self, kind: str, owner: str) -> list[dict[str, Any]]:
        """Oldest first."""
        return [msgspec.json.decode(row[2]) for row in self.sql.all("records_of_owner", kind=kind, owner=owner)]

    def put_record(self, kind: str, record_id: str, owner: str, document: dict[str, Any]) -> None:
        self.sql.run(
            "put_record", kind=kind, id=record_id, owner=owner, seq=self.next_seq(), document=json_text(document)
        )

    def trim_records(self, kind: str, owner: str, most: int) -> None:
        """Keep the newest; a hundred of the others go at a time."""
        self.sql.run("trim_records", kind=kind, owner=owner, most=most)

    def delete_record(self, kind: str, record_id: str) -> None:
        self.sql.run("delete_record", kind=kind, id=record_id)
