"""RTS Article 25: delivery and activation."""

from __future__ import annotations

from typing import Final

from server_stub.log_chain import LogEntry
from server_stub.rules.article_9 import deliveries, one_channel
from server_stub.rules.article_23 import activation, for_enrolment, not_on_record
from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, fails, passes, seen, unknown
from server_stub.rules.scene import Scene
from server_stub.verdict import Grade

_SOURCE: Final = "Delegated Regulation (EU) 2018/389, Art. 25"


@rule(
    "RTS-25.1",
    obligation=(
        "credentials, devices and software are delivered so that loss, theft or copying does not lead to "
        "unauthorised use"
    ),
    source=f"{_SOURCE}(1)",
    best=Grade.LOGGED,
    passes="RTS-25.2.a, RTS-25.2.b and RTS-25.2.c-channel pass",
    fails="one of them fails",
    open="one of them is open",
    settles="what settles them",
    capped_by=("RTS-25.2.a", "RTS-25.2.b", "RTS-25.2.c-channel"),
)
def delivered_securely(scene: Scene) -> Ruling:
    """The measures of Art. 25(2), together."""
    return scene.together("RTS-25.2.a", "RTS-25.2.b", "RTS-25.2.c-channel")


@rule(
    "RTS-25.2.a",
    obligation="mechanisms ensure that what is delivered reaches the legitimate user",
    source=f"{_SOURCE}(2)(a)",
    best=Grade.LOGGED,
    passes=(
        "each delivery on record went to an address that had been verified, and the record says how; or the "
        "operator declares it"
    ),
    fails="–",
    open="how the addresses were verified is not on record, and nothing is declared",
    settles="deliveries in the log with how their address was verified, or a declaration",
    declarable=True,
)
def delivered(scene: Scene) -> Ruling:
    """What was sent to the user went to an address that had been verified."""
    sent = scene.events("delivery")
    if not sent:
        return unknown("the log names no delivery")
    unverified = next((entry for entry in sent if not entry.fields.get("verified_by")), None)
    if unverified is not None:
        return unknown(f"nothing says how the address of {unverified.fields.get('channel')} was verified")
    return passes(seen(*sent))


@rule(
    "RTS-25.2.b",
    obligation="the authenticity of software delivered over the internet can be verified",
    source=f"{_SOURCE}(2)(b)",
    best=Grade.PROVED,
    passes="the app that enrolled is one of the bank's, as attested: package and signer, or App Attest's app id",
    fails="a code was accepted with a key that another app enrolled",
    open="which app enrolled is not attested",
    settles="an attestation that names the app",
)
def authentic_software(scene: Scene) -> Ruling:
    """The app that enrolled is one of the bank's."""
    if scene.evidence.credential is None:
        return unknown(not_on_record(scene))
    if scene.enrolled_as is Grade.NONE:
        return unknown(scene.attestation_why)
    checks = scene.present("attestation.application", "app_attest.category")
    bad = scene.failed(*checks)
    if bad is not None:
        return scene.blame(bad, scene.enrolled_as, bad)
    if not scene.passed("attestation.application"):
        return unknown(scene.why("attestation.application"))
    return passes(scene.checked(*scene.among_passed(*checks), grade=scene.enrolled_as))


@rule(
    "RTS-25.2.c-channel",
    obligation="remote delivery: nobody else gets more than one feature by one channel",
    source=f"{_SOURCE}(2)(c)",
    best=Grade.LOGGED,
    passes="two or more deliveries are on record, each by a channel of its own; or the operator declares it",
    fails="more than one feature came by one channel",
    open="the channels of both secret and activation code are not on record, and nothing is declared",
    settles=(
        "deliveries in the log, each with its channel, or a declaration (for instance that passcodes are set "
        "in a branch)"
    ),
    declarable=True,
)
def two_channels(scene: Scene) -> Ruling:
    """Secret and activation code did not come by one channel."""
    shared = one_channel(scene)
    given = deliveries(scene)
    said = "; ".join(f"{feature}: {channel}" for feature, channel in given.items())
    if shared is not None:
        return fails(f"more than one feature came by {shared}: {said}", Grade.LOGGED)
    if len(given) < 2:
        return unknown("the log does not name the channels of both secret and activation code")
    return passes(seen(*scene.events("delivery")), reason=said)


@rule(
    "RTS-25.2.c-activation",
    obligation="remote delivery: credentials, devices or software are activated before use",
    source=f"{_SOURCE}(2)(c)",
    best=Grade.LOGGED,
    passes="the activation stands in the log before the first use",
    fails="the credential was used before it was activated",
    open="the activation is not on record",
    settles="the log's record of the activation",
)
@for_enrolment
def activated_first(scene: Scene, _: LogEntry) -> Ruling:
    """Activation precedes the first use."""
    record = activation(scene)
    if record is None:
        return unknown("the log holds no activation")
    uses = scene.events("sca_attempt", credential_id=record.fields.get("credential_id"))
    if uses and uses[0].seq < record.seq:
        return fails(f"entry {uses[0].seq}: used before it was activated", Grade.LOGGED)
    return passes(seen(record, *uses[:1]))


@rule(
    "RTS-25.2.d",
    obligation="activation happens in a secure environment, by the procedures of Article 24",
    source=f"{_SOURCE}(2)(d)",
    best=Grade.LOGGED,
    passes="the activation is on record, in the session of the binding, and RTS-24.2.b passes",
    fails="RTS-24.2.b fails",
    open="the activation is not on record, or RTS-24.2.b is open",
    settles="what settles RTS-24.2.b",
    capped_by=("RTS-24.2.b",),
)
@for_enrolment
def activated_with_sca(scene: Scene, binding: LogEntry) -> Ruling:
    """The activation belongs to the enrolment, whose authentication RTS-24.2.b judges."""
    record = activation(scene)
    if record is None:
        return unknown("the log holds no activation")
    if record.fields.get("in_person_ref"):
        return passes(seen(record), reason="activated in person")
    if (record.session, record.transaction) != (binding.session, binding.transaction):
        return unknown("the activation was not part of the enrolment that bound the key")
    return passes(seen(record, binding))
