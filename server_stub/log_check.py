"""What only the server can hold against its log: the columns beside each entry, and what is kept of each attempt.

A remote reader of the log sees entries alone, and follows their chain by itself (`log_chain.verify_log_pages`). Whether the table's columns
say the same, and whether the stored verdicts are those that the log tells of, it must ask this server; the answer is the server's word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from server_stub.log_chain import ChainProblem, LogEntry, read_entry
from server_stub.verdicts import decision_end

if TYPE_CHECKING:
    from server_stub.database.protocol import Row
    from server_stub.store import UnitOfWork

_FIRST: Final = -(2**63)


class Checked(msgspec.Struct, frozen=True, omit_defaults=True):
    """One page's answer. `last`: the number of its last row, None after the end. `attempts`: how many attempts its entries tell of.

    `verdicts`, at the end only: how many attempts the database keeps.
    """

    last: int | None
    attempts: int = 0
    problem: ChainProblem | None = None
    verdicts: int | None = None


def check_page(unit: UnitOfWork, after: int | None, most: int) -> Checked:
    """Hold the rows after a number (None: from the very first) against their entries and the stored verdicts."""
    rows = unit.sql.all("log_rows_after", after=_FIRST if after is None else after, most=most)
    if not rows:
        return _end(unit, after or 0)
    attempts = 0
    for row in rows:
        entry = read_entry(row[1])
        if entry is None:
            return _found(row, attempts, "altered", "", "is not a log entry as it was written")
        if other := _other_columns(row, entry):
            return _found(row, attempts, "index", entry.event_id, f"has another {' and '.join(other)} beside it")
        if entry.event == "sca_attempt" and "attempt" in entry.fields:
            attempts += 1
            if said := _other_verdict(unit, entry):
                return _found(row, attempts, "verdict", entry.event_id, said)
    return Checked(rows[-1][0], attempts)


def _found(row: Row, attempts: int, problem: str, event_id: str, said: str) -> Checked:
    return Checked(row[0], attempts, ChainProblem(row[0], event_id, problem, f"entry {row[0]} {said}"))


def _other_columns(row: Row, entry: LogEntry) -> list[str]:
    columns: dict[str, Any] = dict(
        zip(("seq", "at", "event", "dialect", "user", "session", "transaction"), (row[0], *row[2:]), strict=True)
    )
    return [name for name, value in columns.items() if value != getattr(entry, name)]


def _other_verdict(unit: UnitOfWork, entry: LogEntry) -> str:
    """How what is kept of this attempt differs from what the log says of it; empty where it does not."""
    attempt = entry.fields["attempt"]
    row = unit.sql.one("verdict_of_attempt", transaction=entry.transaction, attempt=attempt)
    if row is None:
        return f"tells of attempt {attempt}, of which no verdict is kept"
    accepted, log_seq, findings = row
    if bool(accepted) != (entry.fields.get("outcome") == "accepted"):
        return f"says {entry.fields.get('outcome')} of attempt {attempt}; the verdict that is kept says otherwise"
    if _failed(findings) != entry.fields.get("internal_reason"):
        return f"names other failed checks of attempt {attempt} than the verdict that is kept"
    end = decision_end(unit, [entry], entry.transaction, attempt)
    if end != log_seq:
        return (
            f"tells of attempt {attempt}, which ended with entry {end}; the verdict that is kept says entry {log_seq}"
        )
    return ""


def _failed(findings: str) -> list[str]:
    """The failed checks of stored findings, in either form that they were ever kept in."""
    kept = msgspec.json.decode(findings)
    pairs = [(one["check"], one["outcome"]) if isinstance(one, dict) else (one[0], one[1]) for one in kept]
    return [check for check, outcome in pairs if outcome == "fail"]


def _end(unit: UnitOfWork, last: int) -> Checked:
    beyond = unit.sql.one("verdict_beyond", seq=last)
    count = unit.sql.one("verdicts_up_to", seq=last)
    problem = None
    if beyond is not None:
        transaction, attempt, seq = beyond
        said = f"attempt {attempt} at {transaction} refers to entry {seq}; the log ends with entry {last}"
        problem = ChainProblem(last + 1, "", "truncated", said)
    return Checked(None, problem=problem, verdicts=count[0] if count else 0)


def count_problem(attempts: int, verdicts: int, last: int) -> ChainProblem | None:
    """Whether the log tells of as many attempts as there are verdicts up to its end."""
    if attempts == verdicts:
        return None
    said = f"the log tells of {attempts} attempts, and verdicts of {verdicts} are kept"
    return ChainProblem(last, "", "verdict", said)
