"""The simulated secure hardware (TEE, StrongBox, Secure Enclave): generates keys, gates them, counts, signs.

Invariants: a private key leaves only inside `state`, which goes to the sealed keystore and nowhere else; a gated key signs once per
authentication token, and only with a token that this hardware minted since its last boot for that very operation; a key that was
invalidated never signs again. The boundary is Android's authentication token (phone-behaviour: KeyMint checks the token's MAC, its
secure user id, its type and its operation handle); the prompt in front of it lives in `authenticator.locks`.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from device_keys.algorithms import EDDSA, ES256, ES384, ES512, RS256
from device_keys.encoding import b64url_decode, b64url_encode
from device_keys.entropy import Entropy, SeededEntropy, SystemEntropy
from device_keys.keys import PublicKey, public_key

Signer = Callable[[bytes], bytes]


class Gate(StrEnum):
    """Who releases the key: nobody needs to (`none`), or a biometric match for every single use (`biometric`)."""

    NONE = "none"
    BIOMETRIC = "biometric"


class CounterState(StrEnum):
    """The signature counter's three states (attestation section 4); `absent` sends zero too, but is kept apart in the device."""

    INCREASING = "increasing"
    ZERO = "zero"
    ABSENT = "absent"


class SecurityLevel(StrEnum):
    """Where the key lives."""

    SOFTWARE = "Software"
    TRUSTED_ENVIRONMENT = "TrustedEnvironment"
    STRONG_BOX = "StrongBox"
    SECURE_ENCLAVE = "SecureEnclave"


class AuthenticatorType(IntEnum):
    """Who vouches in an authentication token, and the bit of a key's mask that admits it."""

    PASSWORD = 1
    BIOMETRIC = 2


class HardwareError(Exception):
    """The secure hardware refused."""


class KeyUnknown(HardwareError):
    """No such key here."""


class KeyInvalidated(HardwareError):
    """The key is dead for good (Android: KeyPermanentlyInvalidatedException); the device must be enrolled again."""


class UserNotAuthenticated(HardwareError):
    """A gated key was used without a token that releases it (Android: UserNotAuthenticatedException)."""


