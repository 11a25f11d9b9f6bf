"""The event log as a hash chain (RTS Art. 29): an entry that is removed, altered or moved afterwards is found, and named.

Each entry's hash covers the hash before it and every other member of the entry. The hashed form is sorted compact JSON by msgspec; for
what a log holds (ASCII member names, text, whole numbers, booleans, arrays, objects) it is byte for byte RFC 8785, at a hundredth of
the cost, so that any RFC 8785 tool can check a chain. Floats do not belong in a log.

A chain shows tampering by whoever cannot rewrite all that follows. Cutting off its end is seen only against a hash kept elsewhere: pass
the number of entries and the last hash that are expected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from device_keys.encoding import FormatError

GENESIS: Final = "0" * 64
_encode: Final = msgspec.json.Encoder(order="sorted").encode


class LogEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One event. `at` is RFC 3339 UTC of fixed width; `previous` and `hash` are SHA-256 in hex; `user` is the user's reference."""

    seq: int
    at: str
    clock_id: str
    event: str
    event_id: str
    dialect: str
    user: str
    session: str
    transaction: str
    fields: dict[str, Any]
    previous: str
    hash: str = ""


class ChainProblem(msgspec.Struct, frozen=True, rename="camel"):
    """The first entry at which a chain does not hold. `problem`: altered, removed, reordered or truncated."""

    seq: int
    event_id: str
    problem: str
    explanation: str

    def to_json(self) -> dict[str, Any]:
        """`{"seq", "eventId", "problem", "explanation"}`."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document


def append_entry(
    previous: str,
    *,
    seq: int,
    at: str,
    clock_id: str,
    event: str,
    dialect: str,
    user: str,
    session: str,
    transaction: str,
    fields: dict[str, Any],
) -> LogEntry:
    """The entry that follows the one whose hash is `previous`; its event id is derived from its place, so it repeats with a seed."""
    event_id = hashlib.sha256(f"event {seq} {previous}".encode()).hexdigest()[:32]
    named = (seq, at, clock_id, event, event_id, dialect, user, session, transaction, fields, previous)
    return LogEntry(*named, hash=_hash(*named))


def entry_hash(entry: LogEntry) -> str:
    """SHA-256 (hex) over the previous hash and the canonical JSON of the rest of the entry, its own hash left out."""
    return _hash(
        entry.seq, entry.at, entry.clock_id, entry.event, entry.event_id, entry.dialect, entry.user, entry.session,
        entry.transaction, entry.fields, entry.previous,
    )  # fmt: skip


def _hash(
    seq: int, at: str, clock_id: str, event: str, event_id: str, dialect: str, user: str, session: str, transaction: str,
    fields: dict[str, Any], previous: str,
) -> str:  # fmt: skip
    rest = {
        "at": at, "clockId": clock_id, "dialect": dialect, "event": event, "eventId": event_id, "fields": fields, "seq": seq,
        "session": session, "transaction": transaction, "user": user,
    }  # fmt: skip
    return hashlib.sha256(previous.encode() + _encode(rest)).hexdigest()


def verify_chain(
    entries: Iterable[LogEntry],
    *,
    start: str = GENESIS,
    first_seq: int = 1,
    expected_count: int | None = None,
    expected_head: str | None = None,
) -> ChainProblem | None:
    """None where every entry follows the one before it; otherwise the first removed, altered or reordered entry, by name.

    `start` is the hash before the first entry; `expected_count` and `expected_head` (kept elsewhere) show a cut-off end.
    """
    ordered = list(entries)
    present = {entry.seq for entry in ordered}
    head, seq = start, first_seq
    for entry in ordered:
        problem = _problem(entry, head, seq, present)
        if problem is not None:
            return problem
        head, seq = entry.hash, seq + 1
    count = seq - first_seq
    if (expected_count is not None and count != expected_count) or (
        expected_head is not None and head != expected_head
    ):
        return ChainProblem(
            seq, "", "truncated", f"entry {seq} and what followed it are missing from the end of the log"
        )
    return None


def verify_log_pages(page: Callable[[int], bytes]) -> tuple[int, ChainProblem | None]:
    """How many entries a log has, and the first at which its chain does not hold; read page by page, so of any length.

    `page(after)`: a JSON array of the entries that follow number `after`, empty at the end. Raises FormatError for anything else.
    """
    head, after = GENESIS, 0
    while entries := _read_page(page(after)):
        problem = verify_chain(entries, start=head, first_seq=after + 1)
        if problem is not None:
            return after, problem
        head, after = entries[-1].hash, entries[-1].seq
    return after, None


def _read_page(data: bytes) -> list[LogEntry]:
    try:
        return msgspec.json.decode(data, type=list[LogEntry])
    except msgspec.DecodeError as error:
        raise FormatError("log", f"an array of log entries ({error})") from error


def _problem(entry: LogEntry, head: str, seq: int, present: set[int]) -> ChainProblem | None:
    if entry.seq != seq:
        if seq in present:
            said = f"entry {entry.seq} ({entry.event}) stands where entry {seq} belongs"
            return ChainProblem(entry.seq, entry.event_id, "reordered", said)
        said = f"entry {seq} is missing: entry {entry.seq} ({entry.event}) stands in its place"
        return ChainProblem(seq, "", "removed", said)
    if entry_hash(entry) != entry.hash:
        said = f"entry {seq} ({entry.event}) does not have the hash that was kept with it"
        return ChainProblem(seq, entry.event_id, "altered", said)
    if entry.previous != head:
        said = f"entry {seq} ({entry.event}) does not follow the entry before it"
        return ChainProblem(seq, entry.event_id, "altered", said)
    return None
