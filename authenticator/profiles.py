"""Phones as data. Nothing here is a date: patch levels are offsets from the phone's clock at enrolment, so that no profile grows stale."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from device_keys.algorithms import EDDSA, ES256, ES384, ES512, RS256
from device_keys.secure_hardware import CounterState, SecurityLevel


class Platform(StrEnum):
    """Whose rules the phone follows."""

    ANDROID = "android"
    IOS = "ios"
    FIDO = "fido"


class ChainShape(StrEnum):
    """How an Android phone got its attestation key (attestation section 7)."""

    REMOTELY_PROVISIONED = "rkp"
    FACTORY = "factory"
    SOFTWARE = "software"


class BiometricClass(StrEnum):
    """Strength of the sensor; only class 3 and Apple's sensors may release keys."""

    CLASS_3 = "class-3"
    TOUCH_ID = "touch-id"
    FACE_ID = "face-id"
    FIDO_UV = "fido-uv"


@dataclass(frozen=True, slots=True)
class AppIdentity:
    """The bank app that runs on the phone: package and signer on Android, TEAMID.bundleid on iOS."""

    package: str
    version: int
    signer: bytes
    team_id: str

    @property
    def apple_id(self) -> str:
        """`TEAMID.bundleid`, whose SHA-256 is App Attest's RP ID hash."""
        return f"{self.team_id}.{self.package}"


@dataclass(frozen=True, slots=True)
class PatchLevels:
    """Months between the phone's clock and each patch level; vendor and boot levels carry the day 5, as published ones do."""

    os_months: int = 1
    vendor_months: int = 1
    boot_months: int = 1

    def at(self, now: datetime) -> tuple[int, int, int]:
        """osPatchLevel YYYYMM, vendorPatchLevel and bootPatchLevel YYYYMMDD."""
        os_level, vendor, boot = (_months_back(now, n) for n in (self.os_months, self.vendor_months, self.boot_months))
        return os_level, vendor * 100 + 5, boot * 100 + 5


def _months_back(now: datetime, months: int) -> int:
    count = now.year * 12 + now.month - 1 - months
    return count // 12 * 100 + count % 12 + 1


@dataclass(frozen=True, slots=True)
class AndroidBuild:
    """What an Android phone attests of itself. `os_version` as 160000; versions of attestation and KeyMint (or Keymaster) as they pair."""

    attestation_version: int
    keymint_version: int
    os_version: int
    chain: ChainShape
    brand: str
    device: str
    manufacturer: str
    patch: PatchLevels = PatchLevels()
    bootloader_locked: bool = True

    @property
    def verified_boot_key(self) -> bytes:
        """Digest of the key that verified the system; all zero on an unlocked phone."""
        return _constant(f"{self.device} verified boot key") if self.bootloader_locked else bytes(32)

    @property
    def verified_boot_hash(self) -> bytes:
        """Digest of everything that Verified Boot covers."""
        return _constant(f"{self.device} verified boot hash {self.os_version}")

    @property
    def module_hash(self) -> bytes:
        """Digest of the system's updatable modules (attestation version 400 on)."""
        return _constant(f"{self.device} modules {self.os_version}")


@dataclass(frozen=True, slots=True)
class AppleBuild:
    """What App Attest says of an iPhone: from iOS 27 on an extension map with the app's version and its validation category."""

    os_version: str
    extension_map: bool
    environment: str = "appattest"
    validation_category: int = 4
    bundle_version: str = "1"


@dataclass(frozen=True, slots=True)
class Profile:
    """One model of phone. `formats`: what it can attest with, the first being its usual one; `strict`: whether policy `strict` accepts
    its honest runs."""

    name: str
    platform: Platform
    model: str
    os: str
    security_level: SecurityLevel
    formats: tuple[str, ...]
    biometric: BiometricClass
    screen_lock_schedule: str
    biometric_schedule: str
    aaguid: bytes
    algorithms: tuple[int, ...] = (ES256,)
    counter: CounterState = CounterState.INCREASING
    strict: bool = True
    app: AppIdentity = AppIdentity("test.stepupsimulator.bank", 1, b"", "")
    android: AndroidBuild | None = None
    apple: AppleBuild | None = None

    def summary(self) -> dict[str, Any]:
        """The row of `stepup-phone profiles --json`."""
        row: dict[str, Any] = {
            "name": self.name,
            "platform": self.platform.value,
            "model": self.model,
            "os": self.os,
            "securityLevel": self.security_level.value,
            "formats": list(self.formats),
        }
        return row if self.strict else {**row, "strict": False}


