"""Home: the clock and six apps."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.containers import Grid
from textual.content import Content
from textual.widgets import Digits

from authenticator.tui import words
from authenticator.tui.views.base import View
from authenticator.tui.widgets.choice import Pressable
from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

APPS: Final = ("bank", "messages", "mail", "codes", "security", "setup")


class Tile(Text, can_focus=True):
    """An app's tile: its digit, its name, and what is new in it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "press", "Open", show=False),
        Binding("right", "app.focus_next", show=False),
        Binding("left", "app.focus_previous", show=False),
        Binding("down", "move(3)", show=False),
        Binding("up", "move(-3)", show=False),
    ]

    def __init__(self, number: int, app_name: str) -> None:
        super().__init__(id=f"tile-{app_name}", classes="tile", markup=False)
        self._number, self._app_name = number, app_name
        self.set_news("")

    def set_news(self, news: str) -> None:
        """What stands under the name."""
        name = self._app_name.title()
        self.update(Content.assemble((str(self._number), "$accent"), f" {name}\n", (news or " ", "bold")))

    async def action_press(self) -> None:
        await self.run_action(f"app.open('{self._app_name}')")

    def action_move(self, by: int) -> None:
        tiles = list(self.screen.query(Tile))
        tiles[(tiles.index(self) + by) % len(tiles)].focus()

    async def on_click(self, event: events.Click) -> None:
        event.stop()
        await self.action_press()


class Home(View):
    """The lowest view of an enrolled phone."""

    HELP = """Digits open the apps. An approval slides in by itself over whatever is open.

L locks the phone. F2 shows the reviewer's pane: what was sent, what is signed, the verdict. In a wide terminal it stands at the right.
Ctrl+P has everything by name."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "nothing", show=False),
        Binding("1", "app.open('bank')", "Apps", key_display="1–6"),
        *(Binding(str(n), f"app.open('{name}')", name.title(), show=False) for n, name in enumerate(APPS, 1) if n > 1),
        Binding("n", "app.open('payment_form')", "Pay"),
        Binding("l", "app.lock", "Lock"),
    ]

    def compose(self) -> ComposeResult:
        yield Digits("", id="home-clock")
        yield Text("", id="home-date", markup=False)
        with Grid(id="tiles"):
            for number, name in enumerate(APPS, 1):
                yield Tile(number, name)
        yield Pressable("messages", id="home-news")

    def on_mount(self) -> None:
        self.tick()

    def on_pressable_pressed(self, message: Pressable.Pressed) -> None:
        message.stop()
        self.phone_app.open_view(message.choice)

    def action_nothing(self) -> None:
        """Home has no way back."""

    def show(self) -> None:
        desk = self.phone_app.desk
        counts = {
            "bank": len(desk.waiting()),
            "messages": desk.unread("sms"),
            "mail": desk.unread("email"),
            "codes": 0,
        }
        for name, count in counts.items():
            self.query_one(f"#tile-{name}", Tile).set_news(f"● {count}" if count else "")
        newest = next((m for m in desk.channel("sms") if m["id"] > desk.read.get("sms", 0)), None)
        news = self.query_one("#home-news", Pressable)
        news.update("" if newest is None else _preview(newest))
        news.display = newest is not None
        self.tick()

    def tick(self) -> None:
        now = self.phone_app.handset.now()
        self.query_one("#home-clock", Digits).update(words.clock_time(now))
        self.query_one("#home-date", Text).update("" if now is None else f"{now:%A} {now.day} {now:%B}")


def _preview(message: dict[str, object]) -> str:
    from authenticator.display import visible

    return f"✉ {visible(str(message.get('from', '')))}\n{visible(str(message.get('text', '')))}"
