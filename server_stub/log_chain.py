"""The event log as a hash chain (RTS Art. 29): an entry that is removed, altered or moved afterwards is found, and named.

Each entry's hash covers the hash before it and every other member of the entry. The hashed form is sorted compact JSON by msgspec; for
what a log holds (ASCII member names, text, whole numbers, booleans, arrays, objects) it is byte for byte RFC 8785, at a hundredth of
the cost, so that any RFC 8785 tool can check a chain. Floats do not belong in a log.

A chain shows tampering by whoever cannot rewrite all that follows. Cutting off its end is seen only against a head and a count that were
kept elsewhere, where nothing else in the database speaks of what is gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from device_keys.encoding import FormatError

GENESIS: Final = "0" * 64
_encode: Final = msgspec.json.Encoder(order="sorted").encode


class LogDamaged(Exception):
    """What the log holds is not what was written: the message says which entry."""


class LogEntry(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
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


_decode: Final = msgspec.json.Decoder(LogEntry).decode


class ChainProblem(msgspec.Struct, frozen=True, rename="camel"):
    """The first entry at which a log does not hold.

    `problem`: altered, removed, reordered, truncated, added (before the first entry), index (the columns beside the entry say something
    else) or verdict (what is kept of the attempt is not what the log says of it).
    """

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


def read_entry(text: bytes | str) -> LogEntry | None:
    """The entry of its JSON text; None for every text but the one that was written: no other member, spelling or order."""
    try:
        entry = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return entry if msgspec.json.encode(entry) == (text.encode() if isinstance(text, str) else text) else None


class Kept(msgspec.Struct, frozen=True):
    """A log's head and number of entries, kept elsewhere at some time; None where only the other was kept."""

    head: str | None = None
    count: int | None = None


NOTHING_KEPT: Final = Kept()


class Chain(msgspec.Struct, frozen=True):
    """A log as read from its beginning: how many entries hold, the hash of the last of them, and what is wrong with the next."""

    count: int
    head: str
    problem: ChainProblem | None


def verify_log_pages(page: Callable[[int | None], bytes], kept: Kept = NOTHING_KEPT) -> Chain:
    """Follow a log from its beginning, page by page, so of any length.

    `page(after)`: a JSON array of the entries that follow number `after` (None: from the very first row), empty at the end. A log may have
    grown since `kept`; it must still hold that entry at that place. Raises FormatError where a page is no array.
    """
    head, count, met = GENESIS, 0, kept.head in (None, GENESIS) and kept.count in (None, 0)
    after: int | None = None
    while texts := _read_page(page(after)):
        present = {entry.seq for entry in map(read_entry, texts) if entry is not None}
        for text in texts:
            entry = read_entry(text)
            problem = _unreadable(count + 1) if entry is None else _problem(entry, head, count + 1, present)
            if problem is not None or entry is None:
                return Chain(count, head, problem)
            head, count = entry.hash, count + 1
            met = met or (kept.head in (None, head) and kept.count in (None, count))
        after = count
    return Chain(count, head, None if met else _cut(kept, count))


def _read_page(data: bytes) -> list[bytes]:
    try:
        return [bytes(text) for text in msgspec.json.decode(data, type=list[msgspec.Raw])]
    except msgspec.DecodeError as error:
        raise FormatError("log", f"an array of log entries ({error})") from error


def _unreadable(seq: int) -> ChainProblem:
    return ChainProblem(seq, "", "altered", f"entry {seq} is not a log entry as it was written")


def _cut(kept: Kept, count: int) -> ChainProblem:
    if kept.count is not None and kept.count > count:
        said = f"the log had {kept.count} entries and has {count}: entry {count + 1} and what followed it are missing"
        return ChainProblem(count + 1, "", "truncated", said)
    where = "no entry" if kept.count is None else f"entry {kept.count} no longer"
    said = f"{where} has the hash that was kept: the log was cut off there, or before, and written anew"
    return ChainProblem(kept.count or count + 1, "", "truncated", said)


def _problem(entry: LogEntry, head: str, seq: int, present: set[int]) -> ChainProblem | None:
    if entry.seq < 1:
        said = f"entry {entry.seq} ({entry.event}) was added: a log begins with entry 1"
        return ChainProblem(entry.seq, entry.event_id, "added", said)
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
