"""Messages and Mail: what came, newest first; the code stands out, C copies it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from authenticator.tui.views.base import View
from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget


class Inbox(View):
    """Base of both. New ones appear by themselves; opening the app marks them as read when it is left."""

    CHANNEL: ClassVar[str] = ""
    EMPTY: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("c", "copy", "Copy code")]

    def body(self) -> ComposeResult:
        yield Text("", classes="address", markup=False)
        yield Text(self.EMPTY, classes="empty", markup=False)
        yield OptionList(markup=False, compact=True)

    def first_focus(self) -> Widget:
        return self.query_one(OptionList)

    def address(self) -> str:
        """Whose inbox this is."""
        snapshot = self.phone_app.desk.snapshot
        if snapshot is None:
            return ""
        return snapshot.number if self.CHANNEL == "sms" else snapshot.address

    def show(self) -> None:
        desk, listing = self.phone_app.desk, self.query_one(OptionList)
        messages, seen = desk.channel(self.CHANNEL), desk.read.get(self.CHANNEL, 0)
        chosen = None if listing.highlighted is None else listing.get_option_at_index(listing.highlighted).id
        newest_chosen = listing.highlighted == 0
        listing.set_options([Option(_prompt(one, unread=one["id"] > seen), id=f"m{one['id']}") for one in messages])
        ids = [f"m{one['id']}" for one in messages]
        if ids:
            listing.highlighted = 0 if newest_chosen or chosen not in ids else ids.index(str(chosen))
        self.query_one(".address", Text).update(self.address())
        self.query_one(".empty", Text).display = not messages

    async def action_back(self) -> None:
        self.phone_app.mark_read(self.CHANNEL)
        await super().action_back()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_copy()

    def action_copy(self) -> None:
        """The code of the chosen message goes to the clipboard."""
        listing = self.query_one(OptionList)
        messages = self.phone_app.desk.channel(self.CHANNEL)
        if listing.highlighted is None or listing.highlighted >= len(messages):
            return
        code = messages[listing.highlighted].get("code")
        if isinstance(code, str):
            self.phone_app.copy_to_clipboard(code)
            self.phone_app.say(f"Copied {code}.")
        else:
            self.phone_app.say("There is no code in this message.")


def _prompt(message: dict[str, Any], *, unread: bool) -> Content:
    from authenticator.display import visible

    text, code = visible(str(message.get("text", ""))), message.get("code")
    before, found, after = text.partition(code) if isinstance(code, str) and code else (text, "", "")
    head = (f"{'●' if unread else ' '} {visible(str(message.get('from') or 'unknown'))}", "bold" if unread else "")
    at = str(message.get("sentAt", ""))[11:16]
    return Content.assemble(head, (f"  {at}\n", "$muted"), before, (found, "bold $accent"), after, "\n")


class Messages(Inbox):
    """SMS to this phone's number."""

    TITLE = "Messages"
    CHANNEL = "sms"
    EMPTY = "No SMS yet."
    HELP = """SMS to this phone's number, newest first, as they arrive. C (or Enter) copies the code of the chosen one.

On the lock screen a new message shows without its code."""

    def __init__(self) -> None:
        super().__init__(name="messages")


class Mail(Inbox):
    """Mail to the user's address."""

    TITLE = "Mail"
    CHANNEL = "email"
    EMPTY = "No mail yet."
    HELP = "Mail to the user's address, newest first, as it arrives. C (or Enter) copies the code of the chosen one."

    def __init__(self) -> None:
        super().__init__(name="mail")
