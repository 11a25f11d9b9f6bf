"""RTS Article 34: certificates of third parties."""

from __future__ import annotations

from server_stub.rules.article_30 import of_third_parties
from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling
from server_stub.rules.scene import Scene
from server_stub.verdict import Grade


@rule(
    "RTS-34",
    obligation="third-party providers identify themselves by qualified certificates",
    source="Delegated Regulation (EU) 2018/389, Art. 34",
    best=Grade.LOGGED,
    passes="–",
    fails="–",
    open="a third-party provider acts",
    settles="the third party's certificate",
)
def certificates(scene: Scene) -> Ruling:
    """Third parties only."""
    return of_third_parties(scene)
