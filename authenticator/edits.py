"""How defects are made: a function that replaces parts of an honest value before it is encoded and signed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
Edit = Callable[[T], T]


def honest(value: T) -> T:
    """The value as it is: no defect."""
    return value
