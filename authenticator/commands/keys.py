"""`stepup-phone keys` and `keys reset`."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from authenticator.commands.common import demand_secret, opened_phone
from authenticator.output import Output, table

if TYPE_CHECKING:
    from authenticator.phone import Phone


def run(args: Namespace, output: Output) -> None:
    """List the keys, or delete them with everything else."""
    with opened_phone(args) as (phone, _):
        if args.action == "reset":
            deleted = len(phone.hardware.keys())
            phone.wipe()
            output.result({"deleted": deleted}, f"Wiped: {deleted} keys and all enrolments are gone.")
            return
        rows = key_rows(phone)
    cells = [
        (r["keyId"], r["gate"], r["algorithm"], r["securityLevel"], str(r["counter"]), r["credentialId"] or "–")
        for r in rows
    ]
    headings = ("KEY", "GATE", "ALGORITHM", "LEVEL", "COUNTER", "CREDENTIAL")
    output.result(rows, table(cells, headings) if rows else "This phone has no keys: enrol it first.")


def unlock(args: Namespace, output: Output) -> None:
    """The screen lock opens."""
    from authenticator import sensor

    pin = demand_secret(args.pin, "STEPUP_PHONE_PIN", "--pin")
    with opened_phone(args) as (phone, _):
        sensor.unlock(phone, pin)
    output.result({"unlocked": True}, "Unlocked.")


def key_rows(phone: Phone) -> list[dict[str, Any]]:
    """Every key in the hardware, with the credential and enrolment that it serves."""
    from device_keys.algorithms import ALGORITHM_NAMES

    enrolments = phone.state.enrolments.values()
    owners = {key_id: enrolment for enrolment in enrolments for key_id in enrolment.key_ids}
    credentials = {c.key_id: c.credential_id for enrolment in enrolments for c in enrolment.credentials}
    return [
        {
            "keyId": key.key_id,
            "gate": str(key.gate),
            "algorithm": ALGORITHM_NAMES.get(key.algorithm, str(key.algorithm)),
            "securityLevel": str(key.level),
            "counter": key.counter,
            "credentialId": credentials.get(key.key_id),
            "invalidated": key.invalidated,
            "server": owners[key.key_id].server if key.key_id in owners else None,
            "dialect": owners[key.key_id].dialect if key.key_id in owners else None,
        }
        for key in phone.hardware.keys()  # noqa: SIM118 — a list of key facts, no mapping
    ]
