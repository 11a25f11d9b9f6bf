"""`stepup-phone demo`: the main job end to end, with no set-up, told for someone who has never heard of step-up or SCA.

The story is gathered as data first (`play`); the terminal tells it from that data (`demo_story`), and `--json` prints it. Everything in it
happens: a real server process, real HTTP, a real phone in a temporary home.
"""

from __future__ import annotations

import secrets
import tempfile
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from authenticator.client import Answer, Call
from authenticator.commands.enrol import DEMO_USERS
from authenticator.errors import ExitCode
from authenticator.output import Output
from authenticator.state import BIOMETRIC, POSSESSION

if TYPE_CHECKING:
    from authenticator.approving import Approval
    from authenticator.apps.bank import BankApp, Means
    from authenticator.phone import Phone

DEMO_PASSCODE: Final = "111234"
_HIDDEN: Final = frozenset({"authorization", "x-apikey", "x-device-assertion"})
_SECRET_MEMBERS: Final = frozenset({"passcode", "refreshToken", "accessToken"})


@dataclass(slots=True)
class Story:
    """What has happened so far: steps in order, each `{"step", "title", …}`, and the verdicts. `tell` hears each step as it happens."""

    tell: Callable[[dict[str, Any]], None] = lambda step: None
    steps: list[dict[str, Any]] = field(default_factory=list)
    transactions: list[dict[str, Any]] = field(default_factory=list)

    def add(self, step: str, title: str, **facts: Any) -> None:
        record = {"step": step, "title": title, **facts}
        self.steps.append(record)
        self.tell(record)

    @property
    def ok(self) -> bool:
        """Both payments went through with an accepted, two-factor verdict, and the second replay did not."""
        verdicts = [entry["verdict"] for entry in self.transactions]
        good = [v["accepted"] and v["compliance"]["twoFactor"] == "pass" for v in verdicts]
        refused = [step["response"]["status"] == 403 for step in self.steps if step["step"] == "second-replay"]
        return len(good) == 2 and all(good) and refused == [True]

    def document(self) -> dict[str, Any]:
        """The answer of `--json`."""
        return {"steps": self.steps, "transactions": self.transactions, "ok": self.ok}


def run(args: Namespace, output: Output) -> ExitCode:
    """Play the demo and tell it, or print it as JSON."""
    from authenticator.server_process import running_server

    story = Story()
    if not output.as_json:
        from authenticator.demo_story import teller

        story.tell = teller(output.stdout)
    options = ("--port", "0", "--database", "memory", *(("--clock", args.clock) if args.clock else ()))
    with running_server(*options) as url, tempfile.TemporaryDirectory(prefix="stepup-demo-") as home:
        play(story, url, Path(home))
    if output.as_json:
        output.result(story.document())
    return ExitCode.OK if story.ok else ExitCode.REFUSED


def play(story: Story, url: str, home: Path) -> None:
    """Enrol a phone at the server, pay with the passcode, try the replay twice, pay with a biometric."""
    from authenticator.phone import Phone

    phone = Phone(home, secret=secrets.token_bytes(32))
    try:
        _enrol(story, phone, url)
        _pay(story, phone, url, POSSESSION)
        _pay(story, phone, url, BIOMETRIC)
    finally:
        phone.close()
    good = "That was strong customer authentication"
    story.add("end", good if story.ok else "Not everything was as it should be: the verdicts say why", server=url)


def _enrol(story: Story, phone: Phone, url: str) -> None:
    from authenticator.apps.messages import DEMO_NUMBER, SMS, inbox
    from authenticator.commands.keys import key_rows
    from authenticator.enrolling import Applicant, enrol

    applicant = Applicant(url, "bank", DEMO_USERS["bank"], DEMO_PASSCODE, "pixel-9", DEMO_NUMBER, "demo-api-key")
    enrolment = enrol(phone, applicant)
    sms = inbox(phone, url, SMS, DEMO_NUMBER)[-1]
    keys = [{name: row[name] for name in ("gate", "algorithm", "securityLevel")} for row in key_rows(phone)]
    story.add(
        "enrol",
        "A phone is enrolled",
        profile=enrolment.profile,
        user=enrolment.user,
        deviceId=enrolment.device_id,
        sms={"from": sms.sender, "text": sms.text},
        keys=keys,
    )


