"""Other people's material, found by the environment variable STEPUP_VECTORS; nothing of it is kept here."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from device_keys.encoding import b64url_encode


@pytest.fixture(scope="session")
def vectors() -> Path:
    folder = os.environ.get("STEPUP_VECTORS")
    if not folder:
        pytest.skip("STEPUP_VECTORS is not set: it names the folder with the independent test vectors")
    path = Path(folder)
    assert path.is_dir(), f"STEPUP_VECTORS names {path}, which is no folder"
    return path


class W3cCase:
    """One credential of the WebAuthn L3 test vectors, in the JSON forms that a server receives."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        self.made = {name: _bytes(value) for name, value in record["registration"].items()}
        self.used = {name: _bytes(value) for name, value in record["authentication"].items()}

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


def _bytes(value: Any) -> bytes:
    try:
        return bytes.fromhex(value)
    except (TypeError, ValueError):
        return b""


@pytest.fixture(scope="session")
def w3c(vectors: Path) -> dict[str, W3cCase]:
    files = sorted((vectors / "webauthn-l3").glob("*.json"))
    cases = {file.stem: json.loads(file.read_text()) for file in files}
    return {name: W3cCase(record) for name, record in cases.items() if "registration" in record}
