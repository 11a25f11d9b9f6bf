"""Whether a secret that came with a call stands in what is kept of the call (RTS Articles 6(2), 22(1)).

A secret stands in a record where a whole text of it equals the secret, outside the order: an account number may well hold a passcode's
digits. Looked through is what came from outside: names of user and session, the registration, the response and its signed client data. All
else that is kept, in the evidence and in the log's entry, is the server's own words, numbers and digests. It is looked for while the call
is judged, since the secret is not kept; what is noted is where it stands, in words of this module's own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from device_keys.encoding import FormatError, b64url_decode, parse_json
from server_stub.evidence import Evidence

# Of the signed client data, the member that repeats the order.
_ORDER: Final = "payment"


def found_in(secrets: Collection[str], evidence: Evidence) -> list[str]:
    """The records of a call in which one of its secrets stands; secrets of no characters stand nowhere."""
    wanted = {secret for secret in secrets if secret}
    transaction, caller, credential = evidence.transaction, evidence.caller, evidence.credential
    response = _parsed(evidence.assertion)
    records = {
        "the names of user, session and transaction": [
            transaction.id, transaction.user, transaction.session, caller.user, caller.session,
        ],
        "the registration": None if credential is None else [credential.device_id, credential.registration],
        "the response": response,
        "a response that could not be read": evidence.assertion_unreadable,
        "the signed client data": _client_data(response),
    }  # fmt: skip
    return [name for name, record in records.items() if any(text in wanted for text in _texts(record))]


def _parsed(text: str | bytes | None) -> Any:
    """What the JSON holds; text that is no JSON stands for itself."""
    try:
        return None if text is None else parse_json(text)
    except FormatError:
        return text


def _client_data(response: Any) -> Any:
    try:
        raw = b64url_decode(response["response"]["clientDataJSON"], "clientDataJSON")
    except (FormatError, KeyError, TypeError):
        return None
    found = _parsed(raw)
    return {name: value for name, value in found.items() if name != _ORDER} if isinstance(found, dict) else found


def _texts(value: Any) -> Iterator[str]:
    """Every text that is a value in a JSON value; the names of members are none."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member)