@dataclass(frozen=True, slots=True)
class AuthToken:
    """Android's authentication token: one authentication of the user, as the secure side sees it. 64-bit ids; `timestamp_ms` since boot."""

    challenge: int
    user_id: int
    authenticator_id: int
    authenticator_type: AuthenticatorType
    timestamp_ms: int
    mac: bytes = field(repr=False)

    def signed_part(self) -> bytes:
        """The 37 bytes under the MAC: version 0 and ids in host order, type and time in network order."""
        ids = struct.pack("<BQQQ", 0, self.challenge, self.user_id, self.authenticator_id)
        return ids + struct.pack(">IQ", self.authenticator_type, self.timestamp_ms)

    def encode(self) -> bytes:
        """The packed 69 bytes."""
        return self.signed_part() + self.mac


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What may be known of a key. `counter` is the last value given out."""

    key_id: str
    gate: Gate
    algorithm: int
    level: SecurityLevel
    counter: int
    counter_state: CounterState
    invalidated: bool
    origin: str


@dataclass(frozen=True, slots=True)
class _Key:
    """A key as kept. `secure_id` is the id that a releasing token must name: the biometric set's, or the user's where
    invalidation by enrolment was switched off; zero for a key without a gate."""

    info: KeyInfo
    private: bytes = field(repr=False)
    secure_id: int

    def to_json(self) -> dict[str, Any]:
        info = {name: getattr(self.info, name) for name in KeyInfo.__slots__}
        return {**info, "private": b64url_encode(self.private), "secure_id": self.secure_id}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> _Key:
        fields = {name: record[name] for name in KeyInfo.__slots__}
        kinds = {"gate": Gate, "level": SecurityLevel, "counter_state": CounterState}
        info = KeyInfo(**fields | {name: kind(record[name]) for name, kind in kinds.items()})
        return cls(info, b64url_decode(record["private"]), record["secure_id"])


class SecureHardware:
    """One phone's secure hardware. New hardware is that of a phone after its set-up: a secure screen lock and one biometric set."""

    def __init__(self, state: dict[str, Any] | None = None, *, entropy: Entropy | None = None) -> None:
        self._entropy = entropy or SystemEntropy()
        self._operations: dict[int, str] = {}
        self._signers: dict[str, Signer] = {}
        self._public: dict[str, PublicKey] = {}
        self._keys: dict[str, _Key] = {}
        self._counters: dict[str, int] = {}
        if state:
            self._load(deepcopy(state))
        else:
            self._mac_key, self._boot_count = self._entropy.bytes("hardware.mac-key", 32), 1
            self._user_id, self._authenticator_id = self._new_id("user-id"), self._new_id("authenticator-id")

    def __repr__(self) -> str:
        return f"SecureHardware({len(self._keys)} keys)"

    def _load(self, state: dict[str, Any]) -> None:
        self._mac_key, self._boot_count = b64url_decode(state["mac_key"]), state["boot_count"]
        self._user_id, self._authenticator_id = state["user_id"], state["authenticator_id"]
        self._keys = {record["key_id"]: _Key.from_json(record) for record in state["keys"]}
        self._counters = {key_id: key.info.counter for key_id, key in self._keys.items()}

    @property
    def state(self) -> dict[str, Any]:
        """Everything, private keys too, as JSON values: for the sealed keystore only."""
        return {
            "mac_key": b64url_encode(self._mac_key),
            "boot_count": self._boot_count,
            "user_id": self._user_id,
            "authenticator_id": self._authenticator_id,
            "keys": [replace(key, info=self._now(key)).to_json() for key in self._keys.values()],
        }

    # --- keys ---------------------------------------------------------------------------------------------------------

    def generate(
        self,
        *,
        gate: Gate = Gate.NONE,
        algorithm: int = ES256,
        level: SecurityLevel = SecurityLevel.TRUSTED_ENVIRONMENT,
        counter: CounterState = CounterState.INCREASING,
        origin: str = "GENERATED",
        invalidated_by_enrolment: bool = True,
    ) -> str:
        """A new key's id. A biometric key needs an enrolled biometric, as on a phone."""
        if gate is Gate.BIOMETRIC and not self._authenticator_id:
            raise HardwareError("no biometric is enrolled, so no key can be bound to one")
        private = _new_private(algorithm, self._entropy)
        key_id = self._entropy.bytes("hardware.key-id", 16).hex()
        bound = self._authenticator_id if invalidated_by_enrolment else self._user_id
        info = KeyInfo(key_id, gate, algorithm, level, 0, counter, False, origin)
        self._keys[key_id] = _Key(info, private, bound if gate is Gate.BIOMETRIC else 0)
        self._counters[key_id] = 0
        return key_id

    def public_key(self, key_id: str) -> PublicKey:
        """The public half."""
        if key_id not in self._public:
            self._open(key_id)
        return self._public[key_id]

    def keys(self) -> list[KeyInfo]:
        """Every key, oldest first."""
        return [self._now(key) for key in self._keys.values()]

    def info(self, key_id: str) -> KeyInfo:
        """One key."""
        return self._now(self._find(key_id))

    def _now(self, key: _Key) -> KeyInfo:
        """What is known of the key at present: its counter lives apart, since every signature moves it."""
        return replace(key.info, counter=self._counters[key.info.key_id])

    def delete(self, key_id: str) -> None:
        """The key is gone."""
        self._find(key_id)
        self._forget([key_id])

    def wipe(self) -> None:
        """Factory reset: no keys, no operations, a new user and a new biometric set."""
        self._forget(list(self._keys))
        self._operations.clear()
        self._user_id, self._authenticator_id = self._new_id("user-id"), self._new_id("authenticator-id")

    def _forget(self, key_ids: list[str]) -> None:
        for key_id in key_ids:
            for table in (self._keys, self._signers, self._public, self._counters):
                table.pop(key_id, None)

    def _find(self, key_id: str) -> _Key:
        key = self._keys.get(key_id)
        if key is None:
            raise KeyUnknown(f"no key {key_id!r} in this phone's hardware")
        return key

    def _open(self, key_id: str) -> Signer:
        key = self._find(key_id)
        self._signers[key_id], self._public[key_id] = _open_private(
            key.private, key.info.algorithm, repeatable=isinstance(self._entropy, SeededEntropy)
        )
        return self._signers[key_id]

    # --- use ----------------------------------------------------------------------------------------------------------

    def begin(self, key_id: str) -> int:
        """Start one operation with the key; its handle is what a token for a gated key must name."""
        if self._find(key_id).info.invalidated:
            raise KeyInvalidated(f"key {key_id} was invalidated for good")
        handle = self._new_id("operation")
        self._operations[handle] = key_id
        return handle

    def sign(self, key_id: str, data: bytes, *, operation: int = 0, token: AuthToken | None = None) -> bytes:
        """The signature over `data`. A gated key needs its own operation and a token for it; each serves once.

        ECDSA: DER, with a random nonce as in real hardware; by RFC 6979 where a seed must repeat it.
        """
        key = self._find(key_id)
        if key.info.invalidated:
            raise KeyInvalidated(f"key {key_id} was invalidated for good")
        if operation or key.secure_id:
            self._finish(key, operation, token)
        signer = self._signers.get(key_id) or self._open(key_id)
        return signer(data)

    def _finish(self, key: _Key, operation: int, token: AuthToken | None) -> None:
        if self._operations.pop(operation, None) != key.info.key_id:
            raise UserNotAuthenticated("no such operation with this key: begin() one, and use its handle once")
        if key.secure_id:
            self._check_token(key, operation, token)

    def _check_token(self, key: _Key, operation: int, token: AuthToken | None) -> None:
        """KeyMint's checks of an authentication token, for a key that needs a biometric for every use."""
        if token is None:
            raise UserNotAuthenticated("this key needs the user's biometric for every use")
        if not hmac.compare_digest(token.mac, self._mac(token)):
            raise UserNotAuthenticated("the authentication token is not of this hardware since its last boot")
        if token.challenge != operation:
            raise UserNotAuthenticated("the authentication token is for another operation")
        if not token.authenticator_type & AuthenticatorType.BIOMETRIC:
            raise UserNotAuthenticated("the authentication token is not of the biometric sensor")
        if key.secure_id not in (token.user_id, token.authenticator_id):
            raise KeyInvalidated("the key is bound to another user or biometric set")

    def next_counter(self, key_id: str) -> int:
        """The value for the next signature: 1 at registration and rising, or 0 for a counter that is constant or absent."""
        if self._find(key_id).info.counter_state is not CounterState.INCREASING:
            return 0
        self._counters[key_id] = value = self._counters[key_id] + 1
        return value

    # --- the token service: what lock and sensor call -------------------------------------------------------------------

    def mint_token(self, *, challenge: int, authenticator_type: AuthenticatorType, timestamp_ms: int) -> AuthToken:
        """A token that says: this user has just authenticated, by lock or sensor, for operation `challenge`."""
        if authenticator_type is AuthenticatorType.BIOMETRIC and not self._authenticator_id:
            raise HardwareError("no biometric is enrolled")
        if not self._user_id:
            raise HardwareError("no secure screen lock is set")
        token = AuthToken(challenge, self._user_id, self._authenticator_id, authenticator_type, timestamp_ms, b"")
        return replace(token, mac=self._mac(token))

    def enrol_biometric(self) -> None:
        """A finger or face more: the set's id changes, and with it dies every key bound to the old set."""
        if not self._user_id:
            raise HardwareError("a biometric needs a secure screen lock first")
        self._invalidate(self._authenticator_id)
        self._authenticator_id = self._new_id("authenticator-id")

    def remove_biometrics(self) -> None:
        """No biometric is left; keys bound to the set are dead for good, keys bound to the user merely locked."""
        self._invalidate(self._authenticator_id)
        self._authenticator_id = 0

    def set_screen_lock(self) -> None:
        """A secure lock is set: a new user id where there was none; a change with the old one known keeps the id and all keys."""
        if not self._user_id:
            self._user_id = self._new_id("user-id")

    def remove_screen_lock(self) -> None:
        """The secure lock is gone, the biometrics with it, and every gated key is dead for good."""
        self.remove_biometrics()
        self._invalidate(self._user_id)
        self._user_id = 0

    def reboot(self) -> None:
        """A new MAC key: tokens and operations from before are void."""
        self._operations.clear()
        self._mac_key = self._entropy.bytes("hardware.mac-key", 32)
        self._boot_count += 1

    @property
    def biometric_enrolled(self) -> bool:
        return self._authenticator_id != 0

    @property
    def screen_lock_set(self) -> bool:
        return self._user_id != 0

    @property
    def boot_count(self) -> int:
        return self._boot_count

    def _invalidate(self, secure_id: int) -> None:
        for key_id, key in self._keys.items():
            if secure_id and key.secure_id == secure_id:
                self._keys[key_id] = replace(key, info=replace(key.info, invalidated=True))

    def _mac(self, token: AuthToken) -> bytes:
        return hmac.digest(self._mac_key, token.signed_part(), "sha256")

    def _new_id(self, purpose: str) -> int:
        return int.from_bytes(self._entropy.bytes(f"hardware.{purpose}", 8), "big") or 1


