"""The rule set: every rule stands on its function, one file for an article; here they are collected, ordered and judged.

Three things hold for all rules, so that a new one cannot break them:

- dependencies are data: `capped_by` names the rules that one is never stronger than; one that reads the signed response (`signed`) stays
  open where a phone took part and RTS-4.2.c did not pass, since what unverified bytes say is no evidence;
- a rule that speaks of an accepted code (`of_code`) is undetermined where none was accepted;
- a pass names only checks that passed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Final, NamedTuple

from server_stub.rules.inputs import RULE_SET
from server_stub.rules.ruling import (
    NOT_APPLICABLE,
    PASS,
    UNDETERMINED,
    Ruling,
    passes,
    stronger,
    unknown,
    weaker,
)
from server_stub.rules.scene import Scene
from server_stub.verdict import Grade, Outcome

__all__ = ["ARTICLES", "RULE_SET", "Rule", "article_of", "judge_rules", "rule", "rules"]

# The articles in the order of the report; a rule's id names its article, and its file the same.
ARTICLES: Final = (
    ("PSD2", "97", "When strong customer authentication is needed"),
    ("PSD2", "70", "Use and loss of payment instruments"),
    ("PSD2", "72", "Evidence of authentication and execution"),
    ("RTS", "2", "Monitoring of transactions"),
    ("RTS", "4", "The authentication code"),
    ("RTS", "5", "Dynamic linking to amount and payee"),
    ("RTS", "6", "Knowledge"),
    ("RTS", "7", "Possession"),
    ("RTS", "8", "Inherence"),
    ("RTS", "9", "Independence of the elements"),
    ("RTS", "10", "Exemption: access to account information"),
    ("RTS", "13", "Exemption: trusted beneficiaries"),
    ("RTS", "14", "Exemption: recurring transactions"),
    ("RTS", "22", "Confidentiality of credentials"),
    ("RTS", "23", "Creation of credentials"),
    ("RTS", "24", "Association with the user"),
    ("RTS", "25", "Delivery and activation"),
    ("RTS", "26", "Renewal"),
    ("RTS", "27", "Deactivation and revocation"),
    ("RTS", "28", "Identification of the counterpart"),
    ("RTS", "29", "Traceability"),
    ("RTS", "30", "Interfaces for third parties"),
    ("RTS", "34", "Certificates of third parties"),
    ("RTS", "35", "Security of sessions"),
    ("RTS", "36", "Data for third parties"),
)


class Rule(NamedTuple):
    """One rule. The texts are for people: what it obliges to, where that is written, what passes, fails, and leaves it open, and what
    would settle it. `best` is the best grade that its evidence can have; `declarable`: an operator may state it."""

    id: str
    obligation: str
    source: str
    best: Grade
    judge: Callable[[Scene], Ruling]
    passes: str
    fails: str
    open: str
    settles: str
    signed: bool
    capped_by: tuple[str, ...]
    of_code: bool
    declarable: bool


SIGNATURE_RULE: Final = "RTS-4.2.c"
_RULES: Final[dict[str, Rule]] = {}


def rule(
    rule_id: str,
    *,
    obligation: str,
    source: str,
    best: Grade,
    passes: str,
    fails: str,
    open: str,  # noqa: A002 (read as a column's name)
    settles: str,
    signed: bool = False,
    capped_by: tuple[str, ...] = (),
    of_code: bool = False,
    declarable: bool = False,
) -> Callable[[Callable[[Scene], Ruling]], Callable[[Scene], Ruling]]:
    """Enter a function as the rule of this id; `ValueError` where it is entered already."""

    def entered(judge: Callable[[Scene], Ruling]) -> Callable[[Scene], Ruling]:
        if rule_id in _RULES:
            raise ValueError(f"rule {rule_id} is entered twice")
        _RULES[rule_id] = Rule(
            rule_id, obligation, source, best, judge, passes, fails, open, settles, signed, capped_by, of_code, declarable
        )  # fmt: skip
        return judge

    return entered


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule, in the order of the articles, and in each as its file has them."""
    for _, number, _ in ARTICLES:
        import_module(f"server_stub.rules.article_{number}")
    order = [f"{law}-{number}" for law, number, _ in ARTICLES]
    return tuple(sorted(_RULES.values(), key=lambda one: order.index(article_of(one.id))))


def article_of(rule_id: str) -> str:
    """`RTS-4` for `RTS-4.1-once`, `RTS-10` for `RTS-10a`; a rule's file bears the number."""
    found = re.match(r"(PSD2|RTS)-(\d+)", rule_id)
    if found is None:
        raise ValueError(f"{rule_id}: expected an id that begins with its law and article, as RTS-4")
    return found.group()


def judge_rules(scene: Scene) -> dict[str, Ruling]:
    """Every rule's ruling, in order; each is judged once, those that it depends on before it."""
    book = {one.id: one for one in rules()}
    scene.judge = lambda rule_id: _judged(book, rule_id, scene)
    return {rule_id: scene.ruling(rule_id) for rule_id in book}


def _judged(book: Mapping[str, Rule], rule_id: str, scene: Scene) -> Ruling:
    this = book[rule_id]
    ruling = this.judge(scene)
    if ruling.verdict == NOT_APPLICABLE:
        return ruling
    ruling = _honest(scene, ruling)
    if this.declarable and ruling.verdict == UNDETERMINED and (declared := scene.config.declared(rule_id)) is not None:
        ruling = passes(declared, reason=f"declared: {declared.words}")
    if this.of_code and not scene.accepted:
        ruling = unknown(scene.no_code, *ruling.findings)
    ruling = _capped(this, _open_unsigned(this, ruling, scene), scene)
    above = ruling.verdict == PASS and stronger(ruling.grade, this.best)
    return ruling._replace(grade=this.best) if above else ruling


def _honest(scene: Scene, ruling: Ruling) -> Ruling:
    """A pass that names a check which did not pass is none."""
    bad = next((check for check in ruling.findings if scene.outcome(check) is not Outcome.PASS), None)
    return unknown(scene.why(bad), *ruling.findings) if ruling.verdict == PASS and bad is not None else ruling


def _open_unsigned(this: Rule, ruling: Ruling, scene: Scene) -> Ruling:
    """What was read from bytes whose signature did not verify is neither pass nor fail."""
    if not this.signed or not scene.device or this.id == SIGNATURE_RULE:
        return ruling
    if not scene.accepted:
        stands = this.of_code or scene.signature_stands
        return ruling if stands else unknown(scene.why("assertion.signature"), *ruling.findings)
    signature = scene.ruling(SIGNATURE_RULE)
    if signature.verdict == PASS:
        return ruling
    return unknown(f"{SIGNATURE_RULE} did not pass: {signature.reason}", *ruling.findings)


def _capped(this: Rule, ruling: Ruling, scene: Scene) -> Ruling:
    """Never stronger than the rules that it is capped by; where no code was accepted, a failure of theirs is none of its own."""
    for cap in this.capped_by:
        other = scene.ruling(cap)
        if other.verdict == NOT_APPLICABLE:
            continue
        if weaker(other, ruling) and not (this.of_code and not scene.accepted):
            reason = f"it is no stronger than {cap}: {other.reason}"
            ruling = Ruling(other.verdict, other.grade, reason, ruling.findings, capped_by=cap)
        elif ruling.verdict == PASS and stronger(ruling.grade, other.grade) and other.verdict == PASS:
            ruling = ruling._replace(grade=other.grade)
    return ruling
