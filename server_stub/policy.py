"""Policies: which thresholds the checks apply. The default value is the strictest; the permissive ones say so in their names."""

from __future__ import annotations

from typing import Final

import msgspec

from device_keys.messages import DEFAULT_ORIGIN, DEFAULT_RP_ID


class AndroidApp(msgspec.Struct, frozen=True):
    """An app that may enrol: its package and the SHA-256 (hex) of its signing certificate."""

    package: str
    signer: str


class Policy(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Thresholds for one judgement; every field's default is the strictest choice that an honest phone meets."""

    name: str = "strict"
    rp_id: str = DEFAULT_RP_ID
    origins: tuple[str, ...] = (DEFAULT_ORIGIN,)
    allow_cross_origin: bool = False
    top_origins: tuple[str, ...] = ()
    algorithms: tuple[int, ...] = (-7,)
    formats: tuple[str, ...] = ("android-key", "packed")
    self_attestation_needs_app_attest: bool = True
    minimum_security_level: int = 1
    require_verified_boot: bool = True
    require_locked_device: bool = True
    require_app_identity: bool = True
    require_gate: bool = True
    leaf_only_chain: bool = False
    software_keys: bool = False
    maximum_attestation_age_days: int | None = 180
    maximum_patch_age_months: int | None = 18
    refuse_suspended: bool = True
    synced_credential: str = "reject"
    signed_at_tolerance_seconds: int = 60
    require_user_presence: bool = True
    check_attestation: bool = True
    android_apps: tuple[AndroidApp, ...] = ()
    apple_app_ids: tuple[str, ...] = ()
    apple_environments: tuple[str, ...] = ("appattest",)
    maximum_failures: int = 5


STRICT: Final = Policy()
