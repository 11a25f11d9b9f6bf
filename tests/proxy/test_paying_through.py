"""A client that knows nothing of devices pays through the proxy (issue 8; S0-1, S0-11, S0-15; bank section 10)."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.proxy.conftest import ORDER, PASSCODE, USER, Client, World, child
from tests.support.waiting import PATIENCE_SECONDS

# A client that connects however long that takes, and then hears nothing for a second.
IMPATIENT = httpx2.Timeout(PATIENCE_SECONDS, read=1.0)


@pytest.mark.parametrize("biometric", [False, True])
def test_s0_11_an_unchanged_client_pays_with_passcode_and_with_biometric(
    world: World, client_of: Callable[..., Client], biometric: bool
) -> None:
    client = client_of(world.proxy())
    transaction_id = client.ask()
    assert client.step_up(transaction_id, biometric=biometric).status_code == 200
    paid = client.replay(transaction_id)
    assert paid.status_code == 201
    assert paid.json()["status"] == "ACCEPTED"
    (verdict,) = world.verdicts(transaction_id)
    assert verdict["accepted"]
    assert verdict["compliance"]["twoFactor"] == "pass"
    assert {element["category"] for element in verdict["elements"]} >= (
        {"possession", "inherence"} if biometric else {"possession", "knowledge"}
    )


def test_without_the_proxy_the_same_client_is_refused(world: World, client_of: Callable[..., Client]) -> None:
    client = client_of(world.server)
    transaction_id = client.ask()
    assert client.step_up(transaction_id).json()["code"] == "403.000.52"


def test_s0_8_the_path_without_its_version_is_a_step_up_too(world: World, client_of: Callable[..., Client]) -> None:
    client = client_of(world.proxy())
    transaction_id = client.ask()
    body = {"username": "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765", "passcode": PASSCODE}
    assert client.send("/oauth2/stepup", body, transaction_id).status_code == 200


def test_a_wrong_passcode_of_the_client_is_the_servers_to_refuse(
    world: World, client_of: Callable[..., Client]
) -> None:
    client = client_of(world.proxy())
    transaction_id = client.ask()
    body = {"username": "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765", "passcode": "000000"}
    assert client.send("/v1/oauth2/stepup", body, transaction_id).json()["code"] == "403.000.52"
    (verdict,) = world.verdicts(transaction_id)
    assert [f["check"] for f in verdict["findings"] if f["outcome"] == "fail"] == ["secret.correct"]
    assert client.step_up(transaction_id).status_code == 200


def test_a_rule_over_the_amount_declines_what_is_beyond_it(world: World, client_of: Callable[..., Client]) -> None:
    client = client_of(world.proxy("--approve", "amount<=10.00 GBP"))
    cheap = client.ask()
    assert client.step_up(cheap).status_code == 200
    dear = client.ask({**ORDER, "amount": "10.01"})
    assert client.step_up(dear).json()["code"] == "403.000.52"
    assert "declined by the rule amount<=10.00 GBP" in world.said()
    (verdict,) = world.verdicts(dear)
    assert not verdict["accepted"]


def test_a_fault_of_the_phone_acts_through_the_proxy(world: World, client_of: Callable[..., Client]) -> None:
    client = client_of(world.proxy("--fault", "altered-amount"))
    transaction_id = client.ask()
    assert client.step_up(transaction_id).json()["code"] == "403.000.52"
    (verdict,) = world.verdicts(transaction_id)
    assert "binding.amount" in [f["check"] for f in verdict["findings"] if f["outcome"] == "fail"]
    again = client_of(world.proxy())
    accepted = again.ask()
    assert again.step_up(accepted).status_code == 200  # the failures of this user in a row end here


def test_a_finger_that_does_not_match_signs_nothing(world: World, client_of: Callable[..., Client]) -> None:
    client = client_of(world.proxy("--biometric", "no-match"))
    transaction_id = client.ask()
    assert client.step_up(transaction_id, biometric=True).json()["code"] == "403.000.52"
    assert "did not match" in world.said()
    (verdict,) = world.verdicts(transaction_id)
    assert "evidence.present" in [f["check"] for f in verdict["findings"] if f["outcome"] == "fail"]


def _wait_for(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Polls; only for what another process does."""
    for _ in range(int(seconds / 0.05)):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_a_client_that_gives_up_and_repeats_joins_the_waiting_approval(
    world: World, client_of: Callable[..., Client]
) -> None:
    client = client_of(world.proxy("--approve", "ask"))
    transaction_id = client.ask()
    for _ in range(2):  # the client's own time-out, shortened
        with pytest.raises(httpx2.ReadTimeout):
            client.step_up(transaction_id, timeout=IMPATIENT)
    answers: list[httpx2.Response] = []
    waiting = threading.Thread(target=lambda: answers.append(client.step_up(transaction_id, timeout=PATIENCE_SECONDS)))
    waiting.start()
    world.phone("approve", transaction_id, "--passcode", PASSCODE)
    waiting.join(PATIENCE_SECONDS)
    assert [answer.status_code for answer in answers] == [200]
    assert len(world.verdicts(transaction_id)) == 1
    assert client.replay(transaction_id).status_code == 201


