"""RTS Article 13: the exemption for trusted beneficiaries."""

from __future__ import annotations

from server_stub.rules.article_10 import without_exemption
from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling
from server_stub.rules.scene import Scene
from server_stub.verdict import Grade


@rule(
    "RTS-13.1",
    obligation="SCA is applied when the payer creates or amends a list of trusted beneficiaries",
    source="Delegated Regulation (EU) 2018/389, Art. 13(1)",
    best=Grade.LOGGED,
    passes="– (no dialect here lets a payer amend such a list)",
    fails="–",
    open="the exemption was used, and the SCA behind the list is not on record",
    settles="the accepted code under which the list was made",
)
def trusted_list(scene: Scene) -> Ruling:
    """Not applicable where the payment itself had SCA."""
    return without_exemption(scene, "13", "under which SCA the list was made is not on record")
