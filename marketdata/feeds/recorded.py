"""Recorded files merged into one numbered stream of ticks and clock items, always the same one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS, ist_date, ist_text
from marketdata.domain.bars import MINUTE_MS
from marketdata.domain.calendar import EARLIEST_MS, LATEST_MS, Calendar, MarketHours
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.markets import UnknownMarket
from marketdata.domain.stretch import Stretch
from marketdata.domain.ticks import FIRST_SEQ, HAS_DEPTH, Clock, Item, Levels, Tick, source_id
from marketdata.feeds.bar_files import DAY_MINUTES, NotInOrder
from marketdata.feeds.files import FileReport, RecordedFile, read_ticks

# Clock items start and end this long before and after continuous trading: 09:00 to 15:45 on an ordinary day.
CLOCK_MARGIN_MS = 15 * MINUTE_MS
DAYS_CLOCK_MS = 5 * MINUTE_MS  # between clock items where there are bars of days only
_FIELDS = 12  # of a Tick without depth
_CHUNK = 8_192
_STRETCH = 32_768
# A stamp so far above the median of the next five is a fault: it must not push the clock of the stream ahead.
_AHEAD_MS_MAX = MINUTE_MS
_LOOK_AHEAD = 5

Longs = npt.NDArray[np.int64]
Depths = dict[int, tuple[Levels, Levels]]


class UnknownInstrument(LookupError):
    """A recorded instrument that is not in the instrument list."""


class RecordedSource:
    """The stream of some files: by event time, then by order of the files; inside a file in recorded order,
    so that a faulty stamp moves nothing. Clock items stand at every minute of the trading days of the
    recorded markets that have ticks, before the first item at or after it; where all files are bars of days,
    every five minutes and at the minutes of ticks. Raises UnknownInstrument, UnknownFormat, NotInOrder,
    OSError."""

    def __init__(
        self,
        files: Sequence[RecordedFile],
        *,
        instruments: Mapping[str, InstrumentSpec],
        calendar: MarketHours,
        run: str = "",
    ) -> None:
        """`run` tells one playing of the same files from another: a new run is a new source."""
        self.reports = [FileReport(file.path) for file in files]
        self.name = "recorded:" + "|".join(f"{file.path.name}={file.key}" for file in files) + run
        self.source = source_id(self.name)
        self._depths: Depths = {}
        rows: list[Longs] = []
        times: list[Longs] = []
        for file, report in zip(files, self.reports, strict=True):
            loaded = self._load(file, report, instruments, calendar, sum(len(part) for part in rows))
            rows.append(loaded)
            times.append(_times(loaded[:, 1]))
        _check_overlap(files, times)
        every_ms = (
            DAYS_CLOCK_MS if {report.minutes for report in self.reports} == {DAY_MINUTES} else MINUTE_MS
        )
        calendars = _calendars(files, instruments, calendar)
        self._rows, self._times, self._order = _merged(rows, times, calendars, every_ms)

    def __len__(self) -> int:
        return len(self._order)

    @property
    def last_seq(self) -> int:
        """The number of the last item; FIRST_SEQ - 1 for an empty stream."""
        return FIRST_SEQ + len(self) - 1

    def iter_from(self, seq: int = FIRST_SEQ) -> Iterator[Item]:
        """The items from number `seq` on; the k-th has the number seq + k. `received_ms` is 0 in all."""
        for start in range(max(0, seq - FIRST_SEQ), len(self), _CHUNK):
            order = self._order[start : start + _CHUNK]
            for index, row in zip(order.tolist(), self._rows[order].tolist(), strict=True):
                if not row[0]:
                    yield Clock(row[1], 0)
                elif row[11] & HAS_DEPTH:
                    yield Tick._make((*row, *self._depths[index]))
                else:
                    yield Tick(*row)

    def stretches(self, start: int = 0, stop: int | None = None) -> Iterator[Stretch]:
        """The items from place `start` (counted from 0) up to before `stop`, many at a time; by default all."""
        end = len(self) if stop is None else min(stop, len(self))
        for first in range(start, end, _STRETCH):
            order = self._order[first : min(first + _STRETCH, end)]
            columns = np.ascontiguousarray(self._rows[order].T)
            depths = {at: self._depths[i] for at, i in enumerate(order.tolist()) if i in self._depths}
            yield Stretch(columns, first_seq=FIRST_SEQ + first, depths=depths)

    def times_from(self, seq: int = FIRST_SEQ) -> Longs:
        """The stream's own time (ms, never falling) at each item from number `seq` on."""
        times: Longs = self._times[max(0, seq - FIRST_SEQ) :]
        return times

    def _load(
        self,
        file: RecordedFile,
        report: FileReport,
        instruments: Mapping[str, InstrumentSpec],
        hours: MarketHours,
        base: int,
    ) -> Longs:
        spec = instruments.get(file.key)
        if spec is None:
            raise UnknownInstrument(f"{file.path.name}: {file.key} is not in the instrument list")
        try:
            calendar = hours.of(spec)
        except UnknownMarket as error:
            raise UnknownInstrument(str(error)) from error
        ticks = list(
            read_ticks(file.path, token=spec.token, is_index=spec.is_index, report=report, calendar=calendar)
        )
        for index, tick in enumerate(ticks):
            if tick.flags & HAS_DEPTH:
                self._depths[base + index] = tick.bids, tick.asks
        return np.array([tick[:_FIELDS] for tick in ticks], np.int64).reshape(-1, _FIELDS)


