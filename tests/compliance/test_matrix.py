"""Every kind of step-up against every rule: `matrix.json`, cell by cell, with the reason for each pass and each failure.

The table was reviewed against the law's text. A change of a rule, or of what is written in a step-up, shows here as changed cells:
review them, then write the table anew with `python -m tests.compliance.test_matrix`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server_stub.compliance import Compliance, Config, Declaration
from server_stub.rules.registry import rules

from .conftest import Stage, stage
from .histories import KINDS

TABLE = Path(__file__).parent / "matrix.json"
RULES = {rule.id: rule for rule in rules()}


def declared(made: Stage) -> Stage:
    """The operator declares whatever may be declared."""
    stated = [
        Declaration(rule=rule.id, statement="so it is", reference="a document", date="2026-01-31")
        for rule in rules()
        if rule.declarable
    ]
    made.config = Config(declarations=tuple(stated))
    return made


def observed(made: Stage) -> Stage:
    """What a server writes that looks for secrets, walks its store, and notes deliveries and the length of secrets."""
    made.rewrite("sca_attempt", secret_found_in=[]).write("secret_set", method="passcode", length_class="6-7")
    made.rewrite("delivery", verified_by="in person")
    made.write("delivery", feature="passcode", channel="branch", verified_by="in person")
    made.observed = msgspec.structs.replace(made.observed, plaintext_in_store=False)
    return made


VARIANTS: dict[str, tuple[str, Callable[[Stage], Stage]]] = {
    "Android, passcode, declarations": ("Android, passcode", declared),
    "Android, passcode, TLS, everything observed": ("Android, passcode, TLS", observed),
    "Android, biometric, TLS, everything observed and declared": (
        "Android, biometric, TLS",
        lambda s: declared(observed(s)),
    ),
    "Android, passcode, TLS, a secret in a log value": (
        "Android, passcode, TLS",
        lambda s: s.rewrite("sca_attempt", secret_found_in=["log 7 note"]),
    ),
    "Android, passcode of one digit, noted": (
        "Android, passcode of one digit",
        lambda s: s.write("secret_set", method="passcode", length_class="1-3"),
    ),
}
NAMES = [*KINDS, *VARIANTS]


def row(name: str) -> dict[str, Any]:
    kind, bend = VARIANTS.get(name, (name, lambda made: made))
    report = bend(stage(kind)).report()
    return {"twoFactor": report.two_factor, "overall": report.overall, "rules": cells(report)}


def cells(report: Compliance) -> dict[str, str]:
    """Of each rule its verdict; of a pass its grade and reason, of a failure its reason."""
    found = {}
    for rule in report.rules:
        words = re.sub(r"entry \d+", "entry N", rule.reason or RULES[rule.id].passes)
        said = {"pass": f"pass, {rule.grade.value}: {words}", "fail": f"fail: {words}"}
        found[rule.id] = said.get(rule.verdict, rule.verdict)
    return found


def kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(TABLE.read_text("utf-8"))
    return found


def test_the_table_has_every_kind_and_every_rule() -> None:
    assert list(kept()) == NAMES
    assert len(NAMES) >= 30
    for name, one in kept().items():
        assert list(one["rules"]) == list(RULES), name


@pytest.mark.parametrize("name", NAMES)
def test_each_cell_is_as_reviewed(name: str) -> None:
    assert row(name) == kept()[name]


if __name__ == "__main__":
    TABLE.write_text(json.dumps({name: row(name) for name in NAMES}, indent=1, ensure_ascii=False) + "\n", "utf-8")
