"""Evidence bundles (DESIGN section 5): signed; the same verdict offline, years later; what was altered or forged is refused."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import freezegun
import msgspec
import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nacl.signing import VerifyKey

from device_keys.encoding import FormatError, b64url_decode, b64url_encode
from server_stub import appraisal
from server_stub.appraisal import appraise
from server_stub.bundle import FORMAT, UNSIGNED_FORMAT, Bundle, BundleError, build_bundle, read_bundle
from server_stub.compliance import verdict_of
from server_stub.evidence_key import CONTEXT, EvidenceKey, read_public_key
from server_stub.policy import LENIENT, STRICT
from server_stub.trust import NamedPem, Trust, load_trust
from server_stub.verdict import Grade
from tests.support.bundles import as_the_old_form, resealed

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TRUST = load_trust()
KEY = EvidenceKey(bytes(range(32)))
OTHER_KEY = EvidenceKey(bytes(32))


def bundled(stage: Any, **options: Any) -> bytes:
    given = {"key": KEY, "policy": STRICT, "trust": TRUST, "observed": stage.observed} | options
    return build_bundle(stage.evidence, log_extract=tuple(stage.log), **given)


@pytest.fixture
def made(step_up: Any) -> bytes:
    return bundled(step_up())


def unsigned(made: bytes) -> bytes:
    """The same evidence in the form before, which had a digest only."""
    body = rfc8785.dumps(as_the_old_form(json.loads(made)))
    return body[:-1] + b',"digest":"' + hashlib.sha256(body).hexdigest().encode() + b'"}'


# --- form and signature -----------------------------------------------------------------------------------------------


def test_a_bundle_is_rfc_8785_with_digest_and_signature_last(made: bytes) -> None:
    members = json.loads(made)
    assert list(members)[-2:] == ["digest", "signature"]
    signature, digest = members.pop("signature"), members.pop("digest")
    body = rfc8785.dumps(members)
    assert hashlib.sha256(body).hexdigest() == digest
    end = b',"digest":"' + digest.encode() + b'","signature":' + rfc8785.dumps(signature) + b"}"
    assert made == body[:-1] + end


def test_the_signature_is_ed25519_over_the_context_and_the_digest(made: bytes) -> None:
    """By a library of its own, from the raw key."""
    members = json.loads(made)
    signature = members["signature"]
    assert set(signature) == {"keyId", "alg", "value"}
    assert signature["alg"] == "Ed25519"
    assert b64url_decode(signature["keyId"]) == hashlib.sha256(KEY.public).digest()
    signed = b"stepup-evidence/2\n" + members["digest"].encode()
    assert VerifyKey(KEY.public).verify(signed, b64url_decode(signature["value"])) == signed


def test_the_public_key_is_read_from_its_pem() -> None:
    assert read_public_key(KEY.pem()) == KEY.public


@pytest.mark.parametrize("text", ["", "no key", KEY.pem()[:40], KEY.pem().replace("MCow", "MCou")])
def test_what_is_no_ed25519_public_key_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="Ed25519 public key"):
        read_public_key(text)


def test_a_bundle_reads_back_what_was_put_in(step_up: Any, made: bytes) -> None:
    stage = step_up()
    bundle = read_bundle(made)
    assert isinstance(bundle, Bundle)
    assert bundle.evidence == stage.evidence
    assert bundle.log == tuple(stage.log)
    assert bundle.grounds.policy == STRICT
    assert bundle.grounds.trust is not None
    assert bundle.grounds.trust.to_json() == TRUST.to_json()
    assert bundle.log_head is not None
    assert (bundle.log_head.head, bundle.log_head.count) == (stage.log[-1].hash, stage.log[-1].seq)


# --- the same verdict -------------------------------------------------------------------------------------------------


def test_an_appraisal_with_the_key_is_the_servers_verdict_byte_for_byte(step_up: Any, made: bytes) -> None:
    stage = step_up()
    at_the_server = verdict_of(
        stage.evidence,
        tuple(stage.log),
        policy=STRICT,
        trust=TRUST,
        decided_at="2026-03-02T12:00:00.000000Z",
        observed=stage.observed,
    )
    offline = appraise(read_bundle(made), server_key=KEY.public)
    assert json.dumps(offline.verdict.to_json()) == json.dumps(at_the_server.to_json())
    assert offline.to_json() == {
        "appraisal": {"anchors": "known", "origin": "verified", "policy": "as-recorded", "differences": []},
        **at_the_server.to_json(),
    }
    assert next(iter(offline.to_json())) == "appraisal"


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
        "from server_stub.appraisal import appraise\n"
        "from server_stub.bundle import read_bundle\n"
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
    later = appraise(bundle, now=NOW + timedelta(minutes=10)).verdict
    assert later.decided_at == "2026-03-02T12:10:00.000000Z"
    assert later.finding("transaction.live").outcome == "fail"
    assert appraise(bundle).verdict.finding("transaction.live").outcome == "pass"
    other = appraise(bundle, policy="lenient")
    assert (other.verdict.policy, other.appraisal.policy) == (LENIENT.name, "other")
    assert "policy.softwareKeys: False as recorded, True here" in other.appraisal.differences
    assert appraise(bundle, policy=LENIENT).to_json() == other.to_json()
    with pytest.raises(BundleError, match="policy: expected one of strict, lenient"):
        appraise(bundle, policy="generous")


# --- whose word it is -------------------------------------------------------------------------------------------------


def test_without_the_key_the_servers_word_is_declared_and_two_factor_is_undetermined(made: bytes) -> None:
    with_key, without = appraise(read_bundle(made), server_key=KEY.public), appraise(read_bundle(made))
    assert without.appraisal.origin == "not-verified"
    assert without.verdict.compliance.two_factor == "undetermined"
    assert without.verdict.compliance.overall != "pass"
    assert Grade.LOGGED in {rule.grade for rule in with_key.verdict.compliance.rules}
    told = [*without.verdict.elements, *without.verdict.compliance.rules]
    assert Grade.LOGGED not in {one.grade for one in told}
    assert without.verdict.findings == with_key.verdict.findings
    for before, after in zip(with_key.verdict.compliance.rules, without.verdict.compliance.rules, strict=True):
        assert (before.verdict, before.reason) == (after.verdict, after.reason)
        assert after.grade == (Grade.DECLARED if before.grade is Grade.LOGGED else before.grade)


def test_another_key_than_the_signers_is_a_wrong_key(made: bytes) -> None:
    found = appraise(read_bundle(made), server_key=OTHER_KEY.public)
    assert found.appraisal.origin == "wrong-key"
    assert found.verdict == appraise(read_bundle(made)).verdict


def test_the_old_form_is_read_as_of_unverified_origin(made: bytes) -> None:
    old = unsigned(made)
    bundle = read_bundle(old)
    assert (bundle.format, bundle.signature) == (UNSIGNED_FORMAT, None)
    for key in (None, KEY.public):
        found = appraise(bundle, server_key=key)
        assert found.appraisal.origin == "not-verified"
        assert found.verdict == appraise(read_bundle(made)).verdict


def test_a_policy_under_a_known_name_is_judged_by_the_shipped_one(step_up: Any) -> None:
    """Trust comes from who appraises: what the file calls strict is not believed."""
    generous = msgspec.structs.replace(LENIENT, name="strict", maximum_failures=9)
    bundle = read_bundle(bundled(step_up(), policy=generous))
    found = appraise(bundle, server_key=KEY.public)
    assert found.verdict.to_json() == appraise(read_bundle(bundled(step_up())), server_key=KEY.public).verdict.to_json()
    assert found.appraisal.policy == "other"
    assert "policy.maximumFailures: 9 as recorded, 5 here" in found.appraisal.differences
    recorded = appraise(bundle, server_key=KEY.public, as_recorded=True).appraisal
    assert (recorded.anchors, recorded.policy, recorded.differences) == ("as-recorded", "as-recorded", ())


def test_a_policy_of_an_unknown_name_is_not_guessed(step_up: Any) -> None:
    bundle = read_bundle(bundled(step_up(), policy=msgspec.structs.replace(STRICT, name="ours")))
    with pytest.raises(BundleError, match=r"bundle\.policy\.name"):
        appraise(bundle)
    assert appraise(bundle, as_recorded=True).verdict.policy == "ours"
    assert appraise(bundle, policy="strict").appraisal.policy == "other"


def test_an_anchor_that_only_the_file_brings_is_unknown(step_up: Any) -> None:
    (first, *rest) = TRUST.pems
    stranger = rest[0].pem
    brought = Trust([NamedPem(first.name, stranger), *rest], TRUST.revoked)
    bundle = read_bundle(bundled(step_up(), trust=brought))
    assert bundle.grounds.trust is not None
    found = appraise(bundle).appraisal
    assert found.anchors == "unknown"
    assert f"trust.anchors: {first.name} is known only to the file" in found.differences
    assert appraise(bundle, trust=brought).appraisal.anchors == "known"
    assert appraise(bundle, as_recorded=True).appraisal.anchors == "as-recorded"


@pytest.mark.parametrize(
    ("here", "in_the_file"),
    [({"ab": "REVOKED"}, {}), ({}, {"ab": "REVOKED"}), ({"ab": "REVOKED"}, {"ab": "SUSPENDED"})],
)
def test_a_certificate_is_revoked_where_either_list_says_so(
    step_up: Any, here: dict[str, str], in_the_file: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, used = appraisal.verdict_of, []

    def judging(*arguments: Any, **options: Any) -> Any:
        used.append(options["trust"].revoked)
        return real(*arguments, **options)

    monkeypatch.setattr(appraisal, "verdict_of", judging)
    bundle = read_bundle(bundled(step_up(), trust=Trust(TRUST.pems, in_the_file)))
    found = appraise(bundle, trust=Trust(TRUST.pems, here)).appraisal
    assert used == [{"ab": "REVOKED"}]
    assert "trust.revoked: 1 entries differ; the stricter of each counts" in found.differences


def test_a_seeded_key_says_so_in_bundle_and_appraisal(step_up: Any) -> None:
    made = bundled(step_up(), key=EvidenceKey(bytes(32), "seed"))
    assert json.loads(made)["signer"]["madeFrom"] == "seed"
    assert appraise(read_bundle(made)).to_json()["appraisal"]["signingKey"] == "from-seed"


# --- what was altered or forged ---------------------------------------------------------------------------------------


def test_any_altered_byte_is_noticed(made: bytes) -> None:
    """Every byte of digest and signature, and two hundred others; one bit each."""
    end = made.rindex(b',"digest"')
    places = random.Random(4).sample(range(end), 200) + list(range(end, len(made)))
    for place in places:
        altered = made[:place] + bytes([made[place] ^ 1]) + made[place + 1 :]
        with pytest.raises(BundleError):
            appraise(read_bundle(altered), server_key=KEY.public)


@pytest.mark.parametrize(
    "change",
    [lambda b: b + b"\n", lambda b: b[1:], lambda b: b[:-1], lambda b: b" " + b, lambda b: b"", lambda b: b"{}"],
)
def test_bytes_added_or_missing_are_noticed(made: bytes, change: Any) -> None:
    with pytest.raises(BundleError):
        read_bundle(change(made))


def test_a_new_digest_over_another_form_is_refused(made: bytes) -> None:
    members = json.loads(made)
    for name in ("digest", "signature"):
        del members[name]
    body = json.dumps(members).encode()
    digest = hashlib.sha256(body).hexdigest()
    signature = rfc8785.dumps(msgspec.to_builtins(KEY.sign(digest)))
    with pytest.raises(BundleError, match="RFC 8785"):
        read_bundle(body[:-1] + b',"digest":"' + digest.encode() + b'","signature":' + signature + b"}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format="stepup-evidence/9"), FORMAT),
        (lambda m: m.update(extra=1), "unknown field"),
        (lambda m: m.pop("evidence"), "evidence"),
        (lambda m: m["policy"].update(maximumFailures="many"), "bundle.policy.*maximumFailures"),
        (lambda m: m["policy"].update(algorithms=[0]), "bundle.policy.algorithms"),
        (lambda m: m["policy"].update(algorithms=["ES256"]), "bundle.policy.*algorithms"),
        (lambda m: m["policy"].update(formats=["tpm"]), "bundle.policy.formats"),
        (lambda m: m["policy"].update(maximumAttestationAgeDays=10**12), "bundle.policy.maximumAttestationAgeDays"),
        (lambda m: m["policy"].update(leniency=True), "bundle.policy.*leniency"),
        (lambda m: m["policy"].update(syncedCredential="maybe"), "bundle.policy.syncedCredential"),
        (lambda m: m["policy"].update(name="lenient"), "bundle.policy.name"),
        (lambda m: m["log"][3].update(user="somebody else"), r"bundle.log\[4\]"),
        (lambda m: m["log"][3].update(more=1), "unknown field"),
        (lambda m: m["log"].append(m["log"][0]), r"bundle.log\[1\]: expected entries in their order"),
        (lambda m: m["logHead"].update(count=2), "bundle.logHead"),
        (lambda m: m["logHead"].update(head="0" * 64), "bundle.logHead"),
        (lambda m: m.update(attempt=2), "bundle.attempt"),
        (lambda m: m.update(trust={"anchors": 1}), "bundle.trust"),
        (lambda m: m["trust"]["anchors"][0].update(name=7), "bundle.trust"),
        (lambda m: m["trust"]["anchors"][0].update(pem="no certificate"), "bundle.trust"),
        (lambda m: m["trust"].update(revoked=[]), "bundle.trust"),
    ],
)
def test_a_resealed_bundle_of_the_wrong_shape_is_refused_by_name(made: bytes, change: Any, message: str) -> None:
    members = json.loads(made)
    change(members)
    with pytest.raises(BundleError, match=message):
        read_bundle(resealed(members, KEY))


def signature_member(key: EvidenceKey, value: str) -> str:
    return f'{{"alg":"Ed25519","keyId":"{key.signer.key_id}","value":"{value}"}}'


@pytest.mark.parametrize(
    ("signature", "part"),
    [
        ("null", "bundle.signature"),
        ("{}", "bundle.signature"),
        ('{"alg":"none","keyId":"AA","value":"AA"}', "bundle.signature.alg"),
        ('{"alg":"Ed25519","keyId":"AA","value":"AA"}', "bundle.signature.keyId"),
        ('{"alg":"Ed25519","keyId":1,"value":"AA"}', "bundle.signature"),
        (signature_member(KEY, "AA"), "bundle.signature.value"),
        (signature_member(OTHER_KEY, "A" * 86), "bundle.signature.keyId"),
        (f" {signature_member(KEY, 'A' * 86)}", "bundle.signature"),
    ],
)
def test_a_malformed_signature_is_named(made: bytes, signature: str, part: str) -> None:
    """Not readable, not of this key, or not in its one form."""
    body = made[: made.rindex(b',"signature":')]
    with pytest.raises(BundleError) as refused:
        read_bundle(body + b',"signature":' + signature.encode() + b"}")
    assert refused.value.field == part


def test_a_signed_form_without_its_signature_is_refused(made: bytes) -> None:
    with pytest.raises(BundleError, match=r"bundle\.signature"):
        read_bundle(made[: made.rindex(b',"signature":')] + b"}")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where values stand that hold no others."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield from leaves(child, (*path, name)) if child and isinstance(child, dict | list) else iter([(*path, name)])


def altered(document: Any, path: tuple[Any, ...], draw: Any) -> Any:
    """The document with another value at this place."""
    changed = copy.deepcopy(document)
    place = changed
    for name in path[:-1]:
        place = place[name]
    before = place[path[-1]]
    place[path[-1]] = draw(OTHERS.filter(lambda other: other != before or type(other) is not type(before)))
    return changed


OTHERS = (
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=12)
    | st.sampled_from(["right", "wrong", "2026-03-02T12:00:00Z", "strict", [], {}])
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_bundle_that_was_altered_and_sealed_anew_passes_with_the_servers_key(
    made: bytes, data: st.DataObject
) -> None:
    """Whoever seals it anew has not the key: it is malformed, another's, or its signature does not verify."""
    document = json.loads(made)
    for name in ("digest", "signature"):
        del document[name]
    changed = altered(document, data.draw(st.sampled_from(list(leaves(document)))), data.draw)
    try:
        forged = resealed(changed, OTHER_KEY)
    except FormatError:
        return
    claims_the_key = resealed(changed | {"signer": {"keyId": "", "madeFrom": "database"}}, OTHER_KEY)
    claims_the_key = claims_the_key.replace(OTHER_KEY.signer.key_id.encode(), KEY.signer.key_id.encode())
    for file in (forged, with_digest_of_its_own(claims_the_key)):
        try:
            origin = appraise(read_bundle(file), server_key=KEY.public).appraisal.origin
        except BundleError:
            continue
        assert origin == "wrong-key"