# --- private keys -------------------------------------------------------------------------------------------------------

_CURVES: Final[dict[int, tuple[ec.EllipticCurve, hashes.HashAlgorithm]]] = {
    ES256: (ec.SECP256R1(), hashes.SHA256()),
    ES384: (ec.SECP384R1(), hashes.SHA384()),
    ES512: (ec.SECP521R1(), hashes.SHA512()),
}


def derive_ec_private_key(material: bytes, algorithm: int = ES256) -> ec.EllipticCurvePrivateKey:
    """The EC key of uniformly random `material` (FIPS 186-5 appendix A.2.1: extra random bits; at least 8 bytes more than the order)."""
    curve = _CURVES[algorithm][0]
    return ec.derive_private_key(int.from_bytes(material, "big") % (curve.group_order - 1) + 1, curve)


def _new_private(algorithm: int, entropy: Entropy) -> bytes:
    """A new private key as kept: an EC scalar or Ed25519 seed big-endian, or RSA's PKCS#8."""
    purpose = f"hardware.key.{algorithm}"
    if algorithm in _CURVES:
        size = (_CURVES[algorithm][0].key_size + 7) // 8
        key = derive_ec_private_key(entropy.bytes(purpose, size + 8), algorithm)
        return key.private_numbers().private_value.to_bytes(size, "big")
    if algorithm == EDDSA:
        return entropy.bytes(purpose, 32)
    if algorithm == RS256:
        return _steered_rsa(entropy.bytes(purpose, 32)) if isinstance(entropy, SeededEntropy) else _new_rsa()
    raise HardwareError(f"this hardware makes no keys of algorithm {algorithm}")


