"""How many examples the properties over generated worlds try, and how a deep run is split."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from hypothesis import HealthCheck, seed, settings

ORDINARY_EXAMPLES: Final = int(os.environ.get("STEPUP_PROPERTY_EXAMPLES", "500"))
POSTGRESQL_EXAMPLES: Final = 20
DEEP_EXAMPLES: Final = int(os.environ.get("STEPUP_DEEP_EXAMPLES", "20000"))
SHARDS: Final = 8

# A world is put back before each example, which hypothesis cannot see; and stories are long, so that some are drawn in vain.
ordinary: Final = settings(max_examples=ORDINARY_EXAMPLES, suppress_health_check=list(HealthCheck))
postgresql: Final = settings(ordinary, max_examples=min(POSTGRESQL_EXAMPLES, ORDINARY_EXAMPLES))


def shard_settings() -> settings:
    """Those of one of the shards of a deep run, each of which draws its part of the examples."""
    return settings(ordinary, max_examples=-(-DEEP_EXAMPLES // SHARDS))


def seeded(test: Callable[..., Any], run_seed: object, shard: int) -> Callable[..., Any]:
    """The test with a seed of the run and the shard, so that no two shards draw the same and each can be repeated."""
    return seed(f"{run_seed}/{shard}")(test)
