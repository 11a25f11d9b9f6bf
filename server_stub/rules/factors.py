"""RTS Arts 6 to 9: knowledge, possession, inherence, and their independence."""

from __future__ import annotations

from datetime import timedelta

from server_stub.log_chain import LogEntry
from server_stub.rules.elements import Candidate, State, candidates, trust_domain
from server_stub.rules.ruling import Ruling, absent, fails, passes, unknown, weakest
from server_stub.rules.scene import Platform, Scene, instant
from server_stub.verdict import Category, Grade

MULTI_PURPOSE = frozenset({"phone", "tablet", "pc", "computer", "browser", "mobile"})


def used(scene: Scene, category: Category) -> list[Candidate]:
    """The elements of a category that were offered (shown, contradicted or open)."""
    return [candidate for candidate in candidates(scene) if candidate.category is category]


def _shown(scene: Scene) -> list[Candidate]:
    return [candidate for candidate in candidates(scene) if candidate.state is State.SHOWN]


# -- Art. 6


def knowledge_kept(scene: Scene) -> Ruling:
    """Shortest length, throttle and form of storage are on record for each secret that was used."""
    known = used(scene, Category.KNOWLEDGE)
    if not known:
        return absent("no knowledge element was used")
    policies = {policy.method: policy for policy in scene.config.knowledge}
    missing = next((candidate.method for candidate in known if candidate.method not in policies), None)
    if missing is not None:
        return unknown(f"no policy for {missing} is on record")
    poor = next((c.method for c in known if not policies[c.method].throttle or not policies[c.method].storage), None)
    if poor is not None:
        return unknown(f"the policy for {poor} names no throttle or no form of storage")
    if scene.observed.plaintext_in_store:
        return fails("the store holds a secret in plain text", Grade.LOGGED)
    said = "; ".join(
        f"{c.method}: {policies[c.method].minimum_length} or more, {policies[c.method].throttle}" for c in known
    )
    return passes(Grade.DECLARED, reason=said)


def knowledge_undisclosed(scene: Scene) -> Ruling:
    """The secret is in no signed response and no log entry; the prompt was masked, where that is reported."""
    if not used(scene, Category.KNOWLEDGE):
        return absent("no knowledge element was used")
    leak = scene.secret_paths()
    if leak:
        return fails(f"a member named like a secret holds a value: {leak[0]}", Grade.LOGGED)
    entry = scene.attempt_entry
    if entry is None:
        return unknown("the log holds no record of this attempt")
    if entry.fields.get("masked_input") is False:
        return fails("the prompt showed what was typed", Grade.LOGGED)
    return passes(Grade.LOGGED)


# -- Art. 7


def possession_guarded(scene: Scene) -> Ruling:
    """Others cannot use the element: it needs another category, the device is locked, the credential was in force."""
    if not scene.device:
        return _no_device(scene, "who else holds the phone with that number or seed")
    behind = scene.present(
        "credential.active", "attestation.device_locked", "attestation.revocation", "attestation.gate"
    )
    if scene.attested is Grade.NONE:
        return unknown(scene.attestation_why, *behind)
    if scene.failed("credential.active", "attestation.revocation"):
        return fails(
            scene.why(scene.failed("credential.active", "attestation.revocation") or ""), Grade.LOGGED, *behind
        )
    if not scene.passed("credential.active"):
        return unknown(scene.why("credential.active"), *behind)
    if scene.platform is not Platform.ANDROID:
        return _guarded_by_another(scene, scene.attested, behind)
    if scene.failed("attestation.device_locked"):
        return fails(scene.why("attestation.device_locked"), scene.attested, *behind)
    if not scene.passed("attestation.device_locked"):
        return unknown(scene.why("attestation.device_locked"), *behind)
    description = scene.key_description
    if description is not None and description.hardware_enforced.user_auth_type and scene.passed("attestation.gate"):
        return passes(scene.attested, *behind, reason="the key itself asks for its user each time")
    return _guarded_by_another(scene, scene.attested, behind)


def _guarded_by_another(scene: Scene, grade: Grade, behind: tuple[str, ...]) -> Ruling:
    others = [c for c in _shown(scene) if c.fresh and c.category in (Category.KNOWLEDGE, Category.INHERENCE)]
    if not others:
        return unknown("no element of another category was accepted with it", *behind)
    best = max(others, key=lambda candidate: candidate.grade is Grade.PROVED)
    return passes(weakest((grade, best.grade)), *behind, reason=f"used together with: {best.method}")


def _no_device(scene: Scene, what: str) -> Ruling:
    """Possession without a device key: a SIM, an authenticator app. Nothing on record says who else has it."""
    held = [candidate.method for candidate in used(scene, Category.POSSESSION)]
    if not held:
        return absent("no possession element was used")
    return unknown(f"{', '.join(held)}: {what} is not on record (EBA Q&A 2018_4039)")


