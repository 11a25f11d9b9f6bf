"""What a rule may read besides evidence, findings and log: what the operator declared, and what the server saw over the whole of its log.

Nothing here is assumed: a fact that is absent (None, an empty tuple) leaves the rules that need it undetermined.
"""

from __future__ import annotations

from typing import Final

import msgspec

from device_keys.clock import parse_instant
from device_keys.encoding import FormatError
from server_stub.rules.ruling import Declared

# The law as in force since 25 July 2023; the second edition of how this product reads it.
RULE_SET: Final = "eu-rts-2018-389@2023-07/2"


class Recorded(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Base: frozen, camelCase on the wire, unknown members refused."""


class Declaration(Recorded, frozen=True):
    """What an operator states about one rule: in words, where it is written down, and its date (ISO 8601)."""

    rule: str
    statement: str
    reference: str
    date: str


class ControlRecord(Recorded, frozen=True):
    """A declaration in the form of older bundles: an organisational document, what it covers, where it is kept, its date."""

    covers: str
    reference: str
    dated: str


class KnowledgePolicy(Recorded, frozen=True):
    """A built-in value of older bundles; no rule reads it."""

    method: str
    minimum_length: int
    throttle: str
    storage: str


class BiometricPolicy(Recorded, frozen=True):
    """A built-in value of older bundles; no rule reads it."""

    false_accept_rate: str
    lockout: str
    reference: str


_COVERED: Final = {
    "RTS-22.3": "key-management",
    "RTS-22.4": "secure-processing",
    "RTS-29.2.c": "clock-synchronisation",
    "RTS-35.5": "staff-access",
}


class Config(Recorded, frozen=True):
    """What the operator declared. The other members are built-in values of older bundles: readable, and read by no rule."""

    declarations: tuple[Declaration, ...] = ()
    control_records: tuple[ControlRecord, ...] = ()
    maximum_failures: int = 5
    idle_seconds: int = 300
    synced_credential: str = "reject"
    suspend_within_seconds: int = 60
    status_within_seconds: int = 86_400
    knowledge: tuple[KnowledgePolicy, ...] = ()
    biometrics: BiometricPolicy | None = None
    token_storage: str | None = None

    def declared(self, rule: str) -> Declared | None:
        """What the operator states about this rule; None where nothing is stated, or without a reference or a readable date."""
        for one in self.declarations:
            if one.rule == rule and one.reference and one.statement and _is_date(one.date):
                return Declared(one.statement, one.reference, one.date)
        for record in self.control_records:
            if record.covers == _COVERED.get(rule) and record.reference and _is_date(record.dated):
                return Declared(f"a control record on {record.covers}", record.reference, record.dated)
        return None


def _is_date(text: str) -> bool:
    try:
        parse_instant(text if "T" in text else f"{text}T00:00:00Z")
    except FormatError:
        return False
    return True


SERVER_CONFIG: Final = Config()
"""Without a file of declarations, nothing is declared."""


class Observations(Recorded, frozen=True):
    """What the server saw over its whole log and store, beyond the extract; None: it did not look.

    `public_problem_ids`: the distinct public answers to failed, evaluated attempts of this dialect (Art. 4(3)(a)).
    `plaintext_in_store`: whether a walk of the store found a secret that is neither public, hashed nor sealed (Art. 22(2)(b)).
    """

    nonce_repeated: bool | None = None
    key_bound_to_another_user: bool | None = None
    device_bound_to_another_user: bool | None = None
    public_problem_ids: tuple[str, ...] | None = None
    plaintext_in_store: bool | None = None


NOTHING_OBSERVED: Final = Observations()
