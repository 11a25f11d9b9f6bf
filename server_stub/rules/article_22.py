"""RTS Article 22: confidentiality of credentials."""

from __future__ import annotations

from typing import Final

from server_stub.rules.article_6 import disclosed, used
from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, Why, absent, fails, passes, seen, unknown
from server_stub.rules.scene import Scene
from server_stub.verdict import Category, Grade

_SOURCE: Final = "Delegated Regulation (EU) 2018/389, Art. 22"


@rule(
    "RTS-22.1",
    obligation="confidentiality and integrity of credentials and codes in all phases of the authentication",
    source=f"{_SOURCE}(1)",
    best=Grade.LOGGED,
    passes="the server looked for the secrets of this call in its records and found none, and RTS-35.1 passes",
    fails="a secret, or a member named like one, stands in a record; RTS-35.1 fails",
    open="RTS-35.1 is open, or nobody looked",
    settles="the same step-up over TLS, with the server's note of where it looked for the secrets",
    capped_by=("RTS-35.1",),
)
def confidential(scene: Scene) -> Ruling:
    """No secret, token or contact data in log extract or response beyond the members defined for them."""
    problem = disclosed(scene)
    if problem is not None:
        return fails(problem, Grade.LOGGED)
    entry = scene.attempt_entry
    if entry is None or scene.secret_found_in is None:
        return unknown("whether a secret's value stands in a record was not looked up")
    return passes(seen(entry), reason="looked for in the records of this call, and found nowhere")


@rule(
    "RTS-22.2.a",
    obligation="credentials are masked when displayed and not readable in full when typed",
    source=f"{_SOURCE}(2)(a)",
    best=Grade.LOGGED,
    passes="the client reported that its prompt was masked, or the operator declares it",
    fails="the client reported that its prompt showed what was typed",
    open="no client reported, and nothing is declared",
    settles="a client that reports `masked_input`, or a declaration on masking at the client",
    declarable=True,
)
def masked(scene: Scene) -> Ruling:
    """Each knowledge prompt masked what was typed."""
    if not [candidate for candidate in used(scene, Category.KNOWLEDGE) if candidate.fresh]:
        return absent(Why.NO_KNOWLEDGE, " for this action")
    entry = scene.attempt_entry
    reported = entry.fields.get("masked_input") if entry is not None else None
    if reported is False:
        return fails("the prompt showed what was typed", Grade.LOGGED)
    if reported is not True:
        return unknown("the client did not report whether its prompt was masked")
    return passes(seen(entry))


@rule(
    "RTS-22.2.b",
    obligation="credentials and key material for their encryption are not stored in plain text",
    source=f"{_SOURCE}(2)(b)",
    best=Grade.LOGGED,
    passes="a walk of the store found public keys, hashes and sealed values only",
    fails="the store holds a secret in plain text",
    open="the store was not walked",
    settles="a walk of the store",
)
def no_plain_text(scene: Scene) -> Ruling:
    """What a walk of the store found."""
    found = scene.observed.plaintext_in_store
    if found is None:
        return unknown("whether the store holds a secret in plain text was not looked up")
    if found:
        return fails("the store holds a secret in plain text", Grade.LOGGED)
    return passes(seen(scene.evidence), reason="a walk of the store found none")


@rule(
    "RTS-22.2.c",
    obligation="secret key material is protected from unauthorised disclosure",
    source=f"{_SOURCE}(2)(c)",
    best=Grade.LOGGED,
    passes="hardware attests that it keeps the key, and a walk of the store found nothing in plain text",
    fails=(
        "a code was accepted with a key that its attestation says lives in software, or the store holds key "
        "material in plain text"
    ),
    open="nothing attests where the key is kept, or the store was not walked",
    settles="a key that secure hardware attests, and a walk of the store",
)
def key_material(scene: Scene) -> Ruling:
    """Keys that hardware does not give out; tokens and seeds kept as digests or sealed."""
    if scene.observed.plaintext_in_store:
        return fails("the store holds a secret in plain text", Grade.LOGGED)
    if scene.accepted and scene.software_key:
        return fails("accepted although the key's attestation says that it lives in software", Grade.SIGNED)
    if not scene.device:
        return unknown("how the material behind this code is kept is not on record")
    if not scene.in_hardware:
        return unknown("no hardware attests that it keeps the key")
    if scene.observed.plaintext_in_store is None:
        return unknown("whether the store holds a secret in plain text was not looked up")
    return passes(scene.checked(*scene.hardware_checks), seen(scene.evidence))


def _declared_only(what: str) -> Ruling:
    return unknown(f"{what} is not on record: no step-up shows it")


@rule(
    "RTS-22.3",
    obligation="the management of key material that renders credentials unreadable is fully documented",
    source=f"{_SOURCE}(3)",
    best=Grade.DECLARED,
    passes="the operator declares it",
    fails="–",
    open="nothing is declared",
    settles="a declaration: where the management of key material is documented",
    declarable=True,
)
def documented(scene: Scene) -> Ruling:
    """An operator's statement only."""
    return _declared_only("how key material is managed")


@rule(
    "RTS-22.4",
    obligation="processing and routing of credentials and codes in secure environments, by recognised standards",
    source=f"{_SOURCE}(4)",
    best=Grade.DECLARED,
    passes="the operator declares it, and RTS-35.1 passes",
    fails="RTS-35.1 fails",
    open="nothing is declared, or RTS-35.1 is open",
    settles="a declaration: in which environment, by which standards; and TLS",
    declarable=True,
    capped_by=("RTS-35.1",),
)
def secure_processing(scene: Scene) -> Ruling:
    """An operator's statement, and a protected transport."""
    return _declared_only("in which environment credentials are processed")
