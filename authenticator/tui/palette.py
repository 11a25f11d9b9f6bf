"""What Ctrl+P offers: everything, by name, whatever is open."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.app import SystemCommand

if TYPE_CHECKING:
    from authenticator.tui.app import PhoneApp


def commands(app: PhoneApp) -> Iterable[SystemCommand]:
    """Every command, with what it does."""

    def opens(name: str) -> object:
        return lambda: app.open_view(name)

    if app.is_enrolled():
        yield SystemCommand("Home", "back to the six apps", app.action_home)
        for name, what in _VIEWS.items():
            yield SystemCommand(name.replace("_", " ").capitalize(), what, opens(name))  # type: ignore[arg-type]
    yield SystemCommand("Lock", "lock the phone (Ctrl+L)", app.action_lock)
    yield SystemCommand("Enrol", "enrol at this server, with other details", opens("enrol_form"))  # type: ignore[arg-type]
    for name, what, action in _ACTIONS:
        yield SystemCommand(name, what, getattr(app, f"action_{action}"))
    yield SystemCommand("Quit", "close the phone (Ctrl+Q)", app.action_quit)


_VIEWS = {
    "bank": "what waits, and the history",
    "payment_form": "make a payment in the phone's own bank app",
    "messages": "SMS",
    "mail": "the user's mail",
    "codes": "the authenticator app",
    "security": "keys, attestation, enrolment",
    "setup": "the phone itself: fingers, clock, airplane mode, wipe",
    "faults": "lie on purpose, and see which check notices",
}
_ACTIONS = (
    ("Reviewer's pane", "what is sent, what is signed, the verdict (F2)", "pane"),
    ("Look for the server", "try again now (Ctrl+R)", "retry"),
    ("Theme", "dark, light, high contrast", "next_theme"),
    ("Reduced motion", "nothing slides, or everything may", "motion"),
    ("Airplane mode", "off the network, or on it again", "airplane"),
    ("Help", "what this screen does (?)", "help"),
)
