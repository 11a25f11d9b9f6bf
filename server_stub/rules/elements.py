"""Which authentication elements a step-up showed, of which category, how well evidenced: the attribution gap.

A user-verified flag says that the user was verified, not how; a method is believed only for what names it: the key that signed and its
attested gate, `uvm` inside signed bytes, or a secret that the server checked itself. What has no category (an e-mailed code to a mailbox
that is not bound to a device, a backup code from a list: EBA-Op-2019-06, Q&A 2018_4315) is no element.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from server_stub.evidence import PriorElement
from server_stub.rules.scene import DEVICE_CHECKS, Platform, Scene
from server_stub.verdict import Category, Element, Grade, Outcome

# Method names and aliases of what a server checks itself, with the category of each; None: no category.
_CATEGORIES: Final[dict[str, Category | None]] = {
    "passcode": Category.KNOWLEDGE, "password": Category.KNOWLEDGE, "pin": Category.KNOWLEDGE, "security-answers": Category.KNOWLEDGE,
    "otp-sms": Category.POSSESSION, "totp": Category.POSSESSION, "device-key": Category.POSSESSION, "biometric": Category.INHERENCE,
    "otp-email": None, "backup-code": None,
}  # fmt: skip
_ALIASES: Final[dict[str, str]] = {
    "sms": "otp-sms", "sms-otp": "otp-sms", "email": "otp-email", "email-otp": "otp-email", "authenticator": "totp",
    "security-questions": "security-answers", "backup": "backup-code", "otp": "otp-sms",
}  # fmt: skip
# Why a method without a category is no element.
_NO_ELEMENT: Final[dict[str, str]] = {
    "otp-email": "no element: the mailbox is bound to no device (EBA Q&A 2018_4315)",
    "backup-code": "no element: a code from a list can be copied (EBA-Op-2019-06)",
}
# Where an element lives: two elements in one trust domain fall together (RTS Art. 9(1)).
_DOMAINS: Final[dict[str, str]] = {
    "passcode": "a secret that the server checks", "password": "a secret that the server checks", "pin": "a secret that the server checks",
    "security-answers": "a secret that the server checks", "otp-sms": "the SIM", "totp": "the authenticator app's seed",
    "device-key": "the phone's key", "biometric": "the biometric sensor",
}  # fmt: skip
# Codes that a server draws: the same code for every challenge is no element, and whether it is must be on record.
DRAWN: Final = frozenset({"otp-sms", "otp-email"})
FIXED: Final = "a fixed code is no element: it is the same for every challenge"
SHARED_KEY: Final = "the key is enrolled as another factor or on another device too"
NOT_ON_RECORD: Final = "whether the code was drawn for this challenge, or is a fixed one, is not on record"
# `uvm` user verification methods (FIDO registry) and their categories.
_UVM: Final[dict[int, Category]] = {
    0x02: Category.INHERENCE, 0x08: Category.INHERENCE, 0x10: Category.INHERENCE, 0x40: Category.INHERENCE, 0x100: Category.INHERENCE,
    0x04: Category.KNOWLEDGE, 0x80: Category.KNOWLEDGE,
}  # fmt: skip


class State(StrEnum):
    """What can be said of a candidate: shown, contradicted by evidence, or open for want of evidence."""

    SHOWN = "shown"
    CONTRADICTED = "contradicted"
    OPEN = "open"


class Candidate(NamedTuple):
    """An element that this step-up may have shown. `category` None: verified, but how is not known."""

    category: Category | None
    method: str
    grade: Grade
    state: State
    fresh: bool
    reason: str
    findings: tuple[str, ...] = ()


def method_name(kind: str) -> str:
    """The one name of a method: `otp-sms` for `SMS_OTP`, and so on."""
    plain = kind.lower().replace("_", "-")
    return _ALIASES.get(plain, plain)


def category_of(method: str) -> Category | None:
    """The category of a method, None where it has none."""
    return _CATEGORIES.get(method_name(method))


def no_element(scene: Scene) -> str:
    """What was shown and counts as nothing, with the reason; empty where there is no such thing."""
    secret = scene.evidence.secret
    method = method_name(secret.kind) if secret is not None and secret.result == "right" else ""
    return f"{method}: {_NO_ELEMENT[method]}" if method in _NO_ELEMENT else ""


def trust_domain(method: str) -> str:
    """What must be broken to break this element."""
    return _DOMAINS.get(method, method)


def candidates(scene: Scene) -> tuple[Candidate, ...]:
    """Every element that this step-up may have shown, in the order knowledge, possession, inherence."""
    found = [*_secret(scene), *_device(scene)]
    shown = {candidate.method for candidate in found if candidate.state is State.SHOWN}
    found += [candidate for candidate in _prior(scene) if candidate.method not in shown]
    order = [*Category, None]
    return tuple(sorted(found, key=lambda candidate: order.index(candidate.category)))


def elements(scene: Scene) -> tuple[Element, ...]:
    """The elements that this step-up showed."""
    return tuple(
        Element(candidate.category, candidate.method, candidate.grade)
        for candidate in candidates(scene)
        if candidate.state is State.SHOWN and candidate.category is not None
    )


def _secret(scene: Scene) -> list[Candidate]:
    secret = scene.evidence.secret
    if secret is None or not secret.result:
        return []
    method = method_name(secret.kind)
    category = category_of(method)
    if category is None:
        return []
    checks = scene.among("secret.")
    bad = next((finding for finding in checks if finding.outcome is Outcome.FAIL), None)
    open_ = next((finding for finding in checks if finding.outcome is Outcome.NOT_RUN), None)
    state = (
        State.CONTRADICTED if bad or secret.result != "right" else State.OPEN if open_ or not checks else State.SHOWN
    )
    reason = f"{bad.check} failed" if bad else "checked by the server"
    if state is State.SHOWN and method in DRAWN and secret.fixed_code is not False:
        state, reason = (State.CONTRADICTED, FIXED) if secret.fixed_code else (State.OPEN, NOT_ON_RECORD)
    findings = tuple(finding.check for finding in checks if finding.outcome is not Outcome.NOT_APPLICABLE)
    return [Candidate(category, method, Grade.LOGGED, state, True, reason, findings)]


def _prior(scene: Scene) -> list[Candidate]:
    """Elements shown earlier in the same session, reused (EBA Q&A 2018_4141): the latest of each method."""
    latest = {method_name(prior.method): prior for prior in scene.evidence.prior if prior.at <= scene.evidence.now}
    return [
        _reused(method, prior) for method, prior in latest.items() if category_of(method) is Category(prior.category)
    ]


def _reused(method: str, prior: PriorElement) -> Candidate:
    state, reason = State.SHOWN, "shown earlier in this session"
    if method in DRAWN and prior.fixed_code is not False:
        state, reason = (State.CONTRADICTED, FIXED) if prior.fixed_code else (State.OPEN, NOT_ON_RECORD)
    return Candidate(Category(prior.category), method, Grade.LOGGED, state, False, reason)


def _device(scene: Scene) -> list[Candidate]:
    """The key that signed, and what released it."""
    if not scene.device:
        return []
    checks = scene.among(*DEVICE_CHECKS)
    names = tuple(finding.check for finding in checks if finding.outcome is not Outcome.NOT_APPLICABLE)
    if not scene.signature_stands:
        why = "no device evidence came" if scene.evidence.assertion is None else scene.why("assertion.signature")
        return [Candidate(Category.POSSESSION, "device-key", Grade.NONE, State.OPEN, True, why, names)]
    bad = next((finding.check for finding in checks if finding.outcome is Outcome.FAIL), None)
    open_ = next((finding.check for finding in checks if finding.outcome is Outcome.NOT_RUN), None)
    state = State.CONTRADICTED if bad else State.OPEN if open_ else State.SHOWN
    why = f"{bad} failed" if bad else f"{open_} could not be judged" if open_ else _possession_basis(scene)
    grade = Grade.PROVED if scene.in_hardware else Grade.SIGNED
    possession = Candidate(Category.POSSESSION, "device-key", grade, state, True, why, names)
    return [possession, *_verified_user(scene, state)]


def _possession_basis(scene: Scene) -> str:
    """What speaks for the key that signed: its maker's word, the app's, or nothing but the signature."""
    signed = "the enrolled key signed this challenge"
    if scene.in_hardware:
        return f"{signed}; its attestation says that hardware made it and keeps it"
    if scene.platform is Platform.IOS and scene.attested is Grade.SIGNED:
        return f"{signed}; App Attest vouches for the app that made it, nothing attests the key's hardware"
    return signed


def _verified_user(scene: Scene, state: State) -> list[Candidate]:
    """The element behind the user-verified flag: named by the key's gate, else by `uvm`, else unnamed."""
    data, credential = scene.auth_data, scene.evidence.credential
    if data is None or credential is None or not scene.passed("assertion.user_verified"):
        return []
    checks = scene.among_passed("assertion.user_verified", "attestation.gate", "credential.factor")
    if credential.factor == "biometric":
        if scene.attested is Grade.PROVED and scene.passed("attestation.gate"):
            why = "the key's attestation says: a strong biometric for every use"
            return [Candidate(Category.INHERENCE, "biometric", Grade.PROVED, state, True, why, checks)]
        if scene.platform is Platform.IOS and scene.attested is Grade.SIGNED:
            why = "the app's word; App Attest vouches for the app, nothing attests the gate"
            return [Candidate(Category.INHERENCE, "biometric", Grade.SIGNED, state, True, why, checks)]
    categories = {_UVM[number] for number in uvm_methods(data.extensions) if number in _UVM}
    if len(categories) == 1:
        category = categories.pop()
        method = "biometric" if category is Category.INHERENCE else "device-credential"
        return [Candidate(category, method, Grade.SIGNED, state, True, "claimed by uvm in the signed bytes", checks)]
    return [
        Candidate(
            None, "user-verified", Grade.SIGNED, State.OPEN, True, "the user was verified, but not said how", checks
        )
    ]


def uvm_methods(extensions: dict[str, object] | None) -> tuple[int, ...]:
    """The user verification methods that the signed `uvm` extension claims."""
    entries = (extensions or {}).get("uvm")
    if not isinstance(entries, list | tuple):
        return ()
    return tuple(
        entry[0] for entry in entries if isinstance(entry, list | tuple) and entry and isinstance(entry[0], int)
    )
