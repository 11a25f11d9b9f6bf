"""`python -m authenticator.make_trust_anchors DIR`: writes what a server may know of the simulated makers.

That is their root certificates as PEM and the revocation list in Google's status format; never a key.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from authenticator.authorities import FAMILY_OF_SHAPE, Family, pem, root
from authenticator.batches import Batch, batch_serial

SERIAL_SIZES = {"app-attest": 6, "apple-webauthn": 6}


def status_list() -> dict[str, dict[str, dict[str, str]]]:
    """One batch of each shape is revoked for good, another suspended; keys are serials in lower-case hex without leading zeros."""
    entries = {}
    for shape in FAMILY_OF_SHAPE:
        for batch, reason in ((Batch.REVOKED, "KEY_COMPROMISE"), (Batch.SUSPENDED, "SOFTWARE_FLAW")):
            serial = batch_serial(shape, batch, size=SERIAL_SIZES.get(shape, 16))
            entries[f"{serial:x}"] = {"status": batch.value.upper(), "reason": reason, "comment": f"simulated {shape}"}
    return {"entries": entries}


def write_trust_anchors(folder: Path) -> list[Path]:
    """Every root as `<family>.pem`, and `status.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"{family}.pem": pem(root(family).certificate) for family in Family}
    files["status.json"] = json.dumps(status_list(), indent=1).encode() + b"\n"
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m authenticator.make_trust_anchors DIR")
    for path in write_trust_anchors(Path(sys.argv[1])):
        sys.stdout.write(f"{path}\n")
