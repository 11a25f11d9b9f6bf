"""Row `make_assertion`: what the phone's signing path adds to a raw signature."""

from __future__ import annotations

import hashlib
import secrets

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from authenticator.approving import sign_draft
from authenticator.ceremonies import Draft
from benchmarks.material import ORIGIN, RP_ID
from benchmarks.processes import externals, peer
from benchmarks.rounds import Contestant, InProcess, Row, compare
from device_keys.algorithms import ES256
from device_keys.messages import Flags
from device_keys.secure_hardware import Gate, SecureHardware

ROUNDS = 9


def row() -> Row:
    """`webauthn.get` over a new challenge, as AuthenticationResponseJSON; the counter rises, and is not written to disk."""
    hardware = SecureHardware()
    key_id = hardware.generate(gate=Gate.NONE, algorithm=ES256)
    credential_id = secrets.token_bytes(32)
    key, algorithm = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(hashes.SHA256())
    message = secrets.token_bytes(69)

    def raw(_: int) -> None:
        key.sign(message, algorithm)

    def ours(_: int) -> str:
        draft = Draft(
            key_id=key_id, credential_id=credential_id, type="webauthn.get", challenge=secrets.token_bytes(32), origin=ORIGIN,
            rp_id=RP_ID, flags=Flags.UP, device={},
        )  # fmt: skip
        return sign_draft(hardware, draft).to_text()

    _must_verify(hardware, key_id, ours(0))
    contestants: dict[str, Contestant] = {"limit": InProcess(raw), "ours": InProcess(ours)}
    material = {"rpId": RP_ID, "origin": ORIGIN}
    with externals({"soft-webauthn": peer("soft-webauthn", "soft_webauthn_peer.py")}, material) as others:
        costs = compare({**contestants, **others}, rounds=ROUNDS)
    peers = {name: sorted(costs.share(name, "limit"))[ROUNDS // 2] for name in others}
    return Row(
        "make_assertion", "raw ECDSA P-256 sign, key object kept", "higher", costs.share("ours", "limit"), 0.70, peers, "µs",
        costs.medians(1e6),
    )  # fmt: skip


def _must_verify(hardware: SecureHardware, key_id: str, text: str) -> None:
    from device_keys.encoding import parse_json_object
    from device_keys.messages import Assertion

    made = Assertion.from_json(parse_json_object(text))
    signed = made.authenticator_data + hashlib.sha256(made.client_data_json).digest()
    if not hardware.public_key(key_id).verify(made.signature, signed):
        raise RuntimeError("the assertion does not verify")
