"""LoginRadius push: the phone registers an RSA key at the address that a QR code holds, and signs Yes or No to each pushed login.

Messages as the vendor's published Android SDK makes them (loginradius.md section 6). The push service is the server's inbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from authenticator.approving import hardware_refusal
from authenticator.client import Answer, Call, refusal
from authenticator.errors import Refused, Unreadable, UsageError
from authenticator.phone import find_profile
from device_keys.algorithms import RS256
from device_keys.clock import rfc3339, unix_instant
from device_keys.encoding import FormatError, b64url_encode, member
from device_keys.secure_hardware import CounterState, HardwareError

if TYPE_CHECKING:
    from authenticator.phone import Phone

DIALECT: Final = "loginradius"
PUSH_LIFE: Final = timedelta(minutes=5)
_REGISTRATION_ROUTE: Final = "/identity/v2/auth/qr-code"
_ANSWER_ROUTE: Final = "/identity/v2/auth/login/2fa/verification/push"


@dataclass(frozen=True, slots=True)
class Push:
    """One pushed login. `token` names it on the wire; `device` is this phone's registration that it was sent to.

    `transaction_id` is the server's own name for it, which the published message lacks; without one it is the token.
    """

    transaction_id: str
    token: str
    api_key: str
    payload: dict[str, Any]
    sent_at: datetime
    device: dict[str, Any]

    @property
    def expires_at(self) -> datetime:
        return self.sent_at + PUSH_LIFE

    def to_json(self) -> dict[str, Any]:
        """The row of `pending`."""
        return {
            "transactionId": self.transaction_id,
            "dialect": DIALECT,
            "kind": "account-access",
            "payload": self.payload,
            "expiresAt": rfc3339(self.expires_at),
            "methods": ["PUSH"],
        }


def register(phone: Phone, uri: str, profile: str) -> dict[str, Any]:
    """Register this phone at the QR code's address; it replaces the registration at the same server."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.netloc or not parts.path.endswith(_REGISTRATION_ROUTE):
        raise UsageError(
            f"--qr: expected the text of a registration QR code, a URL with the path …{_REGISTRATION_ROUTE}",
            field="--qr",
        )
    server = f"{parts.scheme}://{parts.netloc}"
    model, level = find_profile(profile).model, find_profile(profile).security_level
    with phone.edit() as state:
        old = state.push_devices.pop(server, None)
        if old is not None:
            phone.hardware.delete(old["keyId"])
        try:
            key_id = phone.hardware.generate(algorithm=RS256, level=level, counter=CounterState.ABSENT)
        except HardwareError as error:
            raise hardware_refusal(error) from error
        push_token = b64url_encode(phone.entropy.bytes("push-token", 24))
        body = {
            "deviceName": model,
            "deviceType": "android",
            "publicKey": phone.hardware.public_key(key_id).spki().hex(),
            "deviceToken": push_token,
        }
        answer = phone.server(server).send(Call("POST", f"{parts.path}?{parts.query}", {}, body))
        if not answer.ok or answer.object().get("isRegistered") is not True:
            raise refusal(answer)
        base = parts.path.removesuffix(_REGISTRATION_ROUTE)
        state.push_devices[server] = {
            "server": server,
            "base": base,
            "keyId": key_id,
            "pushToken": push_token,
            "answered": [],
        }
    return {"server": server, "dialect": DIALECT, "profile": profile, "keyId": key_id, "pushToken": push_token}


def pushes(phone: Phone, server: str) -> list[Push]:
    """The pushed logins that this phone has not answered and that have not run out, oldest first."""
    device = phone.state.push_devices.get(server)
    if device is None:
        return []
    client = phone.server(server)
    inbox = client.demand("GET", f"/device/v1/inbox?{urlencode({'to': device['pushToken']})}", None, client.guard())
    try:
        found = [_push(message, device) for message in inbox]
    except (FormatError, TypeError, KeyError) as error:
        raise Unreadable("unreadable_answer", f"A push message cannot be read: {error}") from error
    now = phone.now()
    newest = {push.token: push for push in found}  # a login that is pushed again replaces the push before
    return [push for push in newest.values() if push.transaction_id not in device["answered"] and now < push.expires_at]


def _push(message: Any, device: dict[str, Any]) -> Push:
    names = ("identifier", "browser", "location")
    token = member(message, "secondfactorauthenticationtoken", str)
    return Push(
        transaction_id=member(message, "transactionId", str, required=False) or token,
        token=token,
        api_key=member(message, "apikey", str),
        payload={"purpose": "login", **{name: message.get(name, "") for name in names}},
        sent_at=unix_instant(message.get("timestamp"), "timestamp"),
        device=device,
    )


def find_push(phone: Phone, server: str, name: str) -> Push | None:
    """The waiting push of that transaction id or token."""
    return next((push for push in pushes(phone, server) if name in (push.transaction_id, push.token)), None)


def answer(phone: Phone, push: Push, *, approved: bool) -> Answer:
    """Sign and send Yes or No: SHA256withRSA over the word and the token, in lower-case hex."""
    verify = "Yes" if approved else "No"
    with phone.edit() as state:
        try:
            signature = phone.hardware.sign(push.device["keyId"], (verify + push.token).encode())
        except HardwareError as error:
            raise hardware_refusal(error) from error
        if push.device["server"] not in state.push_devices:
            raise Refused("not_registered", "This phone is no longer registered for push at this server.")
    query = urlencode({"apikey": push.api_key, "secondfactorauthenticationtoken": push.token})
    path = f"{push.device['base']}{_ANSWER_ROUTE}?{query}"
    sent = phone.server(push.device["server"]).send(
        Call("PUT", path, {}, {"verify": verify, "signature": signature.hex()})
    )
    with phone.edit() as state:  # only once the server has heard: an answer that got lost can be given again
        if device := state.push_devices.get(push.device["server"]):
            device["answered"] = [*device["answered"][-99:], push.transaction_id]
    if not sent.ok:
        raise refusal(sent)
    return sent
