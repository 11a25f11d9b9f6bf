"""Users as Weavr sees them: identity, credentials, mobile number, factors; the demo user, and how tests see and change users.

A user's document: `password` (Argon2id), `identity` and `credentials` ({type, id}), `mobile`, `email`, `active`, `factors` (channel →
status), `programme` (switches of the programme, settable per user for tests), `accounts`, `plain` (what tests may read).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from device_keys.encoding import FormatError, member
from device_keys.entropy import Entropy
from server_stub.dialects.weavr.constants import AUTHY, BIOMETRIC, MOBILE, NAME, SMS, WEAVR, Surface
from server_stub.dialects.weavr.replies import conflict
from server_stub.knowledge import note_secret
from server_stub.records import User
from server_stub.store import UnitOfWork

ALICE: Final = "110000000000000001"
ALICE_BUYER: Final = "120000000000000001"
ALICE_ACCOUNT: Final = "130000000000000001"
TYPES: Final = ("ROOT", "USER", "API_CLIENT")
STATUSES: Final = ("PENDING_VERIFICATION", "ACTIVE", "INACTIVE")
PROGRAMME: Final[dict[str, Any]] = {"channelsOff": [], "accessTokens": False, "rateLimits": []}


def new_number(entropy: Entropy, purpose: str) -> str:
    """An id as Weavr writes them: 18 digits."""
    return str(10**17 + int.from_bytes(entropy.bytes(f"weavr {purpose}", 8), "big") % (9 * 10**17))


def new_user(user_id: str, login: str, identity: dict[str, str], kind: str = "USER") -> User:
    """A user with nothing enrolled and no password."""
    document: dict[str, Any] = {
        "password": None, "identity": identity, "credentials": {"type": kind, "id": user_id}, "email": login, "mobile": None,
        "active": True, "factors": {}, "programmeName": "demo", "programme": dict(PROGRAMME), "accounts": {}, "plain": {},
    }  # fmt: skip
    return User(NAME, user_id, login, document)


def demo_users() -> list[User]:
    """Alice: an admin with an active SMS factor; the hash is precomputed, so that a start costs no Argon2."""
    alice = new_user(ALICE, "alice@example.com", {"type": "CORPORATE", "id": ALICE_BUYER}, "ROOT")
    alice.document |= {
        "password": "$argon2id$v=19$m=19456,t=2,p=1$jiDRIB0EhncgFB9c18Kj5A$PpY1l8hHPB4NrOrmMqeNCXgIv+jr2AGbTHTUlpwc6PA",
        "mobile": "+447700900123",
        "factors": {SMS: "ACTIVE"},
        "accounts": {ALICE_ACCOUNT: {"currency": "GBP", "balance": 1_000_000}},
        "plain": {"password": "Passw0rd!"},
    }
    return [alice]


def describe_user(user: User) -> dict[str, Any]:
    """What `GET /_stub/users` shows."""
    document = user.document
    shown = ("identity", "credentials", "mobile", "active", "factors", "programme", "accounts")
    return {"email": user.login, **{name: document[name] for name in shown}, **document["plain"]}


def user_from_json(body: Mapping[str, Any], old: User | None, unit: UnitOfWork) -> User:
    """A user as `PUT /_stub/users` gives it; what is absent stays as it was. `password` null takes it away."""
    user = old or _fresh(body, unit)
    document = user.document
    if "password" in body:
        _set_password(user, member(body, "password", str, required=False), unit)
    for name, kind in (("mobile", str), ("active", bool), ("passwordExpired", bool), ("programmeName", str)):
        if name in body:
            document[name] = member(body, name, kind, required=False)
    if (email := member(body, "email", str, required=False)) is not None:
        user.login = document["email"] = email.lower()
    if (role := member(body, "credentialsType", str, required=False)) is not None:
        if role not in TYPES:
            raise FormatError("credentialsType", " or ".join(TYPES))
        document["credentials"]["type"] = role
    if (factors := member(body, "factors", dict, required=False)) is not None:
        if not all(channel in (SMS, AUTHY) and status in STATUSES for channel, status in factors.items()):
            raise FormatError("factors", f"SMS or AUTHY, each {', '.join(STATUSES)}")
        document["factors"] = dict(factors)
    if (programme := member(body, "programme", dict, required=False)) is not None:
        document["programme"] = document["programme"] | _programme(programme)
    return user


def _fresh(body: Mapping[str, Any], unit: UnitOfWork) -> User:
    user_id = member(body, "id", str)
    if not user_id.isascii() or not user_id.isdigit():
        raise FormatError("id", "digits")
    user = new_user(
        user_id, member(body, "email", str).lower(), {"type": "CORPORATE", "id": new_number(unit.entropy, "identity")}
    )
    user.document["accounts"] = {new_number(unit.entropy, "account"): {"currency": "GBP", "balance": 1_000_000}}
    return user


def _set_password(user: User, password: str | None, unit: UnitOfWork) -> None:
    from server_stub.passwords import hash_secret

    user.document |= {"password": None if password is None else hash_secret(password, unit.entropy), "plain": {}}
    if password is not None:
        note_secret(unit, user, "password", password, by="operator")


def _programme(given: dict[str, Any]) -> dict[str, Any]:
    off = member(given, "channelsOff", list, "programme", required=False)
    if off is not None and not set(map(str, off)) <= {SMS, AUTHY, BIOMETRIC}:
        raise FormatError("programme.channelsOff", f"{SMS}, {AUTHY} or {BIOMETRIC}")
    tokens = member(given, "accessTokens", bool, "programme", required=False)
    limits = member(given, "rateLimits", list, "programme", required=False)
    if limits is not None and not all(_is_limit(limit) for limit in limits):
        raise FormatError("programme.rateLimits", "pairs of whole numbers: calls, and seconds")
    found = {"channelsOff": off, "accessTokens": tokens, "rateLimits": limits}
    return {name: value for name, value in found.items() if value is not None}


def _is_limit(limit: Any) -> bool:
    return isinstance(limit, list) and len(limit) == 2 and all(type(part) is int and part > 0 for part in limit)


# --- what routes ask of a user ---------------------------------------------------------------------------------------


def identity_of(user: User, surface: Surface) -> dict[str, str]:
    """`{type, id}` of the customer: a Buyer at Payment Run, a corporate or consumer at Multi."""
    identity: dict[str, str] = user.document["identity"]
    return identity if surface.multi else {"type": "BUYER", "id": identity["id"]}


def credentials_of(user: User, surface: Surface) -> dict[str, str]:
    """`{type, id}` of the end-user: ROOT is called ADMIN at Payment Run."""
    credentials: dict[str, str] = user.document["credentials"]
    if surface.multi:
        return credentials
    return {"type": "ADMIN" if credentials["type"] == "ROOT" else "USER", "id": credentials["id"]}


def number_of(user: User) -> str | None:
    """Where an SMS goes: the number given at onboarding, of the Buyer for its admin (S1-16), of the end-user else (S1-17)."""
    return user.document.get("mobile")


def number_problem(user: User) -> str | None:
    """The published code that says why no SMS can go to this user."""
    number = number_of(user)
    if not number:
        return "MOBILE_NUMBER_NOT_AVAILABLE"
    if MOBILE.match(number) is None:
        return "MOBILE_NUMBER_INVALID"
    return None if number[1:].startswith(WEAVR.calling_codes) else "MOBILE_COUNTRY_NOT_SUPPORTED"


def switched_on(user: User, channel: str) -> None:
    """Refuse with CHANNEL_NOT_SUPPORTED where the programme has the channel switched off."""
    if channel in user.document["programme"]["channelsOff"]:
        raise conflict("CHANNEL_NOT_SUPPORTED")


def has_phone(unit: UnitOfWork, user: User, factor: str) -> bool:
    """Whether an enrolled phone of this user holds a key for this factor (possession or biometric)."""
    return any(
        credential.factor == factor
        for device in unit.devices(NAME, user.id)
        if device.state == "active"
        for credential in unit.credentials_of_device(device.id)
    )


def registered(unit: UnitOfWork, user: User, channel: str) -> bool:
    """Whether the factor behind a channel can be used: enrolled and active, and for pushes a phone to send them to."""
    if channel == SMS:
        return bool(user.document["factors"].get(SMS) == "ACTIVE")
    if channel == AUTHY:
        return user.document["factors"].get(AUTHY) == "ACTIVE" and has_phone(unit, user, "possession")
    return has_phone(unit, user, "biometric")
