"""A verdict and its evidence in plain words: one reading, which the terminal report and the HTML report both show.

Texts from outside (payee names, origins, log fields) pass through `visible`, so that no invisible or direction-changing character can
make a report say something else than the bytes do. Escaping for HTML or the terminal is the renderer's business.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from device_keys.algorithms import ALGORITHM_NAMES
from device_keys.clock import rfc3339
from device_keys.currencies import MINOR_UNITS
from device_keys.encoding import FormatError, b64url_encode, parse_json_object
from device_keys.messages import Assertion, Flags, parse_authenticator_data
from server_stub.bundle import Bundle
from server_stub.report_device import attestation_facts
from server_stub.report_facts import Fact, Section
from server_stub.rules.elements import State, candidates, trust_domain, uvm_methods
from server_stub.rules.registry import ARTICLES, article_of
from server_stub.rules.registry import rules as known_rules
from server_stub.rules.scene import Scene
from server_stub.verdict import Finding, Grade, Outcome, Rule, Verdict
from server_stub.visible import mixed_scripts, visible

GRADES: Final = {
    Grade.PROVED: (
        4,
        "follows from a verified signature together with key properties that hardware attested, or from a negative test",
    ),
    Grade.SIGNED: (3, "stands in signed bytes, but the signer's own software is the source"),
    Grade.LOGGED: (2, "the server's own observation"),
    Grade.DECLARED: (1, "configuration or a document only"),
    Grade.NONE: (0, "no evidence either way"),
}
VERDICTS: Final = {
    "pass": ("✓", "met: every needed input was there, and the obligation is met"),
    "fail": ("✗", "failed: evidence contradicts the obligation"),
    "undetermined": (
        "?",
        "undetermined: an input is missing, unverifiable or stale, or a rule that this one needs did not pass",
    ),
    "not_applicable": ("–", "not applicable: the obligation cannot arise here"),
}
_METHODS: Final = {
    "passcode": "Passcode", "password": "Password", "pin": "PIN", "security-answers": "Security answers", "otp-sms": "Code by SMS",
    "totp": "Authenticator app", "device-key": "The enrolled phone's key", "biometric": "Biometric", "device-credential": "Screen lock",
}  # fmt: skip
_REASONS: Final = {
    "loopback": "loopback: the call came over plain HTTP inside one machine, so nothing can be said about encryption on the way",
}


class ElementLine(NamedTuple):
    """An element with how it is known and where it lives."""

    category: str
    name: str
    grade: Grade
    basis: str
    domain: str


class Group(NamedTuple):
    """The rules of one article."""

    article: str
    title: str
    rules: tuple[Rule, ...]


class Reading(NamedTuple):
    """Everything that a report shows."""

    verdict: Verdict
    bundle: Bundle
    opening: tuple[str, ...]
    headline: str
    order: tuple[Fact, ...]
    elements: tuple[ElementLine, ...]
    open_elements: tuple[str, ...]
    groups: tuple[Group, ...]
    counts: dict[str, int]
    failed: tuple[Rule, ...]
    undetermined: tuple[Rule, ...]
    failures: tuple[Finding, ...]
    sections: tuple[Section, ...]


def read(document: Verdict | dict[str, Any], bundle: Bundle) -> Reading:
    """The report over a verdict and the bundle it rests on. As JSON, a verdict may bring its `appraisal`, or `differences`."""
    given = document if isinstance(document, dict) else {}
    verdict = document if isinstance(document, Verdict) else msgspec.convert(document, Verdict)
    scene = Scene(
        bundle.evidence,
        verdict.findings,
        bundle.log,
        bundle.config,
        accepted=verdict.accepted,
        observed=bundle.observed,
    )
    rules = verdict.compliance.rules
    counts = {name: sum(rule.verdict == name for rule in rules) for name in VERDICTS}
    return Reading(
        verdict,
        bundle,
        tuple(visible(line) for line in _opening(given, bundle)),
        _headline(verdict, scene),
        tuple(_order(scene)),
        tuple(_elements(scene, verdict)),
        tuple(
            f"{method_in_words(c.method)}: {visible(c.reason)}" for c in candidates(scene) if c.state is not State.SHOWN
        ),
        tuple(
            Group(f"{'PSD2, ' if law == 'PSD2' else ''}Article {number}", title, _of_article(rules, f"{law}-{number}"))
            for law, number, title in ARTICLES
        ),
        counts,
        tuple(rule for rule in rules if rule.verdict == "fail"),
        tuple(rule for rule in rules if rule.verdict == "undetermined"),
        tuple(finding for finding in verdict.findings if finding.outcome is Outcome.FAIL),
        tuple(_sections(scene, bundle)),
    )


_ORIGINS: Final = {
    "verified": "Origin verified: the key that was given signed this bundle.",
    "not-verified": "ORIGIN NOT VERIFIED: nobody knows here who wrote this bundle. What rests on its writer's word alone is graded "
    "declared, and whether the step-up was two-factor is undetermined. Give the server's key: --server-key.",
    "wrong-key": "WRONG KEY: another key than the one that was given signed this bundle, so its origin is not verified. What rests on its "
    "writer's word alone is graded declared, and whether the step-up was two-factor is undetermined.",
}


def _opening(document: dict[str, Any], bundle: Bundle) -> Iterator[str]:
    """What must be known before anything else is read: by whom this was judged, and what is not as it was."""
    appraisal = document.get("appraisal")
    if appraisal is not None:
        if appraisal["anchors"] == "as-recorded":
            yield "JUDGED AS RECORDED: by the policy and the trust anchors that the file itself brings."
        yield _ORIGINS[appraisal["origin"]]
        if appraisal["anchors"] == "unknown":
            yield "The file brings trust anchors that are not known here: a chain that ends at one of them fails."
    if bundle.signer is not None and bundle.signer.made_from == "seed":
        yield "The key that signs this server's bundles is made from a seed: whoever knows the seed can sign."
    for line in (appraisal or document).get("differences", ()):
        yield f"Differs: {line}"


def _of_article(rules: Iterable[Rule], name: str) -> tuple[Rule, ...]:
    """The rules of one article."""
    return tuple(rule for rule in rules if article_of(rule.id) == name)


def settles(rule: Rule) -> str:
    """What would settle a rule that failed or is open, in words; empty for one that is met, or that this version does not know."""
    if rule.verdict not in ("fail", "undetermined"):
        return ""
    return next((visible(one.settles) for one in known_rules() if one.id == rule.id), "")


def method_in_words(method: str) -> str:
    return _METHODS.get(method, visible(method))


def reason_in_words(reason: str | None) -> str:
    """A rule's reason, with the one-word ones written out."""
    return "" if reason is None else _REASONS.get(reason, visible(reason))


