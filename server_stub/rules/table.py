"""The rule set `eu-rts-2018-389@2023-07`: every rule once, in the order of the articles, with the best grade that evidence can reach.

`needs_signature`: the rule reads the assertion, so it is open unless RTS-4.2.c passed (a value read from bytes whose signature did not
verify is neither pass nor fail).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from server_stub.rules import code, credentials, factors, linking, sessions
from server_stub.rules.probes import Rejudge
from server_stub.rules.ruling import PASS, Ruling, stronger, unknown
from server_stub.rules.scene import Scene
from server_stub.verdict import Grade

SIGNATURE_RULE: Final = "RTS-4.2.c"


class Rulebook(NamedTuple):
    """One rule: what it obliges to in one line, the best grade it can have, how it is judged, and whether it reads the assertion."""

    id: str
    obligation: str
    best: Grade
    judge: Callable[[Scene], Ruling]
    needs_signature: bool = False


_P, _S, _L, _D = Grade.PROVED, Grade.SIGNED, Grade.LOGGED, Grade.DECLARED


def rules(rejudge: Rejudge | None = None) -> tuple[Rulebook, ...]:
    """Every rule, in order; `rejudge` re-runs the server's own checks for the negative tests."""
    return (*_article_4(), *_article_5(rejudge), *_articles_6_to_9(), *_chapter_4(), *_chapter_5())


def _article_4() -> Iterator[Rulebook]:
    rule = Rulebook
    yield rule(
        "PSD2-97.1",
        "strong customer authentication for access to the account, a payment, or a risky remote action",
        _L,
        code.article_97,
    )
    yield rule(
        "RTS-4.1-elements",
        "two or more elements of different categories produce an authentication code",
        _P,
        code.elements_4_1,
        True,
    )
    yield rule("RTS-4.1-once", "the authentication code is accepted only once", _L, code.once)
    yield rule("RTS-4.2.a", "nothing about an element can be derived from the code", _P, code.underivable, True)
    yield rule("RTS-4.2.b", "knowing earlier codes does not help to make a new one", _P, code.unpredictable, True)
    yield rule("RTS-4.2.c", "the code cannot be forged", _P, code.unforgeable)
    yield rule("RTS-4.3.a", "after a failure nobody can tell which element was wrong", _L, code.uniform_refusal)
    yield rule("RTS-4.3.b", "at most five failures in a row, then a block", _L, code.five_failures)
    yield rule("RTS-4.3.c", "sessions are protected against capture and manipulation", _L, code.session_protected)
    yield rule("RTS-4.3.d", "at most five minutes without activity by the payer", _L, code.idle)
    yield rule("RTS-4.4-alert", "the payer is warned before a block becomes permanent", _L, code.alert)
    yield rule("RTS-4.4-duration", "length and retries of a temporary block follow the risk", _D, code.block_duration)
    yield rule("RTS-4.4-unblock", "a secure way back after a permanent block", _L, code.unblocking)


def _article_5(rejudge: Rejudge | None) -> Iterator[Rulebook]:
    rule = Rulebook
    yield rule("RTS-5.1.a", "the payer is made aware of amount and payee", _P, linking.aware, True)
    yield rule(
        "RTS-5.1.b", "the code is specific to the amount and payee agreed at initiation", _P, linking.specific, True
    )
    yield rule(
        "RTS-5.1.c", "the accepted code corresponds to the original amount and payee", _L, linking.corresponds, True
    )
    yield rule(
        "RTS-5.1.d", "any change of amount or payee invalidates the code", _P, linking.change_invalidates(rejudge), True
    )
    yield rule(
        "RTS-5.2.a",
        "confidentiality, authenticity and integrity of amount and payee throughout",
        _S,
        linking.integrity,
        True,
    )
    yield rule("RTS-5.2.b", "the same for what is displayed to the payer", _S, linking.displayed, True)
    yield rule(
        "RTS-5.3.a", "card pre-authorisation: the code is specific to the blocked amount", _L, linking.preauthorisation
    )
    yield rule(
        "RTS-5.3.b", "batch: the code is specific to the total and to each payee", _P, linking.batch(rejudge), True
    )


def _articles_6_to_9() -> Iterator[Rulebook]:
    rule = Rulebook
    yield rule("RTS-6.1", "knowledge: little risk that it is uncovered or disclosed", _S, factors.knowledge_kept)
    yield rule("RTS-6.2", "knowledge: its use does not disclose it", _S, factors.knowledge_undisclosed)
    yield rule("RTS-7.1", "possession: little risk of use by others", _P, factors.possession_guarded, True)
    yield rule("RTS-7.2", "possession: it cannot be replicated", _P, factors.possession_unique, True)
    yield rule("RTS-8.1", "inherence: not uncovered, and very few false accepts", _S, factors.inherence_sensor, True)
    yield rule("RTS-8.2", "inherence: resists unauthorised use through the device", _S, factors.inherence_guarded, True)
    yield rule("RTS-9.1", "the breach of one element does not compromise another", _P, factors.independent, True)
    yield rule("RTS-9.2", "multi-purpose device: its compromise is mitigated", _L, factors.multi_purpose_mitigated)
    yield rule(
        "RTS-9.3.a", "multi-purpose device: separate secure execution environments", _P, factors.separate_environment
    )
    yield rule(
        "RTS-9.3.b",
        "multi-purpose device: alteration of software or device is detected",
        _P,
        factors.alteration_detected,
    )
    yield rule(
        "RTS-9.3.c",
        "multi-purpose device: the consequences of alteration are mitigated",
        _L,
        factors.alteration_answered,
    )