def _constant(label: str) -> bytes:
    return hashlib.sha256(f"stepup-simulator {label}".encode()).digest()


ANDROID_PACKAGE: Final = "test.stepupsimulator.bank"
ANDROID_SIGNER: Final = _constant("bank app signing certificate")
APPLE_TEAM_ID: Final = "STEPUPSIM1"
BANK_APP: Final = AppIdentity(ANDROID_PACKAGE, 1, ANDROID_SIGNER, APPLE_TEAM_ID)
APPLE_APP_ID: Final = BANK_APP.apple_id
DEFAULT_PROFILE: Final = "pixel-9"

_PIXEL_9: Final = Profile(
    name="pixel-9",
    platform=Platform.ANDROID,
    model="Pixel 9",
    os="Android 16",
    security_level=SecurityLevel.TRUSTED_ENVIRONMENT,
    formats=("android-key", "packed", "none"),
    biometric=BiometricClass.CLASS_3,
    screen_lock_schedule="android-16",
    biometric_schedule="android",
    aaguid=_constant("Android bank app authenticator")[:16],
    algorithms=(ES256, RS256),
    app=BANK_APP,
    android=AndroidBuild(400, 400, 160000, ChainShape.REMOTELY_PROVISIONED, "google", "tokay", "Google"),
)

_PIXEL_5: Final = replace(
    _PIXEL_9,
    name="pixel-5",
    model="Pixel 5",
    os="Android 14",
    screen_lock_schedule="android-gatekeeper",
    android=AndroidBuild(4, 41, 140000, ChainShape.FACTORY, "google", "redfin", "Google", PatchLevels(11, 11, 11)),
)

_EMULATOR: Final = replace(
    _PIXEL_9,
    name="emulator",
    model="sdk_gphone64_x86_64",
    os="Android 16",
    security_level=SecurityLevel.SOFTWARE,
    strict=False,
    android=AndroidBuild(300, 300, 160000, ChainShape.SOFTWARE, "google", "emu64xa", "Google", bootloader_locked=False),
)

_IPHONE_17: Final = Profile(
    name="iphone-17",
    platform=Platform.IOS,
    model="iPhone 17",
    os="iOS 27.0",
    security_level=SecurityLevel.SECURE_ENCLAVE,
    formats=("apple-appattest", "packed", "apple", "none"),
    biometric=BiometricClass.FACE_ID,
    screen_lock_schedule="ios",
    biometric_schedule="ios",
    aaguid=_constant("iOS bank app authenticator")[:16],
    app=BANK_APP,
    apple=AppleBuild("27.0", extension_map=True),
)

_SECURITY_KEY: Final = Profile(
    name="security-key",
    platform=Platform.FIDO,
    model="Simulated security key",
    os="CTAP 2.1",
    security_level=SecurityLevel.STRONG_BOX,
    formats=("packed", "packed-self", "none"),
    biometric=BiometricClass.FIDO_UV,
    screen_lock_schedule="fido-pin",
    biometric_schedule="fido",
    aaguid=_constant("security key model")[:16],
    algorithms=(ES256, ES384, ES512, EDDSA, RS256),
    strict=False,
    app=BANK_APP,
)

PROFILES: Final[dict[str, Profile]] = {
    profile.name: profile
    for profile in (
        _PIXEL_9,
        replace(
            _PIXEL_9,
            name="pixel-9-strongbox",
            model="Pixel 9 Pro",
            security_level=SecurityLevel.STRONG_BOX,
            android=AndroidBuild(300, 300, 160000, ChainShape.REMOTELY_PROVISIONED, "google", "caiman", "Google"),
        ),
        _PIXEL_5,
        _IPHONE_17,
        replace(
            _IPHONE_17,
            name="iphone-14",
            model="iPhone 14",
            os="iOS 18.6",
            apple=AppleBuild("18.6", extension_map=False),
        ),
        replace(
            _IPHONE_17,
            name="iphone-8",
            model="iPhone 8",
            os="iOS 16.7",
            biometric=BiometricClass.TOUCH_ID,
            biometric_schedule="ios-touch",
            screen_lock_schedule="ios-older",
            apple=AppleBuild("16.7", extension_map=False),
        ),
        _EMULATOR,
        _SECURITY_KEY,
    )
}
