"""Consecutive items of a recorded stream in columns: what is to be seen of many ticks at once is seen in numpy,
and a Tick is made only where somebody wants one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from marketdata.domain.ticks import Clock, Item, Levels, Tick

Longs = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Depths = Mapping[int, tuple[Levels, Levels]]

FIELDS = Tick._fields[:12]  # the rows of `Stretch.columns`; bids and asks are apart
_made: Any = partial(tuple.__new__, Tick)  # what Tick._make does, without a frame for each


class Stretch:
    """Items of the numbers from `first_seq` on. `columns` has a row for each of FIELDS and a column for each
    item; token 0 is a clock item. `depths`: bids and asks by place, of the ticks that have them."""

    __slots__ = ("columns", "depths", "first_seq")

    def __init__(self, columns: Longs, *, first_seq: int, depths: Depths | None = None) -> None:
        self.columns = columns
        self.first_seq = first_seq
        self.depths: Depths = depths or {}

    def __len__(self) -> int:
        return int(self.columns.shape[1])

    @property
    def tokens(self) -> Longs:
        return self.column("token")

    @property
    def at_ms(self) -> Longs:
        return self.column("at_ms")

    def column(self, name: str) -> Longs:
        """A field of all items; 0 in clock items but for the two times that they have."""
        column: Longs = self.columns[FIELDS.index(name)]
        return column

    def item(self, place: int) -> Item:
        """The item at a place."""
        row = self.columns[:, place].tolist()
        return Clock(row[1], row[3]) if not row[0] else Tick._make((*row, *self.depths.get(place, ((), ()))))

    def ticks(self, places: Longs) -> list[Tick]:
        """The ticks at these places."""
        rows = self.columns[:, places].tolist()
        if not self.depths:
            return list(map(_made, zip(*rows, repeat(()), repeat(()), strict=False)))
        found = [self.depths.get(place, ((), ())) for place in places.tolist()]
        return [_made((*row, *depth)) for row, depth in zip(zip(*rows, strict=True), found, strict=True)]

    def items(self, start: int = 0) -> Iterator[Item]:
        """All items from a place on."""
        rows = zip(*self.columns[:, start:].tolist(), strict=True)
        for place, row in enumerate(rows, start):
            yield Clock(row[1], row[3]) if not row[0] else _made((*row, *self.depths.get(place, ((), ()))))


def stretch_of(items: Sequence[Item], *, first_seq: int) -> Stretch:
    """Items in columns."""
    rows = [item[: len(FIELDS)] if isinstance(item, Tick) else _clock_row(item) for item in items]
    depths = {
        place: (item.bids, item.asks)
        for place, item in enumerate(items)
        if isinstance(item, Tick) and (item.bids or item.asks)
    }
    columns = np.array(rows, np.int64).reshape(-1, len(FIELDS)).T
    return Stretch(np.ascontiguousarray(columns), first_seq=first_seq, depths=depths)


def _clock_row(clock: Clock) -> tuple[int, ...]:
    return (0, clock.at_ms, 0, clock.received_ms, *[0] * (len(FIELDS) - 4))
