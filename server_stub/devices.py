"""Enrolled phones: one a user and dialect; a phone that is replaced or revoked stays on record and is no longer accepted."""

from __future__ import annotations

import msgspec

from server_stub.records import Device
from server_stub.store import UnitOfWork


def retire(unit: UnitOfWork, device: Device, state: str) -> None:
    """The device and its credentials are no longer accepted; `state`: replaced or revoked."""
    device.state, device.state_since = state, unit.now
    unit.put_device(device)
    for facts in unit.credentials_of_device(device.id):
        unit.put_credential(msgspec.structs.replace(facts, state=state, state_since=unit.now))
        unit.log(
            "credential_revoked",
            dialect=device.dialect,
            user=device.user,
            credential_id=facts.credential_id,
            device_id=device.id,
            reason=state,
            status_updated_at=unit.at,
        )
    unit.log("device_released", dialect=device.dialect, user=device.user, device_id=device.id)
