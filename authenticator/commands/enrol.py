"""`stepup-phone enrol`."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any, Final

from authenticator.commands.common import demand_secret, edits_of, opened_phone
from authenticator.output import Output

if TYPE_CHECKING:
    from authenticator.state import Enrolment

DEMO_USERS: Final = {"bank": "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765", "weavr": "alice@example.com"}


def run(args: Namespace, output: Output) -> None:
    """Enrol this phone; prints its device id and keys."""
    if args.qr is not None:
        _register_push(args, output)
        return
    from authenticator.enrolling import Applicant, enrol
    from authenticator.faults import ENROL

    secret = _secret(args)
    edits = edits_of(args.fault, ENROL, output)
    with opened_phone(args) as (phone, url):
        applicant = Applicant(
            server=url,
            dialect=args.dialect,
            user=args.user or DEMO_USERS[args.dialect],
            secret=secret,
            profile=args.profile,
            number=args.number,
            api_key=args.api_key,
            seed=args.seed,
            code=args.code,
        )
        enrolment = enrol(phone, applicant, edits=edits)
        output.result(_document(enrolment), _text(enrolment))


def _secret(args: Namespace) -> str:
    if args.dialect == "weavr":
        return demand_secret(args.password or args.passcode, "STEPUP_PASSWORD", "--password")
    return demand_secret(args.passcode, "STEPUP_PASSCODE", "--passcode")


def _document(enrolment: Enrolment) -> dict[str, Any]:
    return {
        "deviceId": enrolment.device_id,
        "server": enrolment.server,
        "dialect": enrolment.dialect,
        "user": enrolment.user,
        "profile": enrolment.profile,
        "enrolledAt": enrolment.enrolled_at,
        "credentials": [
            {"factor": c.factor, "keyId": c.key_id, "credentialId": c.credential_id} for c in enrolment.credentials
        ],
    }


def _text(enrolment: Enrolment) -> str:
    factors = " and ".join(f"a {credential.factor} key" for credential in enrolment.credentials)
    return (
        f"This {enrolment.profile} is enrolled at {enrolment.server} ({enrolment.dialect}) for {enrolment.user},\n"
        f"with {factors}. Device id: {enrolment.device_id}"
    )


def _register_push(args: Namespace, output: Output) -> None:
    from authenticator.apps.loginradius import register

    with opened_phone(args) as (phone, _):
        device = register(phone, args.qr, args.profile)
        output.result(device, f"This phone is registered for push at {device['server']}.")
