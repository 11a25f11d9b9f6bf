"""Writes the rules of docs/compliance.md from the rules themselves: `make docs`, or `python docs/make_compliance.py`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from server_stub.compliance import TWO_FACTOR
from server_stub.rules.inputs import RULE_SET
from server_stub.rules.registry import ARTICLES, Rule, article_of, rules
from server_stub.rules.ruling import Why

PAGE = Path(__file__).parent / "compliance.md"
_BETWEEN = re.compile(r"(<!-- rules -->\n).*?(<!-- /rules -->)", re.DOTALL)


def written(text: str) -> str:
    """The page with its generated part made anew."""
    return _BETWEEN.sub(lambda found: f"{found[1]}{generated()}{found[2]}", text)


def generated() -> str:
    """Everything between the marks."""
    parts = [
        f"Rule set `{RULE_SET}`: {len(rules())} rules.\n",
        f"`twoFactor` looks at {', '.join(TWO_FACTOR)}.\n",
        "`not_applicable` has one of these reasons, and no other:\n",
        "".join(f"- {why.value}\n" for why in Why),
    ]
    for law, number, title in ARTICLES:
        mine = [rule for rule in rules() if article_of(rule.id) == f"{law}-{number}"]
        parts.append(f"### {'PSD2' if law == 'PSD2' else 'RTS'} Article {number}: {title}\n")
        parts += [_of(rule) for rule in mine]
    return "\n".join(parts) + "\n"


def _of(rule: Rule) -> str:
    notes = []
    if rule.of_code:
        notes.append("speaks of an accepted code")
    if rule.capped_by:
        notes.append(f"never stronger than {', '.join(rule.capped_by)}")
    if rule.declarable:
        notes.append("an operator may declare it")
    rows = [
        ("source", rule.source),
        ("passes", rule.passes),
        ("fails", rule.fails),
        ("open", rule.open),
        ("would settle it", rule.settles),
        ("best grade", rule.best.value + (f"; {'; '.join(notes)}" if notes else "")),
    ]
    table = "".join(f"| {name} | {words} |\n" for name, words in rows)
    return f"**`{rule.id}`** {rule.obligation}\n\n| | |\n|---|---|\n{table}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
    sys.stdout.write(f"{PAGE.name}: {len(rules())} rules\n")
