"""What a newcomer need not type: the demo user that every fresh server holds. These secrets guard nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Details:
    """Who enrols, and how the dialect calls the secret."""

    user: str
    secret: str = field(repr=False)
    secret_name: str
    number: str = "+447700900123"
    api_key: str = "demo-api-key"


DEMO: Final = {
    "bank": Details("9de3e326-b5bb-4cdc-bf6d-f6b609fbb765", "111234", "Passcode"),
    "weavr": Details("alice@example.com", "Passw0rd!", "Password"),
}
TEST_PAYMENT: Final = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": "ACME Ltd",
    "sort_code": "112233",
    "account": "12345678",
}
