"""One place of an evidence bundle altered, and everything that anybody could make anew made anew."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from device_keys.encoding import canonical_json
from server_stub.evidence_key import EvidenceKey
from server_stub.log_chain import LogEntry, entry_hash

from .bundles import resealed

FORGER: Final = EvidenceKey(bytes(range(32)))
Path = tuple[str | int, ...]


def places(value: Any, path: Path = ()) -> list[Path]:
    """Every place of a JSON value that holds no further value."""
    if isinstance(value, dict) and value:
        return [place for name, inner in value.items() for place in places(inner, (*path, name))]
    if isinstance(value, list) and value:
        return [place for number, inner in enumerate(value) for place in places(inner, (*path, number))]
    return [path]


@st.composite
def forgeries(draw: st.DrawFn, genuine: bytes) -> tuple[Path, bytes]:
    """The place that was altered, and the file: sealed with the forger's key under his name or the server's, or with the old signature."""
    members = json.loads(genuine)
    signature = members["signature"]
    where = draw(st.sampled_from([place for place in places(members) if place[0] not in ("digest", "signature")]))
    holder = members
    for step in where[:-1]:
        holder = holder[step]
    holder[where[-1]] = draw(_others(holder[where[-1]]))
    if where[0] == "log" and len(where) > 1:
        members["log"][where[1]] = _rehashed(members["log"][where[1]])
    forged = resealed(members, FORGER)
    how = draw(st.sampled_from(["own", "own key under the server's name", "old signature"]))
    if how == "own":
        return where, forged
    value = json.loads(forged)["signature"]["value"] if how.startswith("own") else signature["value"]
    renamed = json.loads(forged) | {"signature": signature | {"value": value}}
    named = resealed(renamed | {"signer": members["signer"]}, FORGER) if "signer" in members else forged
    body, _, _ = named.rpartition(b',"signature":')
    return where, body + b',"signature":' + canonical_json(renamed["signature"]) + b"}"


def _others(value: Any) -> st.SearchStrategy[Any]:
    """Values of the same kind that are not this one, and a few of another."""
    if isinstance(value, bool):
        return st.just(not value)
    if isinstance(value, int):
        return st.sampled_from([value + 1, value - 1, 0, -1]).filter(lambda other: other != value)
    if isinstance(value, str):
        return st.sampled_from([value + "0", value[:-1], "", "right", "accepted"]).filter(lambda other: other != value)
    return st.sampled_from(["", 0, True])


def _rehashed(entry: dict[str, Any]) -> dict[str, Any]:
    """A log entry with the hash that fits it, where it still is one."""
    try:
        read = msgspec.convert(entry, LogEntry)
    except msgspec.ValidationError:
        return entry
    return entry | {"hash": entry_hash(read)}