def possession_unique(scene: Scene) -> Ruling:
    """The key cannot be copied: made in hardware, not exportable, not backed up, and its counter never went back."""
    if not scene.device:
        return _no_device(scene, "whether the SIM or the seed was copied")
    behind = scene.present("attestation.key_origin", "attestation.security_level", "attestation.backup_policy", "assertion.counter",
                           "assertion.backup_eligibility", "app_attest.counter", "app_attest.counter_of_key")  # fmt: skip
    if scene.auth_data is None:
        return unknown(scene.why("assertion.signature"), *behind)
    first = scene.failed("assertion.counter", "app_attest.counter", "app_attest.counter_of_key")
    if first is not None:
        return fails(f"the key may have been copied ({scene.why(first)})", Grade.SIGNED, *behind)
    if int(scene.auth_data.flags) & 0x08:
        return _synced(scene, behind)
    if scene.attested is Grade.NONE:
        return unknown(scene.attestation_why, *behind)
    needed = (
        behind
        if scene.platform is not Platform.ANDROID
        else (*behind, "attestation.key_origin", "attestation.security_level")
    )
    if scene.failed(*needed):
        return fails(scene.why(scene.failed(*needed) or ""), scene.attested, *behind)
    hardware = scene.platform is not Platform.ANDROID or scene.passed(
        "attestation.key_origin", "attestation.security_level"
    )
    if not hardware or not scene.settled(*needed):
        return unknown(f"hardware is not shown to hold the key ({scene.why(*needed)})", *behind)
    return passes(scene.attested, *behind)


def _synced(scene: Scene, behind: tuple[str, ...]) -> Ruling:
    """BE=1: the credential may live on several devices (section 7.3); no policy makes that a pass."""
    if scene.config.synced_credential == "reject":
        return fails("the credential can be copied to other devices (backup eligible)", Grade.SIGNED, *behind)
    return unknown("the credential can be copied to other devices (backup eligible), which the policy accepts", *behind)


# -- Art. 8


def inherence_sensor(scene: Scene) -> Ruling:
    """The sensor's class is attested or profiled, its false-accept limit on record, and no template in any message."""
    found = used(scene, Category.INHERENCE)
    behind = scene.present("attestation.gate")
    if not found:
        return absent("no inherence element was used")
    if scene.secret_paths():
        return fails(f"a member that may hold a template: {scene.secret_paths()[0]}", Grade.LOGGED, *behind)
    if all(candidate.state is State.OPEN for candidate in found):
        return unknown(found[0].reason, *behind)
    policy = scene.config.biometrics
    if policy is None:
        return unknown("no false-accept limit for the admitted sensors is on record", *behind)
    return passes(Grade.DECLARED, *behind, reason=f"false accepts: {policy.false_accept_rate} ({policy.reference})")


def inherence_guarded(scene: Scene) -> Ruling:
    """The key needs the sensor each time; that a new enrolment ends it and failed matches lock it is declared: no platform attests it."""
    behind = scene.present("attestation.gate")
    credential = scene.evidence.credential
    if (
        credential is not None
        and credential.factor == "biometric"
        and scene.enrolled_as is not Grade.NONE
        and scene.failed("attestation.gate")
    ):
        return fails(
            f"the key does not need a biometric for each use ({scene.why('attestation.gate')})",
            scene.enrolled_as,
            *behind,
        )
    if not used(scene, Category.INHERENCE):
        return absent("no inherence element was used", *behind)
    if scene.config.biometrics is None or not scene.config.biometrics.lockout:
        return unknown("no limit of attempts for the admitted sensors is on record", *behind)
    return passes(Grade.DECLARED, *behind, reason=scene.config.biometrics.lockout)


# -- Art. 9


SHARED_KEY = "the key is enrolled as another factor or on another device too"


def independent(scene: Scene) -> Ruling:
    """Two shown elements of different categories that do not fall together: different trust domains, different channels."""
    shown = _shown(scene)
    behind = tuple(dict.fromkeys(check for candidate in shown for check in candidate.findings))
    if len(shown) < 2:
        return unknown("fewer than two elements were shown (RTS-4.1-elements did not pass)", *behind)
    domains = {(candidate.category, trust_domain(candidate.method)) for candidate in shown}
    if len({category for category, _ in domains}) < 2 or len({domain for _, domain in domains}) < 2:
        where = trust_domain(shown[0].method)
        return fails(
            f"breaking {where} breaks every element: {', '.join(c.method for c in shown)}", Grade.LOGGED, *behind
        )
    key = scene.evidence.credential
    if key is not None and key.shared_key:
        if any(candidate.category is Category.INHERENCE for candidate in shown):
            return fails(f"{SHARED_KEY}: who has the one factor has the other", Grade.LOGGED, *behind)
        return unknown(SHARED_KEY, *behind)
    shared = _one_channel(scene)
    if shared is not None:
        return fails(f"both elements were given to the payer by {shared}", Grade.LOGGED, *behind)
    said = "; ".join(f"{candidate.method}: {trust_domain(candidate.method)}" for candidate in shown)
    return passes(weakest(candidate.grade for candidate in shown), *behind, reason=said)


