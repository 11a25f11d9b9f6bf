"""The phones of one control process: created, found, removed; each with the rule by which it answers step-ups of its own accord."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from authenticator.control_events import Events
from authenticator.control_messages import AddVirtualAuthenticator, SetAnswers
from authenticator.errors import PhoneError, Refused, UsageError
from authenticator.phone import STORE_FILE
from authenticator.rules import ALWAYS, ASK, NEVER, Decision, Rule
from authenticator.virtual import VirtualAuthenticator
from device_keys.entropy import SystemEntropy, new_uuid

POLL_SECONDS: Final = 0.1


@dataclass
class ControlledPhone:
    """A phone with its name and its standing answer. `given_up`: step-ups whose automatic answer failed; not tried again by themselves."""

    id: str
    device: VirtualAuthenticator
    home: Path
    rule: Rule = ASK
    once: bool = False
    method: str | None = None
    given_up: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)

    def describe(self) -> dict[str, Any]:
        """What the API shows of it."""
        device = self.device
        return {
            "authenticatorId": self.id,
            "profile": device.profile,
            "isUserVerified": device.biometric == "match",
            "biometric": device.biometric,
            "fault": device.fault,
            "answers": self.answers(),
            "skewSeconds": device.skew_seconds,
            "enrolments": [
                {"dialect": e.dialect, "server": e.server, "user": e.user, "deviceId": e.device_id, "enrolledAt": e.enrolled_at}
                for e in device.enrolments
            ],
        }  # fmt: skip

    def answers(self) -> dict[str, Any]:
        """The standing answer, in the words in which it is set."""
        rule = self.rule
        document: dict[str, Any] = {"decision": str(rule.decision), "times": "once" if self.once else "always"}
        if rule.limit is not None:
            document |= {"amountOver": f"{rule.limit:f}", "currency": rule.currency, "otherwise": str(rule.beyond)}
        return document | {"method": self.method}

    def set_answers(self, wanted: SetAnswers) -> None:
        """Answer by this from here on."""
        limit = None if wanted.amount_over is None else Decimal(wanted.amount_over)
        self.rule = Rule(Decision(wanted.decision), limit, wanted.currency, Decision(wanted.otherwise))
        self.once, self.method = wanted.times == "once", wanted.method
        self.given_up.clear()

    def find_waiting(self, transaction_id: str | None, seconds: float, pause: Callable[[float], None]) -> str:
        """The id given, or that of the only step-up that waits unanswered; `Refused` where there is none in time, or several."""
        if transaction_id is not None and not seconds:
            return transaction_id
        for attempt in range(int(seconds / POLL_SECONDS) + 1):
            if attempt:
                pause(POLL_SECONDS)
            rows = [row["transactionId"] for row in self.device.pending() if row.get("outcome") is None]
            if transaction_id in rows:
                return str(transaction_id)
            if transaction_id is None and rows:
                if len(rows) > 1:
                    raise UsageError(f"transactionId: several step-ups wait: {', '.join(rows)}", field="transactionId")
                return str(rows[0])
        raise Refused("nothing_waits", f"No step-up waited for this phone within {seconds:g} s.")


class Phones:
    """All of them, and the thread that answers for those with an automatic rule and reports what newly waits."""

    def __init__(self, folder: Path, make: Callable[..., VirtualAuthenticator], events: Events) -> None:
        self.folder = folder
        self.events = events
        self._make = make
        self._phones: dict[str, ControlledPhone] = {}
        self._mutex = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="control", daemon=True)

    def start(self) -> None:
        """Take up the phones that are in the folder from an earlier run, and begin to watch."""
        for store in sorted(self.folder.glob(f"*/{STORE_FILE}")):
            device = self._make(store.parent)
            device.use_profile(device.phone.state.profile)
            self._phones[store.parent.name] = ControlledPhone(store.parent.name, device, store.parent)
        self._thread.start()

    def close(self) -> None:
        """Hang up; the phones stay on disk if their folder does."""
        self._stop.set()
        self._thread.join(2)
        for phone in self.list():
            phone.device.close()

    def list(self) -> list[ControlledPhone]:
        """In the order in which they were added."""
        with self._mutex:
            return list(self._phones.values())

    def find(self, authenticator_id: str) -> ControlledPhone:
        """The phone of that id; `UsageError` (invalid argument) where there is none, as WebDriver has it."""
        with self._mutex:
            phone = self._phones.get(authenticator_id)
        if phone is None:
            raise UsageError("authenticatorId: no such virtual authenticator", field="authenticatorId")
        return phone

    def add(self, wanted: AddVirtualAuthenticator) -> ControlledPhone:
        """A new phone, not enrolled."""
        if wanted.has_resident_key:
            raise UsageError(
                "hasResidentKey: expected false: this phone's keys are not discoverable", field="hasResidentKey"
            )
        if not wanted.has_user_verification:
            raise UsageError(
                "hasUserVerification: expected true: every phone here has a sensor", field="hasUserVerification"
            )
        name = new_uuid(SystemEntropy(), "authenticator")
        home = self.folder / name
        device = self._make(home, profile=wanted.profile, seed=wanted.seed)
        device.biometric = "match" if wanted.is_user_verified else "no-match"
        phone = ControlledPhone(name, device, home)
        if isinstance(wanted.is_user_consenting, bool):
            phone.rule = ALWAYS if wanted.is_user_consenting else NEVER
        with self._mutex:
            self._phones[name] = phone
        return phone

    def remove(self, authenticator_id: str) -> None:
        """The phone and all that it holds are gone."""
        phone = self.find(authenticator_id)
        with self._mutex:
            del self._phones[phone.id]
        phone.device.close()
        shutil.rmtree(phone.home, ignore_errors=True)

    def clear(self) -> None:
        """No phones."""
        for phone in self.list():
            self.remove(phone.id)

    # --- answering of their own accord ------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            for phone in self.list():
                if phone.device.enrolments and (phone.rule.decision is not Decision.ASK or self.events.heard):
                    self._look_at(phone)

    def _look_at(self, phone: ControlledPhone) -> None:
        try:
            rows = [row for row in phone.device.pending() if row.get("outcome") is None]
        except PhoneError:
            return  # the server is away, or knows the phone no more: whoever asks is told
        for row in rows:
            name = row["transactionId"]
            if name not in phone.seen:
                phone.seen.add(name)
                about = {
                    key: row.get(key) for key in ("transactionId", "dialect", "kind", "payload", "methods", "expiresAt")
                }
                self.events.publish("step-up", authenticatorId=phone.id, **about)
            if name not in phone.given_up:
                self._answer(phone, row)

    def _answer(self, phone: ControlledPhone, row: dict[str, Any]) -> None:
        rule = phone.rule
        if rule.decide(row.get("payload")) is Decision.ASK:
            return
        try:
            done = phone.device.answer_one(row, rule.decide(row.get("payload")), phone.method)
        except PhoneError as error:
            phone.given_up.add(row["transactionId"])
            self.events.publish(
                "refused", authenticatorId=phone.id, transactionId=row["transactionId"], code=error.code
            )
            return
        if phone.once:
            phone.rule, phone.once = ASK, False
        self.events.publish(done["outcome"], authenticatorId=phone.id, **done)


def outcome_of(
    phone: ControlledPhone, transaction_id: str, seconds: float, pause: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """A step-up as it waits, with its answer (outcome approved, declined, or null), waited for; `Refused` where it does not wait here."""
    tries = int(seconds / POLL_SECONDS) + 1
    while True:
        tries -= 1
        row = next((row for row in phone.device.pending() if row["transactionId"] == transaction_id), None)
        if row is None:
            raise Refused("unknown_step_up", "This step-up does not wait for this phone (any more).")
        if row.get("outcome") is not None or tries <= 0:
            return row
        pause(POLL_SECONDS)
