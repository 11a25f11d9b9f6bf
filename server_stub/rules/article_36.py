"""RTS Article 36: exchange of data with third parties."""

from __future__ import annotations

from server_stub.rules.article_30 import of_third_parties
from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling
from server_stub.rules.scene import Scene
from server_stub.verdict import Grade


@rule(
    "RTS-36.5",
    obligation="an account information provider accesses when the user asks, or at most four times in 24 hours",
    source="Delegated Regulation (EU) 2018/389, Art. 36(5)",
    best=Grade.LOGGED,
    passes="–",
    fails="–",
    open="a third-party provider acts",
    settles="a record of the third party's accesses",
)
def unattended_access(scene: Scene) -> Ruling:
    """Third parties only."""
    return of_third_parties(scene)