def _new_rsa() -> bytes:
    """RSA-2048 of the system's randomness."""
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _steered_rsa(seed: bytes) -> bytes:
    """RSA-2048 found by a search that the seed steers, so that a seeded run repeats. OpenSSL's own search cannot be steered, but takes
    a tenth of the time."""
    from Crypto.PublicKey import RSA

    drawn = 0

    def stream(size: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return hashlib.shake_256(seed + drawn.to_bytes(8, "big")).digest(size)

    return RSA.generate(2048, randfunc=stream).export_key("DER", pkcs=8)


def _open_private(private: bytes, algorithm: int, *, repeatable: bool) -> tuple[Signer, PublicKey]:
    if algorithm in _CURVES:
        curve, digest = _CURVES[algorithm]
        scheme = ec.ECDSA(digest, deterministic_signing=repeatable)
        key = ec.derive_private_key(int.from_bytes(private, "big"), curve)
        return lambda data: key.sign(data, scheme), public_key(key.public_key(), algorithm)
    if algorithm == EDDSA:
        return _open_ed25519(private)
    loaded = serialization.load_der_private_key(private, None)
    if not isinstance(loaded, rsa.RSAPrivateKey):
        raise HardwareError("the stored key is not of its algorithm")
    rsa_key, pkcs1, sha256 = loaded, padding.PKCS1v15(), hashes.SHA256()
    return lambda data: rsa_key.sign(data, pkcs1, sha256), public_key(rsa_key.public_key(), algorithm)


def _open_ed25519(seed: bytes) -> tuple[Signer, PublicKey]:
    from nacl.signing import SigningKey

    key = SigningKey(seed)
    public = ed25519.Ed25519PublicKey.from_public_bytes(bytes(key.verify_key))
    return lambda data: key.sign(data).signature, public_key(public, EDDSA)
