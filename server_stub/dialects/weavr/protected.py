"""Calls that demand a stepped-up token (weavr.md section 9): authorised users, buyers, managed accounts."""

from __future__ import annotations

from typing import Any

from server_stub.dialects.weavr.constants import MOBILE, NAME
from server_stub.dialects.weavr.gate import Visit
from server_stub.dialects.weavr.people import credentials_of, identity_of, new_number, new_user
from server_stub.dialects.weavr.replies import conflict, invalid, member_object, optional_text, text, unknown
from server_stub.http import Reply


def create_user(visit: Visit) -> Reply:
    """`POST users`: the admin invites an authorised user, whose own number the codes go to (S1-17, S1-18)."""
    body = visit.call.json()
    name, surname = text(body, "name", 20), text(body, "surname", 20)
    email = text(body, "email").lower()
    if "@" not in email[1:-1]:
        raise invalid("email", "REGEX", "^.+@.+$")
    mobile = _mobile(body)
    if visit.unit.user_by_login(NAME, email) is not None:
        raise conflict("EMAIL_NOT_UNIQUE")
    invited = new_user(new_number(visit.unit.entropy, "user"), email, visit.user.document["identity"])
    invited.document |= {
        "mobile": mobile, "name": name, "surname": surname, "programmeName": visit.user.document["programmeName"],
        "programme": visit.user.document["programme"], "invited": True,
    }  # fmt: skip
    visit.unit.put_user(invited)
    shown = {"id": invited.id, "name": name, "surname": surname, "email": email, "active": True}
    return Reply(
        200,
        {
            **shown,
            "identity": identity_of(invited, visit.surface),
            "type": credentials_of(invited, visit.surface)["type"],
        },
    )


def _mobile(body: dict[str, Any]) -> str:
    """`{"countryCode": "+44", "number": "7700900123"}` as one number."""
    given = member_object(body, "mobile")
    country = text(given, "countryCode", 6, field="mobile.countryCode")
    number = text(given, "number", 15, field="mobile.number")
    if MOBILE.match(country + number) is None:
        raise invalid("mobile", "REGEX", MOBILE.pattern)
    return country + number


def update_buyer(visit: Visit) -> Reply:
    """`PATCH /v1/buyers`: the admin's own buyer."""
    body = visit.call.json()
    changed = {key: value for key in ("tag", "companyName") if (value := optional_text(body, key, 100)) is not None}
    visit.user.document["buyer"] = visit.user.document.get("buyer", {}) | changed
    visit.save_user()
    return Reply(200, {"id": identity_of(visit.user, visit.surface), **visit.user.document["buyer"]})


def list_accounts(visit: Visit) -> Reply:
    """`GET /managed_accounts` (Multi)."""
    accounts = [_account(account_id, account) for account_id, account in visit.user.document["accounts"].items()]
    return Reply(200, {"accounts": accounts, "count": len(accounts), "responseCount": len(accounts)})


def _account(account_id: str, account: dict[str, Any]) -> dict[str, Any]:
    balance = account["balance"]
    return {
        "id": account_id, "friendlyName": "Main account", "currency": account["currency"],
        "balances": {"availableBalance": balance, "actualBalance": balance}, "state": {"state": "ACTIVE"},
    }  # fmt: skip


def _found(visit: Visit) -> dict[str, Any]:
    account: dict[str, Any] | None = visit.user.document["accounts"].get(visit.call.params["id"])
    if account is None:
        raise unknown("managed account")
    return account


def get_account(visit: Visit) -> Reply:
    """`GET /managed_accounts/{id}` (Multi)."""
    return Reply(200, _account(visit.call.params["id"], _found(visit)))


def get_statement(visit: Visit) -> Reply:
    """`GET /managed_accounts/{id}/statement` (Multi): newest first."""
    entries = list(reversed(_found(visit).get("entries", [])))
    return Reply(200, {"entry": entries, "count": len(entries), "responseCount": len(entries)})
