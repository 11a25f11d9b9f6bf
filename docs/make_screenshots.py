"""Makes the pictures of docs/images from the real phone against a real server with a frozen clock.

    python docs/make_screenshots.py [OUT_DIR]

SVG needs nothing else. Where `chromium` (or another name in STEPUP_BROWSER) is installed, PNG files are made of them too.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path

import httpx2
from textual.pilot import Pilot

from authenticator.server_process import running_server
from authenticator.tui.app import PhoneApp
from authenticator.tui.demo_details import DEMO
from authenticator.tui.handset import Handset
from device_keys.entropy import SeededEntropy

NOW = datetime(2026, 3, 1, 9, 41, 0, tzinfo=UTC)
SMALL, LARGE = (80, 24), (120, 40)
IMAGES = Path(__file__).parent / "images"
ROUNDS = 1500


class Camera:
    """Presses keys, waits for what it wants to see, and takes the picture."""

    def __init__(self, app: PhoneApp, pilot: Pilot[int], out: Path) -> None:
        self.app, self.pilot, self.out = app, pilot, out

    def text(self) -> str:
        strips = self.app.screen._compositor.render_strips()
        return re.sub(r"[\s│]+", " ", "\n".join("".join(part.text for part in strip) for strip in strips))

    async def until(self, condition: Callable[[], object]) -> None:
        for _ in range(ROUNDS):
            await self.pilot.pause(0.02)
            if condition():
                return
        raise TimeoutError(self.text())

    async def sees(self, text: str) -> None:
        await self.until(lambda: text in self.text())

    async def at(self, view: str) -> None:
        await self.until(
            lambda: type(self.app.stage.top).__name__ == view and getattr(self.app.stage.top, "_ready", True)
        )
        await self.pilot.pause(0.3)

    async def take(self, name: str) -> None:
        await self.pilot.pause(0.3)
        picture = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8080", self.app.export_screenshot(title="stepup-phone"))
        picture = re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL)  # no fonts from the network
        (self.out / f"{name}.svg").write_text(re.sub(r"terminal-\d+", name, picture), "utf-8")


Tour = Callable[[Camera, str], Coroutine[None, None, None]]


def client_payment(url: str, payee: str, amount: str) -> None:
    """A client that knows of no phone asks the bank to pay."""
    demo = DEMO["bank"]
    with httpx2.Client(
        base_url=f"{url}/bank/v1", verify=False, trust_env=False, headers={"X-APIKEY": demo.api_key}
    ) as http:
        tokens = http.post("/oauth2/login", json={"username": demo.user, "passcode": demo.secret}).json()
        account = {"name": payee, "sortCode": "112233", "accountNumber": "12345678"}
        order = {"amount": amount, "currency": "GBP", "payee": account}
        http.post("/payments/domestic", json=order, headers={"Authorization": f"Bearer {tokens['accessToken']}"})


async def large(camera: Camera, url: str) -> None:
    """The phone with the reviewer's pane beside it."""
    await camera.sees("Enrol with the demo user")
    await camera.take("welcome")
    await camera.pilot.press("enter")
    await camera.sees("Make a test payment")
    await camera.pilot.press("enter")
    await camera.at("Approval")
    await camera.sees("not judged yet (issued)")
    await camera.take("approval")
    await camera.pilot.press("b")
    await camera.sees("a payment approved")
    await camera.sees("✓ accepted")
    await camera.take("verdict")
    await camera.pilot.press("enter")
    await camera.at("Home")
    await camera.pilot.press("6", "f")
    await camera.at("Faults")
    await camera.pilot.press("enter")
    await camera.sees("⚠ altered-amount")
    await camera.take("faults")
    await camera.pilot.press("escape", "escape")
    await camera.at("Home")
    await camera.pilot.press("n")
    await camera.at("PaymentForm")
    await camera.pilot.press("enter")
    await camera.at("Approval")
    await camera.pilot.press("b")
    await camera.sees("✗ refused")
    await camera.sees("403.000.52")
    await camera.take("refused")


async def small(camera: Camera, url: str) -> None:
    """The phone alone."""
    await camera.sees("Enrol with the demo user")
    await camera.pilot.press("enter")
    await camera.sees("Make a test payment")
    await camera.pilot.press("h")
    await camera.at("Home")
    await camera.take("home")
    for key, view, name in (("2", "Messages", "messages"), ("5", "Security", "security"), ("6", "Setup", "setup")):
        await camera.pilot.press(key)
        await camera.at(view)
        await camera.take(name)
        await camera.pilot.press("escape")
        await camera.at("Home")
    await camera.pilot.press("5")
    await camera.at("Security")
    await camera.pilot.press("down", "enter")
    await camera.at("Attestation")
    await camera.sees("What may be concluded")
    await camera.take("attestation")
    await camera.pilot.press("escape", "escape")
    await camera.at("Home")
    client_payment(url, "ACM\u0415 \u202eLtd", "250.00")
    await camera.at("Approval")
    await camera.take("hostile-payee")
    await camera.pilot.press("d")
    await camera.sees("Declined")
    await camera.pilot.press("l")
    await camera.at("Lock")
    for pin in range(9000, 9005):
        await camera.pilot.press(*str(pin), "enter")
        await camera.until(lambda tried=pin - 8999: camera.app.desk.snapshot.pin_failures == tried)  # type: ignore[union-attr]
    await camera.sees("Try again in 1:00")
    await camera.take("lock")


async def run(url: str, home: Path, out: Path, size: tuple[int, int], tour: Tour) -> None:
    """One tour, with a new phone."""
    entropy = SeededEntropy("screenshots")
    app = PhoneApp(Handset(url, home=home, clock=lambda: NOW, secret=b"s" * 32, entropy=entropy), still=True)
    async with app.run_test(size=size) as pilot:
        await tour(Camera(app, pilot, out), url)


def to_png(folder: Path) -> None:
    """Every SVG as PNG, by a headless browser; SVG only where none is installed."""
    browser = shutil.which(os.environ.get("STEPUP_BROWSER", "chromium"))
    if browser is None:
        return
    for picture in sorted(folder.glob("*.svg")):
        box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', picture.read_text("utf-8"))
        assert box is not None
        size = f"{int(float(box[1]))},{int(float(box[2]))}"
        subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars",
             f"--window-size={size}", f"--screenshot={picture.with_suffix('.png')}", picture.resolve().as_uri()],
            check=True, capture_output=True,
        )  # fmt: skip


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    out.mkdir(parents=True, exist_ok=True)
    options = ("--port", "0", "--database", "memory", "--seed", "screenshots", "--clock", NOW.isoformat())
    for size, tour in ((LARGE, large), (SMALL, small)):
        with tempfile.TemporaryDirectory() as home, running_server(*options) as url:
            asyncio.run(run(url, Path(home), out, size, tour))
    to_png(out)


if __name__ == "__main__":
    main()
