"""RTS Article 9: independence of the elements."""

from __future__ import annotations

from collections import Counter
from typing import Final

from server_stub.rules.article_4 import elements_seen
from server_stub.rules.article_6 import used
from server_stub.rules.article_7 import attesting, vouching
from server_stub.rules.elements import SHARED_KEY, State, candidates, trust_domain
from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, fails, passes, seen, unexercised, unknown, weakest
from server_stub.rules.scene import Platform, Scene
from server_stub.verdict import Category, Grade

_SOURCE: Final = "Delegated Regulation (EU) 2018/389, Art. 9"
_ANDROID: Final = (
    "attestation.verified_boot",
    "attestation.device_locked",
    "attestation.patch_level",
    "attestation.patch_date",
    "attestation.application",
)
_IOS: Final = ("attestation.application", "app_attest.environment", "app_attest.category")


@rule(
    "RTS-9.1",
    obligation="the breach of one element does not compromise the reliability of another",
    source=f"{_SOURCE}(1)",
    best=Grade.LOGGED,
    passes=(
        "two elements that live in different places: a secret that the server checks, and a key, a SIM or an "
        "app's seed; a biometric and a key in one secure hardware: declared, by what its maker says"
    ),
    fails="one place holds both, or both were given to the payer by one channel",
    open="no code was accepted, fewer than two elements were shown, or nothing shows that the key lives in hardware",
    settles="two elements in different places, the key attested by its hardware",
    signed=True,
    of_code=True,
)
def independent(scene: Scene) -> Ruling:
    """Two shown elements of different categories that do not fall together."""
    found = candidates(scene)
    shown = [candidate for candidate in found if candidate.state is State.SHOWN]
    if len(shown) < 2:
        return unknown("fewer than two elements were shown")
    domains = {(candidate.category, trust_domain(candidate.method)) for candidate in shown}
    if len({category for category, _ in domains}) < 2 or len({domain for _, domain in domains}) < 2:
        where = trust_domain(shown[0].method)
        return fails(f"breaking {where} breaks every element: {', '.join(c.method for c in shown)}", Grade.LOGGED)
    key = scene.evidence.credential
    if key is not None and key.shared_key:
        if any(candidate.category is Category.INHERENCE for candidate in shown):
            return fails(f"{SHARED_KEY}: who has the one factor has the other", Grade.LOGGED)
        return unknown(SHARED_KEY)
    shared = one_channel(scene)
    if shared is not None:
        return fails(f"more than one element was given to the payer by {shared}", Grade.LOGGED)
    said = "; ".join(f"{candidate.method}: {trust_domain(candidate.method)}" for candidate in shown)
    methods = {candidate.method for candidate in shown}
    if "biometric" in methods and not any(candidate.category is Category.KNOWLEDGE for candidate in shown):
        if not vouching(scene):
            return unknown("biometric and key: nothing shows that either lives in secure hardware")
        words = f"{said}; both in the phone's secure hardware, kept apart as its maker says"
        return passes(scene.checked(*vouching(scene), grade=Grade.DECLARED), reason=words)
    if "device-key" in methods and scene.device and not vouching(scene):
        return unknown("nothing shows that the key lives in hardware, apart from where the secret is typed")
    grade = weakest((Grade.LOGGED, *(candidate.grade for candidate in shown)))
    return passes(elements_seen(scene, found, grade), reason=said)


def deliveries(scene: Scene) -> dict[str, str]:
    """By which channel each feature reached the payer, as the log has it (`delivery`): `{feature: channel}`."""
    return {
        str(entry.fields.get("feature")): str(entry.fields.get("channel"))
        for entry in scene.events("delivery")
        if entry.fields.get("feature") and entry.fields.get("channel")
    }


def one_channel(scene: Scene) -> str | None:
    """The channel by which more than one feature reached the payer."""
    counts = Counter(deliveries(scene).values())
    return next((channel for channel, count in counts.items() if count > 1), None)


@rule(
    "RTS-9.2",
    obligation="where any element or the code passes through a multi-purpose device, its compromise is mitigated",
    source=f"{_SOURCE}(2)",
    best=Grade.LOGGED,
    passes="RTS-9.3.a, RTS-9.3.b and RTS-9.3.c pass",
    fails="one of them fails",
    open="no code was accepted, or one of them is open",
    settles="what settles RTS-9.3.a to c",
    signed=True,
    of_code=True,
    capped_by=("RTS-9.3.a", "RTS-9.3.b", "RTS-9.3.c"),
)
def multi_purpose_mitigated(scene: Scene) -> Ruling:
    """The three measures of Art. 9(3), together."""
    return scene.together("RTS-9.3.a", "RTS-9.3.b", "RTS-9.3.c")


