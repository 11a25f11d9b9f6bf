"""The phone's mail: the inbox of a mail address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authenticator.apps.messages import DEMO_ADDRESS

if TYPE_CHECKING:
    from authenticator.phone import Phone


def mail_address(phone: Phone, server: str) -> str:
    """The user's address at a server: the enrolment whose user name is one, else the demo user's."""
    users = [e.user for e in phone.state.enrolments.values() if e.server == server and "@" in e.user]
    return users[-1] if users else DEMO_ADDRESS
