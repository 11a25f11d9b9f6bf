"""What an honest Android phone says of a key: its KeyDescription."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from authenticator.profiles import AndroidBuild, Profile
from device_keys.algorithms import ES256, ES384, ES512, RS256
from device_keys.attestation import android_key
from device_keys.attestation.android_key import (
    AuthorizationList,
    KeyDescription,
    Origin,
    RootOfTrust,
    VerifiedBootState,
)
from device_keys.secure_hardware import Gate, KeyInfo, SecurityLevel

_LEVELS: Final = {
    SecurityLevel.SOFTWARE: android_key.SecurityLevel.SOFTWARE,
    SecurityLevel.TRUSTED_ENVIRONMENT: android_key.SecurityLevel.TRUSTED_ENVIRONMENT,
    SecurityLevel.STRONG_BOX: android_key.SecurityLevel.STRONG_BOX,
}

# KeyMint's algorithm, key size, digests and further parameters of each COSE algorithm.
_PARAMETERS: Final[dict[int, dict[str, Any]]] = {
    ES256: {"algorithm": 3, "key_size": 256, "digest": (4,), "ec_curve": 1},
    ES384: {"algorithm": 3, "key_size": 384, "digest": (5,), "ec_curve": 2},
    ES512: {"algorithm": 3, "key_size": 521, "digest": (6,), "ec_curve": 3},
    RS256: {"algorithm": 1, "key_size": 2048, "digest": (4,), "padding": (5,), "rsa_public_exponent": 65537},
}


def describe_key(profile: Profile, info: KeyInfo, challenge: bytes, now: datetime) -> KeyDescription:
    """The KeyDescription of an honest Android phone. On an emulator nothing is enforced by hardware, and no root of trust is known."""
    build = profile.android
    if build is None:
        raise ValueError("android-key: only an Android phone describes its keys")
    level = _LEVELS[info.level]
    software = _software_list(profile, build, now)
    key = _key_list(build, info, now, hardware=level is not android_key.SecurityLevel.SOFTWARE)
    if level is android_key.SecurityLevel.SOFTWARE:
        software, key = _merged(key, software), AuthorizationList()
    return KeyDescription(build.attestation_version, level, build.keymint_version, level, challenge, b"", software, key)


def _software_list(profile: Profile, build: AndroidBuild, now: datetime) -> AuthorizationList:
    packages = (android_key.Package(profile.app.package, profile.app.version),)
    return AuthorizationList(
        creation_date_time=int(now.timestamp() * 1000),
        attestation_application_id=android_key.ApplicationId(packages, (profile.app.signer,)),
        module_hash=build.module_hash if build.attestation_version >= 400 else None,
    )


def _key_list(build: AndroidBuild, info: KeyInfo, now: datetime, *, hardware: bool) -> AuthorizationList:
    os_level, vendor_level, boot_level = build.patch.at(now)
    state = VerifiedBootState.VERIFIED if build.bootloader_locked else VerifiedBootState.UNVERIFIED
    boot = RootOfTrust(build.verified_boot_key, build.bootloader_locked, state, build.verified_boot_hash)
    return AuthorizationList(
        purpose=(android_key.PURPOSE_SIGN,),
        **_PARAMETERS[info.algorithm],
        no_auth_required=info.gate is Gate.NONE,
        user_auth_type=android_key.USER_AUTH_BIOMETRIC if info.gate is Gate.BIOMETRIC else None,
        origin=Origin[info.origin],
        root_of_trust=boot if hardware else None,
        os_version=build.os_version,
        os_patch_level=os_level,
        vendor_patch_level=vendor_level if hardware else None,
        boot_patch_level=boot_level if hardware else None,
    )


def _merged(first: AuthorizationList, second: AuthorizationList) -> AuthorizationList:
    """Every authorization of both; the first list's where both have one."""
    pairs = {tag: (getattr(first, tag), getattr(second, tag)) for tag in android_key.TAGS}
    return AuthorizationList(**{tag: b if a is None or a is False else a for tag, (a, b) in pairs.items()})
