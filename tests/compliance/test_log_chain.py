"""The hash chain of the event log (RTS Art. 29(2)(b)): what was done to it afterwards is found, and named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from device_keys.encoding import FormatError
from server_stub.log_chain import (
    GENESIS,
    Chain,
    Kept,
    LogEntry,
    append_entry,
    entry_hash,
    read_entry,
    verify_chain,
    verify_log_pages,
)


def chain(length: int) -> list[LogEntry]:
    entries: list[LogEntry] = []
    head = GENESIS
    for number in range(1, length + 1):
        entry = append_entry(
            head, seq=number, at=f"2026-11-22T10:00:{number:02d}.000000Z", clock_id="server", event="payer_activity",
            dialect="bank", user="u-1", session="s-1", transaction="", fields={"number": number, "text": "Zoë"},
        )  # fmt: skip
        head = entry.hash
        entries.append(entry)
    return entries


def test_an_untouched_chain_holds() -> None:
    assert verify_chain(chain(6)) is None
    assert verify_chain([]) is None


@pytest.mark.parametrize("removed", range(5))
def test_a_removed_entry_is_named(removed: int) -> None:
    entries = chain(6)
    del entries[removed]
    problem = verify_chain(entries)
    assert problem is not None
    assert (problem.seq, problem.problem) == (removed + 1, "removed")


@pytest.mark.parametrize("member", [name for name in LogEntry.__struct_fields__ if name not in ("seq", "previous")])
def test_an_altered_member_is_found_and_named(member: str) -> None:
    entries = chain(6)
    entries[2] = msgspec.structs.replace(entries[2], **{member: {"number": 9} if member == "fields" else "x"})
    problem = verify_chain(entries)
    assert problem is not None
    assert (problem.seq, problem.problem) == (3, "altered")


def test_an_altered_entry_with_a_new_hash_is_found_at_the_next() -> None:
    """Who rewrites one entry has to rewrite all that follow it."""
    entries = chain(6)
    forged = msgspec.structs.replace(entries[2], user="u-2")
    entries[2] = msgspec.structs.replace(forged, hash=entry_hash(forged))
    problem = verify_chain(entries)
    assert problem is not None
    assert (problem.seq, problem.problem) == (4, "altered")


def test_two_entries_that_changed_places_are_named() -> None:
    entries = chain(6)
    entries[2], entries[3] = entries[3], entries[2]
    problem = verify_chain(entries)
    assert problem is not None
    assert (problem.seq, problem.problem) == (4, "reordered")


def test_a_cut_off_end_is_seen_against_a_hash_kept_elsewhere() -> None:
    entries = chain(6)
    assert verify_chain(entries[:-1]) is None
    for kept in ({"expected_count": 6}, {"expected_head": entries[-1].hash}):
        problem = verify_chain(entries[:-1], **kept)  # type: ignore[arg-type]
        assert problem is not None
        assert (problem.seq, problem.problem) == (6, "truncated")


def test_a_piece_is_verified_from_the_hash_before_it() -> None:
    entries = chain(6)
    assert verify_chain(entries[3:], start=entries[2].hash, first_seq=4) is None
    assert verify_chain(entries[3:], start=entries[1].hash, first_seq=4) is not None


def test_entries_survive_storage_as_json() -> None:
    entries = [msgspec.json.decode(msgspec.json.encode(entry), type=LogEntry) for entry in chain(4)]
    assert verify_chain(entries) is None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=6), json_values, max_size=4)


@given(fields=json_objects)
def test_the_hash_is_what_any_rfc_8785_tool_computes(fields: dict[str, Any]) -> None:
    entry = append_entry(
        GENESIS, seq=1, at="2026-11-22T10:00:00.000000Z", clock_id="server", event="order_created", dialect="bank",
        user="u", session="s", transaction="t", fields=fields,
    )  # fmt: skip
    document = json.loads(msgspec.json.encode(entry))
    kept, previous = document.pop("hash"), document.pop("previous")
    assert hashlib.sha256(previous.encode() + rfc8785.dumps(document)).hexdigest() == kept


# --- read from a server, page by page ---------------------------------------------------------------------------------


def paged(entries: list[LogEntry], size: int = 2) -> Callable[[int | None], bytes]:
    """A server's answers: the entries after a number, some at a time."""

    def page(after: int | None) -> bytes:
        later = [entry for entry in entries if after is None or entry.seq > after][:size]
        return msgspec.json.encode(later)

    return page


