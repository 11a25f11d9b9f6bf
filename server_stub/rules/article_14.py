"""RTS Article 14: the exemption for recurring transactions."""

from __future__ import annotations

from server_stub.rules.article_10 import without_exemption
from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling
from server_stub.rules.scene import Scene
from server_stub.verdict import Grade


@rule(
    "RTS-14.1",
    obligation="SCA is applied when a series of transactions is created, amended, or initiated for the first time",
    source="Delegated Regulation (EU) 2018/389, Art. 14(1)",
    best=Grade.LOGGED,
    passes="– (no dialect here has series)",
    fails="–",
    open="the exemption was used, and the SCA behind the series is not on record",
    settles="the accepted code under which the series was made",
)
def series(scene: Scene) -> Ruling:
    """Not applicable where the payment itself had SCA."""
    return without_exemption(scene, "14", "under which SCA the series was made is not on record")
