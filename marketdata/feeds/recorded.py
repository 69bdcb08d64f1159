"""Recorded files merged into one numbered stream of ticks and clock items, always the same one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from alphapanda.core.clock import ist_text
from marketdata.domain.bars import MINUTE_MS
from marketdata.domain.calendar import Calendar, MarketHours
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.markets import UnknownMarket
from marketdata.domain.stretch import Longs, Stretch
from marketdata.domain.ticks import FIRST_SEQ, Item, Tick, source_id
from marketdata.feeds.bar_files import DAY_MINUTES, NotInOrder
from marketdata.feeds.files import FileReport, RecordedFile, read_ticks
from marketdata.feeds.merging import Block, blocks, merged
from marketdata.feeds.spool import Spool

DAYS_CLOCK_MS = 5 * MINUTE_MS  # between clock items where there are bars of days only


class UnknownInstrument(LookupError):
    """A recorded instrument that is not in the instrument list."""


class RecordedSource:
    """The stream of some files: by event time, then by order of the files; inside a file in recorded order,
    so that a faulty stamp moves nothing. Clock items stand at every minute of the trading days of the
    recorded markets that have ticks, before the first item at or after it; where all files are bars of days,
    every five minutes and at the minutes of ticks. The files are read once, into a temporary file, so memory
    does not grow with the ticks. Raises UnknownInstrument, UnknownFormat, NotInOrder, OSError."""

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
        calendars = [_calendar(file, instruments, calendar) for file in files]
        read = [
            _Reading(file, _ticks(file, report, instruments[file.key], hours))
            for file, report, hours in zip(files, self.reports, calendars, strict=True)
        ]
        markets = list({id(hours): hours for hours in calendars}.values())  # each once
        self._spool = Spool(merged(list(map(iter, read)), markets, every_ms=self._clock_every_ms))
        _check_overlap(read)

    def _clock_every_ms(self) -> int:
        """What lies between two clock items; known when of each file something is read."""
        return DAYS_CLOCK_MS if {report.minutes for report in self.reports} == {DAY_MINUTES} else MINUTE_MS

    def __len__(self) -> int:
        return len(self._spool)

    @property
    def last_seq(self) -> int:
        """The number of the last item; FIRST_SEQ - 1 for an empty stream."""
        return FIRST_SEQ + len(self) - 1

    def stretches(self, start: int = 0, stop: int | None = None) -> Iterator[Stretch]:
        """The items from place `start` (counted from 0) up to before `stop`, many at a time; by default all.
        `received_ms` is 0 in all."""
        return self._spool.stretches(start, len(self) if stop is None else stop)

    def iter_from(self, seq: int = FIRST_SEQ) -> Iterator[Item]:
        """The items from number `seq` on; the k-th has the number seq + k."""
        for stretch in self.stretches(max(0, seq - FIRST_SEQ)):
            yield from stretch.items()

    def times_from(self, seq: int = FIRST_SEQ) -> Longs:
        """The stream's own time (ms, never falling) at each item from number `seq` on."""
        return self._spool.times(max(0, seq - FIRST_SEQ))

    def time_of(self, seq: int) -> int:
        """The stream's own time at item number `seq`."""
        return self._spool.time(seq - FIRST_SEQ)


class _Reading:
    """The blocks of a file; from when and until when they are is known at their end."""

    def __init__(self, file: RecordedFile, ticks: Iterator[Tick]) -> None:
        self.file = file
        self.first_ms = self.last_ms = -1
        self._ticks = ticks

    def __iter__(self) -> Iterator[Block]:
        for block in blocks(self._ticks):
            self.first_ms = int(block.times[0]) if self.first_ms < 0 else self.first_ms
            self.last_ms = int(block.times[-1])
            yield block


def _calendar(file: RecordedFile, instruments: Mapping[str, InstrumentSpec], hours: MarketHours) -> Calendar:
    """The calendar of a file's market. Raises UnknownInstrument."""
    if file.key not in instruments:
        raise UnknownInstrument(f"{file.path.name}: {file.key} is not in the instrument list")
    try:
        return hours.of(instruments[file.key])
    except UnknownMarket as error:
        raise UnknownInstrument(str(error)) from error


def _ticks(
    file: RecordedFile, report: FileReport, spec: InstrumentSpec, calendar: Calendar
) -> Iterator[Tick]:
    return read_ticks(file.path, token=spec.token, is_index=spec.is_index, report=report, calendar=calendar)


def _check_overlap(read: Sequence[_Reading]) -> None:
    """Raises NotInOrder where two files of one instrument tell of the same time."""
    by_key: dict[str, list[_Reading]] = {}
    for one in read:
        if one.last_ms >= 0:
            by_key.setdefault(one.file.key, []).append(one)
    for key, found in by_key.items():
        found.sort(key=lambda one: (one.first_ms, one.last_ms))
        for before, after in pairwise(found):
            if after.first_ms <= before.last_ms:
                raise NotInOrder(
                    f"{after.file.path} begins at {ist_text(after.first_ms)}, before {before.file.path} of the same "
                    f"{key} ends at {ist_text(before.last_ms)}; files of one instrument are accepted where they do "
                    "not overlap"
                )
