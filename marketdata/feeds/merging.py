"""Recorded files merged block by block, so that however many ticks they hold, a few blocks are in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS, ist_date
from marketdata.domain.bars import MINUTE_MS
from marketdata.domain.calendar import EARLIEST_MS, LATEST_MS, Calendar
from marketdata.domain.stretch import FIELDS, Longs
from marketdata.domain.ticks import HAS_DEPTH, Tick

# Clock items start and end this long before and after continuous trading: 09:00 to 15:45 on an ordinary day.
CLOCK_MARGIN_MS = 15 * MINUTE_MS
BLOCK_TICKS = 16_384
# A stamp so far above the median of the next five is a fault: it must not push the clock of the stream ahead.
_AHEAD_MS_MAX = MINUTE_MS
_LOOK_AHEAD = 5
_BEYOND_MS = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Block:
    """Items in columns as in a Stretch, the stream's time of each, and the depth of ticks that have it."""

    columns: Longs
    times: Longs
    depths: npt.NDArray[Any]  # pairs of bids and asks, or None

    def __len__(self) -> int:
        return len(self.times)

    def at(self, places: Longs | slice) -> Block:
        return Block(self.columns[:, places], self.times[places], self.depths[places])


def joined(blocks: Sequence[Block]) -> Block:
    """Blocks one behind the other."""
    return Block(
        np.concatenate([block.columns for block in blocks], axis=1),
        np.concatenate([block.times for block in blocks]),
        np.concatenate([block.depths for block in blocks]),
    )


NOTHING = Block(np.empty((len(FIELDS), 0), np.int64), np.empty(0, np.int64), np.empty(0, object))


def blocks(ticks: Iterator[Tick]) -> Iterator[Block]:
    """The ticks of one file with their times: the highest believable stamp so far."""
    rest, latest_ms = NOTHING, 0
    while True:
        more = list(islice(ticks, BLOCK_TICKS))
        rest = joined([rest, _block(more)]) if len(rest) else _block(more)
        is_last = len(more) < BLOCK_TICKS
        times = _times(rest.columns[1], latest_ms, is_last=is_last)
        if len(times):
            latest_ms = int(times[-1])
            yield replace(rest.at(slice(len(times))), times=times)
            rest = rest.at(slice(len(times), None))
        if is_last:
            return


def _block(ticks: list[Tick]) -> Block:
    width = len(FIELDS)
    flat = np.fromiter(chain.from_iterable(tick[:width] for tick in ticks), np.int64, len(ticks) * width)
    depths = np.empty(len(ticks), object)
    for place, tick in enumerate(ticks):
        if tick.flags & HAS_DEPTH:
            depths[place] = tick.bids, tick.asks
    return Block(np.ascontiguousarray(flat.reshape(-1, width).T), np.empty(len(ticks), np.int64), depths)


def _times(stamps: Longs, latest_ms: int, *, is_last: bool) -> Longs:
    """The stream time of the first rows of a file, or of its next ones after `latest_ms`: of so many as the
    stamps at hand decide, of all where there are no more. Before the first believable stamp that one counts."""
    places = np.flatnonzero((stamps >= EARLIEST_MS) & (stamps < LATEST_MS))
    ahead = stamps[places]
    if is_last:
        ahead = np.concatenate([ahead, np.full(_LOOK_AHEAD, _BEYOND_MS)])
    decided = len(ahead) - _LOOK_AHEAD
    if decided <= 0:
        return np.full(len(stamps), latest_ms) if is_last else np.empty(0, np.int64)
    following = np.lib.stride_tricks.sliding_window_view(ahead[1:], _LOOK_AHEAD)[:decided]
    is_believable = ahead[:decided] <= np.median(following, axis=1) + _AHEAD_MS_MAX
    times = np.full(len(stamps) if is_last else int(places[decided]), latest_ms)
    believed = places[:decided][is_believable]
    times[believed] = np.maximum(times[believed], stamps[believed])
    if len(believed) and not latest_ms:
        times[0] = stamps[believed[0]]
    return np.maximum.accumulate(times)


