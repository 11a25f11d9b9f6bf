"""Policies: which thresholds the checks apply. The default value is the strictest; the permissive ones say so in
their names.

What a permissive policy waives is reported as `not_applicable` with the reason `waived-by-policy`, never as passed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from device_keys.algorithms import ALGORITHM_NAMES
from device_keys.defaults import DEFAULT_ORIGIN, DEFAULT_RP_ID
from device_keys.encoding import FormatError


class AndroidApp(msgspec.Struct, frozen=True):
    """An app that may enrol: its package and the SHA-256 (hex) of its signing certificate."""

    package: str
    signer: str


# The bank's own app, as the bank published it: package and signer on Android, TEAMID.bundleid on iOS.
BANK_ANDROID_APP: Final = AndroidApp(
    "test.stepupsimulator.bank", "95010e4993b472117946241187ff386cf3a36fe4d880810c4f43a88f4fa97551"
)
BANK_APPLE_APP: Final = "STEPUPSIM1.test.stepupsimulator.bank"

# Statement formats that this server judges. `packed` has two lives: self attestation, and a certified attestation key.
FORMATS: Final = ("none", "packed-self", "packed-x5c", "android-key", "apple")


class Policy(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Thresholds for one judgement; every field's default is the strictest choice that an honest phone meets.

    `formats` are those of FORMATS; `minimum_security_level`: 0 software, 1 trusted environment, 2 StrongBox.
    `software_keys`: authorizations may be the system's word, and software roots count. `leaf_only_chain`: an anchor
    may issue a leaf directly. `require_key_facts`: origin and purpose must be stated. `validation_categories`: those
    of App Attest that count (4 is the App Store).
    """

    name: str = "strict"
    rp_id: str = DEFAULT_RP_ID
    origins: tuple[str, ...] = (DEFAULT_ORIGIN,)
    allow_cross_origin: bool = False
    top_origins: tuple[str, ...] = ()
    algorithms: tuple[int, ...] = (-7,)
    formats: tuple[str, ...] = ("android-key", "packed-self")
    self_attestation_needs_app_attest: bool = True
    minimum_security_level: int = 1
    require_verified_boot: bool = True
    require_locked_device: bool = True
    require_app_identity: bool = True
    require_gate: bool = True
    require_key_facts: bool = True
    leaf_only_chain: bool = False
    software_keys: bool = False
    maximum_attestation_age_days: int | None = 180
    maximum_patch_age_months: int | None = 18
    refuse_suspended: bool = True
    synced_credential: str = "reject"
    signed_at_tolerance_seconds: int = 60
    require_user_presence: bool = True
    android_apps: tuple[AndroidApp, ...] = (BANK_ANDROID_APP,)
    apple_app_ids: tuple[str, ...] = (BANK_APPLE_APP,)
    apple_environments: tuple[str, ...] = ("appattest",)
    validation_categories: tuple[int, ...] = (4,)
    maximum_failures: int = 5


STRICT: Final = Policy()

# For a developer: any phone, emulators and unlocked ones too, with any attestation or none. The factors are judged as strictly as ever.
LENIENT: Final = Policy(
    name="lenient",
    algorithms=tuple(ALGORITHM_NAMES),
    formats=FORMATS,
    self_attestation_needs_app_attest=False,
    minimum_security_level=0,
    require_verified_boot=False,
    require_locked_device=False,
    require_app_identity=False,
    require_gate=False,
    require_key_facts=False,
    leaf_only_chain=True,
    software_keys=True,
    maximum_attestation_age_days=None,
    maximum_patch_age_months=None,
    refuse_suspended=False,
    synced_credential="accept",
    apple_environments=("appattest", "appattestdevelop"),
    validation_categories=tuple(range(1, 11)),
)

# The test vectors of WebAuthn Level 3: `docs/vectors.md` says which breaks which rule of the strict policy.
SPEC_VECTOR: Final = msgspec.structs.replace(
    LENIENT,
    name="spec-vector",
    rp_id="example.org",
    origins=("https://example.org",),
    allow_cross_origin=True,
    top_origins=("https://example.com",),
)

POLICIES: Final = {policy.name: policy for policy in (STRICT, LENIENT, SPEC_VECTOR)}


# What a policy may name, by field; and the limits of its numbers.
_NAMES: Final[dict[str, Iterable[object]]] = {
    "algorithms": ALGORITHM_NAMES,
    "formats": FORMATS,
    "apple_environments": ("appattest", "appattestdevelop"),
    "validation_categories": range(11),
}
_LIMITS: Final = {
    "minimum_security_level": 2,
    "maximum_attestation_age_days": 36_500,
    "maximum_patch_age_months": 1_200,
    "signed_at_tolerance_seconds": 86_400,
    "maximum_failures": 1_000,
}


def read_policy(record: Any, field: str = "policy") -> Policy:
    """The policy that a JSON object states. Raises FormatError, naming the member, for what no policy of this server can hold."""
    try:
        policy = msgspec.convert(record, Policy)
    except msgspec.ValidationError as error:
        raise FormatError(field, f"the members of a policy ({error})") from error
    for name, allowed in _NAMES.items():
        for value in getattr(policy, name):
            if value not in allowed:
                raise FormatError(
                    f"{field}.{_on_the_wire(name)}", f"some of {', '.join(map(str, allowed))}, not {value}"
                )
    for name, limit in _LIMITS.items():
        value = getattr(policy, name)
        if value is not None and not 0 <= value <= limit:
            raise FormatError(f"{field}.{_on_the_wire(name)}", f"a number from 0 to {limit}, not {value}")
    if policy.synced_credential not in ("reject", "accept"):
        raise FormatError(f"{field}.syncedCredential", f"reject or accept, not {policy.synced_credential!r}")
    return policy


def _on_the_wire(name: str) -> str:
    return Policy.__struct_encode_fields__[Policy.__struct_fields__.index(name)]


def policy_members(policy: Policy) -> dict[str, Any]:
    """A policy as JSON has it."""
    members: dict[str, Any] = msgspec.to_builtins(policy)
    return members
