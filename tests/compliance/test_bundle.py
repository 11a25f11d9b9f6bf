"""Evidence bundles (DESIGN section 5): the same verdict offline, years later; an altered byte is noticed; nothing secret inside."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import freezegun
import msgspec
import pytest
import rfc8785

from server_stub.bundle import Bundle, BundleError, appraise, build_bundle, read_bundle
from server_stub.compliance import verdict_of
from server_stub.policy import LENIENT, STRICT
from server_stub.trust import load_trust

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
TRUST = load_trust()


@pytest.fixture
def made(step_up: Any) -> bytes:
    stage = step_up()
    return build_bundle(
        stage.evidence, policy=STRICT, trust=TRUST, log_extract=tuple(stage.log), observed=stage.observed
    )


def test_a_bundle_is_rfc_8785_with_its_digest_last(made: bytes) -> None:
    members = json.loads(made)
    digest = members.pop("digest")
    body = rfc8785.dumps(members)
    assert hashlib.sha256(body).hexdigest() == digest
    assert made == body[:-1] + b',"digest":"' + digest.encode() + b'"}'


def test_a_bundle_reads_back_what_was_put_in(step_up: Any, made: bytes) -> None:
    stage = step_up()
    bundle = read_bundle(made)
    assert isinstance(bundle, Bundle)
    assert bundle.evidence == stage.evidence
    assert bundle.log == tuple(stage.log)
    assert bundle.policy == STRICT
    assert bundle.anchors.digest == TRUST.digest


def test_an_appraisal_is_the_servers_verdict_byte_for_byte(step_up: Any, made: bytes) -> None:
    stage = step_up()
    at_the_server = verdict_of(
        stage.evidence,
        tuple(stage.log),
        policy=STRICT,
        trust=TRUST,
        decided_at="2026-11-22T10:00:00.000000Z",
        observed=stage.observed,
    )
    offline = appraise(read_bundle(made))
    assert json.dumps(offline.to_json()) == json.dumps(at_the_server.to_json())


def test_ten_years_later_the_verdict_is_the_same(made: bytes) -> None:
    before = appraise(read_bundle(made)).to_json()
    with freezegun.freeze_time(NOW + timedelta(days=3653)):
        assert appraise(read_bundle(made)).to_json() == before


def test_a_fresh_process_without_a_network_reaches_the_same_verdict(made: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    path.write_bytes(made)
    program = (
        "import json, socket, sys\n"
        "socket.socket = socket.create_connection = None\n"
        "from server_stub.bundle import appraise, read_bundle\n"
        "print(json.dumps(appraise(read_bundle(open(sys.argv[1], 'rb').read())).to_json()))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == json.dumps(appraise(read_bundle(made)).to_json())


def test_another_instant_or_policy_is_judged_anew(made: bytes) -> None:
    """`appraise --now`, `--policy`."""
    bundle = read_bundle(made)
    later = appraise(bundle, now=NOW + timedelta(minutes=10))
    assert later.decided_at == "2026-11-22T10:10:00.000000Z"
    assert later.finding("transaction.live").outcome == "fail"
    assert appraise(bundle).finding("transaction.live").outcome == "pass"
    assert appraise(bundle, policy="lenient").policy == LENIENT.name
    assert appraise(bundle, policy=LENIENT).to_json() == appraise(bundle, policy="lenient").to_json()
    with pytest.raises(BundleError, match="policy: expected one of strict, lenient"):
        appraise(bundle, policy="generous")


def test_any_altered_byte_is_noticed(made: bytes) -> None:
    """Every byte of the digest, and two hundred others; one bit each."""
    places = random.Random(4).sample(range(len(made)), 200) + list(range(len(made) - 78, len(made)))
    for place in places:
        altered = made[:place] + bytes([made[place] ^ 1]) + made[place + 1 :]
        with pytest.raises(BundleError):
            read_bundle(altered)


@pytest.mark.parametrize(
    "change",
    [lambda b: b + b"\n", lambda b: b[1:], lambda b: b[:-1], lambda b: b" " + b, lambda b: b"", lambda b: b"{}"],
)
def test_bytes_added_or_missing_are_noticed(made: bytes, change: Any) -> None:
    with pytest.raises(BundleError):
        read_bundle(change(made))


def resealed(members: dict[str, Any], *, spaced: bool = False) -> bytes:
    """A bundle with a digest that fits."""
    members.pop("digest", None)
    body = json.dumps(members).encode() if spaced else rfc8785.dumps(members)
    return body[:-1] + b',"digest":"' + hashlib.sha256(body).hexdigest().encode() + b'"}'


def test_a_new_digest_over_another_form_is_refused(made: bytes) -> None:
    with pytest.raises(BundleError, match="RFC 8785"):
        read_bundle(resealed(json.loads(made), spaced=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format="stepup-evidence/9"), "stepup-evidence/1"),
        (lambda m: m.update(extra=1), "unknown field"),
        (lambda m: m.pop("policy"), "policy"),
        (lambda m: m["policy"].update(maximumFailures="many"), "maximumFailures"),
        (lambda m: m["log"][3].update(user="somebody else"), r"bundle.log\[4\]"),
        (lambda m: m.update(trust={"anchors": 1}), "trust"),
    ],
)
def test_a_resealed_bundle_of_the_wrong_shape_is_refused_by_name(made: bytes, change: Any, message: str) -> None:
    members = json.loads(made)
    change(members)
    with pytest.raises(BundleError, match=message):
        read_bundle(resealed(members))


def test_missing_evidence_is_null_and_appraised(step_up: Any) -> None:
    """The assertion as received, null if absent."""
    stage = step_up().bend(assertion=None, credential=None, nonce=None, evidence_source="")
    made = build_bundle(stage.evidence, policy=STRICT, trust=TRUST, log_extract=tuple(stage.log))
    assert json.loads(made)["evidence"]["assertion"] is None
    verdict = appraise(read_bundle(made))
    assert not verdict.accepted
    assert verdict.finding("evidence.present").outcome == "fail"
    assert verdict.compliance.two_factor == "undetermined"


def test_a_payload_that_is_no_order_survives(step_up: Any) -> None:
    """Numbers as JSON has them: 10.0 is signed as 10."""
    stage = step_up(payload={"figure": 10.0, "small": 1e-7, "nested": [None, True, "é"]})
    made = build_bundle(stage.evidence, policy=STRICT, trust=TRUST, log_extract=tuple(stage.log))
    assert (
        appraise(read_bundle(made)).finding("binding.order").reason
        == appraise(read_bundle(build_bundle(read_bundle(made).evidence, policy=STRICT, trust=TRUST, log_extract=())))
        .finding("binding.order")
        .reason
    )


def test_facts_about_the_whole_log_travel_as_observations(step_up: Any, made: bytes) -> None:
    bundle = read_bundle(made)
    assert bundle.observed.nonce_repeated is False
    assert msgspec.to_builtins(bundle.observed)["keyBoundToAnotherUser"] is False
