"""The lines of a report."""

from __future__ import annotations

from typing import NamedTuple


class Fact(NamedTuple):
    """One line of an appendix: what it is, its value, and whether the value is code (ids, hashes, JSON)."""

    label: str
    value: str
    code: bool = False


class Section(NamedTuple):
    """One part of the evidence appendix."""

    title: str
    about: str
    facts: tuple[Fact, ...]