def behind(checks: tuple[str, ...]) -> str:
    """The checks behind a rule; where they are many, how many of each family."""
    if len(checks) <= 8:
        return " · ".join(checks)
    families = Counter(check.split(".")[0] for check in checks)
    return f"{len(checks)} checks: " + " · ".join(f"{family}.* ({count})" for family, count in families.items())


def when(instant: str) -> str:
    """`2026-11-22 10:00:00 UTC` for an RFC 3339 instant."""
    return visible(instant[:19].replace("T", " ") + " UTC") if len(instant) >= 19 else visible(instant)


def money(amount: str, currency: str) -> str:
    """`10.00 GBP`, with the currency's decimals where the text has fewer."""
    digits = MINOR_UNITS.get(currency, 0)
    whole, _, part = amount.partition(".")
    return visible(f"{whole}.{part:0<{digits}} {currency}" if digits else f"{amount} {currency}")


def pretty(value: Any) -> str:
    """JSON over several lines, hostile characters made visible."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "\n".join(visible(line) for line in text.split("\n"))


def compact(value: Any) -> str:
    """A log field on one line: text as it is, anything else as JSON; hostile characters made visible."""
    return visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _headline(verdict: Verdict, scene: Scene) -> str:
    what = _what(scene)
    if verdict.accepted:
        shown = [f"{method_in_words(e.method)} ({e.category.value}, {e.grade.value})" for e in verdict.elements]
        return f"{what} was approved with: {'; '.join(shown) or 'nothing'}."
    first = verdict.first_failure
    return f"{what} was refused{f' by {first.check}' if first else ''}; nothing was carried out."


def _what(scene: Scene) -> str:
    if not scene.payment:
        return "Access to the account"
    if scene.order is None:
        return "A payment of a shape that this server cannot read"
    return f"{money(scene.order.amount, scene.order.currency)} to {visible(scene.order.payee_name)}"


def _order(scene: Scene) -> Iterator[Fact]:
    if scene.order is not None:
        yield Fact("Amount", money(scene.order.amount, scene.order.currency))
        for payee in scene.order.payees:
            part = f", {money(payee.amount, scene.order.currency)}" if len(scene.order.payees) > 1 else ""
            yield Fact("Payee", visible(f"{payee.name} · {payee.account or 'no account named'}{part}"))
        mixed = mixed_scripts(scene.order.payee_name)
        if mixed is not None:
            yield Fact("Beware", f"the payee's name mixes {mixed} letters: it may look like another name")
    yield Fact("Order as stored", pretty(scene.evidence.transaction.payload), code=True)


def _elements(scene: Scene, verdict: Verdict) -> Iterator[ElementLine]:
    """The elements as the verdict grades them."""
    grades = {(element.category, element.method): element.grade for element in verdict.elements}
    for candidate in candidates(scene):
        if candidate.state is State.SHOWN and candidate.category is not None:
            name = method_in_words(candidate.method)
            yield ElementLine(
                candidate.category.value,
                name,
                grades.get((candidate.category, candidate.method), candidate.grade),
                visible(candidate.reason),
                trust_domain(candidate.method),
            )


# --- the evidence appendix ---------------------------------------------------------------------------------------------


def _sections(scene: Scene, bundle: Bundle) -> Iterator[Section]:
    yield Section("The call", "Who asked, for what, and what the server itself observed.", tuple(_call(scene)))
    yield Section(
        "The challenge",
        "What the phone was asked to sign; it commits to nonce, transaction and order.",
        tuple(_challenge(scene)),
    )
    if bundle.evidence.assertion is not None:
        yield Section("The assertion", "What the phone signed, byte by byte as received.", tuple(_assertion(bundle)))
    if bundle.evidence.credential is not None:
        yield Section(
            "The enrolled key", "What the server keeps of the key that should have signed.", tuple(_credential(scene))
        )
        yield Section(
            "Its attestation, in words",
            "What the phone's maker says of that key, as of enrolment.",
            tuple(attestation_facts(scene)),
        )
    yield Section("Judged by", "Policy, trust anchors, declared facts.", tuple(_judged_by(bundle)))


def _call(scene: Scene) -> Iterator[Fact]:
    evidence = scene.evidence
    yield Fact("User", visible(evidence.caller.user), code=True)
    yield Fact("Session", visible(evidence.caller.session), code=True)
    yield Fact("Method", visible(evidence.method))
    yield Fact("Transport", evidence.transport)
    yield Fact("Failures in a row before", str(evidence.caller.failures))
    if evidence.caller.blocked:
        yield Fact("Blocked", evidence.caller.blocked)
    if evidence.secret is not None and evidence.secret.result:
        yield Fact(
            f"{method_in_words(evidence.secret.kind)}, checked by the server",
            f"{evidence.secret.result} (the value is not kept)",
        )
    for prior in evidence.prior:
        yield Fact(
            "Shown earlier in this session",
            f"{method_in_words(prior.method)} ({prior.category}), {rfc3339(prior.at)}",
        )
    source = {"header": "in the header X-Device-Assertion", "delivered": "delivered by the phone", "": "none came"}
    yield Fact("Device evidence", source[evidence.evidence_source])
    if evidence.assertion_unreadable is not None:
        yield Fact("Header that could not be read", visible(evidence.assertion_unreadable), code=True)
    if evidence.declined:
        yield Fact("On the phone", "its user declined")


def _challenge(scene: Scene) -> Iterator[Fact]:
    transaction, nonce = scene.evidence.transaction, scene.evidence.nonce
    yield Fact("Transaction", visible(transaction.id), code=True)
    yield Fact("Kind", transaction.kind)
    yield Fact("State when called", transaction.state)
    yield Fact("Open from, until", f"{rfc3339(transaction.created_at)} … {rfc3339(transaction.expires_at)}")
    if nonce is None:
        yield Fact("Nonce", "the server knows none by the name that was given, or none was given")
        return
    yield Fact("Nonce", visible(nonce.value), code=True)
    yield Fact("Nonce issued, dies", f"{rfc3339(nonce.issued_at)} … {rfc3339(nonce.expires_at)}")
    yield Fact("Nonce used before", rfc3339(nonce.consumed_at) if nonce.consumed_at else "no")
    if scene.client_data is not None:
        yield Fact("Signed challenge", scene.client_data.challenge.hex(), code=True)


def _assertion(bundle: Bundle) -> Iterator[Fact]:
    assert bundle.evidence.assertion is not None
    try:
        assertion = Assertion.from_json(parse_json_object(bundle.evidence.assertion, "assertion"))
    except FormatError as error:
        yield Fact("Could not be read", visible(error))
        yield Fact("As received", visible(bundle.evidence.assertion), code=True)
        return
    yield Fact("Credential id", b64url_encode(assertion.credential_id), code=True)
    try:
        yield Fact(
            "Client data",
            pretty(parse_json_object(assertion.client_data_json.removeprefix(b"\xef\xbb\xbf"))),
            code=True,
        )
    except FormatError as error:
        yield Fact("Client data", f"could not be read: {visible(error)}")
    try:
        data = parse_authenticator_data(assertion.authenticator_data)
    except FormatError as error:
        yield Fact("Authenticator data", f"could not be read: {visible(error)}")
    else:
        yield Fact("RP id hash", data.rp_id_hash.hex(), code=True)
        yield Fact("Flags", _flags(data.flags))
        yield Fact("Signature counter", str(data.sign_count))
        if data.extensions:
            yield Fact("Extensions", visible(_uvm(data.extensions)))
    yield Fact("Signature", assertion.signature.hex(), code=True)
    yield Fact("App Attest assertion", "present" if "appAttest" in assertion.extensions else "none")


def _flags(flags: Flags) -> str:
    names = {
        Flags.UP: "user present", Flags.UV: "user verified", Flags.BE: "backup eligible", Flags.BS: "backed up",
        Flags.AT: "attested data", Flags.ED: "extensions",
    }  # fmt: skip
    return ", ".join(words for flag, words in names.items() if flags & flag) or "none"


def _uvm(extensions: dict[str, Any]) -> str:
    methods = uvm_methods(extensions)
    named = {2: "fingerprint", 4: "passcode", 8: "voice", 16: "face", 64: "eye", 128: "pattern", 256: "hand"}
    said = f"uvm claims: {', '.join(named.get(number, hex(number)) for number in methods)}" if methods else ""
    others = ", ".join(sorted(set(extensions) - {"uvm"}))
    return "; ".join(part for part in (said, others) if part)


def _credential(scene: Scene) -> Iterator[Fact]:
    credential = scene.evidence.credential
    assert credential is not None
    yield Fact("Credential id", visible(credential.credential_id), code=True)
    yield Fact("Device", visible(credential.device_id), code=True)
    yield Fact("Factor", credential.factor)
    yield Fact("Enrolled", rfc3339(credential.enrolled_at))
    since = f" since {rfc3339(credential.state_since)}" if credential.state_since else ""
    yield Fact("State", f"{credential.state}{since}")
    yield Fact("Counter as stored before", str(credential.sign_count))
    if scene.enrolled_key is not None:
        yield Fact("Algorithm", ALGORITHM_NAMES.get(scene.enrolled_key.algorithm, str(scene.enrolled_key.algorithm)))
        yield Fact("Public key (SHA-256 of SPKI)", scene.enrolled_key.fingerprint(), code=True)


NOT_RECORDED: Final = "not recorded"


def _judged_by(bundle: Bundle) -> Iterator[Fact]:
    recorded, trust = bundle.grounds.judged_by, bundle.grounds.trust
    yield Fact("Policy", visible(recorded.policy))
    yield from _digest("Policy, SHA-256", recorded.policy_digest, bundle.grounds.policy)
    yield from _digest("Trust anchors, SHA-256", recorded.anchors_digest, trust)
    for anchor in trust.pems if trust is not None else ():
        yield Fact(f"Trust anchor {visible(anchor.name)}", hashlib.sha256(anchor.pem.encode()).hexdigest(), code=True)
    yield from _digest("Revocation list, SHA-256", recorded.revocation_digest, trust)
    if trust is not None:
        revoked = trust.revoked
        yield Fact(
            "Revocation list", "could not be read: refuses all" if revoked is None else f"{len(revoked)} entries"
        )
    yield from _digest("Declarations, SHA-256", recorded.declarations_digest, bundle.grounds.config)
    yield Fact("Rule set when it was decided", visible(recorded.rule_set or NOT_RECORDED))
    for one in bundle.config.declarations:
        yield Fact(f"Declared of {visible(one.rule)}", visible(f"{one.statement} ({one.reference}, {one.date})"))
    for record in bundle.config.control_records:
        yield Fact(f"Control record: {visible(record.covers)}", visible(f"{record.reference}, {record.dated}"))


def _digest(label: str, digest: str | None, content: object) -> Iterator[Fact]:
    """The digest as recorded; where the content is missing, that says so. The unsigned form has contents without digests."""
    if content is None:
        yield Fact(f"Contents: {label.partition(',')[0].lower()}", NOT_RECORDED)
    if digest is not None:
        yield Fact(label, digest, code=True)
