"""The vectors of others: read where they lie, found by the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of vectors; without it the test is skipped and says why."""
    folder = os.environ.get("STEPUP_VECTORS")
    if not folder:
        pytest.skip("STEPUP_VECTORS does not name the folder of outside vectors")
    path = Path(folder)
    assert path.is_dir(), f"STEPUP_VECTORS names {path}, which is no folder"
    return path
