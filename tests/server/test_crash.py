"""SIGKILL at any moment: no accepted payment is lost, none is made twice, the log's chain stays whole."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from server_stub.cli import main as server_command
from tests.support.http import open_http

from .conftest import USER, Handset, LiveServer


def pay_until_it_dies(server: LiveServer, handset: Handset, accepted: list[str], tried: list[str]) -> None:
    """Payments one after another; what the bank accepted is noted."""
    bank = server.bank()
    try:
        bank.login()
        while True:
            transaction = bank.start()
            header = handset.header(transaction, "biometric")
            assert bank.step_up(transaction, bank.biometric(), header).status_code == 200
            tried.append(transaction)
            if bank.pay(transaction).status_code == 201:
                accepted.append(transaction)
    except (httpx2.HTTPError, Exception):
        pass
    finally:
        bank.http.close()


def rounds(request: pytest.FixtureRequest, ordinary: int, deep: int) -> int:
    return deep if "deep" in (request.config.option.markexpr or "") else ordinary


@pytest.mark.parametrize("count", [6, pytest.param(200, marks=pytest.mark.deep)])
def test_killed_at_random_points_the_bank_loses_no_payment_and_doubles_none(
    live: Callable[..., LiveServer], live_phone: Callable[[str], Handset], tmp_path: Path, count: int
) -> None:
    chance = random.Random(count)
    server = live("--database", str(tmp_path / "server.sqlite3"))
    accepted: list[str] = []
    tried: list[str] = []
    for _ in range(count):
        handset = live_phone(server.url)
        payer = threading.Thread(target=pay_until_it_dies, args=(server, handset, accepted, tried))
        payer.start()
        payer.join(timeout=chance.uniform(0.02, 0.6))
        server.kill()
        payer.join(timeout=20)
        assert not payer.is_alive()
        handset.phone.close()
        server.start()
    bank = server.bank()
    paid = [payment["transactionId"] for payment in bank.stub("GET", f"/payments?user={USER}")]
    assert len(paid) == len(set(paid))
    assert set(accepted) <= set(paid) <= set(tried)
    assert bank.balance() == f"{10_000 - 10 * len(paid)}.00"
    assert server_command(["log", "verify", "--server", server.url]) == 0
    bank.http.close()


def test_sigterm_ends_the_server_within_five_seconds_with_a_stream_open(live: Callable[..., LiveServer]) -> None:
    """DESIGN section 2."""
    server = live("--database", "memory")
    with (
        open_http(server.url) as client,
        client.stream("GET", "/device/v1/events?to=%2B447700900123") as stream,
    ):
        assert stream.status_code == 200
        assert server.process is not None
        server.process.terminate()
        assert server.process.wait(timeout=5) == 0
