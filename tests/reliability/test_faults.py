"""What may befall the server, the phone and their clients; after each, nothing accepted is lost (issue 9, "Faults survived")."""

from __future__ import annotations

import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from authenticator.approving import fetch, sign
from authenticator.phone import Phone
from server_stub.cli import main as server_command
from server_stub.database import open_database
from server_stub.database.protocol import DatabaseUnavailable
from server_stub.database.sqlite import SQLite
from server_stub.log_chain import verify_chain
from server_stub.server import Server, Settings
from server_stub.shedding import Limits, Load
from server_stub.store import Store
from server_stub.testing import LiveServer as ServerInThread
from server_stub.trust import load_trust
from tests.support.server import client_of, servers
from tests.support.waiting import PATIENCE_SECONDS

from ..server.conftest import NUMBER, PASSCODE, URL, USER, Bank, Handset, LiveServer

# --- the disk --------------------------------------------------------------------------------------------------------


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[Server]:
    with servers() as new:
        yield new(str(tmp_path / "server.sqlite3"), dialects=("bank",))


def sqlite_of(server: Server) -> sqlite3.Connection:
    database = server.store.database
    assert isinstance(database, SQLite)
    return database._connection


def test_a_full_disk_is_503_loses_nothing_and_is_over_when_there_is_room(on_disk: Server) -> None:
    """SQLITE_FULL in the middle of ordinary work: whole answers before, 503 with `Retry-After` while it lasts, whole answers after."""
    bank = Bank(client_of(on_disk))
    bank.login()
    connection = sqlite_of(on_disk)
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 6}")
    accepted = []
    for _ in range(200):
        answer = bank.pay()
        if answer.status_code != 403:
            break
        accepted.append(answer.json()["transactionId"])
    assert (answer.status_code, answer.headers["Retry-After"], answer.json()["code"]) == (503, "1", "503.001.001")
    assert accepted
    assert bank.http.get("/_stub/health").status_code == 200  # reading goes on
    connection.execute("PRAGMA max_page_count = 1000000")
    assert bank.pay().status_code == 403
    known = {transaction["transactionId"] for transaction in bank.stub("GET", "/transactions")}
    assert set(accepted) <= known
    with on_disk.store.reading() as unit:
        assert verify_chain(unit.log_entries()) is None


def test_a_database_that_became_read_only_is_503_and_reads_go_on(on_disk: Server) -> None:
    bank = Bank(client_of(on_disk))
    bank.login()
    connection = sqlite_of(on_disk)
    connection.execute("PRAGMA query_only = ON")
    for _ in range(2):
        assert bank.pay().json()["code"] == "503.001.001"
    assert bank.balance() == "10000.00"
    connection.execute("PRAGMA query_only = OFF")
    assert bank.pay().status_code == 403


