"""What the screen knows, between one answer and the next: pending step-ups, messages, history, the line to the server. Without Textual."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from authenticator.approving import Approval
    from authenticator.tui.handset import Snapshot
    from authenticator.tui.till import Offer

MOST: Final = 500


@dataclass(slots=True)
class Line:
    """The line to the server. `known`: it has been up before. `forgotten`: the server knows this phone no more."""

    up: bool = False
    reason: str = ""
    known: bool = False
    forgotten: bool = False


@dataclass(slots=True)
class Desk:
    """Bounded: of messages and of step-ups put off only the newest `MOST` are kept."""

    snapshot: Snapshot | None = None
    line: Line = field(default_factory=Line)
    pending: list[dict[str, Any]] = field(default_factory=list)
    later: deque[str] = field(default_factory=lambda: deque(maxlen=MOST))
    answered: deque[str] = field(default_factory=lambda: deque(maxlen=MOST))
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)
    shown: Offer | None = None
    signed: Approval | None = None
    signed_once: deque[str] = field(default_factory=lambda: deque(maxlen=MOST))

    def keep(self, message: dict[str, Any]) -> bool:
        """Add a message; False where it is known or has no number."""
        number = message.get("id")
        if not isinstance(number, int) or number in self.messages:
            return False
        self.messages[number] = message
        while len(self.messages) > MOST:
            del self.messages[min(self.messages)]
        return True

    def restart_messages(self, messages: list[dict[str, Any]]) -> None:
        """The inbox as it is now, whole."""
        self.messages = {}
        for message in messages:
            self.keep(message)

    def channel(self, name: str) -> list[dict[str, Any]]:
        """Newest first."""
        found = [message for message in self.messages.values() if message.get("channel") == name]
        return sorted(found, key=lambda message: -int(message["id"]))

    def unread(self, channel: str | None = None) -> int:
        """How many SMS and mails have come since each was last looked at."""
        channels = (channel,) if channel else ("sms", "email")
        return sum(1 for name in channels for message in self.channel(name) if message["id"] > self.read.get(name, 0))

    def mark_read(self, channel: str) -> None:
        """They have been looked at."""
        self.read[channel] = max((int(message["id"]) for message in self.channel(channel)), default=0)

    def list_pending(self, rows: list[dict[str, Any]]) -> None:
        """The open step-ups as the server lists them now, each with the `outcome` that it has from a phone, if any.

        An approval that its client has used up in vain is wanted anew, and shown again; what was declined is not.
        """
        approved = {_name(row) for row in self.pending if row.get("outcome") == "approved"}
        self.pending = rows
        for row in rows:
            name = _name(row)
            if row.get("outcome") is not None and name in self.answered:
                self.answered.remove(name)  # from here on the server's word counts
            elif row.get("outcome") is None and name in approved and name in self.later:
                self.later.remove(name)

    def hear_signature(self, approval: Approval) -> None:
        """The phone has signed; whatever comes of it, nobody may say afterwards that nothing was."""
        self.signed = approval
        self.signed_once.append(approval.step_up.transaction_id)

    def put_away(self) -> None:
        """The sheet is gone: what was signed stays with the reviewer, what was not will not be."""
        if self.signed is None:
            self.shown = None

    def waiting(self) -> list[dict[str, Any]]:
        """Those that wait for the user; the answered ones, by this phone's or the server's memory, wait for their client."""
        return [row for row in self.pending if row.get("outcome") is None and _name(row) not in self.answered]

    def next_to_show(self) -> str | None:
        """The oldest step-up that was neither answered nor put off."""
        return next((name for row in self.waiting() if (name := _name(row)) not in self.later), None)


def _name(row: dict[str, Any]) -> str:
    return str(row.get("transactionId"))
