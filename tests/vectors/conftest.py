"""Other people's material: made again where its source says how, else found by the environment variable STEPUP_VECTORS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from device_keys.encoding import b64url_encode
from tests.support.w3c_vectors import CASES, derive


class W3cCase:
    """One credential of the WebAuthn L3 test vectors, in the JSON forms that a server receives."""

    def __init__(self, ceremonies: dict[str, dict[str, bytes]]) -> None:
        self.made, self.used = ceremonies["registration"], ceremonies["authentication"]

    def registration(self, **changes: bytes) -> dict[str, Any]:
        parts = {**self.made, **changes}
        return self._credential({name: parts[name] for name in ("clientDataJSON", "attestationObject")})

    def assertion(self, **changes: bytes) -> str:
        parts = {**self.used, **changes}
        names = ("clientDataJSON", "authenticatorData", "signature")
        return json.dumps(self._credential({name: parts[name] for name in names}))

    def _credential(self, response: dict[str, bytes]) -> dict[str, Any]:
        name = b64url_encode(self.made["credential_id"])
        encoded = {field: b64url_encode(value) for field, value in response.items()}
        return {"id": name, "rawId": name, "type": "public-key", "response": encoded, "clientExtensionResults": {}}


@pytest.fixture(scope="session")
def w3c() -> dict[str, W3cCase]:
    return {case.name: W3cCase(derive(case)) for case in CASES}
