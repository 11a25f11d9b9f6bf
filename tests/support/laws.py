"""What must hold of every verdict, whatever led to it: the report tested against itself.

Each law takes one judged attempt, as the operator's routes tell of it, and raises `AssertionError` where it does not hold.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from html.parser import HTMLParser
from typing import Any, Final

import msgspec

from device_keys.orders import read_order
from server_stub.appraisal import appraise
from server_stub.bundle import Bundle, read_bundle
from server_stub.checks.table import judge
from server_stub.compliance import judge_compliance
from server_stub.evidence import Evidence
from server_stub.evidence_key import read_public_key
from server_stub.report import render_html, render_text
from server_stub.report_words import VERDICTS
from server_stub.rules.inputs import NOTHING_OBSERVED
from server_stub.verdict import Compliance, Finding, Outcome, Rule, Verdict

from .stories import Told
from .worlds import World

# Rules that speak of a code that was accepted: a refused step-up has none.
ABOUT_AN_ACCEPTED_CODE: Final = (
    "PSD2-97.1", "PSD2-97.2", "PSD2-72.1", "RTS-4.1-elements", "RTS-5.1.a", "RTS-5.1.b", "RTS-5.1.c", "RTS-5.2.a", "RTS-5.2.b",
    "RTS-5.3.a", "RTS-5.3.b",
)  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """One attempt as an operator reads it. `honest`: nobody misbehaved in it."""

    transaction: str
    attempt: int
    answered: bytes
    raw_bundle: bytes
    server_key: bytes
    honest: bool

    @cached_property
    def json(self) -> dict[str, Any]:
        """The verdict as the route answers it."""
        return dict(json.loads(self.answered))

    @cached_property
    def verdict(self) -> Verdict:
        return msgspec.json.decode(self.answered, type=Verdict)

    @cached_property
    def bundle(self) -> Bundle:
        return read_bundle(self.raw_bundle)

    def rules(self, verdict: str) -> list[Any]:
        """The rules with this verdict."""
        return [rule for rule in self.verdict.compliance.rules if rule.verdict == verdict]

    def compliance(
        self, evidence: Evidence | None = None, findings: tuple[Finding, ...] | None = None, **changes: Any
    ) -> Compliance:
        """The report again, with something of what it rests on changed."""
        bundle = self.bundle
        given: dict[str, Any] = {
            "accepted": self.verdict.accepted,
            "observed": bundle.observed,
            "rejudge": self.judge,
        } | changes
        log = given.pop("log", bundle.log)
        return judge_compliance(
            evidence or bundle.evidence, findings or self.verdict.findings, log, bundle.config, **given
        )

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """Every check, run on this evidence, by the policy and anchors on record."""
        grounds = self.bundle.grounds
        assert grounds.policy is not None
        assert grounds.trust is not None
        return judge(evidence, grounds.policy, grounds.trust)

    def __str__(self) -> str:
        failed = [f"{f.check}: {f.reason}" for f in self.verdict.findings if f.outcome is Outcome.FAIL]
        bad = [f"{rule.id}: {rule.reason}" for rule in self.rules("fail")]
        evidence = self.bundle.evidence
        return (
            f"{evidence.transaction.dialect} {evidence.method} {evidence.transaction.payload!r}, policy {self.verdict.policy}, "
            f"attempt {self.attempt}, accepted {self.verdict.accepted}, twoFactor {self.verdict.compliance.two_factor}; "
            f"failed {failed}; rules failed {bad}"
        )


def judged(world: World, told: Told) -> Iterator[Judged]:
    """Every attempt of the story, newest transaction first."""
    key = read_public_key(world.http.get("/_stub/evidence-key").content)
    for row in world.stub("GET", "transactions"):
        for attempt in range(1, row["attempts"] + 1):
            path = f"/_stub/transactions/{row['transactionId']}"
            verdict = world.http.get(f"{path}/verdict?attempt={attempt}")
            if verdict.status_code == 404:
                continue
            assert verdict.status_code == 200, verdict.text
            evidence = world.http.get(f"{path}/evidence?attempt={attempt}")
            assert evidence.status_code == 200, evidence.text
            honest = row["transactionId"] in told.honest
            yield Judged(row["transactionId"], attempt, verdict.content, evidence.content, key, honest)


# --- the laws ---------------------------------------------------------------------------------------------------------


def no_honest_run_fails_a_rule(it: Judged) -> None:
    """Honest: accepted, two categories, over loopback or TLS."""
    if it.honest and it.verdict.accepted and len({element.category for element in it.verdict.elements}) > 1:
        assert not it.rules("fail"), str(it)
        assert it.verdict.compliance.two_factor != "fail", str(it)


def no_rule_passes_untested(it: Judged) -> None:
    """A pass that names findings names one that passed; and had those that it names failed, the ruling would be another."""
    outcomes = {finding.check: finding.outcome for finding in it.verdict.findings}
    reported = {rule.id: _ruling(rule) for rule in it.compliance(rejudge=None).rules}
    for rule in it.rules("pass"):
        if not rule.findings:
            continue
        named = {check for check in rule.findings if outcomes[check] is Outcome.PASS}
        assert named, f"{rule.id} passes by {rule.findings}, none of which passed: {it}"
        flipped = tuple(
            msgspec.structs.replace(f, outcome=Outcome.FAIL) if f.check in named else f for f in it.verdict.findings
        )
        (again,) = [found for found in it.compliance(findings=flipped, rejudge=None).rules if found.id == rule.id]
        assert _ruling(again) != reported[rule.id], f"{rule.id} stays as it is when {sorted(named)} failed: {it}"


def _ruling(rule: Rule) -> tuple[str, str, str | None]:
    return rule.verdict, rule.grade.value, rule.reason


def nothing_passes_where_nothing_is_on_record(it: Judged) -> None:
    """No log, no finding that ran, no evidence: no rule passes."""
    bare = msgspec.structs.replace(
        it.bundle.evidence,
        assertion=None,
        credential=None,
        nonce=None,
        secret=None,
        prior=(),
        transport="http-loopback",
    )
    not_run = tuple(msgspec.structs.replace(f, outcome=Outcome.NOT_RUN) for f in it.verdict.findings)
    report = it.compliance(bare, not_run, log=(), observed=NOTHING_OBSERVED)
    passing = [rule.id for rule in report.rules if rule.verdict == "pass"]
    assert not passing, f"{passing} pass: {it}"
    assert report.two_factor != "pass", str(it)


def changes_are_tried_before_they_are_said_to_be_noticed(it: Judged) -> None:
    """RTS-5.1.d passes where another amount and another payee were tried and refused, or where such a change is what was refused."""
    if "RTS-5.1.d" not in {rule.id for rule in it.rules("pass")}:
        return
    if not it.verdict.accepted:
        failed = [f.check for f in it.verdict.findings if f.outcome is Outcome.FAIL]
        assert any(check.startswith("binding.") for check in failed), str(it)
        return
    order = read_order(it.bundle.evidence.transaction.payload)
    assert order is not None, str(it)
    tried: list[Evidence] = []

    def recording(evidence: Evidence) -> tuple[Finding, ...]:
        tried.append(evidence)
        return it.judge(evidence)

    it.compliance(rejudge=recording)
    others = [read_order(evidence.transaction.payload) for evidence in tried]
    assert any(other is not None and other.amount != order.amount for other in others), (
        f"no other amount was tried: {it}"
    )
    assert any(other is not None and other.payee_name != order.payee_name for other in others), f"no other payee: {it}"


def no_refused_run_passes_a_rule_about_an_accepted_code(it: Judged) -> None:
    """Where no code was accepted, nothing is said of one."""
    if not it.verdict.accepted:
        said = [rule.id for rule in it.rules("pass") if rule.id in ABOUT_AN_ACCEPTED_CODE]
        assert not said, f"{said}: {it}"


def two_factor_answers_for_an_accepted_code(it: Judged) -> None:
    """`pass` where two categories were shown for an accepted code; never `fail` or `pass` where no code was accepted."""
    answer = it.verdict.compliance.two_factor
    if not it.verdict.accepted:
        assert answer == "undetermined", str(it)
        return
    if len({element.category for element in it.verdict.elements}) < 2:
        assert answer != "pass", str(it)
    if answer == "pass":
        decisive = ("RTS-4.1", "RTS-4.2", "RTS-5.1", "RTS-6.1", "RTS-7", "RTS-8", "RTS-9.1", "RTS-24.2.b")
        assert not [rule.id for rule in it.rules("fail") if rule.id.startswith(decisive)], str(it)


def a_verdict_equals_the_appraisal_of_its_bundle(it: Judged) -> None:
    """Byte for byte, in JSON, by the server's key and the anchors and policy as shipped, whatever the server runs with now."""
    found = appraise(it.bundle, server_key=it.server_key)
    assert found.appraisal.origin == "verified", str(it)
    appraised = json.dumps(found.verdict.to_json())
    same = appraised == json.dumps(it.json)
    assert same, f"{_differences(json.loads(appraised), it.json)}: {it}"


