"""The demo's steps as a story in the terminal, step by step as they happen."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

_MARKS: Final = {
    "pass": ("✓", "green"),
    "fail": ("✗", "red"),
    "not_applicable": ("–", "dim"),
    "not_run": ("·", "dim"),
    "undetermined": ("?", "yellow"),
}
_GRADES: Final = {
    "proved": "the key's attestation by the phone's maker proves it",
    "signed": "the phone's signature states it",
    "logged": "the server saw it itself",
    "declared": "somebody says so",
}


def teller(stdout: TextIO) -> Callable[[dict[str, Any]], None]:
    """A function that prints each step of the story to `stdout`."""
    console = Console(file=stdout, highlight=False, width=min(console_width(), 110) if stdout.isatty() else 100)
    console.print(
        Panel(
            "European law wants [b]strong customer authentication[/b] (SCA) before a bank pays: two of something you "
            "[b]know[/b] (a passcode), [b]have[/b] (your phone) and [b]are[/b] (your finger or face). "
            "Asking for it when a payment is made is called a [b]step-up[/b].\n\n"
            "Watch one. The phone is simulated; the server, the HTTP and the signatures are real.",
            title="stepup-simulator",
            box=box.ROUNDED,
            padding=(1, 2),
        )
    )
    return _Teller(console).tell


def console_width() -> int:
    """The terminal's width."""
    return shutil.get_terminal_size((100, 24)).columns


class _Teller:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._number = 0
        self._first_rules: dict[str, str] = {}
        self._tellers: dict[str, Callable[[dict[str, Any]], None]] = {
            "enrol": self._enrol,
            "payment": self._payment,
            "approval": self._approval,
            "step-up": self._step_up,
            "verdict": self._verdict,
            "replay": self._replay,
            "second-replay": self._second_replay,
            "end": self._end,
        }

    def tell(self, step: dict[str, Any]) -> None:
        self._tellers[step["step"]](step)

    def _heading(self, text: str) -> None:
        self._number += 1
        self._console.print()
        self._console.rule(f"[b]{self._number}  {text}[/b]", align="left", style="dim")

    def _say(self, text: str) -> None:
        self._console.print(text)

    def _exchange(self, step: dict[str, Any], *, answer: bool = True) -> None:
        request, response = step["request"], step["response"]
        lines = [f"[b]{request['method']} {request['path']}[/b]"]
        lines += [f"[dim]{name}: {value}[/dim]" for name, value in request["headers"].items()]
        parts: list[RenderableType] = ["\n".join(lines), _json(request["body"])]
        self._console.print(Panel(Group(*parts), title="client → bank", title_align="left", box=box.ROUNDED))
        if answer:
            style = "green" if response["status"] < 300 else "yellow"
            body = Group(f"[b {style}]{response['status']}[/]", _json(response["body"]))
            self._console.print(
                Panel(body, title="bank → client", title_align="left", box=box.ROUNDED, border_style=style)
            )

    def _enrol(self, step: dict[str, Any]) -> None:
        self._heading("A phone is enrolled")
        self._say(
            "Once, before anything else: the customer logs in with the passcode and types a code from an SMS. Then the phone "
            f"({step['profile']}) makes two keys in its secure hardware, and the phone's maker certifies what guards them:"
        )
        for key in step["keys"]:
            use = "signs only for an enrolled finger" if key["gate"] == "biometric" else "shows that this is the phone"
            name = "biometric" if key["gate"] == "biometric" else "possession"
            self._say(f"   • a [b]{name}[/b] key ({key['algorithm']}, in the {key['securityLevel']}): {use}")
        self._say(f"   [dim]SMS from {step['sms']['from']}: {step['sms']['text']}[/dim]")

    def _payment(self, step: dict[str, Any]) -> None:
        if step["method"] == "BIOMETRIC":
            self._heading("Another payment, this time with a finger")
            transaction = step["response"]["body"].get("transactionId")
            methods = " or ".join(step["response"]["body"].get("authenticationMethods", []))
            self._say(f"Refused again, with a new identifier ([dim]{transaction}[/dim]): one step-up, one payment.")
            self._say(f"The bank offers {methods}. No passcode is typed now.")
            return
        self._heading("A client asks the bank to pay, and is told: 403, step up first")
        self._exchange(step)

    def _approval(self, step: dict[str, Any]) -> None:
        if step["method"] == "PASSCODE":
            self._heading("The phone shows the order; the customer approves; the phone signs")
        signed = step["signed"]
        factor = "presents a finger" if signed["key"] == "biometric" else "types the passcode"
        screen = Panel(
            "\n".join(step["shown"]) + f"\n\n[b]Approve[/b]   Decline\n[dim]the customer {factor}[/dim]",
            title="the phone",
            box=box.HEAVY,
            width=42,
            padding=(1, 1),
        )
        table = Table(box=None, show_header=False, padding=(0, 1))
        total = (signed["payment"] or {}).get("total", {})
        for name, value in (
            ("key", f"{signed['key']} key"),
            ("payee", str((signed["payment"] or {}).get("payeeName"))),
            ("total", f"{total.get('value')} {total.get('currency')}"),
            ("challenge", f"{signed['challenge'][:22]}…"),
            ("signed at", str(signed["signedAt"])),
            (
                "user verified",
                "yes, by the sensor" if signed["userVerified"] else "no (the passcode is the server's to check)",
            ),
            ("counter", str(signed["counter"])),
        ):
            table.add_row(f"[dim]{name}[/dim]", value)
        body = Group(
            table,
            "",
            "[dim]challenge = SHA-256 of nonce, transaction id and\nwhole order: change one letter, and it does not fit[/dim]",
        )
        side_by_side = Table.grid(padding=(0, 2))
        side_by_side.add_row(screen, Panel(body, title="what it signs", box=box.ROUNDED))
        self._console.print(side_by_side)

    def _step_up(self, step: dict[str, Any]) -> None:
        if step["method"] == "BIOMETRIC":
            return
        self._heading("The client sends the step-up: the passcode, and the phone's signature beside it")
        self._exchange(step)

    def _verdict(self, step: dict[str, Any]) -> None:
        verdict = step["verdict"]
        if step["method"] == "PASSCODE":
            self._heading("What the server checked before it said yes")
            self._say("The client hears only yes or no. The operator gets a verdict, check by check:")
        self._console.print(_findings(verdict))
        for element in verdict["elements"]:
            grade = _GRADES.get(element["grade"], "")
            self._say(
                f"   [green]✓[/green] [b]{element['category']}[/b] by {element['method']}: [b]{element['grade']}[/b] ({grade})"
            )
        self._console.print(_report(verdict, self._first_rules))
        self._first_rules = self._first_rules or _by_rule(verdict)

    def _replay(self, step: dict[str, Any]) -> None:
        if step["method"] == "BIOMETRIC":
            self._say(f"[green]Paid: {step['response']['status']}[/green] {_line(step['response']['body'])}")
            return
        self._heading("The same payment again, with the identifier and the new token: paid")
        self._exchange(step)

    def _second_replay(self, step: dict[str, Any]) -> None:
        self._heading("And a second time? One identifier pays once")
        response = step["response"]
        body = response["body"]
        self._say(f"[yellow]{response['status']}[/yellow] {body.get('code')} {body.get('message')}")
        self._say(f"[dim]The bank treats it as a new payment, with a new identifier: {body.get('transactionId')}[/dim]")

    def _end(self, step: dict[str, Any]) -> None:
        self._console.print()
        self._console.print(
            Panel(
                "Try it yourself:\n"
                "  stepup-server serve                              a server for your client to talk to\n"
                "  stepup-phone enrol --passcode 111234             your phone\n"
                "  stepup-phone pay --amount 10.00 --passcode 111234\n"
                "  stepup-phone faults                              everything that can go wrong, on demand\n"
                "  stepup-phone                                     the phone's screen",
                title="What next",
                box=box.ROUNDED,
                padding=(1, 2),
            )
        )


