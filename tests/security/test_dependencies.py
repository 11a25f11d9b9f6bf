"""What is imported is declared, and what is declared has a tested version: an audit that needs no network."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN = {"authenticator", "device_keys", "server_stub"}


def imported() -> Iterator[tuple[str, str]]:
    """Each module from outside that the product imports anywhere, and where."""
    for package in OWN:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names = [node.module]
                for name in names:
                    top = name.partition(".")[0]
                    if top not in OWN and top not in sys.stdlib_module_names:
                        yield top, str(file.relative_to(ROOT))


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", name, maxsplit=1)[0]).lower()


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_everything_imported_is_a_declared_dependency_or_comes_with_one(project: dict[str, object]) -> None:
    declared = {plain(name) for name in project["project"]["dependencies"]}  # type: ignore[index]
    # anyio comes with starlette, pytest with whoever uses the plugin.
    allowed = declared | {"anyio", "pytest", "freezegun"}
    distributions = packages_distributions()
    stray = {
        (top, where) for top, where in imported() if not {plain(d) for d in distributions.get(top, [top])} & allowed
    }
    assert stray == set()


def test_every_dependency_has_a_tested_version_in_the_constraints(project: dict[str, object]) -> None:
    pinned = {
        plain(line) for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line
    }
    groups = project["dependency-groups"]
    wanted = {plain(name) for name in project["project"]["dependencies"]}  # type: ignore[index]
    wanted |= {plain(name) for group in ("test", "lint") for name in groups[group]}  # type: ignore[index]
    assert wanted - pinned == set()
