"""docs/compliance.md says of each rule what the rule itself says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from server_stub.rules.inputs import RULE_SET
from server_stub.rules.registry import rules

DOCS = Path(__file__).parents[2] / "docs"


def maker() -> ModuleType:
    found = importlib.util.spec_from_file_location("make_compliance", DOCS / "make_compliance.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_page_is_what_the_rules_say() -> None:
    """`make docs` writes it anew."""
    text = (DOCS / "compliance.md").read_text("utf-8")
    assert maker().written(text) == text


def test_every_rule_stands_on_the_page_once() -> None:
    text = (DOCS / "compliance.md").read_text("utf-8")
    assert RULE_SET in text
    for rule in rules():
        assert text.count(f"**`{rule.id}`**") == 1, rule.id