def _times(stamps: Longs) -> Longs:
    """The stream time of each row of a file: the highest believable stamp so far."""
    believable = (stamps >= EARLIEST_MS) & (stamps < LATEST_MS)
    ahead = stamps[believable]
    if not len(ahead):
        return np.zeros(len(stamps), np.int64)
    padded = np.concatenate([ahead, np.full(_LOOK_AHEAD, np.iinfo(np.int64).max)])
    following = np.lib.stride_tricks.sliding_window_view(padded[1:], _LOOK_AHEAD)
    believable[believable] = ahead <= np.median(following, axis=1) + _AHEAD_MS_MAX
    times = np.where(believable, stamps, 0)
    times[0] = times[0] or stamps[believable][0]
    return np.maximum.accumulate(times)


def _check_overlap(files: Sequence[RecordedFile], times: list[Longs]) -> None:
    """Raises NotInOrder where two files of one instrument tell of the same time."""
    kept = ((part[0], part[-1], file) for file, part in zip(files, times, strict=True) if len(part))
    by_key: dict[str, list[tuple[int, int, RecordedFile]]] = {}
    for first, last, file in kept:
        by_key.setdefault(file.key, []).append((int(first), int(last), file))
    for key, stretches in by_key.items():
        stretches.sort(key=lambda stretch: stretch[:2])
        for (_, until, before), (since, _, after) in pairwise(stretches):
            if since <= until:
                raise NotInOrder(
                    f"{after.path} begins at {ist_text(since)}, before {before.path} of the same {key} ends at "
                    f"{ist_text(until)}; files of one instrument are accepted where they do not overlap"
                )


def _merged(
    rows: list[Longs], times: list[Longs], calendars: Sequence[Calendar], every_ms: int
) -> tuple[Longs, Longs, Longs]:
    """All rows with clock rows behind them, the stream time of each item, and the order of the stream."""
    all_rows = np.concatenate([*rows, np.empty((0, _FIELDS), np.int64)])
    all_times = np.concatenate([*times, np.empty(0, np.int64)])
    order = np.argsort(all_times, kind="stable")
    sorted_times = all_times[order]
    clocks = _clock_times(sorted_times, calendars, every_ms)
    clock_rows = np.zeros((len(clocks), _FIELDS), np.int64)
    clock_rows[:, 1] = clocks
    places = np.searchsorted(sorted_times, clocks, side="left")
    return (
        np.concatenate([all_rows, clock_rows]),
        np.insert(sorted_times, places, clocks),
        np.insert(order, places, len(all_rows) + np.arange(len(clocks))),
    )


def _calendars(
    files: Sequence[RecordedFile], instruments: Mapping[str, InstrumentSpec], hours: MarketHours
) -> list[Calendar]:
    """The calendars of the recorded markets, each once."""
    found = [hours.of(instruments[file.key]) for file in files]
    return list({id(calendar): calendar for calendar in found}.values())


def _clock_times(times: Longs, calendars: Sequence[Calendar], every_ms: int) -> Longs:
    """Times of the days that have ticks, from before the first market opens until after the last closes."""
    clocks: list[npt.NDArray[Any]] = [np.empty(0, np.int64)]
    for day in np.unique((times[times > 0] + IST_OFFSET_MS) // DAY_MS).tolist():
        sessions = [found for c in calendars if (found := c.session(ist_date(day * DAY_MS)))]
        if sessions:
            opens = [session.opens_ms for session in sessions]
            closes = [session.closes_ms for session in sessions]
            first, last = min(opens) - CLOCK_MARGIN_MS, max(closes) + CLOCK_MARGIN_MS
            clocks.append(np.arange(first, last + 1, every_ms))
            if every_ms != MINUTE_MS:
                clocks.append(np.array([*opens, *closes], np.int64))
    if every_ms != MINUTE_MS:
        clocks.append((times - times % MINUTE_MS)[times > 0])
    return np.unique(np.concatenate(clocks))
