"""What the server takes on: a call beyond that is refused at once with 503 and `Retry-After`, so that what is accepted is answered soon.

Two limits, because calls wait in two places. Most are judged in one go on the event loop and wait *before* their turn: one that waited too
long is refused when its turn comes, at a hundredth of the cost of answering it, which is how a queue drains. Calls with a passcode wait
*inside*, for a processor to hash it: only so many may. Calls that are still being received, and open event streams, are no load; they have
limits of their own. All durations are of the monotonic clock, never of the server's steered one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

ARRIVAL: Final = "stepup.arrival"


class Overloaded(Exception):
    """This call is refused so that others are answered; nothing was read or changed on its behalf."""


class SlowClient(Exception):
    """The request did not arrive as a whole in its time."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Per process. `wait`: seconds before its turn after which a call is refused; `working`: calls begun and not answered;
    `streams`: event streams open at once; `head`, `body`: seconds in which the head and the body of a request must arrive;
    `head_size`: bytes of request line and headers."""

    wait: float = 2.0
    working: int = 64
    streams: int = 256
    head: float = 10.0
    body: float = 10.0
    head_size: int = 32 * 1024


class Arrival:
    """When a request had arrived, as far as it has: kept up to date by the connection, read when the request's turn comes."""

    __slots__ = ("at",)

    def __init__(self, at: float) -> None:
        self.at = at


class Load:
    """The calls that a process works on, and how many it turned away."""

    def __init__(self, limits: Limits | None = None, timer: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits or Limits()
        self.timer = timer
        self.working = 0
        self.most_working = 0
        self.streams = 0
        self.shed = 0

    @contextmanager
    def work(self, arrival: Arrival | None, *, always: bool = False) -> Iterator[None]:
        """One call, from its turn to its answer; `Overloaded` if it comes too late or too many are begun. `always`: never refused."""
        late = arrival is not None and self.timer() - arrival.at > self.limits.wait
        if not always and (late or self.working >= self.limits.working):
            self.shed += 1
            raise Overloaded
        self.working += 1
        self.most_working = max(self.most_working, self.working)
        try:
            yield
        except Overloaded:
            self.shed += 1
            raise
        finally:
            self.working -= 1

    @contextmanager
    def stream(self) -> Iterator[None]:
        """An open event stream."""
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1

    @property
    def streams_full(self) -> bool:
        """Whether a further stream is one too many."""
        return self.streams >= self.limits.streams

    def to_json(self) -> dict[str, Any]:
        """`{"working", "mostWorking", "streams", "shed"}` of this process."""
        return {
            "working": self.working,
            "mostWorking": self.most_working,
            "streams": self.streams,
            "shed": self.shed,
        }