def _unattested(scene: Scene) -> Ruling | None:
    """What is open where nothing attests the device through which elements or code passed."""
    if not scene.device:
        return unknown("elements and code passed through a phone or computer of which nothing is on record")
    if scene.platform is Platform.SECURITY_KEY:
        return unknown("the secret, or the code, passed through a phone or computer of which nothing is on record")
    return unknown(scene.attestation_why) if scene.attested is Grade.NONE else None


@rule(
    "RTS-9.3.a",
    obligation="multi-purpose device: separated secure execution environments",
    source=f"{_SOURCE}(3)(a)",
    best=Grade.PROVED,
    passes="key and biometric are in a TEE, StrongBox (proved) or Secure Enclave (signed)",
    fails="a code was accepted with a key that its attestation says lives in software",
    open="no code was accepted; the secret is typed outside the secure hardware; nothing attests the device",
    settles="a step-up by biometric, with a key that hardware attests",
    signed=True,
    of_code=True,
)
def separate_environment(scene: Scene) -> Ruling:
    """The key lives in secure hardware, and so does the other element."""
    open_ = _unattested(scene)
    if open_ is not None:
        return open_
    if scene.platform is Platform.ANDROID and scene.software_key:
        return fails("accepted although the key's attestation says that it lives in software", Grade.SIGNED)
    check = "app_attest.present" if scene.platform is Platform.IOS else "attestation.security_level"
    if not scene.passed(check):
        return unknown(scene.why(check))
    if used(scene, Category.KNOWLEDGE):
        return unknown(
            "the key is in secure hardware; the secret was typed outside it, and nothing says how that is kept apart"
        )
    return passes(scene.checked(check, *attesting(scene), grade=scene.attested))


@rule(
    "RTS-9.3.b",
    obligation="multi-purpose device: mechanisms ensure that software or device was not altered",
    source=f"{_SOURCE}(3)(b)",
    best=Grade.PROVED,
    passes=(
        "Android: verified boot, locked, patched, the bank's app, by an attestation that is not stale. "
        "iPhone: App Attest for the bank's app"
    ),
    fails="a code was accepted from a phone whose attestation says that its system was altered",
    open="no code was accepted, or nothing attests the device",
    settles="an attestation of system and app, not older than the policy allows",
    signed=True,
    of_code=True,
)
def alteration_detected(scene: Scene) -> Ruling:
    """Software and device are as their makers left them."""
    if scene.platform is Platform.ANDROID and scene.altered:
        return fails(f"accepted although the phone's attestation says: {scene.altered}", Grade.SIGNED)
    open_ = _unattested(scene)
    if open_ is not None:
        return open_
    needed = _IOS if scene.platform is Platform.IOS else _ANDROID
    present = scene.present(*needed, "attestation.age")
    missing = [check for check in present if not scene.settled(check)]
    if missing or not scene.passed("attestation.application"):
        return unknown(scene.why(*(missing or ("attestation.application",))))
    passed = scene.among_passed(*present)
    if scene.platform is Platform.ANDROID and not set(_ANDROID) <= set(passed):
        return unknown(scene.why(*_ANDROID))
    return passes(scene.checked(*passed, *attesting(scene), grade=scene.attested))


@rule(
    "RTS-9.3.c",
    obligation="multi-purpose device: the consequences of an alteration are mitigated",
    source=f"{_SOURCE}(3)(c)",
    best=Grade.LOGGED,
    passes=(
        "an alteration was found and the step-up refused for it, or the credential was suspended before "
        "anything was accepted"
    ),
    fails="a code was accepted although an alteration was on record",
    open="no alteration was found",
    settles="a step-up by an altered phone",
)
def alteration_answered(scene: Scene) -> Ruling:
    """Once altered, nothing is accepted."""
    found = scene.failed("attestation.verified_boot", "attestation.device_locked", "attestation.application")
    if not scene.accepted and found is not None:
        entry = scene.attempt_entry
        return passes(seen(entry or scene.evidence), reason=f"refused for it: {scene.why(found)}")
    key = scene.evidence.credential
    mine = (None, key.credential_id if key is not None else None)
    evaluated = scene.events("attestation_evaluated", verdict="altered")
    altered = [entry for entry in evaluated if entry.fields.get("credential_id") in mine]
    if scene.accepted and (altered or (scene.platform is Platform.ANDROID and scene.altered)):
        return fails("a code was accepted although an alteration was on record", Grade.LOGGED)
    if not altered:
        return unexercised("no alteration was found")
    ended = [e for e in scene.events("credential_suspended", "credential_revoked") if e.seq > altered[0].seq]
    if not ended:
        return unknown("an alteration is on record, and no suspension of the credential")
    return passes(seen(altered[0], ended[0]), reason="the credential was suspended")
