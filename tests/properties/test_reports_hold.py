"""The report tested against itself: for any phone, order and history, what must hold of every verdict does (`tests/support/laws.py`).

The ordinary run repeats the same stories each time. The deep run draws new ones, in shards: `make deep-properties`.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server_stub.appraisal import appraise
from server_stub.bundle import BundleError, read_bundle

from ..support.forging import forgeries
from ..support.laws import Judged, hold, judged, text_json_and_html_say_the_same
from ..support.numbers import SHARDS, ordinary, postgresql, seeded, shard_settings
from ..support.stories import Act, Told, play, profiles, stories
from ..support.worlds import World, world_of


def played(profile: str, tls: bool, story: list[Act]) -> tuple[World, Told]:
    """A world after a story."""
    world = world_of(profile, tls).restore()
    return world, play(world, story)


@ordinary
@given(profile=profiles, tls=st.booleans(), story=stories)
def test_the_laws_hold_of_every_verdict(profile: str, tls: bool, story: list[Act]) -> None:
    for one in judged(*played(profile, tls, story)):
        hold(one)


@ordinary
@given(profile=profiles, tls=st.booleans(), story=stories)
def test_text_json_and_html_say_the_same_of_the_newest_step_up(profile: str, tls: bool, story: list[Act]) -> None:
    for one in _newest(*played(profile, tls, story)):
        text_json_and_html_say_the_same(one)


def _newest(world: World, told: Told) -> list[Judged]:
    """The newest attempt, where there is one: to write a report costs ten times what it costs to judge."""
    one = next(judged(world, told), None)
    return [] if one is None else [one]


@ordinary
@given(profile=profiles, tls=st.booleans(), story=stories, data=st.data())
def test_a_bundle_altered_in_one_place_and_sealed_anew_is_refused(
    profile: str, tls: bool, story: list[Act], data: st.DataObject
) -> None:
    for one in _newest(*played(profile, tls, story)):
        refuses_a_forgery(one, data)


def refuses_a_forgery(one: Judged, data: st.DataObject) -> None:
    """The file as the server wrote it is the server's; altered and sealed by anybody else it is refused by the server's key."""
    assert appraise(one.bundle, server_key=one.server_key).appraisal.origin == "verified"
    place, forged = data.draw(forgeries(one.raw_bundle))
    assert forged != one.raw_bundle
    try:
        found = appraise(read_bundle(forged), server_key=one.server_key)
    except BundleError:
        return
    assert found.appraisal.origin == "wrong-key", place


@postgresql
@given(story=stories)
def test_the_laws_hold_over_postgresql(shared_database: str, story: list[Act]) -> None:
    world = world_of("pixel-9", False, shared_database).restore()
    for one in judged(world, play(world, story)):
        hold(one)


@pytest.mark.deep
@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_laws_hold_at_length(shard: int, pytestconfig: pytest.Config) -> None:
    """Stories that nobody has seen before."""

    @settings(shard_settings())
    @given(profile=profiles, tls=st.booleans(), story=stories, data=st.data())
    def run(profile: str, tls: bool, story: list[Act], data: st.DataObject) -> None:
        for number, one in enumerate(judged(*played(profile, tls, story))):
            hold(one)
            if number == 0:
                text_json_and_html_say_the_same(one)
                refuses_a_forgery(one, data)

    seeded(run, pytestconfig.getoption("hypothesis_seed"), shard)()
