"""`stepup-server appraise`: exit codes, what is said first, and whom it believes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server_stub.bundle import build_bundle
from server_stub.cli import main
from server_stub.evidence_key import EvidenceKey
from server_stub.policy import STRICT
from server_stub.trust import load_trust
from tests.support.bundles import resealed

from .test_bundle import unsigned

KEY, OTHER_KEY = EvidenceKey(bytes(range(32))), EvidenceKey(bytes(32))
RSA = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
"""
FIRST = {
    "not-verified": "ORIGIN NOT VERIFIED",
    "wrong-key": "WRONG KEY",
    "verified": "Origin verified",
}


@pytest.fixture
def folder(step_up: Any, tmp_path: Path) -> Path:
    """A bundle, the signer's public key, another's, and what is no key."""
    stage = step_up()
    made = build_bundle(
        stage.evidence,
        key=KEY,
        policy=STRICT,
        trust=load_trust(),
        log_extract=tuple(stage.log),
        observed=stage.observed,
    )
    (tmp_path / "bundle.json").write_bytes(made)
    (tmp_path / "old.json").write_bytes(unsigned(made))
    members = json.loads(made)
    members["evidence"]["secret"]["result"] = "wrong"
    (tmp_path / "forged.json").write_bytes(resealed(members, OTHER_KEY))
    for name, text in (("key", KEY.pem()), ("other", OTHER_KEY.pem()), ("p256", RSA), ("nothing", "no key")):
        (tmp_path / f"{name}.pem").write_text(text)
    return tmp_path


@pytest.fixture
def appraise(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    monkeypatch.chdir(folder)

    def run(*arguments: str) -> tuple[int, str]:
        out = io.StringIO()
        return main(["appraise", *arguments], out=out), out.getvalue()

    return run


@pytest.mark.parametrize(
    ("arguments", "origin", "refused"),
    [
        (("bundle.json",), "not-verified", False),
        (("bundle.json", "--server-key", "key.pem"), "verified", False),
        (("bundle.json", "--server-key", "other.pem"), "wrong-key", True),
        (("old.json",), "not-verified", False),
        (("old.json", "--server-key", "key.pem"), "not-verified", True),
        (("forged.json", "--server-key", "key.pem"), "wrong-key", True),
    ],
)
def test_the_origin_is_said_first_and_decides_the_exit_code(
    appraise: Callable[..., tuple[int, str]], arguments: tuple[str, ...], origin: str, refused: bool
) -> None:
    """A key that was given and did not sign is exit 1; otherwise the exit code follows `accepted`."""
    code, said = appraise(*arguments, "--json")
    document = json.loads(said)
    assert next(iter(document)) == "appraisal"
    assert document["appraisal"]["origin"] == origin
    assert code == (1 if refused or not document["accepted"] else 0)
    assert appraise(*arguments, "--html", "report.html")[1].startswith(FIRST[origin])
    body = Path("report.html").read_text("utf-8").partition("<body>")[2]
    assert body.index(FIRST[origin]) < body.index("<header")
    if origin != "verified":
        assert document["compliance"]["twoFactor"] == "undetermined"
        assert "logged" not in {one["grade"] for one in (*document["elements"], *document["compliance"]["rules"])}


def test_as_recorded_says_so_before_anything_else(appraise: Callable[..., tuple[int, str]]) -> None:
    code, said = appraise("bundle.json", "--as-recorded", "--server-key", "key.pem", "--json")
    assert json.loads(said)["appraisal"] == {
        "anchors": "as-recorded", "origin": "verified", "policy": "as-recorded", "differences": [],
    }  # fmt: skip
    assert code == (0 if json.loads(said)["accepted"] else 1)
    assert appraise("bundle.json", "--as-recorded")[1].startswith("JUDGED AS RECORDED")


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("bundle.json", "--server-key", "nothing.pem"), 2, "--server-key"),
        (("bundle.json", "--server-key", "p256.pem"), 2, "--server-key"),
        (("bundle.json", "--server-key", "bundle.json"), 2, "--server-key"),
        (("bundle.json", "--server-key", "no-such-file"), 3, "--server-key"),
        (("bundle.json", "--as-recorded", "--policy", "lenient"), 2, "--as-recorded"),
        (("bundle.json", "--as-recorded", "--trust-anchors", "."), 2, "--as-recorded"),
        (("bundle.json", "--policy", "generous"), 2, "--policy"),
        (("bundle.json", "--now", "soon"), 2, "--now"),
        (("bundle.json", "--trust-anchors", "no-such-folder"), 3, "--trust-anchors"),
        (("bundle.json", "--trust-anchors", "."), 3, "--trust-anchors"),
        (("no-such-file",), 3, "no-such-file"),
        (("key.pem",), 3, "bundle"),
    ],
)
def test_what_cannot_be_used_is_named(
    appraise: Callable[..., tuple[int, str]], arguments: tuple[str, ...], code: int, named: str
) -> None:
    ended, said = appraise(*arguments, "--json")
    assert (ended, set(json.loads(said))) == (code, {"error"})
    assert named in json.loads(said)["error"]["message"]


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("bundle.policy.algorithms", lambda m: m["policy"].update(algorithms=[0])),
        ("bundle.policy", lambda m: m["policy"].update(rpId=1)),
        ("bundle.policy", lambda m: m["policy"].update(unheardOf=True)),
        ("bundle.policy", lambda m: m.update(policy=[])),
        ("bundle.trust", lambda m: m["trust"]["anchors"][0].update(pem="-----BEGIN CERTIFICATE-----")),
        ("bundle.trust", lambda m: m.update(trust=3)),
        ("bundle.signer", lambda m: m.update(signer=None)),
        ("bundle.judgedBy", lambda m: m.update(judgedBy={"policy": 1})),
        ("bundle.logHead", lambda m: m.update(logHead={})),
    ],
)
def test_a_bundle_that_cannot_be_read_is_exit_3_and_names_the_part(
    appraise: Callable[..., tuple[int, str]], folder: Path, part: str, change: Callable[[Any], Any]
) -> None:
    members = json.loads((folder / "bundle.json").read_bytes())
    change(members)
    (folder / "bad.json").write_bytes(resealed(members, KEY))
    for options in ((), ("--server-key", "key.pem"), ("--as-recorded",)):
        code, said = appraise("bad.json", *options, "--json")
        assert code == 3
        assert part in json.loads(said)["error"]["message"]


def test_a_signature_that_the_key_did_not_make_is_exit_3(
    appraise: Callable[..., tuple[int, str]], folder: Path
) -> None:
    made = (folder / "bundle.json").read_bytes()
    value = json.loads(made)["signature"]["value"]
    (folder / "bad.json").write_bytes(made.replace(value.encode(), b"A" * 86))
    code, said = appraise("bad.json", "--server-key", "key.pem", "--json")
    assert code == 3
    assert "bundle.signature" in json.loads(said)["error"]["message"]
