"""What a rule may read besides evidence, findings and log: declared policy facts, and what the server saw over the whole of its log.

Nothing here is assumed: a fact that is absent (None, an empty tuple) leaves the rules that need it undetermined.
"""

from __future__ import annotations

from typing import Final

import msgspec

RULE_SET: Final = "eu-rts-2018-389@2023-07"


class Declared(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Base: frozen, camelCase on the wire, unknown members refused."""


class ControlRecord(Declared, frozen=True):
    """An organisational document that exists: what it covers, where it is kept, and its date (ISO 8601).

    `covers`: key-management (Art. 22(3)), secure-processing (22(4)), clock-synchronisation (29(2)(c)) or staff-access (35(5)).
    """

    covers: str
    reference: str
    dated: str


class KnowledgePolicy(Declared, frozen=True):
    """How the server handles one kind of secret: shortest length, how guessing is slowed, how it is stored."""

    method: str
    minimum_length: int
    throttle: str
    storage: str


class BiometricPolicy(Declared, frozen=True):
    """Declared quality of the sensors that are let in: the false-accept limit, and where it is written down."""

    false_accept_rate: str
    lockout: str
    reference: str


class Config(Declared, frozen=True):
    """The operator's declared facts. Control records are absent by default: their rules stay undetermined, and the report names them."""

    maximum_failures: int = 5
    idle_seconds: int = 300
    synced_credential: str = "reject"
    suspend_within_seconds: int = 60
    status_within_seconds: int = 86_400
    knowledge: tuple[KnowledgePolicy, ...] = ()
    biometrics: BiometricPolicy | None = None
    token_storage: str | None = None
    control_records: tuple[ControlRecord, ...] = ()

    def control(self, covers: str) -> ControlRecord | None:
        """The record that covers this duty, if there is one."""
        return next((record for record in self.control_records if record.covers == covers), None)


_THROTTLE: Final = "five consecutive failures, then blocked"
_STORAGE: Final = "Argon2id, salted; no plain text"

SERVER_CONFIG: Final = Config(
    knowledge=(
        KnowledgePolicy(method="passcode", minimum_length=6, throttle=_THROTTLE, storage=_STORAGE),
        KnowledgePolicy(method="password", minimum_length=8, throttle=_THROTTLE, storage=_STORAGE),
        KnowledgePolicy(method="pin", minimum_length=4, throttle=_THROTTLE, storage=_STORAGE),
    ),
    biometrics=BiometricPolicy(
        false_accept_rate="at most 1 in 50,000 (Android Class 3, Touch ID; Face ID less)",
        lockout="five failed matches in a row",
        reference="Android Compatibility Definition, section 7.3.10; Apple Platform Security",
    ),
    token_storage="SHA-256 digests only",  # noqa: S106 (a description)
)
"""What this server declares of itself."""


class Observations(Declared, frozen=True):
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
