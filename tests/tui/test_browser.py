"""The phone in a browser (issue 7): a real socket to a real process, keys in, paint out; and who may not use it (docs/security.md)."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from authenticator.output import Output
from authenticator.tui.web import HEADERS, PAGE, command, refusal, serve

from .conftest import Client

SECONDS = 30.0
TOKEN = "a token that nobody may read"
ESCAPES = re.compile(r"\x1b\[[0-9;?<>=]*\$?[A-Za-z]|\x1b[()][A-Z0-9]")


@pytest.fixture
def url(client: Client, tmp_path: Path) -> Iterator[str]:
    """`stepup-phone --web 0` as its own process; after the test it ends by SIGTERM and has told nobody the token."""
    own = {"XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "STEPUP_PHONE_SECRET": "browser"}
    own["STEPUP_TOKEN"] = TOKEN
    command = [sys.executable, "-m", "authenticator", "--web", "0", "--server", client.url]
    process = subprocess.Popen(
        [*command, "--home", str(tmp_path / "phone")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | own,
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        assert line.startswith("Listening on http://127.0.0.1:"), line
        yield line.removeprefix("Listening on ").strip()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 0
        assert TOKEN not in line + said
        assert "Traceback" not in said
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class Page:
    """An open page: what was painted so far, and a keyboard."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._painted = ""

    async def sees(self, text: str) -> None:
        """That it is painted from here on."""
        async with asyncio.timeout(SECONDS):
            while text not in ESCAPES.sub("", self._painted):
                message = await self._socket.receive()
                assert message.type is aiohttp.WSMsgType.BINARY, f"{message.type}: {self._painted[-500:]!r}"
                self._painted += message.data.decode("utf-8", "replace")

    async def key(self, key: str) -> None:
        self._painted = ""
        await self._socket.send_str(json.dumps(["stdin", key]))


def _socket_url(url: str) -> str:
    return f"{url.replace('http', 'ws', 1)}/ws?width=80&height=24"


def test_a_page_is_painted_takes_keys_and_enrols_the_phone(url: str, client: Client) -> None:
    async def browse() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(_socket_url(url), headers={"Origin": url}) as socket,
        ):
            page = Page(socket)
            await page.sees("A phone for your bank's step-up")
            await page.sees("Enrol with the demo user")
            await page.key("\r")
            await page.sees("Make a test payment")
            await page.key("?")
            await page.sees("Three steps, each with Enter")

    asyncio.run(browse())
    paths = [entry["path"] for entry in client.stub("GET", "requests")]
    assert any(path.startswith("/device/v1/enrolments/") for path in paths)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.test"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Host": "evil.test"},
        {"Host": "phone.evil.test:80", "Origin": "http://phone.evil.test:80"},
    ],
    ids=["another site", "another port of this machine", "a sandboxed page", "a rebound name", "a rebound name's page"],
)
def test_no_other_page_opens_the_socket_or_reads_the_page(url: str, headers: dict[str, str]) -> None:
    """docs/security.md: pages of other origins, and names that merely resolve to loopback."""

    async def intrude() -> tuple[int, int]:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(_socket_url(url), headers=headers)
            async with session.get(url, headers=headers) as answer:
                return refused.value.status, answer.status

    assert asyncio.run(intrude()) == (403, 403)


def test_the_page_can_be_opened_by_a_link_but_neither_framed_nor_fetched_by_another_site() -> None:
    own = {"Host": "127.0.0.1:8000"}
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert refusal(own) is None
    assert refusal(own | {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}) is None
    assert refusal({"Host": "localhost:8000", "Origin": "http://localhost:8000"}) is None
    assert refusal(own | link) is None
    assert refusal(own | link | {"Sec-Fetch-Dest": "iframe"})
    assert refusal(own | {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"})
    assert refusal({})


def test_the_page_and_all_that_it_loads_come_from_this_machine(url: str) -> None:
    """No font, script or picture of another host: the page works offline and nobody is told that it was opened."""
    loads = re.compile(r"""(?:href|src)="(/[^"]+)"|url\("(/[^"]+)"\)""")
    foreign = re.compile(r"""(?:href|src)="(?:https?:)?//|url\(["']?(?:https?:)?//|@import""")

    async def browse() -> list[str]:
        paths = ["/"]
        async with aiohttp.ClientSession() as session:
            for path in paths:  # it grows on the way
                async with session.get(url + path) as answer:
                    assert answer.status == 200, path
                    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, path
                    if path.endswith((".css", "/")):
                        text = await answer.text()
                        assert not foreign.search(text), path
                        paths += [found[1] or found[2] for found in loads.finditer(text)]
        return paths

    paths = asyncio.run(browse())
    assert {"/page/page.js", "/static/js/textual.js", "/static/fonts/RobotoMono-VariableFont_wght.ttf"} <= set(paths)
    own = [file.read_text("utf-8") for file in PAGE.iterdir()]
    assert len(own) == 4
    assert not [text for text in own if re.search(r"https?://\w", text)]


def test_a_port_that_is_taken_is_one_clear_error(url: str) -> None:
    port = url.rsplit(":", 1)[1]
    done = subprocess.run(
        [sys.executable, "-m", "authenticator", "--web", port], capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert f"Cannot listen on 127.0.0.1 port {port}" in done.stderr


def test_the_token_is_in_no_process_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gives it on the command line shows it there once, not again with every open page."""
    monkeypatch.setenv("STEPUP_TOKEN", "")  # so that it is put back
    asked = Namespace(server="http://127.0.0.1:1", token=TOKEN, home="here", clock=None, web=0)
    monkeypatch.setattr("authenticator.tui.web.run", lambda *_: None)
    monkeypatch.setattr("authenticator.listening.bind", lambda *_: None)
    serve(asked, Output(as_json=False))
    assert TOKEN not in command(asked)
    assert os.environ["STEPUP_TOKEN"] == TOKEN
