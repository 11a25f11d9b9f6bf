"""Public keys and signature algorithms: COSE keys in, `verify` out.

ECDSA signatures are ASN.1 DER, as in WebAuthn and App Attest; RSA, EdDSA and ML-DSA signatures are raw bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa

from device_keys.algorithms import ALGORITHM_NAMES, EDDSA, RS256
from device_keys.encoding import FormatError, cbor_decode, cbor_encode

_EC_ALGORITHMS: Final[dict[int, tuple[int, type[ec.EllipticCurve], type[hashes.HashAlgorithm]]]] = {
    -7: (1, ec.SECP256R1, hashes.SHA256), -9: (1, ec.SECP256R1, hashes.SHA256),
    -35: (2, ec.SECP384R1, hashes.SHA384), -51: (2, ec.SECP384R1, hashes.SHA384),
    -36: (3, ec.SECP521R1, hashes.SHA512), -52: (3, ec.SECP521R1, hashes.SHA512),
}  # fmt: skip
_EC_SCHEMES: Final = {algorithm: ec.ECDSA(digest()) for algorithm, (_, _, digest) in _EC_ALGORITHMS.items()}
_EC_COSE_BY_CURVE: Final = {"secp256r1": (-7, 1), "secp384r1": (-35, 2), "secp521r1": (-36, 3)}
_ML_DSA: Final[dict[int, tuple[Any, int]]] = {
    -48: (mldsa.MLDSA44PublicKey, 1312), -49: (mldsa.MLDSA65PublicKey, 1952), -50: (mldsa.MLDSA87PublicKey, 2592),
}  # fmt: skip

VerifyingKey = Any  # one of cryptography's public key classes; each has its own verify signature


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key with the one algorithm it is used with."""

    algorithm: int
    key: VerifyingKey
    _check: Callable[[bytes, bytes], None]

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` over `data` is this key's; a malformed signature is simply not."""
        try:
            self._check(signature, data)
        except (InvalidSignature, ValueError, UnsupportedAlgorithm):
            return False
        return True

    @property
    def name(self) -> str:
        return ALGORITHM_NAMES.get(self.algorithm, str(self.algorithm))

    def spki(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        der: bytes = self.key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return der

    def point(self) -> bytes:
        """The uncompressed point `04 ‖ x ‖ y` of an EC key."""
        if not isinstance(self.key, ec.EllipticCurvePublicKey):
            raise FormatError("publicKey", "an EC key")
        return self.key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)

    def fingerprint(self) -> str:
        """SHA-256 of the SPKI in hex: the same for the same key, whatever carried it."""
        return hashlib.sha256(self.spki()).hexdigest()


def public_key(key: VerifyingKey, algorithm: int | None = None) -> PublicKey:
    """Pair a key object with an algorithm (by default the usual one of its type)."""
    chosen = algorithm if algorithm is not None else _usual_algorithm(key)
    return PublicKey(chosen, key, _checker(key, chosen))


def _usual_algorithm(key: VerifyingKey) -> int:
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _EC_COSE_BY_CURVE:
        return _EC_COSE_BY_CURVE[key.curve.name][0]
    if isinstance(key, rsa.RSAPublicKey):
        return RS256
    if isinstance(key, ed25519.Ed25519PublicKey):
        return EDDSA
    if isinstance(key, ed448.Ed448PublicKey):
        return -53
    for cose, (cls, _) in _ML_DSA.items():
        if isinstance(key, cls):
            return cose
    raise FormatError("publicKey", "a key of a supported type")


def _checker(key: VerifyingKey, algorithm: int) -> Callable[[bytes, bytes], None]:
    if algorithm in _EC_ALGORITHMS and isinstance(key, ec.EllipticCurvePublicKey):
        scheme = _EC_SCHEMES[algorithm]
        return lambda signature, data: key.verify(signature, data, scheme)
    if algorithm == RS256 and isinstance(key, rsa.RSAPublicKey):
        return lambda signature, data: key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
    if algorithm == -37 and isinstance(key, rsa.RSAPublicKey):
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        return lambda signature, data: key.verify(signature, data, pss, hashes.SHA256())
    if algorithm in (-8, -19) and isinstance(key, ed25519.Ed25519PublicKey):
        return _ed25519_checker(key)
    if algorithm == -53 and isinstance(key, ed448.Ed448PublicKey):
        return key.verify
    if algorithm in _ML_DSA and isinstance(key, _ML_DSA[algorithm][0]):
        check: Callable[[bytes, bytes], None] = key.verify
        return check
    raise FormatError("alg", "an algorithm that fits the key")


def _ed25519_checker(key: ed25519.Ed25519PublicKey) -> Callable[[bytes, bytes], None]:
    from nacl.exceptions import CryptoError
    from nacl.signing import VerifyKey

    verifier = VerifyKey(key.public_bytes_raw())

    def check(signature: bytes, data: bytes) -> None:
        try:
            verifier.verify(data, signature)
        except CryptoError as error:
            raise InvalidSignature from error

    return check


@lru_cache(maxsize=4096)
def parse_cose_key(data: bytes) -> PublicKey:
    """The key of a COSE_Key (RFC 9052 section 7) in CTAP2 canonical form; no optional parameters but `alg`."""
    return cose_key(cbor_decode(data, "credentialPublicKey"))


def cose_key(fields: Any) -> PublicKey:
    """As `parse_cose_key`, from the decoded map."""
    where = "credentialPublicKey"
    if not isinstance(fields, dict):
        raise FormatError(where, "a COSE_Key map")
    algorithm = fields.get(3)
    if not isinstance(algorithm, int) or algorithm not in ALGORITHM_NAMES:
        raise FormatError(where, "a supported alg")
    try:
        if algorithm in _EC_ALGORITHMS:
            return public_key(_ec_key(fields, algorithm), algorithm)
        if algorithm in (RS256, -37):
            _expect(fields, {1: 3, 3: algorithm}, {-1, -2})
            numbers = rsa.RSAPublicNumbers(int.from_bytes(fields[-2], "big"), int.from_bytes(fields[-1], "big"))
            return public_key(numbers.public_key(), algorithm)
        if algorithm in (-8, -19, -53):
            _expect(fields, {1: 1, 3: algorithm, -1: 7 if algorithm == -53 else 6}, {-2})
            loader = ed448.Ed448PublicKey if algorithm == -53 else ed25519.Ed25519PublicKey
            return public_key(loader.from_public_bytes(fields[-2]), algorithm)
        _expect(fields, {1: 7, 3: algorithm}, {-1})
        return public_key(_ML_DSA[algorithm][0].from_public_bytes(fields[-1]), algorithm)
    except FormatError:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise FormatError(where, f"a valid {ALGORITHM_NAMES[algorithm]} key") from error


def _expect(fields: dict[Any, Any], fixed: dict[int, int], free: set[int]) -> None:
    if set(fields) != set(fixed) | free or any(fields[k] != v for k, v in fixed.items()):
        raise FormatError("credentialPublicKey", "the parameters of its alg and no other")
    if not all(isinstance(fields[k], bytes) for k in free):
        raise FormatError("credentialPublicKey", "byte strings")


def _ec_key(fields: dict[Any, Any], algorithm: int) -> ec.EllipticCurvePublicKey:
    crv, curve, _ = _EC_ALGORITHMS[algorithm]
    _expect(fields, {1: 2, 3: algorithm, -1: crv}, {-2, -3})
    size = (curve().key_size + 7) // 8
    if len(fields[-2]) != size or len(fields[-3]) != size:
        raise FormatError("credentialPublicKey", f"coordinates of {size} bytes")
    return ec.EllipticCurvePublicKey.from_encoded_point(curve(), b"\x04" + fields[-2] + fields[-3])


def cose_map(key: PublicKey) -> dict[int, Any]:
    """The COSE_Key map of a key."""
    raw = key.key
    if isinstance(raw, ec.EllipticCurvePublicKey):
        point = key.point()
        size = len(point) // 2
        crv = _EC_COSE_BY_CURVE[raw.curve.name][1]
        return {1: 2, 3: key.algorithm, -1: crv, -2: point[1 : 1 + size], -3: point[1 + size :]}
    if isinstance(raw, rsa.RSAPublicKey):
        numbers = raw.public_numbers()
        return {1: 3, 3: key.algorithm, -1: _unsigned(numbers.n), -2: _unsigned(numbers.e)}
    if isinstance(raw, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        crv = 7 if isinstance(raw, ed448.Ed448PublicKey) else 6
        return {1: 1, 3: key.algorithm, -1: crv, -2: raw.public_bytes_raw()}
    return {1: 7, 3: key.algorithm, -1: raw.public_bytes_raw()}


def encode_cose_key(key: PublicKey) -> bytes:
    """COSE_Key bytes in CTAP2 canonical form."""
    return cbor_encode(cose_map(key))


def _unsigned(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def load_spki(der: bytes, algorithm: int | None = None) -> PublicKey:
    """The key of a SubjectPublicKeyInfo."""
    try:
        return public_key(serialization.load_der_public_key(der), algorithm)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise FormatError("publicKey", "a SubjectPublicKeyInfo of a supported key") from error
