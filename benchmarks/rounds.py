"""How things are compared: in rounds, in which all contestants take turns in short slices, so that a noisy machine is noisy to all alike.

A round's ratio is a contestant's against the limit's in that same round; a row's ratio is the median of its rounds.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

SLICES = 8  # turns of each contestant in a round


class Contestant(Protocol):
    """Whatever can do the same thing many times over."""

    def run(self, count: int) -> float:
        """Do it `count` times; the seconds it took."""
        ...


@dataclass(frozen=True, slots=True)
class InProcess:
    """A function of this process, called with 0, 1, 2, …; its cost is processor time, which a busy machine leaves alone."""

    function: Callable[[int], object]

    def run(self, count: int) -> float:
        function = self.function
        gc.collect()
        start = time.process_time()
        for index in range(count):
            function(index)
        return time.process_time() - start


@dataclass(frozen=True)
class Row:
    """One row of the table. `ratio`: ours, as a share of the limit where `better` is higher, as a multiple of it where lower.

    `target` None: measured for information. `complete`: at the size that the target is for. `notes` says what is special about this run.
    """

    name: str
    limit: str
    better: str
    ratios: tuple[float, ...]
    target: float | None = None
    peers: Mapping[str, float] = field(default_factory=dict)
    unit: str = ""
    absolute: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    complete: bool = True

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without one, or at another size than its own."""
        if self.target is None or not self.complete:
            return None
        return self.ratio >= self.target if self.better == "higher" else self.ratio <= self.target

    def to_json(self) -> dict[str, Any]:
        """The row of `latest.json`."""
        return {
            "name": self.name, "ratio": round(self.ratio, 3), "target": self.target, "better": self.better, "limit": self.limit,
            "peers": {name: round(value, 3) for name, value in self.peers.items()}, "rounds": len(self.ratios),
            "min": round(min(self.ratios), 3), "max": round(max(self.ratios), 3), "met": self.met, "unit": self.unit,
            "absolute": {name: float(f"{value:.4g}") for name, value in self.absolute.items()}, "notes": list(self.notes),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds per operation of each contestant, one value for each round."""

    per_round: Mapping[str, tuple[float, ...]]

    def share(self, name: str, limit: str) -> tuple[float, ...]:
        """The limit's cost as a share of the contestant's, round by round: its speed, the limit's being 1."""
        return tuple(a / b for a, b in zip(self.per_round[limit], self.per_round[name], strict=True))

    def multiple(self, name: str, limit: str) -> tuple[float, ...]:
        """The contestant's cost as a multiple of the limit's."""
        return tuple(b / a for a, b in zip(self.per_round[limit], self.per_round[name], strict=True))

    def medians(self, scale: float = 1.0) -> dict[str, float]:
        return {name: statistics.median(values) * scale for name, values in self.per_round.items()}


def compare(contestants: Mapping[str, Contestant], *, rounds: int, slice_seconds: float = 0.03) -> Costs:
    """Let all take turns. Each slice does as many operations as filled `slice_seconds` in a trial before."""
    counts = {name: _how_many(contestant, slice_seconds) for name, contestant in contestants.items()}
    kept: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds):
        spent = dict.fromkeys(names, 0.0)
        for turn in range(SLICES):
            shift = (number + turn) % len(names)
            for name in names[shift:] + names[:shift]:
                spent[name] += contestants[name].run(counts[name])
        for name in names:
            kept[name].append(spent[name] / (SLICES * counts[name]))
    return Costs({name: tuple(values) for name, values in kept.items()})


def _how_many(contestant: Contestant, seconds: float) -> int:
    contestant.run(5)  # warm: imports, caches, compiled code
    count = 10
    while (took := contestant.run(count)) < seconds / 4 and count < 100_000:
        count *= 3
    return max(3, round(count * seconds / max(took, 1e-9)))
