"""RTS Articles 10 and 10a: the exemption for access to account information."""

from __future__ import annotations

from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, Why, absent, unknown
from server_stub.rules.scene import Scene
from server_stub.verdict import Grade


def without_exemption(scene: Scene, article: str, missing: str) -> Ruling:
    """Not applicable where the log holds no use of this article's exemption; where it does, nothing here records its conditions."""
    if not scene.of_transaction("exemption_applied", article=article):
        return absent(Why.NO_EXEMPTION)
    return unknown(f"the exemption of Article {article} was used; {missing}")


@rule(
    "RTS-10.2",
    obligation="no exemption for the first access, nor more than 180 days after the last SCA",
    source="Delegated Regulation (EU) 2018/389, Art. 10(2), as amended by (EU) 2022/2360",
    best=Grade.LOGGED,
    passes="– (no dialect here exempts access)",
    fails="–",
    open="the exemption was used",
    settles="the instants of the first access and of the last SCA",
)
def first_access(scene: Scene) -> Ruling:
    """Not applicable where SCA was asked for."""
    return without_exemption(scene, "10", "when SCA was last applied is not on record")


@rule(
    "RTS-10a",
    obligation=(
        "access by an account information provider: SCA at the first access and every 180 days, else only for fraud"
    ),
    source="Delegated Regulation (EU) 2018/389, Art. 10a, inserted by (EU) 2022/2360",
    best=Grade.LOGGED,
    passes="– (no account information provider acts here)",
    fails="–",
    open="the exemption was used",
    settles="the instants of the first access and of the last SCA",
)
def access_by_provider(scene: Scene) -> Ruling:
    """Not applicable where SCA was asked for."""
    return without_exemption(scene, "10a", "when SCA was last applied is not on record")
