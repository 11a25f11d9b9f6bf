"""Which tests can see a function: measured once by coverage, test by test, and kept for the commit.

A test reaches a function if a line of its body ran during the test or the preparation of its fixtures.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from sqlite3 import connect

# What the server says of itself: import-time tables of routes, schemas and checks show nowhere sooner.
RECORDED = "tests/contract/test_recorded_interface.py"
# Folders that a part of the product is near to, the nearest first.
NEAREST = {
    "server_stub/checks": (RECORDED, "tests/checks", "tests/vectors", "tests/compliance", "tests/faults"),
    "server_stub/rules": ("tests/compliance", "tests/checks"),
    "server_stub/dialects/bank": (RECORDED, "tests/server", "tests/contract", "tests/compliance"),
    "server_stub/dialects/weavr": (RECORDED, "tests/weavr", "tests/compliance"),
    "server_stub/dialects/loginradius": (RECORDED, "tests/loginradius", "tests/compliance"),
    "server_stub/dialects": (RECORDED, "tests/server", "tests/weavr", "tests/loginradius"),
    "server_stub/relying_party.py": ("tests/server", "tests/compliance", "tests/faults"),
    "server_stub/bundle.py": ("tests/compliance",),
    "server_stub/log_chain.py": ("tests/compliance", "tests/reliability"),
    "device_keys": ("tests/device_keys", "tests/vectors", "tests/hardware", "tests/checks"),
}
# Screens, other databases and packaging: too far from any rule to be its test, and slow.
LEFT_OUT = (
    "tests/tui",
    "tests/postgres",
    "tests/plugin",
    "tests/examples",
    "tests/docs",
    "tests/deep",
    "tests/mutation",
)
KEPT = Path(".mutation")


@dataclass(frozen=True)
class Reach:
    """Tests by module and function."""

    tests: dict[str, dict[str, list[str]]]

    def stages(self, path: str, scope: str) -> list[list[str]]:
        """Tests that reach this function, the nearest folder first and there the most particular tests first.

        What stands outside of every function runs at import, and what runs in a server's process is not measured: such
        meets the tests of all the module's functions, and then the nearest folders whole.
        """
        near = nearest(path)
        functions = self.tests.get(path, {})
        measured = bool(functions.get(scope))
        reaching = functions.get(scope) or {test for tests in functions.values() for test in tests}
        breadth = self.breadth
        ordered = sorted(reaching, key=lambda test: (rank(test, near), breadth[test], test))
        first = [test for test in ordered if rank(test, near) <= near.index(home(near))]
        rest = [test for test in ordered if test not in first]
        whole = [] if measured else list(near)
        return [stage for stage in (first, rest, whole) if stage]

    @cached_property
    def breadth(self) -> dict[str, int]:
        counts: dict[str, int] = defaultdict(int)
        for functions in self.tests.values():
            for tests in functions.values():
                for test in tests:
                    counts[test] += 1
        return counts


def nearest(path: str) -> tuple[str, ...]:
    return next(folders for prefix, folders in NEAREST.items() if path.startswith(prefix))


def home(near: tuple[str, ...]) -> str:
    """The first of these that is a folder."""
    return next(path for path in near if path != RECORDED)


def rank(test: str, near: tuple[str, ...]) -> int:
    return next((place for place, path in enumerate(near) if test.startswith((f"{path}/", f"{path}::"))), len(near))


def measured(root: Path, commit: str, copy: Path, workers: int) -> Reach:
    """The reach of every test at this commit: from an earlier run, or by running them all under coverage in the copy."""
    kept = root / KEPT / f"{commit}.json"
    if not kept.exists():
        print("measuring which tests reach what: once for each commit, some minutes", file=sys.stderr, flush=True)
        data = copy / "coverage.sqlite"
        command = [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(workers), "--dist", "worksteal",
            "--cov=server_stub", "--cov=device_keys", "--cov-context=test", "--cov-report=", "tests",
            *(f"--ignore={folder}" for folder in LEFT_OUT),
        ]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(copy), "COVERAGE_FILE": str(data), "CI": "1"}
        outcome = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
        if outcome.returncode != 0:
            raise SystemExit(f"the tests fail without any mutant, so they can judge none:\n{outcome.stdout[-4000:]}")
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps(read_coverage(data, copy)))
    return Reach(json.loads(kept.read_text()))


def read_coverage(data: Path, copy: Path) -> dict[str, dict[str, list[str]]]:
    """Coverage's own file, turned from lines into functions; contexts are `path::test[parameters]|phase`."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    with connect(data) as database:
        rows = database.execute(
            "select file.path, context.context, line_bits.numbits from line_bits"
            " join file on file.id = line_bits.file_id join context on context.id = line_bits.context_id"
        )
        scopes: dict[str, dict[int, str]] = {}
        for path, context, bits in rows:
            if not context:
                continue
            if path not in scopes:
                scopes[path] = functions(Path(path).read_text())
            test = context.rpartition("|")[0].partition("[")[0]
            for line in (8 * byte + bit for byte, value in enumerate(bits) for bit in range(8) if value >> bit & 1):
                if scope := scopes[path].get(line):
                    found[str(Path(path).relative_to(copy))][scope].add(test)
    return {path: {scope: sorted(tests) for scope, tests in names.items()} for path, names in found.items()}


def functions(source: str) -> dict[int, str]:
    """The qualified name of the function or class around each line; the innermost counts."""
    names: dict[int, str] = {}

    def walk(node: ast.AST, scope: list[str]) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = [*scope, child.name]
                if not isinstance(child, ast.ClassDef):
                    # The line of `def` runs at import; the body is what a test reaches.
                    for line in range(child.body[0].lineno, (child.end_lineno or child.lineno) + 1):
                        names[line] = ".".join(inner)
                walk(child, inner)
            else:
                walk(child, scope)

    walk(ast.parse(source), [])
    return names