def _one_channel(scene: Scene) -> str | None:
    """The channel by which both the secret and the device-binding code of the enrolment reached the payer."""
    given = channels(scene.binding)
    names = [channel for feature, channel in given.items() if feature in ("passcode", "password", "activation-code")]
    return names[0] if len(names) > 1 and len(set(names)) < len(names) else None


def channels(entry: LogEntry | None) -> dict[str, str]:
    """`{feature: channel}` of a `credential_bound` record, whose `channels` are objects with `feature` and `channel`."""
    listed = entry.fields.get("channels") if entry is not None else None
    if not isinstance(listed, list):
        return {}
    return {
        str(item["feature"]): str(item["channel"])
        for item in listed
        if isinstance(item, dict) and {"feature", "channel"} <= set(item)
    }


def multi_purpose(scene: Scene) -> bool | None:
    """Whether the element lives in a phone, tablet or computer; None where nothing says so."""
    if scene.platform is Platform.SECURITY_KEY:
        return False
    if scene.platform in (Platform.ANDROID, Platform.IOS):
        return True
    kinds = {
        str(entry.fields.get("device_kind", "")).lower()
        for entry in scene.events("session_started")
        if entry.session in set(scene.sessions())
    }
    if kinds & MULTI_PURPOSE:
        return True
    return False if "dedicated" in kinds else None


def multi_purpose_mitigated(scene: Scene) -> Ruling:
    """On a multi-purpose device the three measures of Art. 9(3) each hold."""
    many = multi_purpose(scene)
    if many is None:
        return unknown("nothing on record says what kind of device was used")
    if not many:
        return absent("the device serves no other purpose")
    for rule in ("RTS-9.3.a", "RTS-9.3.b", "RTS-9.3.c"):
        ruling = scene.rulings[rule]
        if ruling.verdict == "fail":
            return fails(f"{rule} failed", ruling.grade, *ruling.findings)
        if ruling.verdict == "undetermined":
            return unknown(f"{rule} is undetermined", *ruling.findings)
    return passes(weakest(scene.rulings[rule].grade for rule in ("RTS-9.3.a", "RTS-9.3.b")))


def _on_multi_purpose(scene: Scene) -> Ruling | None:
    """What to answer before looking at the device: nothing, if it is a multi-purpose one with an attestation."""
    if multi_purpose(scene) is False:
        return absent("the device serves no other purpose")
    if not scene.device:
        return unknown("no attestation of the device that was used")
    if scene.attested is Grade.NONE:
        return unknown(scene.attestation_why)
    return None


def separate_environment(scene: Scene) -> Ruling:
    """The key lives in a TEE, StrongBox or Secure Enclave, and the attestation was made there too."""
    first = _on_multi_purpose(scene)
    behind = scene.present("attestation.security_level", "app_attest.present")
    if first is not None:
        return first._replace(findings=behind)
    check = "app_attest.present" if scene.platform is Platform.IOS else "attestation.security_level"
    if scene.failed(check):
        return fails(scene.why(check), scene.attested, *behind)
    return passes(scene.attested, *behind) if scene.passed(check) else unknown(scene.why(check), *behind)


def alteration_detected(scene: Scene) -> Ruling:
    """Software and device are as their makers left them, as of an attestation that is not stale."""
    first = _on_multi_purpose(scene)
    android = (
        "attestation.verified_boot",
        "attestation.device_locked",
        "attestation.patch_level",
        "attestation.patch_date",
        "attestation.application",
        "attestation.age",
    )
    ios = ("attestation.application", "app_attest.environment", "app_attest.category", "attestation.age")
    behind = scene.present(*(ios if scene.platform is Platform.IOS else android))
    if first is not None:
        return first._replace(findings=behind)
    if scene.failed(*behind):
        return fails(scene.why(scene.failed(*behind) or ""), scene.attested, *behind)
    needed = ("attestation.application",) if scene.platform is Platform.IOS else android
    if not scene.passed(*needed):
        return unknown(scene.why(*needed), *behind)
    return passes(scene.attested, *behind)


def alteration_answered(scene: Scene) -> Ruling:
    """Once altered, the credential was suspended in time, and nothing was accepted after."""
    altered = [entry for entry in scene.events("attestation_evaluated") if entry.fields.get("verdict") == "altered"]
    if not altered:
        return absent("no alteration was signalled")
    first, limit = altered[0], timedelta(seconds=scene.config.suspend_within_seconds)
    later = next((entry for entry in scene.events("code_accepted") if entry.seq > first.seq), None)
    if later is not None:
        return fails(f"entry {later.seq}: a code was accepted after the alteration was seen", Grade.LOGGED)
    start = instant(first.at)
    suspended = [
        instant(entry.at)
        for entry in scene.events("credential_suspended", "credential_revoked")
        if entry.seq > first.seq
    ]
    if start is not None and any(at is not None and at - start <= limit for at in suspended):
        return passes(Grade.LOGGED)
    if start is not None and scene.evidence.now - start <= limit:
        return unknown("the time to suspend the credential is not over")
    return fails(f"no suspension within {limit.seconds} seconds of the alteration", Grade.LOGGED)
