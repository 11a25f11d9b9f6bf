"""RTS Article 35: security of sessions."""

from __future__ import annotations

from typing import Final

from server_stub.log_chain import LogEntry
from server_stub.rules.article_30 import of_third_parties
from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, fails, passes, seen, unknown
from server_stub.rules.scene import Scene
from server_stub.verdict import Grade

_SOURCE: Final = "Delegated Regulation (EU) 2018/389, Art. 35"
_WEAK: Final = ("SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1")


@rule(
    "RTS-35.1",
    obligation="strong encryption throughout sessions over the internet (for the payer: through Article 4(3)(c))",
    source=f"{_SOURCE}(1)",
    best=Grade.LOGGED,
    passes="the call came by TLS, and so did the login of its session",
    fails="the call came by plain HTTP from another machine, or by a version that is no strong encryption",
    open="the call came by plain HTTP within one machine, or how the session began is not on record",
    settles="the same step-up over TLS (`stepup-server serve --tls`)",
)
def encrypted(scene: Scene) -> Ruling:
    """The call came by TLS; plain HTTP on loopback says nothing, elsewhere it fails."""
    if scene.evidence.transport == "http-loopback":
        return unknown("loopback")
    if scene.evidence.transport != "tls":
        return fails("plain HTTP", Grade.LOGGED)
    mine = [e for e in scene.events("session_started") if e.session == scene.evidence.transaction.session]
    calls = [*mine, *([scene.attempt_entry] if scene.attempt_entry is not None else [])]
    old = next((version for version in map(_tls_version, calls) if version in _WEAK), None)
    if old is not None:
        return fails(f"{old} is no strong encryption", Grade.LOGGED)
    if not mine:
        return unknown("how the session began is not on record")
    if _tls_version(mine[-1]) is None:
        return unknown("the session's login did not come by TLS, as far as the log tells")
    return passes(seen(scene.evidence, mine[-1]), reason="this call and the login of its session came by TLS")


def _tls_version(entry: LogEntry) -> str | None:
    tls = entry.fields.get("tls")
    version = tls.get("version") if isinstance(tls, dict) else tls
    return version if isinstance(version, str) else None


@rule(
    "RTS-35.2",
    obligation="AISP, PISP or card issuer: sessions as short as possible, ended when the action is done",
    source=f"{_SOURCE}(2)",
    best=Grade.LOGGED,
    passes="–",
    fails="–",
    open="a third-party provider acts",
    settles="a record of the third party's session",
)
def short_session(scene: Scene) -> Ruling:
    """Third parties only."""
    return of_third_parties(scene)


@rule(
    "RTS-35.3",
    obligation="AISP, PISP or card issuer: parallel sessions are securely linked",
    source=f"{_SOURCE}(3)",
    best=Grade.LOGGED,
    passes="–",
    fails="–",
    open="a third-party provider acts",
    settles="a record of the third party's sessions",
)
def linked_sessions(scene: Scene) -> Ruling:
    """Third parties only."""
    return of_third_parties(scene)


@rule(
    "RTS-35.4",
    obligation="AISP, PISP or card issuer: unambiguous references to user, session and transaction",
    source=f"{_SOURCE}(4)",
    best=Grade.LOGGED,
    passes="–",
    fails="–",
    open="a third-party provider acts",
    settles="a record of the third party's messages",
)
def references(scene: Scene) -> Ruling:
    """Third parties only."""
    return of_third_parties(scene)


@rule(
    "RTS-35.5",
    obligation="where communicated, credentials and codes are not readable by any staff at any time",
    source=f"{_SOURCE}(5), first sentence",
    best=Grade.DECLARED,
    passes="the operator declares it",
    fails="a member of the log is named like a secret and holds a value, or a secret's value stands in a record",
    open="nothing is declared",
    settles="a declaration: who may read what, and how that is made sure",
    declarable=True,
)
def staff(scene: Scene) -> Ruling:
    """Nothing secret is readable in the log; who may read what, only an operator can say."""
    leak = scene.secret_paths()
    if leak:
        return fails(f"a member named like a secret holds a value: {leak[0]}", Grade.LOGGED)
    if scene.secret_found_in:
        return fails(f"a secret's value stands in {scene.secret_found_in[0]}", Grade.LOGGED)
    return unknown("who may read what is not on record")


@rule(
    "RTS-35.5-notice",
    obligation="loss of confidentiality of credentials is notified without undue delay",
    source=f"{_SOURCE}(5), second sentence",
    best=Grade.DECLARED,
    passes="the operator declares it",
    fails="–",
    open="nothing is declared",
    settles="a declaration: who is notified of a loss of confidentiality, and when",
    declarable=True,
)
def notified(scene: Scene) -> Ruling:
    """An operator's statement only."""
    return unknown("who is notified of a loss of confidentiality is not on record")
