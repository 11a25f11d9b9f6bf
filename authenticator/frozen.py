"""Where freezegun would make a screen hang, say so at once, and what to write instead."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from device_keys.clock import is_frozen

ADVICE: Final = (
    "freezegun holds the event loop's clock still, so this screen would never be drawn. Write "
    'freeze_time(…, ignore=["textual"], real_asyncio=True), or freeze_time(…, tick=True).'
)


def refuse_a_standing_loop() -> None:
    """`RuntimeError` with the way out, where the running loop's or Textual's own clock stands; to be called inside the loop."""
    if not is_frozen():
        return
    from textual import _time

    def clocks() -> tuple[float, float]:
        return asyncio.get_running_loop().time(), _time.get_time()

    before = clocks()
    time.sleep(0.002)
    if any(earlier == later for earlier, later in zip(before, clocks(), strict=True)):
        raise RuntimeError(ADVICE)
