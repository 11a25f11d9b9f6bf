"""RTS Article 6: knowledge."""

from __future__ import annotations

from typing import Final

from server_stub.log_chain import LogEntry
from server_stub.rules.elements import Candidate, candidates
from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, Why, absent, fails, passes, seen, unknown
from server_stub.rules.scene import Scene
from server_stub.verdict import Category, Grade

_SOURCE: Final = "Delegated Regulation (EU) 2018/389, Art. 6"
# How long a secret is, as the server notes it when it is set; never the length itself where it would help to guess.
LENGTH_CLASSES: Final = ("0", "1-3", "4-5", "6-7", "8-11", "12+")
_TOO_SHORT: Final = LENGTH_CLASSES[:2]


def used(scene: Scene, category: Category) -> list[Candidate]:
    """The elements of a category that were offered (shown, contradicted or open)."""
    return [candidate for candidate in candidates(scene) if candidate.category is category]


@rule(
    "RTS-6.1",
    obligation="measures mitigate the risk that the knowledge element is uncovered by, or disclosed to, others",
    source=f"{_SOURCE}(1)",
    best=Grade.LOGGED,
    passes="the length class of the secret was noted when it was set, and is 4-5 or more",
    fails="the secret has fewer than four characters, or the store holds it in plain text",
    open="no code was accepted, or how long the secret is, is not on record",
    settles="a secret set while its length class is noted in the log",
    of_code=True,
)
def knowledge_kept(scene: Scene) -> Ruling:
    """The length class of each secret that was used."""
    known = used(scene, Category.KNOWLEDGE)
    if not known:
        return absent(Why.NO_KNOWLEDGE)
    if scene.observed.plaintext_in_store:
        return fails("the store holds a secret in plain text", Grade.LOGGED)
    noted: list[LogEntry] = []
    for candidate in known:
        entries = scene.events("secret_set", method=candidate.method)
        if not entries or entries[-1].fields.get("length_class") not in LENGTH_CLASSES:
            return unknown(f"how long the {candidate.method} is, is not on record")
        noted.append(entries[-1])
    said = "; ".join(f"{entry.fields['method']}: {entry.fields['length_class']} characters" for entry in noted)
    if any(entry.fields["length_class"] in _TOO_SHORT for entry in noted):
        return fails(
            f"{said}: five guesses go far (Product: fewer than four fail; the law names no length)", Grade.LOGGED
        )
    return passes(seen(*noted), reason=f"{said} (Product: fewer than four fail; the law names no length)")


@rule(
    "RTS-6.2",
    obligation="use of the knowledge element is subject to measures against its disclosure",
    source=f"{_SOURCE}(2)",
    best=Grade.LOGGED,
    passes="the server looked for the secret in its records of this call and found it nowhere, and RTS-35.1 passes",
    fails="the secret, or a member named like one, stands in a record; a prompt showed it; RTS-35.1 fails",
    open="no code was accepted, RTS-35.1 is open, or nobody looked",
    settles="the same step-up over TLS, with the server's note of where it looked for the secret",
    of_code=True,
    capped_by=("RTS-35.1",),
)
def knowledge_undisclosed(scene: Scene) -> Ruling:
    """The secret's value is in no record of the call, and the prompt was masked, where that is reported."""
    if not used(scene, Category.KNOWLEDGE):
        return absent(Why.NO_KNOWLEDGE)
    problem = disclosed(scene)
    if problem is not None:
        return fails(problem, Grade.LOGGED)
    entry = scene.attempt_entry
    if entry is None:
        return unknown("the log holds no record of this attempt")
    if entry.fields.get("masked_input") is False:
        return fails("the prompt showed what was typed", Grade.LOGGED)
    if scene.secret_found_in is None:
        return unknown("whether the secret's value stands in a record was not looked up")
    return passes(seen(entry), reason="looked for in the records of this call, and found nowhere")


def disclosed(scene: Scene) -> str | None:
    """Where a secret stands in a record, in words: by a member's name, or by its value, which the server looked for."""
    leak = scene.secret_paths()
    if leak:
        return f"a member named like a secret holds a value: {leak[0]}"
    return f"a secret's value stands in {scene.secret_found_in[0]}" if scene.secret_found_in else None
