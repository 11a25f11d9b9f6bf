"""Codes: the authenticator app. Each account's code with the time it has left; its QR code for another phone; new accounts by URI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from authenticator.errors import UsageError
from authenticator.tui import words
from authenticator.tui.views.base import View
from authenticator.tui.views.form import Field, Form
from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget

    from authenticator.apps.totp import RunningCode

_BAR = 18


class Codes(View):
    """Codes by the phone's own clock."""

    TITLE = "Codes"
    HELP = """Time-based codes (RFC 6238), by this phone's own clock: a skewed phone gives wrong codes, as in life. In a code's last five
seconds the next one stands dimmed beside it.

A adds an account from its otpauth URI (or a push registration's QR text). Q shows the chosen account as a QR code. C copies the code,
Delete forgets the account."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy", "Copy"),
        Binding("a", "add", "Add"),
        Binding("q", "qr", "QR"),
        Binding("delete", "remove", "Forget", key_display="del"),
    ]

    def __init__(self) -> None:
        super().__init__(name="codes")
        self._codes: list[RunningCode] = []

    def body(self) -> ComposeResult:
        yield Text("No account yet. A adds one by its URI.", classes="empty", markup=False)
        yield OptionList(markup=False, compact=True)

    def first_focus(self) -> Widget:
        return self.query_one(OptionList)

    def show(self) -> None:
        self.tick()

    def tick(self) -> None:
        self.in_background(self._read(), "codes")

    async def _read(self) -> None:
        from authenticator.apps import totp

        phone = self.phone_app.handset.phone
        self._codes = await self.phone_app.do(lambda: totp.codes(phone, phone.now()))
        listing = self.query_one(OptionList)
        self.query_one(".empty", Text).display = not self._codes
        if listing.option_count == len(self._codes):
            for index, code in enumerate(self._codes):
                listing.replace_option_prompt_at_index(index, _prompt(code))
            return
        listing.set_options([Option(_prompt(code)) for code in self._codes])
        listing.highlighted = 0 if self._codes else None

    def _chosen(self) -> RunningCode | None:
        index = self.query_one(OptionList).highlighted
        return self._codes[index] if index is not None and index < len(self._codes) else None

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_copy()

    def action_copy(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self.phone_app.copy_to_clipboard(chosen.code)
            self.phone_app.say(f"Copied {chosen.code}.")

    def action_add(self) -> None:
        self.in_background(self.phone_app.stage.open(AddAccount()), "open")

    def action_remove(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self.in_background(self._remove(chosen.label), "open")

    async def _remove(self, label: str) -> None:
        from authenticator.apps import totp
        from authenticator.tui.views.confirm import Confirm

        question = f"Forget {label}? Its secret is gone then."
        if await self.phone_app.stage.ask(Confirm("Forget an account", question, "Forget it")):
            await self.phone_app.do(lambda: totp.remove(self.phone_app.handset.phone, label))
            await self._read()

    def action_qr(self) -> None:
        self.in_background(self._show_qr(), "open")

    async def _show_qr(self) -> None:
        index = self.query_one(OptionList).highlighted
        phone = self.phone_app.handset.phone
        uris = await self.phone_app.do(lambda: list(phone.state.authenticator_app))
        if index is not None and index < len(uris):
            await self.app.push_screen(QrScreen(uris[index], self._codes[index].label))


def _prompt(code: RunningCode) -> Content:
    from authenticator.display import visible

    following = f"  {words.grouped(code.following)}" if code.seconds_left <= 5 else ""
    period = 30 if code.seconds_left <= 30 else 60
    return Content.assemble(
        f"{visible(code.label)}\n",
        (words.grouped(code.code), "bold $accent"),
        (following, "$muted"),
        f"\n{words.bar(code.seconds_left / period, _BAR)} ",
        (f"{code.seconds_left} s\n", "$muted"),
    )


class AddAccount(Form):
    """Paste what the QR code says."""

    TITLE = "Add an account"
    BUTTON = "Add"
    HELP = """Paste the text of the QR code: otpauth://totp/… for codes, or a push registration's address for approvals by push."""

    def __init__(self) -> None:
        super().__init__("add-account", (Field("uri", "The QR code's text", ""),), self._add)

    async def _add(self, values: dict[str, str]) -> None:
        uri, app = values["uri"].strip(), self.phone_app
        if uri.startswith("otpauth://"):
            from authenticator.apps import totp

            label = await app.do(lambda: totp.add(app.handset.phone, uri))
            app.say(f"Added {label}.")
        else:
            await app.do(lambda: _register_push(app.handset, uri))
            app.say("This phone is registered for push.")
        await app.refresh_snapshot()
        app.line.listen()
        await app.stage.close(self)


def _register_push(handset: Any, uri: str) -> None:
    if not uri:
        raise UsageError("Paste the text of a QR code.", field="URI")
    try:
        from authenticator.apps.loginradius import register
    except ImportError as error:
        raise UsageError("Expected an otpauth URI.", field="URI") from error
    register(handset.phone, uri, handset.phone.state.profile)


class QrScreen(ModalScreen[None]):
    """A QR code over the whole terminal: half a cell a module, so that a camera can read it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q", "dismiss", "Close")]

    def __init__(self, text: str, label: str) -> None:
        super().__init__()
        self._text, self._label = text, label

    def compose(self) -> ComposeResult:
        with Vertical(id="qr"):
            yield Text(half_blocks(self._text), id="qr-code", markup=False)
            yield Text(f"{self._label} · Esc closes", id="qr-label", markup=False)

    def on_click(self) -> None:
        self.dismiss()


def half_blocks(text: str) -> str:
    """The QR code of `text` in lines of ▀▄█, two modules a cell, with its quiet zone; dark modules are spaces (light on dark)."""
    import segno

    matrix = segno.make(text, error="l", micro=False, boost_error=False).matrix
    size = len(matrix)

    def light(row: int, column: int) -> bool:
        inside = 0 <= row < size and 0 <= column < size
        return not (inside and matrix[row][column])

    quiet, glyphs = 2, {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
    return "\n".join(
        "".join(glyphs[light(row, column), light(row + 1, column)] for column in range(-quiet, size + quiet))
        for row in range(-quiet, size + quiet, 2)
    )