def test_an_answer_that_nobody_waited_for_is_kept_for_the_repetition(
    world: World, client_of: Callable[..., Client]
) -> None:
    client = client_of(world.proxy("--approve", "ask"))
    transaction_id = client.ask()
    with pytest.raises(httpx2.ReadTimeout):
        client.step_up(transaction_id, timeout=IMPATIENT)
    world.phone("approve", transaction_id, "--passcode", PASSCODE)
    _wait_for(lambda: world.verdicts(transaction_id))  # it was sent on although its client had gone
    assert client.step_up(transaction_id).status_code == 200
    assert len(world.verdicts(transaction_id)) == 1
    assert client.replay(transaction_id).status_code == 201


def test_a_repetition_after_a_delivered_answer_is_an_attempt_of_its_own(
    world: World, client_of: Callable[..., Client]
) -> None:
    client = client_of(world.proxy())
    transaction_id = client.ask()
    old = dict(client.tokens)
    assert client.step_up(transaction_id).status_code == 200
    client.tokens = old
    assert client.step_up(transaction_id).status_code == 401  # as the bank itself answers: the old pair is void


def test_declined_on_the_phone_the_client_is_refused(world: World, client_of: Callable[..., Client]) -> None:
    client = client_of(world.proxy("--approve", "ask"))
    transaction_id = client.ask()
    answers: list[httpx2.Response] = []
    waiting = threading.Thread(target=lambda: answers.append(client.step_up(transaction_id, timeout=PATIENCE_SECONDS)))
    waiting.start()
    world.phone("decline", transaction_id)
    waiting.join(PATIENCE_SECONDS)
    assert answers[0].json()["code"] == "403.000.52"


def test_by_tls_a_client_trusts_the_local_test_ca_by_the_usual_means(
    world: World, client_of: Callable[..., Client], environment: dict[str, str]
) -> None:
    import ssl

    url = world.proxy("--tls")
    assert url.startswith("https://127.0.0.1:")
    context = ssl.create_default_context(cafile=f"{environment['STEPUP_CA_DIR']}/ca.pem")
    client = client_of(url, verify=context)
    transaction_id = client.ask()
    assert client.step_up(transaction_id).status_code == 200
    assert client.replay(transaction_id).status_code == 201


def test_a_phone_that_is_not_enrolled_is_said_and_the_call_goes_on(
    world: World, client_of: Callable[..., Client], tmp_path: Any
) -> None:
    client = client_of(world.proxy("--home", str(tmp_path / "new")))
    assert "not enrolled" in world.said()
    transaction_id = client.ask()
    assert client.step_up(transaction_id).json()["code"] == "403.000.52"


def tls_of_a_login(context: ssl.SSLContext, server: str, version: str) -> tuple[str, str]:
    """What the log says of the version by which somebody logged in, of the login and of the step-up call after it."""
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with httpx2.Client(verify=context, headers={"X-APIKEY": "demo-api-key"}, base_url=server) as http:
        who = {"username": USER, "passcode": PASSCODE}
        token = http.post("/v1/oauth2/login", json=who).json()["accessToken"]
        headers = {"Authorization": f"Bearer {token}"}
        asked = http.post("/v1/payments/domestic", json=ORDER, headers=headers).json()["transactionId"]
        http.post("/v1/oauth2/stepup", json=who, headers=headers | {"X-TransactionId": asked})
        bundle = http.get(f"/_stub/transactions/{asked}/evidence").json()
    started = [e["fields"]["tls"] for e in bundle["log"] if e["event"] == "session_started"][-1]
    called = [e["fields"]["tls"] for e in bundle["log"] if e["event"] == "sca_attempt" and e["transaction"] == asked][
        -1
    ]
    assert started["cipher"]
    return started["version"], called["version"]


def test_tls_all_the_way(environment: dict[str, str], tmp_path: Path, client_of: Callable[..., Client]) -> None:
    """The phone trusts the local test CA without being told; the server sees TLS, so RTS-35.1 can pass."""
    options = ("serve", "--port", "0", "--database", "memory", "--dialect", "bank", "--tls")
    with ExitStack() as stack:
        server = stack.enter_context(child(environment, "server_stub", *options, log=tmp_path / "server.log"))
        assert server.startswith("https://")
        world = World(environment, tmp_path, server, stack)
        world.phone("enrol", "--passcode", PASSCODE)
        context = ssl.create_default_context(cafile=f"{environment['STEPUP_CA_DIR']}/ca.pem")
        client = client_of(world.proxy("--tls"), verify=context)
        transaction_id = client.ask()
        assert client.step_up(transaction_id).status_code == 200
        with httpx2.Client(verify=context) as http:
            verdict = http.get(f"{server}/_stub/transactions/{transaction_id}/verdict").json()
        said = {version: tls_of_a_login(context, server, version) for version in ("TLSv1_2", "TLSv1_3")}
    rules = {rule["id"]: rule["verdict"] for rule in verdict["compliance"]["rules"]}
    assert [verdict for name, verdict in rules.items() if name.startswith("RTS-35.1")] == ["pass"]
    assert said == {"TLSv1_2": ("TLSv1.2", "TLSv1.2"), "TLSv1_3": ("TLSv1.3", "TLSv1.3")}
