"""What an operator declares: a TOML file with one table for each rule that no step-up can show.

    ["RTS-22.3"]
    statement = "Keys are managed by the key policy"
    reference = "Security handbook, chapter 7"
    date = 2026-01-31

A declared rule passes with the grade `declared`, never more, and only where nothing on record contradicts it. What facts decide cannot be
declared.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from device_keys.clock import parse_clock
from device_keys.encoding import FormatError
from server_stub.rules.inputs import Config, Declaration
from server_stub.rules.registry import Rule, rules

_MEMBERS: Final = ("statement", "reference", "date")


def read_declarations(text: str, today: date) -> Config:
    """The declarations of a file's text.

    `today`: in UTC; a declaration of a later date is refused. Raises FormatError, its field the rule's id and member.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise FormatError("the file", f"TOML ({problem})") from problem
    known = {rule.id: rule for rule in rules()}
    return Config(declarations=tuple(_declaration(known, name, table, today) for name, table in tables.items()))


def _declaration(known: Mapping[str, Rule], name: str, table: Any, today: date) -> Declaration:
    where = f'["{name}"]'
    rule = known.get(name)
    if rule is None:
        raise FormatError(where, "the id of a rule in quotes, as --declarations example has them")
    if not rule.declarable:
        raise FormatError(where, "a rule that an operator may speak to: facts decide this one")
    if not isinstance(table, dict):
        raise FormatError(where, f"a table with {', '.join(_MEMBERS)}")
    strange = next((member for member in table if member not in _MEMBERS), None)
    if strange is not None:
        raise FormatError(f"{where} {strange}", f"no member but {', '.join(_MEMBERS)}")
    statement, reference = (_text(table.get(member), f"{where} {member}") for member in _MEMBERS[:2])
    return Declaration(rule=name, statement=statement, reference=reference, date=_day(table.get("date"), where, today))


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise FormatError(field, "a text that is not empty")
    return value.strip()


def _day(value: Any, where: str, today: date) -> str:
    """A date or an instant, of TOML or as a text, that is not in the future; as it is kept: ISO 8601."""
    field = f"{where} date"
    try:
        day = _read_day(value, field)
    except ValueError as problem:
        raise FormatError(field, "a date, as 2026-01-31") from problem
    if day > today:
        raise FormatError(field, f"a date that is not in the future (today is {today.isoformat()})")
    return day.isoformat()


def _read_day(value: Any, field: str) -> date:
    if isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, date):
        value = value.isoformat()
    if not isinstance(value, str):
        raise FormatError(field, "a date, as 2026-01-31")
    return parse_clock(value if "T" in value else f"{value}T00:00:00Z", field).astimezone(UTC).date()


def example() -> str:
    """A file with every rule that may be declared. Its words call themselves examples, so that a report by them says so too."""
    tables = []
    for rule in rules():
        if rule.declarable:
            tables.append(
                f"# {rule.source}: {rule.obligation}.\n"
                f"# Without it: {rule.open}.\n"
                f'["{rule.id}"]\n'
                f"statement = {json.dumps(f'Example: {rule.obligation}', ensure_ascii=False)}\n"
                f'reference = "Example: no such document"\n'
                f"date = 2026-01-31\n"
            )
    return _HEAD + "\n".join(tables)


_HEAD: Final = """\
# What an operator declares: stepup-server serve --declarations FILE. An example: it is loaded only where it is named.
# Keep the tables that are true of your organisation, and write in each what is done, the document that says so, and its date.
# A declared rule passes with the grade "declared", unless something on record contradicts it.

"""
