"""Signatures chosen to break verifiers, through the server's own verify function: refused is False, never an exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from device_keys.keys import PublicKey, encode_cose_key, parse_cose_key


def _groups(vectors: Path, file: str) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = json.loads((vectors / "wycheproof" / file).read_text())["testGroups"]
    return groups


def _p256(group: dict[str, Any]) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    from device_keys.keys import public_key

    point = bytes.fromhex(group["publicKey"]["uncompressed"])
    return public_key(ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))


def _ed25519(group: dict[str, Any]) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric import ed25519

    from device_keys.keys import public_key

    return public_key(ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(group["publicKey"]["pk"])))


@pytest.mark.parametrize(
    ("file", "reader", "valid", "invalid"),
    [("ecdsa_secp256r1_sha256_test.json", _p256, 174, 310), ("ed25519_test.json", _ed25519, 88, 63)],
)
def test_every_signature_gets_its_result(file: str, reader: Any, valid: int, invalid: int, vectors: Path) -> None:
    """RTS Art. 4(2)(c). The key goes through COSE, as an enrolled one does."""
    seen = {"valid": 0, "invalid": 0}
    wrong = []
    for group in _groups(vectors, file):
        key = parse_cose_key(encode_cose_key(reader(group)))
        for test in group["tests"]:
            accepted = key.verify(bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"]))
            seen[test["result"]] += 1
            if accepted != (test["result"] == "valid"):
                wrong.append((test["tcId"], test["result"], test["flags"]))
    assert wrong == []
    assert seen == {"valid": valid, "invalid": invalid}