def with_digest_of_its_own(file: bytes) -> bytes:
    """The digest made anew where the body was changed; the signature stays as it is."""
    place = file.rindex(b',"digest":"')
    digest = hashlib.sha256(file[:place] + b"}").hexdigest().encode()
    return file[: place + 11] + digest + file[place + 75 :]


@given(flipped=st.integers(0, 511))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_flipped_bit_of_the_signature_verifies(made: bytes, flipped: int) -> None:
    members = json.loads(made)
    value = bytearray(b64url_decode(members["signature"]["value"]))
    value[flipped // 8] ^= 1 << flipped % 8
    file = made.replace(members["signature"]["value"].encode(), b64url_encode(bytes(value)).encode())
    with pytest.raises(BundleError, match=r"bundle\.signature: expected a signature by the key that was given"):
        appraise(read_bundle(file), server_key=KEY.public)


def test_what_another_protocol_signed_is_no_signature(made: bytes) -> None:
    """The key signs the digest in its own context only."""
    digest = json.loads(made)["digest"]
    from nacl.signing import SigningKey

    assert CONTEXT == b"stepup-evidence/2\n"
    bare = SigningKey(KEY.secret).sign(digest.encode()).signature
    file = made.replace(json.loads(made)["signature"]["value"].encode(), b64url_encode(bare).encode())
    with pytest.raises(BundleError, match=r"bundle\.signature"):
        appraise(read_bundle(file), server_key=KEY.public)


# --- what stands in it ------------------------------------------------------------------------------------------------


def test_missing_evidence_is_null_and_appraised(step_up: Any) -> None:
    """The assertion as received, null if absent."""
    stage = step_up().bend(assertion=None, credential=None, nonce=None, evidence_source="")
    made = bundled(stage)
    assert json.loads(made)["evidence"]["assertion"] is None
    verdict = appraise(read_bundle(made)).verdict
    assert not verdict.accepted
    assert verdict.finding("evidence.present").outcome == "fail"
    assert verdict.compliance.two_factor == "undetermined"


def test_a_payload_that_is_no_order_survives(step_up: Any) -> None:
    """Numbers as JSON has them: 10.0 is signed as 10."""
    stage = step_up(payload={"figure": 10.0, "small": 1e-7, "nested": [None, True, "é"]})
    made = bundled(stage)
    again = build_bundle(read_bundle(made).evidence, key=KEY, policy=STRICT, trust=TRUST, log_extract=())
    first, second = (appraise(read_bundle(file)).verdict for file in (made, again))
    assert first.finding("binding.order").reason == second.finding("binding.order").reason


def test_facts_about_the_whole_log_travel_as_observations(step_up: Any, made: bytes) -> None:
    bundle = read_bundle(made)
    assert bundle.observed.nonce_repeated is False
    assert msgspec.to_builtins(bundle.observed)["keyBoundToAnotherUser"] is False


# --- what the docs say ------------------------------------------------------------------------------------------------

DOCUMENT = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text(encoding="utf-8")


def test_the_ten_lines_of_the_docs_check_a_bundle_with_two_libraries_alone(made: bytes, tmp_path: Path) -> None:
    program = DOCUMENT.partition("```python\n")[2].partition("```")[0]
    assert len(program.splitlines()) == 10
    altered = made.replace(b'"GBP"', b'"EUR"')
    assert altered != made
    files = {"check.py": program.encode(), "key.pem": KEY.pem().encode(), "other.pem": OTHER_KEY.pem().encode()}
    for name, content in (files | {"bundle.json": made, "altered.json": altered}).items():
        (tmp_path / name).write_bytes(content)

    def check(bundle: str, key: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "check.py", bundle, key]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = check("bundle.json", "key.pem")
    assert (done.returncode, done.stdout) == (0, f"signed by {KEY.signer.key_id}\n")
    assert check("altered.json", "key.pem").returncode != 0
    assert check("bundle.json", "other.pem").returncode != 0
    assert "server_stub" not in program


def test_the_docs_tell_of_every_member(made: bytes) -> None:
    members = json.loads(made)
    names = [
        *(members.keys() - {"evidence"}),
        *members["judgedBy"],
        *members["trust"],
        *members["logHead"],
        *members["signer"],
    ]
    names += [
        f"evidence.{name}"
        for name in ("now", "transaction", "caller", "secret", "prior", "assertion", "nonce", "credential")
    ]
    assert [name for name in names if f"`{name}`" not in DOCUMENT] == []
