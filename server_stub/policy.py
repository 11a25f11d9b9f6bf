"""Policies: which thresholds the checks apply. The default value is the strictest; the permissive ones say so in
their names.

What a permissive policy waives is reported as `not_applicable` with the reason `waived-by-policy`, never as passed.
"""

from __future__ import annotations

from typing import Final

import msgspec

from device_keys.algorithms import ALGORITHM_NAMES
from device_keys.defaults import DEFAULT_ORIGIN, DEFAULT_RP_ID


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
