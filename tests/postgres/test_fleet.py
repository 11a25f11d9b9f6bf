"""Four server processes over one PostgreSQL: what must happen once happens once, whichever process is asked."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from server_stub.cli import main as server_command
from tests.support.http import open_http

from ..server.conftest import USER, Bank, Handset, LiveServer
from ..server.test_races import at_once
from .conftest import Cluster, run_server_command


def counters(bank: Bank, fleet: list[LiveServer]) -> list[Bank]:
    """The same session at each process."""
    clients = [server.bank() for server in fleet]
    for client in clients:
        client.access, client.refresh = bank.access, bank.refresh
    return clients


def stepped_up(bank: Bank, handset: Handset) -> str:
    transaction = bank.start()
    answer = bank.step_up(transaction, bank.biometric(), handset.header(transaction, "biometric"))
    assert answer.status_code == 200, answer.text
    return transaction


@pytest.mark.parametrize("rounds", [15, pytest.param(1000, marks=pytest.mark.deep)])
def test_of_four_replays_at_four_processes_exactly_one_pays(
    fleet: list[LiveServer], live_phone: Callable[[str], Handset], rounds: int
) -> None:
    """S0-9, RTS-4.1-once, across processes."""
    handset, bank = live_phone(fleet[0].url), fleet[0].bank()
    bank.login()
    top_up(bank, 20_000_00)
    clients = counters(bank, fleet)
    for number in range(rounds):
        transaction = stepped_up(bank, handset)
        for client in clients:
            client.access, client.refresh = bank.access, bank.refresh
        answers = at_once([partial(client.pay, transaction) for client in clients])
        assert sorted(answer.status_code for answer in answers) == [201, 403, 403, 403], number
    paid = [payment["transactionId"] for payment in bank.stub("GET", f"/payments?user={USER}")]
    assert len(paid) == len(set(paid)) == rounds
    assert bank.balance() == f"{20_000 - 10 * rounds}.00"
    assert server_command(["log", "verify", "--server", fleet[3].url]) == 0


def top_up(bank: Bank, minor: int) -> None:
    (user,) = [user for user in bank.stub("GET", "/users") if user["id"] == USER]
    changed = {"id": USER, "balances": user["balances"] | {"GBP": f"{minor // 100}.00"}}
    bank.stub("PUT", "/users", changed)


def test_of_four_step_ups_with_one_assertion_exactly_one_is_accepted(
    fleet: list[LiveServer], live_phone: Callable[[str], Handset]
) -> None:
    """RTS-4.1-once: the nonce is consumed in one atomic step, across processes."""
    handset, bank = live_phone(fleet[0].url), fleet[0].bank()
    bank.login()
    for _ in range(10):
        transaction = bank.start()
        header, body = handset.header(transaction, "biometric"), bank.biometric()
        clients = counters(bank, fleet)
        answers = at_once([partial(client.step_up, transaction, body, header) for client in clients])
        assert Counter(answer.status_code for answer in answers)[200] == 1
        (winner,) = [client for client in clients if client.access != bank.access]
        bank.access, bank.refresh = winner.access, winner.refresh


def test_five_failures_at_most_are_evaluated_however_many_processes_are_guessed_at(
    fleet: list[LiveServer], live_phone: Callable[[str], Handset]
) -> None:
    """RTS-4.3.b: sixteen guesses at once, four at each process; five are evaluated, then the user is blocked everywhere."""
    handset, bank = live_phone(fleet[0].url), fleet[0].bank()
    bank.login()
    for _ in range(3):
        transaction = bank.start()
        headers = [handset.header(transaction) for _ in range(16)]
        wrong = {"username": USER, "passcode": "000000"}
        clients = counters(bank, fleet * 4)
        answers = at_once([partial(c.step_up, transaction, wrong, h) for c, h in zip(clients, headers, strict=True)])
        assert Counter(answer.json()["code"] for answer in answers) == {"403.000.52": 5, "403.000.54": 11}
        for client in clients[:4]:
            assert client.login().json()["code"] == "403.000.54"
        bank.stub("POST", f"/users/{USER}/unblock", {"proofRef": "between two rounds"})
        assert bank.login().status_code == 200


def test_one_idempotency_key_at_four_processes_pays_once_and_answers_alike(
    fleet: list[LiveServer], live_phone: Callable[[str], Handset]
) -> None:
    """bank.md 11.5."""
    handset, bank = live_phone(fleet[0].url), fleet[0].bank()
    bank.login()
    transaction = stepped_up(bank, handset)
    key = str(uuid.UUID(int=9))
    answers = at_once([partial(c.pay, transaction, Idempotency_Key=key) for c in counters(bank, fleet)])
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert bank.balance() == "9990.00"


def test_the_clock_a_message_and_a_session_are_the_same_at_every_process(fleet: list[LiveServer]) -> None:
    """DESIGN section 6: the steered clock lives in the database."""
    banks = [server.bank() for server in fleet]
    banks[0].stub("PUT", "/clock", {"now": "2031-05-05T05:05:05Z", "frozen": True})
    assert {bank.stub("GET", "/clock")["now"] for bank in banks} == {"2031-05-05T05:05:05.000000Z"}
    banks[1].login()
    banks[2].access = banks[1].access
    assert banks[2].pay().status_code == 403
    assert len({str(bank.stub("GET", "/messages")) for bank in banks}) == 1


def test_workers_share_one_port_and_one_postgresql(
    cluster: Cluster, live: Callable[..., LiveServer], live_phone: Callable[[str], Handset]
) -> None:
    """`serve --workers 4`: every call on a connection of its own, so that any worker may get it; killed workers come again."""
    server = live("--database", cluster.new_database(), "--workers", "4")
    handset, bank = live_phone(server.url), server.bank()
    bank.login()
    for _ in range(4):
        transaction = stepped_up(bank, handset)
        with_own = [Bank(open_http(server.url), access=bank.access) for _ in range(8)]
        answers = at_once([partial(client.pay, transaction) for client in with_own])
        for client in with_own:
            client.http.close()
        assert Counter(answer.status_code for answer in answers) == {201: 1, 403: 7}


def test_a_database_that_goes_away_is_503_until_it_is_back_and_nothing_is_lost(
    own_cluster: Cluster, live: Callable[..., LiveServer], live_phone: Callable[[str], Handset]
) -> None:
    """Database gone and back: `Retry-After` in each dialect's shape, then it recovers by itself."""
    server = live("--database", own_cluster.new_database())
    handset, bank = live_phone(server.url), server.bank()
    bank.login()
    transaction = stepped_up(bank, handset)
    own_cluster.down()
    for _ in range(3):
        refused = bank.pay(transaction)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert refused.json()["code"] == "503.001.001"
    health = bank.http.get("/_stub/health")
    assert (health.status_code, health.headers["Retry-After"]) == (503, "1")
    assert health.json()["error"]["code"] == "unavailable"
    weavr = bank.http.post(
        "/weavr/multi/login_with_password",
        json={"email": "a@b.c", "password": {"value": "x"}},
        headers={"api-key": "demo-api-key"},
    )
    assert (weavr.status_code, weavr.headers["Retry-After"]) == (503, "1")
    own_cluster.up()
    until_back(bank)
    assert bank.pay(transaction).status_code == 201
    assert bank.balance() == "9990.00"
    assert server_command(["log", "verify", "--server", server.url]) == 0


