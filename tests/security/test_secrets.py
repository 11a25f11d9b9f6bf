"""Secrets stay where they belong: a whole story is told with known ones, and then they are looked for everywhere else."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authenticator import approving
from authenticator.enrolling import Applicant, enrol
from authenticator.phone import Phone
from tests.support.http import open_http
from tests.support.waiting import PATIENCE_SECONDS

from ..server.conftest import NUMBER, ORDER, USER, Bank

# Told apart from anything that could stand there by chance.
PASSCODE = "passcode-7f3c1e"
WRONG = "wrong-passcode-93ab"
TOKEN = "operator-token-55d0"
PHONE_SECRET = b"phone-secret-d41d8cd98f00b204e98"


class Story:
    """What was told, and what is left of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "data" / "server.sqlite3"
        self.log = folder / "server.log"
        self.secrets = {
            "passcode": PASSCODE,
            "wrong passcode": WRONG,
            "operator's token": TOKEN,
            "phone's secret": PHONE_SECRET.decode(),
        }
        self.answers: dict[str, bytes] = {}
        self.processes = ""


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Enrolment, a payment by passcode and by biometric, refusals, and nonsense, at a server that logs every call."""
    made = Story(tmp_path_factory.mktemp("story"))
    old = os.umask(0)  # as careless as can be: modes must not depend on it
    try:
        tell(made)
    finally:
        os.umask(old)
    return made


def tell(story: Story) -> None:
    environment = os.environ | {"STEPUP_LOG_LEVEL": "debug"}
    command = [
        sys.executable,
        "-m",
        "server_stub",
        "serve",
        "--port",
        "0",
        "--database",
        str(story.database),
        "--token",
        TOKEN,
    ]
    with story.log.open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("Listening on ").strip()
        try:
            with open_http(url, timeout=30) as http:
                play(story, url, http)
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)
            process.stdout.close()


def play(story: Story, url: str, http: httpx2.Client) -> None:
    operator = {"Authorization": f"Bearer {TOKEN}"}

    def stub(method: str, path: str, body: Any = None) -> httpx2.Response:
        answer = http.request(method, f"/_stub{path}", json=body, headers=operator)
        assert answer.status_code == 200, answer.text
        return answer

    stub("PUT", "/users", {"id": USER, "passcode": PASSCODE})
    phone = Phone(story.folder / "phone", secret=PHONE_SECRET[:32], token=TOKEN)
    enrol(phone, Applicant(url, "bank", USER, PASSCODE, "pixel-9", NUMBER, "demo-api-key"))
    bank = Bank(http)
    for method in ("passcode", "biometric"):
        assert bank.login(PASSCODE).status_code == 200
        remember(story, bank, f"{method} login")
        transaction = bank.start(ORDER)
        enrolment, pending = approving.fetch(phone, url, transaction)
        wrong = {"username": USER, "passcode": WRONG}
        assert bank.step_up(transaction, wrong).status_code == 403
        header = approving.sign(
            phone, enrolment, pending, "possession" if method == "passcode" else "biometric"
        ).assertion.to_header()
        body = {"username": USER, "passcode": PASSCODE} if method == "passcode" else bank.biometric()
        assert bank.step_up(transaction, body, header).status_code == 200
        remember(story, bank, f"{method} step-up")
        assert bank.pay(transaction).status_code == 201
        story.answers[f"evidence {method}"] = stub("GET", f"/transactions/{transaction}/evidence").content
        story.answers[f"verdict {method}"] = stub("GET", f"/transactions/{transaction}/verdict").content
        story.answers[f"report {method}"] = report(story, url, transaction)
    http.post(
        f"/bank/v1/oauth2/login?passcode={PASSCODE}",
        content=b"{" + PASSCODE.encode(),
        headers={"X-APIKEY": "demo-api-key"},
    )
    http.post("/bank/v1/oauth2/refresh", json={"refreshToken": bank.refresh}, headers={"X-APIKEY": "demo-api-key"})
    for path in ("/requests", "/log", "/transactions", "/webhooks", "/health"):
        story.answers[path] = stub("GET", path).content
    phone.close()
    story.processes = "".join(command_lines())


def report(story: Story, url: str, transaction: str) -> bytes:
    out = story.folder / f"{transaction}.html"
    command = [
        sys.executable,
        "-m",
        "server_stub",
        "report",
        transaction,
        "--server",
        url,
        "--token",
        TOKEN,
        "--html",
        str(out),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    return out.read_bytes()


def remember(story: Story, bank: Bank, when: str) -> None:
    story.secrets |= {f"access token of {when}": bank.access, f"refresh token of {when}": bank.refresh}


def command_lines() -> Iterator[str]:
    """The command lines of all processes, where the system shows them."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield file.read_text(errors="replace")
        except OSError:
            continue


def places(story: Story) -> dict[str, bytes]:
    files = [
        story.log,
        *story.database.parent.iterdir(),
        *(p for p in (story.folder / "phone").rglob("*") if p.is_file()),
    ]
    return {file.name: file.read_bytes() for file in files} | story.answers


def test_no_secret_is_in_logs_answers_bundles_reports_or_files(story: Story) -> None:
    """Issue 9: secrets never in logs, bundles, reports or tracebacks; the database keeps hashes and digests."""
    found = places(story)
    assert {"server.log", "server.sqlite3", "phone.store", "/requests", "report passcode"} <= set(found)
    assert len(story.secrets) == 12
    for place, content in found.items():
        for name, secret in story.secrets.items():
            assert secret.encode() not in content, f"the {name} stands in {place}"


def test_the_looking_would_find_them(story: Story) -> None:
    """The users' list shows demo secrets by design; what is kept is not empty, and every call has its log line."""
    assert len(json.loads(story.answers["/requests"])) > 15
    lines = [line for line in story.log.read_text().splitlines() if "request=" in line]
    assert len(lines) >= len(json.loads(story.answers["/requests"]))
    assert "Traceback" not in story.log.read_text()
    assert (
        b'"passcode":"\\u2026"' in story.answers["/requests"] or '"passcode":"…"'.encode() in story.answers["/requests"]
    )


def test_a_process_list_shows_no_passcode(story: Story) -> None:
    """A passcode is never an argument of a process that the product starts itself; `--passcode -` and STEPUP_PASSCODE serve the rest."""
    assert PASSCODE not in story.processes
    assert WRONG not in story.processes


def test_files_are_for_their_owner_only_whatever_the_umask(story: Story) -> None:
    """0600: database, its journal, the phone's store."""
    files = [
        file
        for folder in (story.database.parent, story.folder / "phone")
        for file in folder.rglob("*")
        if file.is_file()
    ]
    assert len(files) >= 2
    loose = {file.name: oct(file.stat().st_mode) for file in files if stat.S_IMODE(file.stat().st_mode) & 0o077}
    assert loose == {}


def test_the_journal_beside_an_open_database_has_its_mode(tmp_path: Path) -> None:
    """SQLite's write-ahead log holds what the database will."""
    from server_stub.database.sqlite import SQLite

    old = os.umask(0)
    try:
        database = SQLite(str(tmp_path / "server.sqlite3"))
        with database.transaction() as statements:
            statements.run("put_setting", name="a", value="b")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
        database.close()
    finally:
        os.umask(old)
    assert set(modes) >= {"server.sqlite3", "server.sqlite3-wal"}
    assert set(modes.values()) == {0o600}