def _chapter_4() -> Iterator[Rulebook]:
    rule, control = Rulebook, credentials.control
    documented = control("key-management", "no control record about the management of key material")
    yield rule(
        "RTS-22.1", "confidentiality and integrity of credentials and codes in all phases", _L, credentials.confidential
    )
    yield rule("RTS-22.2.a", "credentials are masked when typed or shown", _S, credentials.masked)
    yield rule("RTS-22.2.b", "credentials and their keys are not stored in plain text", _L, credentials.no_plain_text)
    yield rule("RTS-22.2.c", "secret key material is protected from disclosure", _P, credentials.key_material)
    yield rule("RTS-22.3", "the management of that key material is documented", _D, documented)
    yield rule(
        "RTS-22.4",
        "processing and routing in secure environments, by recognised standards",
        _D,
        credentials.secure_processing,
    )
    yield rule("RTS-23-create", "credentials are created in a secure environment", _P, credentials.created)
    yield rule("RTS-23-loss", "loss, theft or copying before delivery is mitigated", _L, credentials.not_lost)
    yield rule(
        "RTS-24.1", "credential, device and software are associated with the user alone", _L, credentials.one_user
    )
    yield rule(
        "RTS-24.2.a",
        "association happens in a secure environment under the provider's responsibility",
        _L,
        credentials.secure_association,
    )
    yield rule(
        "RTS-24.2.b",
        "remote association is itself done with strong customer authentication",
        _L,
        credentials.bound_with_sca,
    )
    yield rule("RTS-25.2.a", "delivery to the legitimate user only", _L, credentials.delivered)
    yield rule(
        "RTS-25.2.b", "the authenticity of delivered software can be verified", _P, credentials.authentic_software
    )
    yield rule("RTS-25.2.c-channel", "not more than one feature by one channel", _L, credentials.two_channels)
    yield rule("RTS-25.2.c-activation", "activation before use", _L, credentials.activated_first)
    yield rule("RTS-25.2.d", "activation in a secure environment, as association", _L, credentials.activated_with_sca)
    yield rule("RTS-26", "renewal or re-activation follows Articles 23 to 25", _L, credentials.renewed)
    yield rule("RTS-27.a", "destruction, deactivation and revocation work", _L, credentials.revoked)
    yield rule("RTS-27.b", "a device is re-used by another user securely", _L, credentials.reused_device)
    yield rule(
        "RTS-27.c", "related data is revoked in systems and public repositories", _L, credentials.revocation_published
    )


def _chapter_5() -> Iterator[Rulebook]:
    rule = Rulebook
    yield rule(
        "RTS-28.1", "secure identification between the payer's device and payee terminals", _L, sessions.terminals
    )
    yield rule("RTS-28.2", "misdirection in apps and interfaces is mitigated", _P, sessions.right_counterpart, True)
    yield rule("RTS-29.2.a", "a unique session identifier", _L, sessions.session_identifiers)
    yield rule("RTS-29.2.b", "a detailed log with transaction number, times and data", _L, sessions.detailed_log)
    yield rule("RTS-29.2.c", "one time reference, synchronised to an official signal", _D, sessions.one_clock)
    yield rule("RTS-35.1", "strong encryption in the communication session", _L, sessions.encrypted)
    yield rule("RTS-35.2", "sessions as short as possible, ended when done", _L, sessions.short_session)
    yield rule("RTS-35.3", "parallel sessions are securely linked", _L, sessions.linked_sessions)
    yield rule("RTS-35.4", "unambiguous references to user, session and transaction", _L, sessions.references)
    yield rule("RTS-35.5", "credentials and codes are not readable by staff", _D, sessions.staff)


def judge_rules(scene: Scene, rejudge: Rejudge | None = None) -> dict[str, tuple[Rulebook, Ruling]]:
    """Every rule's ruling, in order. RTS-9.2 is judged last: it reads those of Art. 9(3)."""
    book = rules(rejudge)
    scene.rulings[SIGNATURE_RULE] = code.unforgeable(scene)
    later = [rule for rule in book if rule.id != "RTS-9.2"] + [rule for rule in book if rule.id == "RTS-9.2"]
    for rule in later:
        scene.rulings[rule.id] = _capped(rule, _ruled(rule, scene))
    return {rule.id: (rule, scene.rulings[rule.id]) for rule in book}


def _ruled(rule: Rulebook, scene: Scene) -> Ruling:
    ruling = rule.judge(scene)
    signature = scene.rulings[SIGNATURE_RULE]
    if not rule.needs_signature or not scene.device or signature.verdict == PASS or ruling.verdict == "not_applicable":
        return ruling
    return unknown(f"{SIGNATURE_RULE} did not pass: {signature.reason}", *ruling.findings)


def _capped(rule: Rulebook, ruling: Ruling) -> Ruling:
    """No rule is graded better than the best that its inputs can give."""
    return ruling._replace(grade=rule.best) if stronger(ruling.grade, rule.best) else ruling