def _pay(story: Story, phone: Phone, url: str, factor: str) -> None:
    from authenticator.apps.bank import BankApp, Means, domestic_payment
    from authenticator.ceremonies import Edits

    exchanges: list[tuple[Call, Answer]] = []
    approvals: list[Approval] = []
    phone.observe(lambda call, answer: exchanges.append((call, answer)))
    order = domestic_payment("10.00", "GBP", "ACME Ltd", "112233", "12345678")
    method = "PASSCODE" if factor == POSSESSION else "BIOMETRIC"

    def script(app: BankApp, order: dict[str, Any], means: Means) -> Any:
        app.open_session(means)
        transaction_id = app.start(order)
        _add_exchange(story, "payment", "The client asks the bank to pay", method, exchanges[-1])
        call = app.approve(transaction_id, means)
        _add_approval(story, approvals[-1], method)
        app.step_up(call)
        _add_exchange(story, "step-up", "The client sends the step-up", method, exchanges[-1])
        _add_verdict(story, phone, url, transaction_id, method)
        payment = app.replay(order, transaction_id, means)
        _add_exchange(story, "replay", "The client sends the payment again", method, exchanges[-1])
        if factor == POSSESSION:
            app.ask(order, transaction_id)
            _add_exchange(story, "second-replay", "Somebody sends it a second time", method, exchanges[-1])
        return payment

    app = BankApp(phone, phone.enrolment(url, "bank"), edits=Edits(bank_app=script), observe_approval=approvals.append)
    app.pay(order, Means(factor, DEMO_PASSCODE if factor == POSSESSION else None))
    phone.observe(lambda call, answer: None)


def _add_exchange(story: Story, step: str, title: str, method: str, exchange: tuple[Call, Answer]) -> None:
    call, answer = exchange
    request = {
        "method": call.method,
        "path": call.path,
        "headers": {name: _short(value) if name.lower() in _HIDDEN else value for name, value in call.headers.items()},
        "body": _masked(call.body),
    }
    story.add(
        step, title, method=method, request=request, response={"status": answer.status, "body": _masked(answer.body)}
    )


def _add_approval(story: Story, approval: Approval, method: str) -> None:
    from authenticator.display import show
    from device_keys.encoding import b64url_encode
    from device_keys.messages import parse_authenticator_data, parse_client_data

    step_up = approval.step_up
    client_data = parse_client_data(approval.assertion.client_data_json)
    data = parse_authenticator_data(approval.assertion.authenticator_data)
    device = client_data.device or {}
    story.add(
        "approval",
        "The phone shows the order, and signs it",
        method=method,
        transactionId=step_up.transaction_id,
        shown=show(step_up.kind, step_up.payload).lines(36),
        signed={
            "key": approval.factor,
            "type": client_data.type,
            "challenge": b64url_encode(client_data.challenge),
            "payment": client_data.payment,
            "signedAt": device.get("signedAt"),
            "userVerified": bool(data.flags & 0x04),
            "counter": data.sign_count,
            "bytes": len(approval.assertion.client_data_json) + len(approval.assertion.authenticator_data),
        },
    )


def _add_verdict(story: Story, phone: Phone, url: str, transaction_id: str, method: str) -> None:
    verdict = phone.server(url).stub("GET", f"transactions/{transaction_id}/verdict")
    story.transactions.append({"transactionId": transaction_id, "verdict": verdict})
    story.add("verdict", "The server checks everything", method=method, transactionId=transaction_id, verdict=verdict)


def _masked(value: Any) -> Any:
    """The value without secrets: they are the demo's, but nobody should get used to seeing them."""
    if isinstance(value, dict):
        return {k: _short(v) if k in _SECRET_MEMBERS and isinstance(v, str) else _masked(v) for k, v in value.items()}
    return value


def _short(secret: str) -> str:
    return f"{secret[:10]}…" if len(secret) > 24 else "•" * len(secret)
