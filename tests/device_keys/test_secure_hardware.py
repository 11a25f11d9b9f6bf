"""The simulated secure hardware: gates, tokens, counters, invalidation (phone-behaviour sections 1 and 2; attestation section 4)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from device_keys.algorithms import EDDSA, ES256, ES384, ES512, RS256
from device_keys.encoding import b64url_decode
from device_keys.entropy import SeededEntropy
from device_keys.keys import encode_cose_key, parse_cose_key
from device_keys.secure_hardware import (
    AuthenticatorType,
    AuthToken,
    CounterState,
    Gate,
    HardwareError,
    KeyInvalidated,
    KeyUnknown,
    SecureHardware,
    SecurityLevel,
    UserNotAuthenticated,
    derive_ec_private_key,
)

DATA = b"what is signed"


@pytest.fixture
def hardware() -> SecureHardware:
    return SecureHardware(entropy=SeededEntropy("hardware"))


def token_for(
    hardware: SecureHardware, operation: int, kind: AuthenticatorType = AuthenticatorType.BIOMETRIC
) -> AuthToken:
    return hardware.mint_token(challenge=operation, authenticator_type=kind, timestamp_ms=1000)


def released(hardware: SecureHardware, key_id: str) -> bytes:
    operation = hardware.begin(key_id)
    return hardware.sign(key_id, DATA, operation=operation, token=token_for(hardware, operation))


@pytest.mark.parametrize("algorithm", [ES256, ES384, ES512, EDDSA, RS256])
def test_signatures_verify_and_repeat_in_every_algorithm(hardware: SecureHardware, algorithm: int) -> None:
    key_id = hardware.generate(algorithm=algorithm)
    signature = hardware.sign(key_id, DATA)
    key = hardware.public_key(key_id)
    assert key.algorithm == algorithm
    assert key.verify(signature, DATA)
    assert not key.verify(signature, DATA + b".")
    assert hardware.sign(key_id, DATA) == signature, "RFC 6979, EdDSA and PKCS #1 v1.5 are deterministic"
    assert parse_cose_key(encode_cose_key(key)).verify(signature, DATA)


@pytest.mark.parametrize("algorithm", [ES256, EDDSA, RS256])
def test_a_seed_repeats_keys_and_key_ids_byte_for_byte(algorithm: int) -> None:
    first, second = (SecureHardware(entropy=SeededEntropy("same")) for _ in range(2))
    assert first.generate(algorithm=algorithm) == second.generate(algorithm=algorithm)
    assert first.state == second.state
    other = SecureHardware(entropy=SeededEntropy("other"))
    other.generate(algorithm=algorithm)
    assert other.state["keys"][0]["private"] != first.state["keys"][0]["private"]


def test_a_signature_repeats_with_a_seed_and_with_nothing_else() -> None:
    """DESIGN section 4, determinism; real hardware draws its ECDSA nonce at random."""
    signatures = []
    for entropy in (SeededEntropy("same"), SeededEntropy("same"), None, None):
        hardware = SecureHardware(entropy=entropy)
        key_id = hardware.generate()
        pair = hardware.sign(key_id, DATA), hardware.sign(key_id, DATA)
        assert all(hardware.public_key(key_id).verify(signature, DATA) for signature in pair)
        signatures.append(pair)
    assert signatures[0] == signatures[1]
    assert signatures[0][0] == signatures[0][1]
    assert len({*signatures[2], *signatures[3]}) == 4


def test_without_a_seed_no_two_keys_are_alike() -> None:
    hardware = SecureHardware()
    assert len({hardware.public_key(hardware.generate()).spki() for _ in range(3)}) == 3


def test_an_algorithm_that_no_hardware_has_is_refused(hardware: SecureHardware) -> None:
    with pytest.raises(HardwareError, match="algorithm -999"):
        hardware.generate(algorithm=-999)


def test_a_gated_key_signs_only_with_a_token(hardware: SecureHardware) -> None:
    key_id = hardware.generate(gate=Gate.BIOMETRIC)
    with pytest.raises(UserNotAuthenticated):
        hardware.sign(key_id, DATA)
    with pytest.raises(UserNotAuthenticated):
        hardware.sign(key_id, DATA, operation=hardware.begin(key_id))
    assert hardware.public_key(key_id).verify(released(hardware, key_id), DATA)


def test_a_token_serves_one_operation_once(hardware: SecureHardware) -> None:
    key_id = hardware.generate(gate=Gate.BIOMETRIC)
    operation = hardware.begin(key_id)
    token = token_for(hardware, operation)
    hardware.sign(key_id, DATA, operation=operation, token=token)
    with pytest.raises(UserNotAuthenticated, match="operation"):
        hardware.sign(key_id, DATA, operation=operation, token=token)
    with pytest.raises(UserNotAuthenticated, match="another operation"):
        hardware.sign(key_id, DATA, operation=hardware.begin(key_id), token=token)


def test_a_token_for_one_keys_operation_does_not_release_another_key(hardware: SecureHardware) -> None:
    mine, other = hardware.generate(gate=Gate.BIOMETRIC), hardware.generate(gate=Gate.BIOMETRIC)
    operation = hardware.begin(other)
    with pytest.raises(UserNotAuthenticated):
        hardware.sign(mine, DATA, operation=operation, token=token_for(hardware, operation))


@pytest.mark.parametrize(
    "altered",
    [
        {"challenge": 1},
        {"user_id": 1},
        {"authenticator_id": 1},
        {"authenticator_type": AuthenticatorType.PASSWORD},
        {"timestamp_ms": 1},
        {"mac": bytes(32)},
    ],
)
def test_an_altered_token_fails_its_mac(hardware: SecureHardware, altered: dict[str, object]) -> None:
    key_id = hardware.generate(gate=Gate.BIOMETRIC)
    operation = hardware.begin(key_id)
    with pytest.raises(UserNotAuthenticated, match="not of this hardware"):
        hardware.sign(key_id, DATA, operation=operation, token=replace(token_for(hardware, operation), **altered))  # type: ignore[arg-type]


def test_the_device_credential_does_not_release_a_biometric_key(hardware: SecureHardware) -> None:
    key_id = hardware.generate(gate=Gate.BIOMETRIC)
    operation = hardware.begin(key_id)
    with pytest.raises(UserNotAuthenticated, match="biometric sensor"):
        hardware.sign(
            key_id, DATA, operation=operation, token=token_for(hardware, operation, AuthenticatorType.PASSWORD)
        )


def test_another_phones_token_is_refused(hardware: SecureHardware) -> None:
    key_id = hardware.generate(gate=Gate.BIOMETRIC)
    operation = hardware.begin(key_id)
    with pytest.raises(UserNotAuthenticated):
        hardware.sign(key_id, DATA, operation=operation, token=token_for(SecureHardware(), operation))


def test_the_token_packs_into_androids_69_bytes(hardware: SecureHardware) -> None:
    token = token_for(hardware, 0x0102030405060708)
    packed = token.encode()
    assert len(packed) == 69
    assert packed[0] == 0
    assert packed[1:9] == bytes.fromhex("0807060504030201")
    assert packed[25:29] == bytes.fromhex("00000002")
    assert packed[29:37] == (1000).to_bytes(8, "big")


def test_a_reboot_voids_tokens_and_operations_but_no_key(hardware: SecureHardware) -> None:
    key_id = hardware.generate(gate=Gate.BIOMETRIC)
    operation = hardware.begin(key_id)
    token = token_for(hardware, operation)
    hardware.reboot()
    assert hardware.boot_count == 2
    with pytest.raises(UserNotAuthenticated):
        hardware.sign(key_id, DATA, operation=operation, token=token)
    again = hardware.begin(key_id)
    with pytest.raises(UserNotAuthenticated, match="since its last boot"):
        hardware.sign(key_id, DATA, operation=again, token=replace(token, challenge=again))
    assert released(hardware, key_id)


# --- invalidation (phone-behaviour section 1) -----------------------------------------------------------------------------


def three_keys(hardware: SecureHardware) -> tuple[str, str, str]:
    return (
        hardware.generate(),
        hardware.generate(gate=Gate.BIOMETRIC),
        hardware.generate(gate=Gate.BIOMETRIC, invalidated_by_enrolment=False),
    )


def invalidated(hardware: SecureHardware) -> list[bool]:
    return [info.invalidated for info in hardware.keys()]  # noqa: SIM118 — not a dict


def test_a_new_biometric_kills_biometric_keys_for_good_unless_switched_off(hardware: SecureHardware) -> None:
    free, bound, tolerant = three_keys(hardware)
    hardware.enrol_biometric()
    assert invalidated(hardware) == [False, True, False]
    with pytest.raises(KeyInvalidated):
        hardware.begin(bound)
    with pytest.raises(KeyInvalidated):
        hardware.sign(bound, DATA)
    assert released(hardware, tolerant)
    assert hardware.sign(free, DATA)


def test_removing_all_biometrics_kills_biometric_keys_for_good(hardware: SecureHardware) -> None:
    _, bound, tolerant = three_keys(hardware)
    hardware.remove_biometrics()
    assert invalidated(hardware) == [False, True, False]
    assert not hardware.biometric_enrolled
    with pytest.raises(HardwareError, match="no biometric"):
        released(hardware, tolerant)
    hardware.enrol_biometric()
    assert released(hardware, tolerant)
    with pytest.raises(KeyInvalidated):
        hardware.begin(bound)
    assert released(hardware, hardware.generate(gate=Gate.BIOMETRIC))


def test_changing_the_screen_lock_keeps_every_key(hardware: SecureHardware) -> None:
    three_keys(hardware)
    hardware.set_screen_lock()
    assert invalidated(hardware) == [False, False, False]


def test_removing_the_screen_lock_kills_every_gated_key_for_good(hardware: SecureHardware) -> None:
    free, bound, tolerant = three_keys(hardware)
    hardware.remove_screen_lock()
    assert invalidated(hardware) == [False, True, True]
    assert hardware.sign(free, DATA)
    with pytest.raises(HardwareError, match="screen lock"):
        hardware.enrol_biometric()
    with pytest.raises(HardwareError, match="no biometric"):
        hardware.generate(gate=Gate.BIOMETRIC)
    hardware.set_screen_lock()
    hardware.enrol_biometric()
    for key_id in (bound, tolerant):
        with pytest.raises(KeyInvalidated):
            hardware.begin(key_id)


def test_a_token_minted_before_a_new_enrolment_no_longer_releases(hardware: SecureHardware) -> None:
    key_id = hardware.generate(gate=Gate.BIOMETRIC)
    operation = hardware.begin(key_id)
    token = token_for(hardware, operation)
    hardware.enrol_biometric()
    with pytest.raises(KeyInvalidated):
        hardware.sign(key_id, DATA, operation=operation, token=token)


def test_wiping_and_deleting_leave_no_key(hardware: SecureHardware) -> None:
    free, bound, _ = three_keys(hardware)
    hardware.sign(free, DATA)
    hardware.delete(free)
    with pytest.raises(KeyUnknown):
        hardware.sign(free, DATA)
    with pytest.raises(KeyUnknown):
        hardware.public_key(free)
    hardware.wipe()
    assert hardware.keys() == []
    with pytest.raises(KeyUnknown):
        hardware.begin(bound)


# --- counters, state ------------------------------------------------------------------------------------------------------


def test_the_increasing_counter_starts_at_one_and_the_others_stay_at_zero(hardware: SecureHardware) -> None:
    rising = hardware.generate(counter=CounterState.INCREASING)
    assert [hardware.next_counter(rising) for _ in range(3)] == [1, 2, 3]
    for state in (CounterState.ZERO, CounterState.ABSENT):
        assert [hardware.next_counter(hardware.generate(counter=state)) for _ in range(2)] == [0, 0]
    assert hardware.info(rising).counter_state is CounterState.INCREASING
    assert hardware.info(rising).counter == 3


def test_state_goes_through_json_and_comes_back_whole(hardware: SecureHardware) -> None:
    key_id = hardware.generate(gate=Gate.BIOMETRIC, level=SecurityLevel.STRONG_BOX, origin="IMPORTED")
    hardware.next_counter(key_id)
    again = SecureHardware(json.loads(json.dumps(hardware.state)), entropy=SeededEntropy("later"))
    assert again.keys() == hardware.keys()
    assert again.next_counter(key_id) == 2
    assert hardware.public_key(key_id).verify(released(again, key_id), DATA)


def test_state_is_a_copy(hardware: SecureHardware) -> None:
    key_id = hardware.generate()
    hardware.state["keys"].clear()
    assert hardware.info(key_id)


def test_private_keys_show_in_no_repr_and_no_public_method(hardware: SecureHardware) -> None:
    key_id = hardware.generate()
    private = hardware.state["keys"][0]["private"]
    shown = " ".join(
        [repr(hardware), repr(hardware.keys()), repr(vars(hardware)["_keys"]), repr(hardware.public_key(key_id))]
    )
    assert private not in shown
    assert repr(b64url_decode(private)) not in shown
    public = [name for name in dir(hardware) if not name.startswith("_")]
    assert not [name for name in public if "private" in name or "export" in name]


def test_key_ids_of_another_phone_are_unknown(hardware: SecureHardware) -> None:
    """Device-bound keys do not come along to another phone: its hardware does not know them."""
    key_id = SecureHardware().generate()
    for use in (hardware.begin, hardware.public_key, hardware.next_counter, hardware.delete, hardware.info):
        with pytest.raises(KeyUnknown):
            use(key_id)


@pytest.mark.parametrize(
    ("algorithm", "curve"), [(ES256, ec.SECP256R1()), (ES384, ec.SECP384R1()), (ES512, ec.SECP521R1())]
)
def test_ec_keys_follow_fips_186_5(algorithm: int, curve: ec.EllipticCurve) -> None:
    """Appendix A.2.1: d = (c mod (n - 1)) + 1, c being at least 64 bits longer than the order n."""
    material = bytes(range(200, 200 + 48)) * 2
    expected = int.from_bytes(material) % (curve.group_order - 1) + 1
    assert derive_ec_private_key(material, algorithm).private_numbers().private_value == expected
