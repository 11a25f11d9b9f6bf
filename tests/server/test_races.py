"""Many calls at once, over real sockets: one identifier pays once, one nonce serves once, five failures are the most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx2
import pytest

from tests.support.waiting import PATIENCE_SECONDS

from .conftest import PASSCODE, USER, Bank, Handset, LiveServer

ROUNDS = 50


def at_once(calls: list[Callable[[], httpx2.Response]]) -> list[httpx2.Response]:
    """All calls started together."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], httpx2.Response]) -> httpx2.Response:
        barrier.wait(PATIENCE_SECONDS)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def twin(bank: Bank) -> Bank:
    """The same session; calls at once take connections of their own."""
    return Bank(bank.http, access=bank.access, refresh=bank.refresh)


@pytest.mark.parametrize("key", [None, "0e0e0e0e-0e0e-4e0e-8e0e-0e0e0e0e0e0e"])
def test_of_two_identical_replays_sent_at_once_exactly_one_pays(
    live: Callable[..., LiveServer], live_phone: Callable[[str], Handset], tmp_path: Path, key: str | None
) -> None:
    """S0-9, RTS-4.1-once: 50 rounds over real sockets."""
    server = live("--database", str(tmp_path / "server.sqlite3"))
    handset, bank = live_phone(server.url), server.bank()
    bank.login()
    for _ in range(ROUNDS):
        transaction = bank.start()
        assert bank.step_up(transaction, bank.biometric(), handset.header(transaction, "biometric")).status_code == 200
        extra: dict[str, Any] = {"Idempotency_Key": key} if key else {}
        one, other = twin(bank), twin(bank)
        answers = at_once([partial(each.pay, transaction, **extra) for each in (one, other)])
        statuses = sorted(answer.status_code for answer in answers)
        if key is None:
            assert statuses == [201, 403]
        else:
            assert statuses == [201, 201]
            assert answers[0].json() == answers[1].json()
    assert len(bank.stub("GET", f"/payments?user={USER}")) == ROUNDS
    assert bank.balance() == f"{10_000 - 10 * ROUNDS}.00"


def test_of_two_step_ups_with_one_assertion_sent_at_once_exactly_one_is_accepted(
    live: Callable[..., LiveServer], live_phone: Callable[[str], Handset]
) -> None:
    """RTS-4.1-once: the nonce is consumed in one atomic step."""
    server = live("--database", "memory")
    handset, bank = live_phone(server.url), server.bank()
    bank.login()
    for _ in range(10):
        transaction = bank.start()
        header, body = handset.header(transaction), {"username": USER, "passcode": PASSCODE}
        one, other = twin(bank), twin(bank)
        answers = at_once([partial(each.step_up, transaction, body, header) for each in (one, other)])
        # The loser finds its bearer ended by the winner's new pair, or the identifier verified.
        assert Counter(a.status_code for a in answers)[200] == 1
        winner = next(b for b in (one, other) if b.access != bank.access)
        bank.access, bank.refresh = winner.access, winner.refresh


def test_never_more_than_five_failures_are_evaluated_before_a_block(
    live: Callable[..., LiveServer], live_phone: Callable[[str], Handset]
) -> None:
    """RTS-4.3.b with twelve guesses at once."""
    server = live("--database", "memory")
    handset, bank = live_phone(server.url), server.bank()
    bank.login()
    transaction = bank.start()
    headers = [handset.header(transaction) for _ in range(12)]
    wrong = {"username": USER, "passcode": "000000"}
    clients = [twin(bank) for _ in headers]
    answers = at_once(
        [partial(client.step_up, transaction, wrong, header) for client, header in zip(clients, headers, strict=True)]
    )
    codes = Counter(answer.json()["code"] for answer in answers)
    assert codes == {"403.000.52": 5, "403.000.54": 7}