def merged(
    files: Sequence[Iterator[Block]], calendars: Sequence[Calendar], *, every_ms: Callable[[], int]
) -> Iterator[Block]:
    """All items by time, then by order of the files, with clock items on the trading days of these markets that
    have ticks, each before the first item at or after it: every `every_ms`, asked when of each file a block is
    read; where that is not every minute, also at opening, closing and the minutes of ticks."""
    clocks: _Clocks | None = None
    for block in _in_order(files):
        clocks = clocks or _Clocks(calendars, every_ms())
        yield clocks.among(block)
    if clocks is not None:
        yield clocks.rest()


def _in_order(files: Sequence[Iterator[Block]]) -> Iterator[Block]:
    at_hand = [NOTHING] * len(files)
    unread = set(range(len(files)))
    while unread or any(map(len, at_hand)):
        horizon_ms = min((at_hand[n].times[-1] if len(at_hand[n]) else -1 for n in unread), default=None)
        for n in sorted(unread):  # what has the time of the horizon may go on in the next block
            if not len(at_hand[n]) or at_hand[n].times[-1] == horizon_ms:
                more = next(files[n], None)
                if more is None:
                    unread.discard(n)
                else:
                    at_hand[n] = joined([at_hand[n], more])
        horizon_ms = min((at_hand[n].times[-1] for n in unread), default=None)
        counts = [len(b) if horizon_ms is None else np.searchsorted(b.times, horizon_ms) for b in at_hand]
        ready = joined([b.at(slice(count)) for b, count in zip(at_hand, counts, strict=True)] or [NOTHING])
        at_hand = [b.at(slice(count, None)) for b, count in zip(at_hand, counts, strict=True)]
        if len(ready):
            yield ready.at(np.argsort(ready.times, kind="stable"))


class _Clocks:
    """Clock items of the days seen so far that are still to come."""

    def __init__(self, calendars: Sequence[Calendar], every_ms: int) -> None:
        self._calendars = calendars
        self._every_ms = every_ms
        self._ahead = np.empty(0, np.int64)
        self._told_ms = -1
        self._day = -1

    def among(self, block: Block) -> Block:
        """A block of the stream with the clock items that belong there."""
        days = np.unique((block.times[block.times > 0] + IST_OFFSET_MS) // DAY_MS)
        clocks = [self._ahead, *map(self._of_day, days[days > self._day].tolist())]
        if self._every_ms != MINUTE_MS:
            clocks.append((block.times - block.times % MINUTE_MS)[block.times > 0])
        ahead = np.unique(np.concatenate(clocks))
        ahead = ahead[ahead > self._told_ms]
        self._day = max(self._day, int(days[-1])) if len(days) else self._day
        count = np.searchsorted(ahead, block.times[-1], side="right")
        now, self._ahead = ahead[:count], ahead[count:]
        self._told_ms = int(now[-1]) if len(now) else self._told_ms
        places = np.searchsorted(block.times, now, side="left")
        return Block(
            np.insert(block.columns, places, _clock_columns(now), axis=1),
            np.insert(block.times, places, now),
            np.insert(block.depths, places, None),
        )

    def rest(self) -> Block:
        """What comes after the last tick."""
        return Block(_clock_columns(self._ahead), self._ahead, np.empty(len(self._ahead), object))

    def _of_day(self, day: int) -> Longs:
        """From before the first market opens until after the last closes."""
        sessions = [found for one in self._calendars if (found := one.session(ist_date(day * DAY_MS)))]
        if not sessions:
            return np.empty(0, np.int64)
        opens = [session.opens_ms for session in sessions]
        closes = [session.closes_ms for session in sessions]
        first, last = min(opens) - CLOCK_MARGIN_MS, max(closes) + CLOCK_MARGIN_MS
        clocks = np.arange(first, last + 1, self._every_ms)
        return clocks if self._every_ms == MINUTE_MS else np.concatenate([clocks, opens, closes])


def _clock_columns(times: Longs) -> Longs:
    columns = np.zeros((len(FIELDS), len(times)), np.int64)
    columns[1] = times
    return columns