def test_a_log_of_many_pages_is_followed_to_its_head() -> None:
    entries = chain(7)
    assert verify_log_pages(paged(entries)) == Chain(7, entries[-1].hash, None)
    assert verify_log_pages(paged([])) == Chain(0, GENESIS, None)


@given(length=st.integers(0, 7), kept=st.integers(0, 7), which=st.sampled_from(["head", "count", "both"]))
def test_what_was_kept_holds_exactly_where_the_log_still_has_it(length: int, kept: int, which: str) -> None:
    """A log may have grown since, never shrunk."""
    whole = chain(7)
    head = whole[kept - 1].hash if kept else GENESIS
    promise = Kept(None if which == "count" else head, None if which == "head" else kept)
    found = verify_log_pages(paged(whole[:length]), promise)
    assert (found.problem is None) == (kept <= length)
    if found.problem is not None:
        assert found.problem.problem == "truncated"


@given(place=st.integers(1, 6))
def test_a_log_that_was_cut_and_grew_again_is_found_by_the_head(place: int) -> None:
    whole = chain(7)
    entries = whole[:place]
    for number in range(place + 1, 9):
        entries.append(
            append_entry(
                entries[-1].hash, seq=number, at="2026-11-22T11:00:00.000000Z", clock_id="server", event="other", dialect="bank",
                user="u-1", session="s-1", transaction="", fields={},
            )
        )  # fmt: skip
    assert verify_log_pages(paged(entries)).problem is None
    assert verify_log_pages(paged(entries), Kept(whole[-1].hash, 7)).problem is not None
    assert verify_log_pages(paged(entries), Kept(head=whole[-1].hash)).problem is not None


def test_an_entry_before_the_first_is_named() -> None:
    forged = append_entry(
        GENESIS, seq=-7, at="2026-11-22T10:00:00.000000Z", clock_id="server", event="forged", dialect="bank", user="u-1",
        session="s-1", transaction="", fields={},
    )  # fmt: skip
    problem = verify_log_pages(paged([forged, *chain(3)])).problem
    assert problem is not None
    assert (problem.seq, problem.problem) == (-7, "added")


@given(data=st.data())
def test_no_other_text_than_the_one_that_was_written_is_an_entry_of_the_chain(data: st.DataObject) -> None:
    """Any byte changed, added or taken away: not read as an entry, or its hash does not fit."""
    text = msgspec.json.encode(chain(1)[0])
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.binary(max_size=2).filter(lambda new: new != text[place : place + 1]))
    changed = text[:place] + other + text[place + 1 :]
    entry = read_entry(changed)
    assert entry is None or entry_hash(entry) != entry.hash


@pytest.mark.parametrize("change", [{"note": "x"}, {"fields": []}, {"seq": "1"}, {"user": None}])
def test_an_entry_with_members_of_another_kind_is_none(change: dict[str, Any]) -> None:
    document = json.loads(msgspec.json.encode(chain(1)[0]))
    assert read_entry(json.dumps(document, separators=(",", ":"), ensure_ascii=False)) == chain(1)[0]
    assert read_entry(json.dumps(document | change, separators=(",", ":"), ensure_ascii=False)) is None


def test_a_page_that_is_no_array_is_refused() -> None:
    with pytest.raises(FormatError, match="an array of log entries"):
        verify_log_pages(lambda _: b"{}")