def _json(value: Any) -> RenderableType:
    if value is None:
        return ""
    return Syntax(json.dumps(value, indent=2, ensure_ascii=False), "json", background_color="default", word_wrap=True)


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _findings(verdict: dict[str, Any]) -> Table:
    """One line for each family of checks, naming those that did not pass."""
    families: dict[str, list[dict[str, Any]]] = {}
    for finding in verdict["findings"]:
        families.setdefault(finding["check"].split(".")[0], []).append(finding)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 3))
    for family, findings in families.items():
        counts = Counter(finding["outcome"] for finding in findings)
        cells = [
            f"[{_MARKS[o][1]}]{_MARKS[o][0]} {count} {o.replace('_', ' ')}[/]"
            for o, count in counts.items()
            if o in _MARKS
        ]
        passed = ", ".join(f["check"].split(".", 1)[-1] for f in findings if f["outcome"] == "pass")
        table.add_row(family, "  ".join(cells), f"[dim]{passed}[/dim]")
    return table


def _by_rule(verdict: dict[str, Any]) -> dict[str, str]:
    """Each rule's verdict and grade."""
    return {rule["id"]: f"{rule['verdict']} {rule.get('grade')}" for rule in verdict["compliance"]["rules"]}


def _report(verdict: dict[str, Any], before: dict[str, str]) -> Panel:
    """The compliance report: each rule that applies; after the first report only what has changed since."""
    compliance = verdict["compliance"]
    now = _by_rule(verdict)
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for heading in ("", "rule", "grade", "obligation"):
        table.add_column(heading)
    left_out = 0
    for rule in compliance["rules"]:
        if before.get(rule["id"]) == now[rule["id"]] or (not before and rule["verdict"] == "not_applicable"):
            left_out += 1
            continue
        mark, style = _MARKS.get(rule["verdict"], ("?", "yellow"))
        note = rule["obligation"] if rule["verdict"] != "undetermined" else rule.get("reason") or rule["obligation"]
        table.add_row(Text(mark, style=style), rule["id"], rule.get("grade") or "", note)
    why = "are as in the first report" if before else "do not apply to this step-up"
    foot = f"[dim]{left_out} more rules {why}; ? means that no record shows it either way[/dim]"
    title = (
        f"Compliance ({compliance['ruleSet']}): two-factor {compliance['twoFactor']}, overall {compliance['overall']}"
    )
    return Panel(Group(table, "", foot), title=title, title_align="left", box=box.ROUNDED)
