"""SMS, mail and push of the simulated networks: kept in an inbox, and passed on to a webhook or an SMTP server where one is named."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final, Literal

from device_keys.clock import rfc3339
from server_stub.store import UnitOfWork

Channel = Literal["sms", "email", "push"]
SENDERS: Final[dict[str, str]] = {"sms": "StepUpSim", "email": "no-reply@stepup-simulator.test", "push": "push"}


def send(unit: UnitOfWork, channel: Channel, to: str, text: str, *, code: str | None = None, **document: Any) -> int:
    """Deliver a message in this unit of work; its sequence number."""
    seq = unit.next_seq()
    unit.sql.run(
        "insert_message", seq=seq, channel=channel, recipient=to, sender=SENDERS[channel], text=text, code=code, sent_at=unit.at,
        document=json.dumps(document),
    )  # fmt: skip
    url = unit.setting(f"{channel}_webhook")
    if url:
        post_later(unit, url, "", {"to": to, "from": SENDERS[channel], "text": text, "sentAt": unit.at})
    if channel == "email" and unit.setting("smtp"):
        unit.put_record(
            "smtp", str(seq), "waiting", {"seq": seq, "to": to, "text": text, "attempts": 0, "nextAt": unit.at}
        )
    return seq


def inbox(
    unit: UnitOfWork, *, channel: str = "", to: str = "", after: int = 0, most: int = 1000
) -> list[dict[str, Any]]:
    """Messages as `/_stub/messages` and the phone read them, oldest first."""
    rows = unit.sql.all("list_messages", channel=channel, recipient=to, after=after, most=most)
    messages = []
    for seq, kind, recipient, sender, text, code, sent_at, document in rows:
        message = {"id": seq, "channel": kind, "from": sender, "to": recipient, "text": text, "sentAt": sent_at}
        if code is not None:
            message["code"] = code
        messages.append(message | json.loads(document))
    return messages


def post_later(unit: UnitOfWork, url: str, path: str, body: Any, headers: dict[str, str] | None = None) -> None:
    """Queue a webhook call; `webhooks.py` delivers it, with back-off until it is taken."""
    raw = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    unit.sql.run(
        "insert_webhook",
        seq=unit.next_seq(),
        url=url,
        path=path,
        headers=json.dumps(headers or {}),
        body=raw,
        next_at=unit.at,
    )


def later(unit: UnitOfWork, seconds: float) -> str:
    """The instant that many seconds from now, as text."""
    return rfc3339(unit.now + timedelta(seconds=seconds))
