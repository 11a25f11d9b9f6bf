"""COSE algorithm ids (IANA registry; RFC 9053, 9864, 9964) and what each is called. For those who only name them: no cryptography here."""

from __future__ import annotations

from typing import Final

ES256: Final = -7
EDDSA: Final = -8
ES384: Final = -35
ES512: Final = -36
RS256: Final = -257

ALGORITHM_NAMES: Final[dict[int, str]] = {
    -7: "ES256", -35: "ES384", -36: "ES512", -9: "ESP256", -51: "ESP384", -52: "ESP512",
    -8: "EdDSA", -19: "Ed25519", -53: "Ed448", -257: "RS256", -37: "PS256",
    -48: "ML-DSA-44", -49: "ML-DSA-65", -50: "ML-DSA-87",
}  # fmt: skip