def _differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two JSON values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = sorted({*one, *other})
        return [line for name in names for line in _differences(one.get(name), other.get(name), f"{where}.{name}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for number, (a, b) in pairs for line in _differences(a, b, f"{where}[{number}]")]
    return [] if one == other else [f"{where}: {one!r} or {other!r}"]


def text_json_and_html_say_the_same(it: Judged) -> None:
    """The verdict of every rule, the outcome of every check, the policy, accepted or not, two-factor or not."""
    rules = {rule["id"]: rule["verdict"] for rule in it.json["compliance"]["rules"]}
    findings = {finding["check"]: finding["outcome"] for finding in it.json["findings"]}
    words = "ACCEPTED" if it.json["accepted"] else "REFUSED"
    two_factor = it.json["compliance"]["twoFactor"]
    answer = {"pass": "YES", "fail": "NO", "undetermined": "UNDETERMINED"}[two_factor]

    html = _Rows()
    html.feed(render_html(it.verdict, it.bundle).partition("<body>")[2])
    assert {name: said for name, said in html.rows.items() if name in rules} == rules, str(it)
    assert {name: said for name, said in html.rows.items() if name in findings} == findings, str(it)
    page = " ".join(html.words)
    assert re.search(rf"[✓✗] {words}\b", page), str(it)
    assert re.search(rf"Two-factor compliant\W+\S? ?{answer}\b", page), str(it)
    assert f"policy {it.json['policy']} ·" in page, str(it)

    text = _plain(it)
    symbols = {symbol: name for name, (symbol, _) in VERDICTS.items()}
    found = re.findall(rf"^ *({'|'.join(map(re.escape, symbols))}) +((?:RTS|PSD2)-\S+) ", text, re.MULTILINE)
    assert {name: symbols[symbol] for symbol, name in found} == rules, str(it)
    failed = [name for name, outcome in findings.items() if outcome == "fail"]
    assert (
        re.findall(r"^[│┃] ([a-z_]+\.[a-z_]+) +[│┃]", text.partition("Checks that failed")[2], re.MULTILINE) == failed
    ), str(it)
    assert re.search(rf"\b{words} · step-up {it.transaction} · attempt {it.attempt}\b", text), str(it)
    assert f"Two-factor compliant: {VERDICTS[two_factor][0]} {answer}\n" in re.sub(r" *│\n", "\n", text), str(it)
    assert f"policy {it.json['policy']} ·" in text, str(it)


def _plain(it: Judged) -> str:
    from rich.console import Console

    out = io.StringIO()
    render_text(it.verdict, it.bundle, Console(file=out, width=240, color_system=None, legacy_windows=False))
    return out.getvalue()


class _Rows(HTMLParser):
    """The table rows of a report by the name in their second cell, and all its words."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, str] = {}
        self.words: list[str] = []
        self._cells: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("style", "title")
        if tag == "tr":
            self._cells = []
        elif tag == "td":
            self._cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("style", "title")
        if tag == "tr" and len(self._cells) > 1:
            symbol, _, said = self._cells[0].strip().partition(" ")
            if len(symbol) == 1:
                self.rows[self._cells[1].strip()] = said.strip().replace(" ", "_")

    def handle_data(self, data: str) -> None:
        if self._cells:
            self._cells[-1] += data
        if not self._silent and data.strip():
            self.words.append(" ".join(data.split()))


LAWS: Final[tuple[Callable[[Judged], None], ...]] = (
    no_honest_run_fails_a_rule,
    changes_are_tried_before_they_are_said_to_be_noticed,
    a_verdict_equals_the_appraisal_of_its_bundle,
)


def hold(it: Judged) -> None:
    """Every law; those that do not hold are named together."""
    broken: list[Exception] = []
    for law in LAWS:
        try:
            law(it)
        except AssertionError as error:
            error.add_note(law.__name__)
            broken.append(error)
    if broken:
        raise ExceptionGroup("; ".join(f"{error.__notes__[0]}: {error}" for error in broken), broken)
