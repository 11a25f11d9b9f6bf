"""The compliance report for people: in the terminal (Rich), and as one self-contained HTML file that one can attach to an audit.

Both show what `report_words` reads. Values from outside are never markup: Rich gets `Text`, and the template escapes everything.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from server_stub.bundle import Bundle
from server_stub.report_words import (
    GRADES,
    VERDICTS,
    ElementLine,
    Group,
    Reading,
    behind,
    compact,
    read,
    reason_in_words,
    settles,
    when,
)
from server_stub.verdict import Grade, Outcome, Rule, Verdict
from server_stub.visible import noted, visible

if TYPE_CHECKING:
    from jinja2 import Template
    from rich.console import Console, RenderableType
    from rich.text import Text

_STYLES: Final = {"pass": "green", "fail": "bold red", "undetermined": "yellow", "not_applicable": "dim"}
_GRADE_STYLES: Final = {
    Grade.PROVED: "bold green",
    Grade.SIGNED: "cyan",
    Grade.LOGGED: "blue",
    Grade.DECLARED: "magenta",
    Grade.NONE: "dim",
}
TWO_FACTOR_MEANS: Final = (
    "Two-factor compliant means: elements of two different categories were shown, bound to this action, for an accepted code "
    "(RTS Articles 4(1), 4(2), 5(1), 6 to 8, 9(1), 24(2)(b)). What else is open stands under all rules."
)
_ANSWERS: Final = {"pass": "YES", "fail": "NO", "undetermined": "UNDETERMINED"}


def meter(grade: Grade) -> str:
    """The grade as four boxes, so that it can be told without colour: `▮▮▮▮` proved, `▮▮▮▯` signed, down to `▯▯▯▯`."""
    full = GRADES[grade][0]
    return "▮" * full + "▯" * (4 - full)


# --- HTML ---------------------------------------------------------------------------------------------------------------


@cache
def _template() -> Template:
    from importlib import resources

    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        meter=meter,
        visible=visible,
        noted=noted,
        reason=reason_in_words,
        behind=behind,
        compact=compact,
        when=when,
        settles=settles,
    )
    return environment.from_string(resources.files(__package__).joinpath("report.html").read_text("utf-8"))


def render_html(verdict: Verdict | dict[str, Any], bundle: Bundle) -> str:
    """The report as one HTML document: no script, no network, light and dark, made to be printed."""
    reading = read(verdict, bundle)
    return _template().render(
        r=reading,
        v=reading.verdict,
        b=bundle,
        c=reading.verdict.compliance,
        grades=GRADES,
        verdicts=VERDICTS,
        answers=_ANSWERS,
        two_factor=TWO_FACTOR_MEANS,
        symbols={"pass": "✓", "fail": "✗", "not_applicable": "–", "not_run": "…"},
    )


# --- the terminal -------------------------------------------------------------------------------------------------------


def render_text(verdict: Verdict | dict[str, Any], bundle: Bundle, console: Console) -> None:
    """Print the report: headline, elements, rules by article, failed checks. The HTML report has the whole evidence."""
    reading = read(verdict, bundle)
    for line in reading.opening:
        console.print(_text(line, "bold"))
    console.print(_head(reading))
    if reading.elements or reading.open_elements:
        console.print(_elements_table(reading))
    for group in reading.groups:
        if group.rules:
            console.print(_rules_table(group))
    if reading.failures:
        console.print(_failures_table(reading))
    if reading.failed or reading.undetermined:
        console.print(_next_step(reading))
    console.print(_foot(reading))


def _text(value: object, style: str = "") -> Text:
    from rich.text import Text

    return Text(visible(value), style=style)


def _grade(grade: Grade) -> Text:
    return _text(f"{meter(grade)} {grade.value}", _GRADE_STYLES[grade])


def _head(reading: Reading) -> RenderableType:
    from rich.panel import Panel
    from rich.text import Text

    verdict, compliance = reading.verdict, reading.verdict.compliance
    lines = Text()
    lines.append(f"{reading.headline}\n\n")
    for label, value in (("Two-factor compliant", compliance.two_factor), ("All rules", compliance.overall)):
        lines.append(f"{label}: ")
        lines.append(
            f"{VERDICTS[value][0]} {_ANSWERS[value] if label.startswith('Two') else value}\n", style=_STYLES[value]
        )
    lines.append(
        "  ".join(f"{VERDICTS[name][0]} {count} {name.replace('_', ' ')}" for name, count in reading.counts.items()),
        style="dim",
    )
    word, colour = ("ACCEPTED", "green") if verdict.accepted else ("REFUSED", "red")
    return Panel(
        lines,
        title=_text(f"{word} · step-up {verdict.transaction_id} · attempt {verdict.attempt}"),
        border_style=colour,
    )


def _elements_table(reading: Reading) -> RenderableType:
    from rich.table import Table

    table = Table(title="Elements shown", title_justify="left", expand=True)
    for name, ratio in (
        ("Category", 1),
        ("Element", 2),
        ("Evidence", 1),
        ("How it is known", 3),
        ("What must be broken to break it", 2),
    ):
        table.add_column(name, ratio=ratio)
    for line in reading.elements:
        table.add_row(*_element_row(line))
    for words in reading.open_elements:
        table.add_row(_text("not shown", "dim"), _text(words, "dim"))
    return table


def _element_row(line: ElementLine) -> tuple[Text, ...]:
    return _text(line.category), _text(line.name), _grade(line.grade), _text(line.basis), _text(line.domain)


def _rules_table(group: Group) -> RenderableType:
    from rich.table import Table

    table = Table(
        title=_text(f"{group.article}: {group.title}"), title_justify="left", expand=True, show_header=False, box=None
    )
    for width in (1, 22, 14):
        table.add_column(width=width)
    table.add_column(ratio=1)
    for rule in group.rules:
        table.add_row(*_rule_row(rule))
    return table


def _rule_row(rule: Rule) -> tuple[Text, ...]:
    style = _STYLES[rule.verdict]
    graded = _grade(rule.grade) if rule.verdict in ("pass", "fail") else _text(rule.verdict.replace("_", " "), style)
    words = _text(rule.obligation)
    if rule.reason is not None:
        words.append(f"\n{reason_in_words(rule.reason)}", style="dim" if rule.verdict != "fail" else style)
    return _text(VERDICTS[rule.verdict][0], style), _text(rule.id, style), graded, words


def _failures_table(reading: Reading) -> RenderableType:
    from rich.table import Table

    table = Table(title="Checks that failed", title_justify="left", expand=True)
    for name in ("Check", "Reason", "Expected", "Was", "Citation"):
        table.add_column(name)
    for finding in reading.failures:
        words = (finding.check, finding.reason, _side(finding.expected), _side(finding.actual), finding.citation)
        table.add_row(*(_text(word) for word in words))
    not_run = sum(finding.outcome is Outcome.NOT_RUN for finding in reading.verdict.findings)
    if not_run:
        table.caption = f"{not_run} more checks were not run, for they need one of these."
    return table


def _next_step(reading: Reading) -> Text:
    """What would settle the first rule that failed, or else the first that is open."""
    first = (reading.failed or reading.undetermined)[0]
    return _text(f"What would settle {first.id}: {settles(first)}.")


def _side(text: str | None) -> str:
    return "" if text is None else noted(text)


def _foot(reading: Reading) -> Text:
    verdict = reading.verdict
    legend = " · ".join(f"{meter(grade)} {grade.value}" for grade in GRADES)
    judged = f"rule set {verdict.compliance.rule_set} · policy {verdict.policy} · decided {verdict.decided_at}"
    return _text(f"{legend}  |  {judged} · bundle {reading.bundle.digest}", "dim")
