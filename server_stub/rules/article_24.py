"""RTS Article 24: association with the user."""

from __future__ import annotations

from typing import Any, Final

from server_stub.log_chain import LogEntry
from server_stub.rules.article_6 import used
from server_stub.rules.article_23 import for_enrolment
from server_stub.rules.elements import SHARED_KEY, category_of, method_name
from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, Why, absent, fails, passes, seen, unknown
from server_stub.rules.scene import Scene
from server_stub.verdict import Category, Grade

_SOURCE: Final = "Delegated Regulation (EU) 2018/389, Art. 24"


@rule(
    "RTS-24.1",
    obligation="only the user is associated, securely, with credentials, devices and software",
    source=f"{_SOURCE}(1)",
    best=Grade.LOGGED,
    passes="the key was looked up among all bindings, and no other user has it",
    fails="another user has the key too",
    open="it was not looked up; how a number or a seed was bound is not on record",
    settles="a look through all bindings for this key",
)
@for_enrolment
def one_user(scene: Scene, binding: LogEntry) -> Ruling:
    """The key is bound to no other user."""
    others = {
        entry.user for entry in scene.events("credential_bound", credential_id=binding.fields.get("credential_id"))
    }
    if scene.observed.key_bound_to_another_user or len(others) > 1:
        return fails("the key is bound to another user too", Grade.LOGGED)
    if scene.evidence.credential is not None and scene.evidence.credential.shared_key:
        return unknown(SHARED_KEY)
    if scene.observed.key_bound_to_another_user is None:
        return unknown("whether the key is bound elsewhere was not looked up")
    return passes(seen(binding), reason="looked up: no other user has this key")


@rule(
    "RTS-24.1-inherence",
    obligation="only the payer's own biometrics are associated with the inherence element",
    source=f"{_SOURCE}(1); EBA-Op-2019-06",
    best=Grade.DECLARED,
    passes="the operator declares how that is made sure",
    fails="–",
    open="other enrolled fingers or faces are not on record: no platform attests them",
    settles="a declaration: how the provider makes sure that only the payer's biometrics are enrolled",
    of_code=True,
    declarable=True,
)
def own_biometrics(scene: Scene) -> Ruling:
    """Whose fingers are enrolled, no platform attests."""
    if not used(scene, Category.INHERENCE):
        return absent(Why.NO_INHERENCE)
    return unknown("whether other fingers or faces are enrolled on the phone is not on record")


@rule(
    "RTS-24.2.a",
    obligation="association happens in a secure environment under the provider's responsibility",
    source=f"{_SOURCE}(2)(a)",
    best=Grade.LOGGED,
    passes="the enrolment's session is on record, and the bank's own app, as attested, enrolled",
    fails="a code was accepted with a key that another app enrolled",
    open="the session or the app is not on record",
    settles="an enrolment by an app whose identity is attested",
)
@for_enrolment
def secure_association(scene: Scene, binding: LogEntry) -> Ruling:
    """The enrolment's session, and the bank's own app, are on record."""
    started = [entry for entry in scene.events("session_started") if entry.session == binding.session]
    if not binding.session or not started:
        return unknown("the log holds no session for the enrolment")
    if scene.failed("attestation.application"):
        return scene.blame("attestation.application", Grade.LOGGED, "attestation.application")
    if not scene.passed("attestation.application"):
        return unknown("which app enrolled is not attested")
    return passes(seen(binding, started[-1]), scene.checked("attestation.application"))


@rule(
    "RTS-24.2.b",
    obligation="remote association is itself done with strong customer authentication",
    source=f"{_SOURCE}(2)(b); EBA Q&A 2018_4141",
    best=Grade.LOGGED,
    passes=(
        "the session that enrolled showed elements of two categories, none of them a fixed code; or a proof "
        "in person is on record"
    ),
    fails="it showed one category only, or the key was bound under an authentication with itself",
    open="what the enrolling session showed is not on record",
    settles="an enrolment in a session whose elements are in the log: a login with the secret, and a drawn code",
)
@for_enrolment
def bound_with_sca(scene: Scene, binding: LogEntry) -> Ruling:
    """The key was bound under elements of two categories that its own session showed, or a proof in person; never under itself."""
    if binding.fields.get("in_person_ref"):
        return passes(seen(binding), reason="proof in person")
    if "sca_ref" in binding.fields and not binding.fields["sca_ref"]:
        return fails("the key was bound without strong customer authentication", Grade.LOGGED)
    shown = _shown(scene, binding)
    if shown is None:
        if _resumed(scene, binding):
            return fails(
                "the session was resumed by a refresh token, which is no element: the activation code alone bound the key",
                Grade.LOGGED,
            )
        return unknown("the elements that the enrolling session showed are not on record")  # fmt: skip
    entry, elements = shown
    if any(element.get("credential_id") == binding.fields.get("credential_id", "") != "" for element in elements):
        return fails("the key was bound under an authentication made with itself", Grade.LOGGED)
    fixed = [str(element.get("method")) for element in elements if element.get("fixed_code")]
    methods = [method_name(str(element.get("method"))) for element in elements if not element.get("fixed_code")]
    categories = {category_of(method) for method in methods} - {None}
    said = f"bound with: {', '.join(methods) or 'nothing'}" + (
        f"; a fixed code is no element: {', '.join(fixed)}" if fixed else ""
    )
    if len(categories) < 2:
        return fails(f"the key was bound with fewer than two categories; {said}", Grade.LOGGED)
    return passes(seen(binding, entry), reason=said)


def _shown(scene: Scene, binding: LogEntry) -> tuple[LogEntry, list[dict[str, Any]]] | None:
    """What the enrolling session showed, as noted where it happened: `shown`, beside the binding or the enrolment's accepted attempt."""
    attempts = [
        entry
        for entry in scene.events("sca_attempt", outcome="accepted")
        if entry.seq < binding.seq and entry.session == binding.session and entry.transaction == binding.transaction
    ]
    for entry in (binding, *reversed(attempts)):
        listed = entry.fields.get("shown")
        if isinstance(listed, list):
            return entry, [item for item in listed if isinstance(item, dict)]
    return None


def _resumed(scene: Scene, binding: LogEntry) -> bool:
    """Whether the enrolling session began with a refresh token, and no accepted code of its own came before the enrolment."""
    started = [entry for entry in scene.events("session_started") if entry.session == binding.session]
    return bool(started) and started[-1].fields.get("channel") == "refresh"
