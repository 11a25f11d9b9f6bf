"""`stepup-phone sms`, `mail`, `totp`."""

from __future__ import annotations

import sys
from argparse import Namespace

from authenticator.commands.common import opened_phone
from authenticator.errors import Refused, Unreachable, UsageError
from authenticator.output import Output


def sms(args: Namespace, output: Output) -> None:
    """The SMS of this phone's number."""
    from authenticator.apps.messages import SMS

    _read(args, output, SMS)


def mail(args: Namespace, output: Output) -> None:
    """The mail of this user's address."""
    from authenticator.apps.messages import EMAIL

    _read(args, output, EMAIL)


def _read(args: Namespace, output: Output, channel: str) -> None:
    from authenticator.apps import messages
    from authenticator.apps.mail import mail_address
    from authenticator.display import visible

    with opened_phone(args) as (phone, url):
        address = mail_address if channel == messages.EMAIL else messages.sms_address
        to = args.to or address(phone, url)
        if args.wait is not None:
            found = messages.wait_for_unread(phone, url, channel, to, _seconds(args.wait))
            messages.mark_read(phone, url, channel, to, found)
        else:
            found = messages.inbox(phone, url, channel, to)
            messages.mark_read(phone, url, channel, to, found)
    if args.code_only:
        codes = [message.code for message in found if message.code]
        if not codes:
            raise Refused("no_code", f"No {channel} message for {to} holds a code.")
        output.result(codes[-1], codes[-1])
        return
    lines = [f"{m.received_at}  {visible(m.sender)}\n  {visible(m.text)}" for m in found]
    output.result([message.to_json() for message in found], "\n".join(lines) or f"No messages for {to}.")


def _seconds(value: float) -> float:
    if not 0 <= value <= 86_400:
        raise UsageError("--wait: expected seconds, from 0 to 86400", field="--wait")
    return value


def totp(args: Namespace, output: Output) -> None:
    """The authenticator app's accounts and running codes."""
    from authenticator.apps import totp as app

    with opened_phone(args) as (phone, url):
        if args.action is not None:
            if args.value is None:
                raise UsageError(f"totp {args.action}: expected {'a URI' if args.action == 'add' else 'a label'}")
            value = sys.stdin.readline().strip() if args.value == "-" else args.value
            label = value if args.action == "remove" else app.add(phone, value)
            if args.action == "remove":
                app.remove(phone, value)
            output.result({"action": args.action, "account": label}, f"{label}: {args.action} done.")
            return
        if args.clock is None:
            _take_network_time(phone.server(url), output)
        codes = app.codes(phone, phone.now())
    if args.code_only:
        if not codes:
            raise Refused("no_code", "The authenticator app holds no account.")
        output.result(codes[-1].code, codes[-1].code)
        return
    lines = [f"{code.code}  {code.label}  ({code.seconds_left} s left)" for code in codes]
    output.result([code.to_json() for code in codes], "\n".join(lines) or "The authenticator app holds no account.")


def _take_network_time(server: object, output: Output) -> None:
    from authenticator.client import ServerClient

    assert isinstance(server, ServerClient)
    try:
        server.call("GET", "/_stub/health", None, server.guard())
    except Unreachable:
        output.say("No server answers: the codes follow this machine's clock.")