def until_back(bank: Bank) -> None:
    """Ask until the server answers again; bounded in number, each a real wait on the server."""
    for _ in range(100_000):
        if bank.http.get("/_stub/health").status_code == 200:
            return
    raise AssertionError("the server did not recover")


def test_a_killed_server_process_leaves_its_transaction_undone_and_the_others_go_on(
    own_fleet: list[LiveServer], live_phone: Callable[[str], Handset]
) -> None:
    """SIGKILL of one of four: the rest answer at once, the log's chain stays whole."""
    handset, bank = live_phone(own_fleet[0].url), own_fleet[0].bank()
    bank.login()
    transaction = stepped_up(bank, handset)
    own_fleet[1].kill()
    own_fleet[2].kill()
    survivor = own_fleet[3].bank()
    survivor.access = bank.access
    assert survivor.pay(transaction).status_code == 201
    own_fleet[1].start()
    again = own_fleet[1].bank()
    again.access = bank.access
    assert again.pay(transaction).json()["code"] == "403.000.51"
    assert server_command(["log", "verify", "--server", own_fleet[1].url]) == 0


def test_a_database_that_is_not_there_is_one_clear_error_and_exit_3(cluster: Cluster) -> None:
    """DESIGN section 2: 3 unreachable; the password in the URL is not told."""
    url = "postgresql://someone:secret-word@127.0.0.1:1/none"
    ended = run_server_command("serve", "--port", "0", "--database", url, "--json")
    assert ended.returncode == 3
    assert "secret-word" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
