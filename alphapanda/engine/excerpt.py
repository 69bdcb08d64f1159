"""An excerpt of a recorded stream: from one item up to another. What is not in it cannot be read through it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import islice

import msgspec
import numpy as np

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS, ist_date, ist_midnight_ms
from marketdata.domain.stretch import Stretch
from marketdata.domain.ticks import FIRST_SEQ, Item
from marketdata.feeds.recorded import RecordedSource


class Excerpt(msgspec.Struct, frozen=True):
    """The items `start` to `stop` (exclusive, counted from 0) of a stream."""

    source: RecordedSource
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def first_seq(self) -> int:
        """The number of the first item in its stream."""
        return FIRST_SEQ + self.start

    def items(self) -> Iterator[Item]:
        return islice(self.source.iter_from(self.first_seq), len(self))

    def stretches(self) -> Iterator[Stretch]:
        """As `items`, many at a time."""
        return self.source.stretches(self.start, self.stop)

    def part(self, start: int, stop: int) -> Excerpt:
        """The items from `start` to `stop` of this excerpt, no more than it has."""
        stop = self.start + min(max(stop, 0), len(self))
        return Excerpt(self.source, min(self.start + max(start, 0), stop), stop)

    def between(self, since_ms: int, until_ms: int) -> Excerpt:
        """The items whose stream time is from `since_ms` up to before `until_ms`."""
        first, last = np.searchsorted(self._times(), [since_ms, until_ms])
        return self.part(int(first), int(last))

    def of_days(self, first: date | None, last: date | None) -> Excerpt:
        """The items of the days in India from `first` to `last`, both included; None is no bound."""
        since_ms = ist_midnight_ms(first) if first else 0
        until_ms = ist_midnight_ms(last) + DAY_MS if last else 2**62
        return self.between(since_ms, until_ms)

    def days(self) -> list[date]:
        """The days in India that have items."""
        times = self._times()
        numbers = np.unique((times[times > 0] + IST_OFFSET_MS) // DAY_MS)
        return [ist_date(int(number) * DAY_MS) for number in numbers]

    def _times(self) -> np.ndarray:
        return self.source.times_from(self.first_seq)[: len(self)]


def whole(source: RecordedSource) -> Excerpt:
    """All of a stream."""
    return Excerpt(source, 0, len(source))
