"""A pytest plugin that keeps every nth test: `STEPUP_EVERY=2/5` keeps the second, the seventh, the twelfth … of those selected."""

from __future__ import annotations

import os

import pytest


@pytest.hookimpl(trylast=True)  # after markers have deselected theirs
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    which, _, of = os.environ["STEPUP_EVERY"].partition("/")
    kept = items[int(which) - 1 :: int(of)]
    rest = set(items) - set(kept)
    config.hook.pytest_deselected(items=[item for item in items if item in rest])
    items[:] = kept
