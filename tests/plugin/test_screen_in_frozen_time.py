"""The phone's screen under freezegun: it runs with the options that are documented, and fails helpfully without them (traps 2)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time

from authenticator.tui.app import PhoneApp
from authenticator.tui.handset import Handset

DAY = "2026-01-31"


def screen(home: Path) -> PhoneApp:
    return PhoneApp(Handset("http://127.0.0.1:9", home=home, secret=b"s" * 32), still=True)


async def draw(home: Path) -> str:
    app = screen(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        return app.screen.name or type(app.screen).__name__


@pytest.mark.parametrize("options", [{}, {"real_asyncio": True}, {"ignore": ["textual"]}])
def test_where_it_would_hang_it_says_what_to_write(tmp_path: Path, options: dict[str, Any]) -> None:
    with freeze_time(DAY, **options), pytest.raises(RuntimeError, match="real_asyncio=True"):
        asyncio.run(draw(tmp_path))


@pytest.mark.parametrize("options", [{"tick": True}, {"ignore": ["textual"], "real_asyncio": True}])
def test_with_the_documented_options_it_is_drawn(tmp_path: Path, options: dict[str, Any]) -> None:
    with freeze_time(DAY, **options):
        assert asyncio.run(asyncio.wait_for(draw(tmp_path), 60))


def test_without_a_freeze_nothing_is_refused(tmp_path: Path) -> None:
    assert asyncio.run(draw(tmp_path))
