"""Every parser answers everything with a value or a `FormatError`: the targets of `fuzz.py`, bounded and repeatable, and its findings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .targets import TARGETS, bundle_body, run_bundle

ORDINARY, DEEP = 150, 20_000


def altered(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """A seed with a few bytes replaced, cut out, doubled or put in."""

    @st.composite
    def alter(draw: st.DrawFn) -> bytes:
        data = bytearray(draw(st.sampled_from(seeds)))
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, max(len(data) - 1, 0)))
            match draw(st.sampled_from(["replace", "cut", "double", "insert", "end"])):
                case "replace" if data:
                    data[at] = draw(st.integers(0, 255))
                case "cut":
                    del data[at : at + draw(st.integers(1, 40))]
                case "double":
                    data[at:at] = data[at : at + draw(st.integers(1, 40))]
                case "insert":
                    data[at:at] = draw(st.binary(max_size=12))
                case _:
                    del data[at:]
        return bytes(data)

    return alter() | st.binary(max_size=80)


@pytest.mark.parametrize("examples", [ORDINARY, pytest.param(DEEP, marks=pytest.mark.deep)])
@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_gives_a_value_or_a_format_error(name: str, examples: int) -> None:
    target = TARGETS[name]
    seeds = target.seeds()

    @settings(
        max_examples=examples, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(data=altered(seeds))
    def run(data: bytes) -> None:
        target.run(data)

    for seed in seeds:
        target.run(seed)
    run()


def broken_pem() -> bytes:
    return b"-----BEGIN CERTIFICATE-----\nMIIBA\n-----END CERTIFICATE-----\n"


def far_nonce() -> bytes:
    document = json.loads(bundle_body())
    document["evidence"]["nonce"]["issuedAt"] = "0001-01-01T00:00:00Z"
    return json.dumps(document).encode()


def lone_surrogate() -> bytes:
    document = json.loads(bundle_body())
    document["log"][0]["user"] = "\ud800"
    return json.dumps(document).encode()


# Each was found by a longer run, and ended in a traceback then.
FINDINGS = [("inspect", broken_pem), ("bundle", far_nonce), ("bundle", lone_surrogate)]


@pytest.mark.parametrize(("name", "made"), FINDINGS)
def test_what_fuzzing_found_stays_fixed(name: str, made: Callable[[], bytes]) -> None:
    TARGETS[name].run(made())


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the values stand in a JSON document."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield (*path, name)
        yield from leaves(child, (*path, name))


WRONG = st.sampled_from(
    [None, True, 0, -1, 2**53, 1.5, "", "x", "9" * 400, [], {}, [[]], {"a": {}}, "2026-13-45", "\ud800", "AA"]
)


@pytest.mark.parametrize("examples", [ORDINARY, pytest.param(DEEP, marks=pytest.mark.deep)])
def test_a_bundle_with_any_value_in_any_place_is_refused_or_appraised(examples: int) -> None:
    """Evidence comes from outside: `appraise` never ends in a traceback (DESIGN section 5)."""
    whole = bundle_body()
    places = list(leaves(json.loads(whole)))

    @settings(
        max_examples=examples, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(changes=st.lists(st.tuples(st.sampled_from(places), WRONG), min_size=1, max_size=2))
    def run(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
        document = json.loads(whole)
        for path, wrong in changes:
            _put(document, path, deepcopy(wrong))  # or a value put into itself would be a circle
        run_bundle(json.dumps(document).encode())

    run()


def _put(document: Any, path: tuple[Any, ...], value: Any) -> None:
    for name in path[:-1]:
        try:
            document = document[name]
        except (KeyError, IndexError, TypeError):
            return  # an earlier change took the place away
    if isinstance(document, dict) or (
        isinstance(document, list) and isinstance(path[-1], int) and path[-1] < len(document)
    ):
        document[path[-1]] = value