def test_a_folder_that_cannot_be_written_is_one_clear_error_and_exit_3(tmp_path: Path) -> None:
    """A file where the folder should be: as unwritable for root as for anyone."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailable, match="database"):
        open_database(str(tmp_path / "file" / "server.sqlite3"))
    ended = run("server_stub", "serve", "--port", "0", "--database", str(tmp_path / "file" / "server.sqlite3"))
    assert ended.returncode == 3
    assert "Traceback" not in ended.stderr
    ended = run("authenticator", "keys", "--home", str(tmp_path / "file" / "phone"))
    assert ended.returncode == 3
    assert "Traceback" not in ended.stderr


def test_a_file_that_is_no_database_is_one_clear_error_and_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "server.sqlite3"
    file.write_bytes(b"something else entirely, of someone else" * 100)
    before = file.read_bytes()
    ended = run("server_stub", "serve", "--port", "0", "--database", str(file))
    assert (ended.returncode, file.read_bytes()) == (3, before)
    assert "Traceback" not in ended.stderr


def run(package: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", package, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False, env=os.environ | environment
    )


# --- SIGKILL of the phone --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [8, pytest.param(200, marks=pytest.mark.deep)])
def test_a_phone_killed_at_random_points_keeps_its_keys_and_enrolment(
    live: Callable[..., LiveServer], tmp_path: Path, rounds: int
) -> None:
    """SIGKILL of `stepup-phone` while it enrols or pays: the store is readable after each, a finished enrolment still pays, and the
    server sees no signature counter twice (it would refuse the last payment)."""
    server = live("--database", "memory", "--dialect", "all")
    chance = random.Random(rounds)
    home, secret = tmp_path / "phone", "a" * 64
    given = ("--home", str(home), "--server", server.url)
    enrol = ("enrol", *given, "--user", USER, "--passcode", PASSCODE, "--number", NUMBER, "--api-key", "demo-api-key")
    pay = ("pay", *given, "--passcode", PASSCODE, "--amount", "1.00", "--currency", "GBP", "--payee", "ACME Ltd")
    assert run("authenticator", *enrol, STEPUP_PHONE_SECRET=secret).returncode == 0
    killed = 0
    for number in range(rounds):
        enrolling = number % 4 == 3
        killed += kill_during(enrol if enrolling else pay, chance.uniform(0.05, 1.2), secret)
        listed = run("authenticator", "keys", *given[:2], "--json", STEPUP_PHONE_SECRET=secret)
        assert listed.returncode == 0, listed.stderr
        assert [key["server"] for key in json.loads(listed.stdout)].count(server.url) >= 2
        if enrolling:  # the server may have bound keys whose phone died before it knew: enrolling again replaces them
            assert run("authenticator", *enrol, STEPUP_PHONE_SECRET=secret).returncode == 0
    assert killed
    last = run("authenticator", *pay, "--json", STEPUP_PHONE_SECRET=secret)
    assert last.returncode == 0, last.stdout + last.stderr
    assert server_command(["log", "verify", "--server", server.url]) == 0


def kill_during(arguments: tuple[str, ...], seconds: float, secret: str) -> bool:
    """Whether the command still ran when it was killed."""
    command = [sys.executable, "-m", "authenticator", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"STEPUP_PHONE_SECRET": secret}
    )
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(PATIENCE_SECONDS)
        return True


# --- the clock -------------------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_backwards_revives_nothing_and_breaks_nothing(bank: Bank, handset: Handset) -> None:
    """A used nonce stays used, a paid identifier stays paid, a block stays a block; the next payment works."""
    transaction = bank.start()
    header = handset.header(transaction)
    assert bank.step_up(transaction, header=header).status_code == 200
    assert bank.pay(transaction).status_code == 201
    for earlier in ("2026-03-02T11:59:00Z", "2026-03-01T00:00:00Z", "2025-01-01T00:00:00Z"):
        bank.stub("PUT", "/clock", {"now": earlier, "frozen": True})
        assert bank.pay(transaction).status_code in (401, 403)
        assert bank.balance() == "9990.00"
        bank.login()
        again = bank.start()
        assert bank.step_up(again, header=header).status_code == 403
        assert "challenge.unused" in bank.failed(again) or "challenge.transaction" in bank.failed(again)
    assert len(bank.stub("GET", f"/payments?user={USER}")) == 1
    bank.stub("PUT", "/clock", {"now": "2026-03-02T12:00:30Z", "frozen": True})
    bank.login()
    transaction = bank.start()
    assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200
    assert bank.pay(transaction).status_code == 201


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z"])
def test_the_clock_cannot_be_set_where_the_calendar_ends(bank: Bank, instant: str) -> None:
    """Found by fuzzing: lifetimes counted from there left the calendar."""
    assert bank.http.put("/_stub/clock", json={"now": instant, "frozen": True}).status_code == 400
    bank.stub("PUT", "/clock", {"now": "8999-12-31T23:59:59Z", "frozen": True})
    assert bank.login().status_code == 200
    assert bank.http.post("/_stub/clock/advance", json={"seconds": 10_000_000_000}).status_code == 400
    assert bank.login().status_code == 200


# --- clients that do not behave --------------------------------------------------------------------------------------


@pytest.fixture
def impatient() -> Iterator[ServerInThread]:
    """A live server whose patience is short."""
    server = Server(Store(open_database("memory")), load_trust(), settings=Settings(dialects=("bank",)))
    server.load = Load(Limits(head=0.3, body=0.3, head_size=4096))
    server.start()
    made = ServerInThread(server).start()
    yield made
    made.stop()
    server.store.database.close()


def said(server: ServerInThread, *parts: bytes) -> bytes:
    """All that the server answers to these bytes, until it hangs up; the client itself never does."""
    with socket.create_connection(
        ("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=PATIENCE_SECONDS
    ) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        while more := connection.recv(65536):
            received += more
        return received


HEAD = b"POST /bank/v1/oauth2/login HTTP/1.1\r\nHost: localhost\r\nX-APIKEY: demo-api-key\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ((), b"408"),
        ((b"POST /bank/v1/oauth2/log",), b"408"),
        ((HEAD,), b"408"),
        ((HEAD + b"Content-Length: 100\r\n\r\n", b'{"username":'), b"408"),
        ((HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b'5\r\n{"a":\r\n'), b"408"),
        ((HEAD + b"X-Long: " + b"x" * 9000,), b"431"),
        ((HEAD + b"X-Long: " + b"x" * 9000 + b"\r\n\r\n",), b"431"),
        ((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",), b"400"),
    ],
    ids=[
        "nothing",
        "half a line",
        "half a head",
        "half a body",
        "half a chunked body",
        "endless head",
        "long head",
        "TLS",
    ],
)
def test_slow_half_open_and_endless_clients_are_let_go_and_others_are_served(
    impatient: ServerInThread, sent: tuple[bytes, ...], status: bytes
) -> None:
    """Slowloris: each connection ends by the server's own hand, and the server answers others meanwhile and afterwards."""
    ended: list[bytes] = []
    slow = threading.Thread(target=lambda: ended.append(said(impatient, *sent)))
    slow.start()
    bank = Bank(impatient.http)
    assert bank.login().status_code == 200
    slow.join(20)
    assert ended[0].split(b" ")[1] == status, ended
    assert bank.pay().status_code == 403
    assert impatient.server.load.working == 0


