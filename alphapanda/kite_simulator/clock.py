"""The simulator's time and what is to happen in it: epoch ms, run by the machine's clock or moved by hand."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable

from alphapanda.core.clock import IST, to_datetime

Act = Callable[[int], None]  # is given the time at which it is due


def wall_ms() -> int:
    """The clock of this machine."""
    return time.time_ns() // 1_000_000


class SimClock:
    """Runs `speed` times as fast as the machine's clock from `starts_ms` on; at speed 0 it stands until it is moved.

    `pace_ms` is what rate limits count by: the machine's clock, so that a fast replay does not take more calls.
    `skew_ms` is how far the times that answers state are from the simulator's own."""

    def __init__(
        self, *, starts_ms: int | None = None, speed: float = 1.0, wall: Callable[[], int] = wall_ms
    ) -> None:
        self.speed = speed
        self.skew_ms = 0
        self._wall = wall
        self._origin = wall()
        self._base = self._origin if starts_ms is None else starts_ms

    def now_ms(self) -> int:
        return self._base + int((self._wall() - self._origin) * self.speed)

    def pace_ms(self) -> int:
        return self._wall() + self.skew_ms

    def move(self, by_ms: int) -> None:
        """Forward by so much at once. Raises ValueError for a step back: what has happened stays."""
        if by_ms < 0:
            raise ValueError(f"time goes forward, not by {by_ms} ms")
        self._base += by_ms

    def run_at(self, speed: float) -> None:
        """From now on at another speed. Raises ValueError for a negative one."""
        if not 0 <= speed < float("inf"):
            raise ValueError(f"a speed is 0 or above, not {speed}")
        self._base, self._origin = self.now_ms(), self._wall()
        self.speed = speed

    def seconds_until(self, at_ms: int) -> float:
        """How long the machine's clock takes to a time; infinite where the clock stands."""
        ahead = at_ms - self.now_ms()
        return max(ahead, 0) / self.speed / 1_000 if self.speed else float("inf")

    def text(self, at_ms: int) -> str:
        """A time as answers state it: IST, YYYY-MM-DD HH:MM:SS."""
        return to_datetime(at_ms + self.skew_ms).astimezone(IST).strftime("%Y-%m-%d %H:%M:%S")


class Schedule:
    """What is due when; acts of one time happen in the order in which they were entered."""

    def __init__(self) -> None:
        self.entered: Callable[[], None] | None = None  # is told of every new act
        self._heap: list[tuple[int, int, Act]] = []
        self._count = 0

    def at(self, at_ms: int, act: Act) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at_ms, self._count, act))
        if self.entered is not None:
            self.entered()

    @property
    def next_ms(self) -> int | None:
        """When the next act is due; None where none waits."""
        return self._heap[0][0] if self._heap else None

    def run_next(self) -> None:
        """Do the next act. Raises IndexError where none waits."""
        at_ms, _, act = heapq.heappop(self._heap)
        act(at_ms)
