"""The report: HTML that needs nothing and runs nothing, a terminal report, and text from outside that stays text."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from rich.console import Console

from server_stub.bundle import Bundle, build_bundle, read_bundle
from server_stub.evidence_key import EvidenceKey
from server_stub.policy import STRICT
from server_stub.report import meter, render_html, render_text
from server_stub.rules.registry import rules
from server_stub.trust import load_trust
from server_stub.verdict import Grade, Verdict
from server_stub.visible import mixed_scripts, noted, visible

TRUST = load_trust()
KEY = EvidenceKey(bytes(32))
HOSTILE = "<script>alert(1)</script> \u202egnp.exe [bold]x[/] & \"'"
VOID = {"meta", "col", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Reads a page strictly: every tag closed in order; collects tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def judged(stage: Any) -> tuple[Verdict, Bundle]:
    from server_stub.compliance import elements

    made = build_bundle(
        stage.evidence, key=KEY, policy=STRICT, trust=TRUST, log_extract=tuple(stage.log), observed=stage.observed
    )
    verdict = Verdict(
        transaction_id=stage.evidence.transaction.id, attempt=1, accepted=stage.accepted, decided_at="2026-11-22T10:00:00.000000Z",
        policy="strict", elements=elements(stage.evidence, stage.findings), findings=stage.findings, compliance=stage.report(),
    )  # fmt: skip
    return verdict, read_bundle(made)


STAGES = {
    "Android passcode": lambda make: make(),
    "Android biometric": lambda make: make(method="BIOMETRIC"),
    "iPhone biometric": lambda make: make("iphone", "BIOMETRIC"),
    "refused: amount": lambda make: make().fail("binding.amount"),
    "refused: no evidence": lambda make: (
        make().bend(assertion=None, credential=None, nonce=None).fail("evidence.present")
    ),
    "refused: unreadable": lambda make: (
        make().bend(assertion='{"id": 1}', assertion_unreadable="%%%").fail("evidence.readable", "assertion.signature")
    ),
}


@pytest.mark.parametrize("name", STAGES)
def test_the_html_report_is_whole_and_needs_nothing_from_outside(step_up: Any, name: str) -> None:
    verdict, bundle = judged(STAGES[name](step_up))
    html = render_html(verdict.to_json(), bundle)
    page = Page(html)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "img", "iframe", "object", "form", "base"})
    assert not [
        attrs for _, attrs in page.tags if any(key.startswith("on") or key in ("src", "href", "style") for key in attrs)
    ]
    assert not re.search(r"url\(|@import|https?://(?!stepup-simulator\.test)", html)
    assert "default-src 'none'" in html
    for rule in rules():
        assert f"<code>{rule.id}</code>" in html
    for finding in verdict.findings:
        assert f"<code>{finding.check}</code>" in html
    assert bundle.digest in page.text
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


@pytest.mark.parametrize("name", STAGES)
def test_the_headline_answers_the_three_questions(step_up: Any, name: str) -> None:
    """Accepted? Two-factor? What was paid?"""
    verdict, bundle = judged(STAGES[name](step_up))
    text = Page(render_html(verdict, bundle)).text
    assert ("✓ ACCEPTED" if verdict.accepted else "✗ REFUSED") in text
    answer = {"pass": "✓ YES", "fail": "✗ NO", "undetermined": "? UNDETERMINED"}[verdict.compliance.two_factor]
    assert answer in text
    assert "10.00 GBP to ACME Ltd" in text


def test_text_from_outside_is_never_markup(step_up: Any) -> None:
    """Hostile payee names: escaped in HTML, no markup in the terminal, no direction changed in either."""
    payload = {"amount": "10.00", "currency": "GBP", "payee": {"name": HOSTILE, "iban": "DE89\u200b"}}
    stage = step_up(payload=payload).fail("binding.payee")
    stage.write("order_edited", payee_name=HOSTILE)
    verdict, bundle = judged(stage)
    html = render_html(verdict, bundle)
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.tags}
    assert "<script>alert(1)</script> ⟨U+202E⟩gnp.exe [bold]x[/]" in page.text
    out = io.StringIO()
    render_text(verdict, bundle, Console(file=out, width=200, color_system=None))
    for shown in (html, out.getvalue()):
        assert "\u202e" not in shown
        assert "\u200b" not in shown
    assert "<script>alert(1)</script> ⟨U+202E⟩gnp.exe [bold]x[/]" in out.getvalue()


def test_grades_differ_without_colour() -> None:
    """By word and by number of boxes in the terminal; by word, boxes and border in HTML."""
    assert [meter(grade) for grade in Grade] == ["▮▮▮▮", "▮▮▮▯", "▮▮▯▯", "▮▯▯▯", "▯▯▯▯"]


@pytest.mark.parametrize(
    ("phone", "method", "grade", "basis"),
    [
        ("android", "BIOMETRIC", "proved", "attestation says"),
        ("iphone", "BIOMETRIC", "signed", "the app's word; App Attest vouches"),
    ],
)
def test_a_proved_biometric_and_a_signed_one_look_different(
    step_up: Any, phone: str, method: str, grade: str, basis: str
) -> None:
    verdict, bundle = judged(step_up(phone, method))
    html = render_html(verdict, bundle)
    card = html.split("Biometric</div>")[1].split("</p>")[0]
    assert f'class="grade {grade}"' in card
    assert basis in card.replace("&#39;", "'")


@pytest.mark.parametrize("name", STAGES)
def test_the_terminal_report_names_every_rule_and_each_failed_check(step_up: Any, name: str) -> None:
    verdict, bundle = judged(STAGES[name](step_up))
    out = io.StringIO()
    render_text(verdict.to_json(), bundle, Console(file=out, width=120, color_system=None))
    text = out.getvalue()
    assert not [rule.id for rule in rules() if rule.id not in text]
    assert not [
        finding.check for finding in verdict.findings if finding.outcome == "fail" and finding.check not in text
    ]
    assert max(len(line) for line in text.splitlines()) <= 120


def test_a_batch_names_each_payee(step_up: Any) -> None:
    one = {"amount": "10.00", "currency": "GBP", "payee": {"name": "Ada", "iban": "DE1"}}
    verdict, bundle = judged(
        step_up(payload={"payments": [one, {**one, "amount": "2.5", "payee": {"name": "Bob", "iban": "DE2"}}]})
    )
    text = Page(render_html(verdict, bundle)).text
    assert "12.50 GBP to Ada + Bob" in text
    assert "Bob · DE2, 2.50 GBP" in text


def test_the_attestation_is_told_in_words(step_up: Any) -> None:
    verdict, bundle = judged(step_up(method="BIOMETRIC"))
    text = Page(render_html(verdict, bundle)).text
    assert "a strong biometric, for every single use" in text
    assert "trusted environment (TEE)" in text
    assert "generated inside" in text
    verdict, bundle = judged(step_up())
    assert "nobody: no user authentication (tag 503)" in Page(render_html(verdict, bundle)).text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoë", "Zoë"),
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("tab\there", "tab⟨U+0009⟩here"),
        ("nul\x00", "nul⟨U+0000⟩"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
    ],
)
def test_what_is_invisible_is_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_look_alike_letters_are_pointed_out() -> None:
    assert mixed_scripts("Ada") is None
    assert mixed_scripts("Ада") is None
    assert mixed_scripts("Аda") == "Cyrillic and Latin"
    assert noted("Аda") == "Аda (with Cyrillic and Latin letters)"