def test_a_slow_body_is_told_so_in_the_banks_shape(impatient: ServerInThread) -> None:
    answer = said(impatient, HEAD + b"Content-Length: 100\r\n\r\n{")
    assert b"400.000.51" in answer
    assert b"connection: close" in answer.lower()


# --- a webhook target that hangs -------------------------------------------------------------------------------------


def test_a_webhook_target_that_hangs_holds_up_no_call_and_its_message_waits(
    live: Callable[..., LiveServer], live_phone: Callable[[str], Handset], tmp_path: Path
) -> None:
    """The receiver accepts the connection and never answers: payments go on, SIGTERM still ends the server in time, nothing is lost."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        target = f"http://127.0.0.1:{deaf.getsockname()[1]}/sms"
        server = live("--database", str(tmp_path / "server.sqlite3"), "--sms-webhook", target)
        handset, bank = live_phone(server.url), server.bank()
        connection, _ = deaf.accept()
        connection.settimeout(10)
        assert connection.recv(4096).startswith(b"POST /sms")
        bank.login()
        for _ in range(5):
            transaction = bank.start()
            assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200
            assert bank.pay(transaction).status_code == 201
        (waiting,) = bank.stub("GET", "/webhooks")
        assert waiting["state"] == "waiting"
        assert server.stop() == 0
        connection.close()
        server.start()
        (still,) = server.bank().stub("GET", "/webhooks")  # whoever has the lease, or takes it up when that has ended
        assert still["state"] == "waiting"


# --- devices ---------------------------------------------------------------------------------------------------------


def test_a_users_devices_are_listed_and_revoked_one_by_one_or_all(
    bank: Bank, make_phone: Callable[..., Handset]
) -> None:
    """RTS-27.a: a revoked phone approves nothing from that moment on; it stays listed."""
    handset = make_phone()
    bank.login()
    (device,) = bank.stub("GET", f"/users/{USER}/devices")
    assert device["state"] == "active"
    assert {credential["factor"] for credential in device["credentials"]} == {"possession", "biometric"}
    transaction = bank.start()
    header = handset.header(transaction)
    (revoked,) = bank.stub("DELETE", f"/users/{USER}/devices/{device['deviceId']}")
    assert revoked["state"] == "revoked"
    assert bank.step_up(transaction, header=header).status_code == 403
    failed = bank.failed(transaction)
    assert any("revoked" in name or "device" in name or "credential" in name for name in failed), failed
    with pytest.raises(Exception, match="enrol"):
        handset.header(bank.start())
    assert bank.http.delete(f"/_stub/users/{USER}/devices/unknown").status_code == 404
    other = make_phone()
    bank.login()
    listed = bank.stub("DELETE", f"/users/{USER}/devices")
    assert {one["state"] for one in listed} <= {"revoked", "replaced"}
    assert len(bank.stub("GET", f"/users/{USER}/devices")) == 2
    transaction = bank.start()
    with pytest.raises(Exception, match="enrol"):
        other.header(transaction)


def test_after_a_reset_the_phone_says_that_it_is_not_enrolled_and_how_to_enrol(bank: Bank, handset: Handset) -> None:
    """Issue 9: `reset` empties the server, not the phone."""
    bank.stub("POST", "/reset")
    bank.login()
    transaction = bank.start()
    with pytest.raises(Exception, match="does not know this phone") as caught:
        fetch(handset.phone, URL, transaction)
    assert "stepup-phone enrol" in str(caught.value)


def test_the_phones_store_survives_a_reset_of_the_server_and_enrols_again(
    bank: Bank, make_phone: Callable[..., Handset]
) -> None:
    first = make_phone()
    assert isinstance(first.phone, Phone)
    bank.stub("POST", "/reset")
    bank.stub("PUT", "/clock", {"now": "2026-03-02T12:00:00Z", "frozen": True})
    second = make_phone()
    bank.login()
    transaction = bank.start()
    enrolment, pending = fetch(second.phone, URL, transaction)
    assert sign(second.phone, enrolment, pending, "possession").assertion is not None
