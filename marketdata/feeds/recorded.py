"""Recorded files merged into one numbered stream of ticks and clock items, always the same one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from marketdata.domain.calendar import Calendar, MarketHours
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.markets import UnknownMarket
from marketdata.domain.stretch import Longs, Stretch
from marketdata.domain.ticks import FIRST_SEQ, Item, Tick, source_id
from marketdata.feeds.files import FileReport, RecordedFile, read_ticks
from marketdata.feeds.merging import blocks, merged
from marketdata.feeds.spool import Spool


class UnknownInstrument(LookupError):
    """A recorded instrument that is not in the instrument list."""


class RecordedSource:
    """The stream of some files: by event time, then by order of the files; inside a file in recorded order,
    so that a faulty stamp moves nothing. Clock items stand at every minute of the trading days of the
    recorded markets that have ticks, each before the first item at or after it. The files are read once, into a temporary file; memory
    does not grow with the ticks. Raises UnknownInstrument, UnknownFormat, OSError."""

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
        ticks = [_ticks(file, report, instruments) for file, report in zip(files, self.reports, strict=True)]
        self._spool = Spool(merged(list(map(blocks, ticks)), _calendars(files, instruments, calendar)))

    def __len__(self) -> int:
        return len(self._spool)

    @property
    def last_seq(self) -> int:
        """The number of the last item; FIRST_SEQ - 1 for an empty stream."""
        return FIRST_SEQ + len(self) - 1

    def stretches(self, seq: int = FIRST_SEQ) -> Iterator[Stretch]:
        """The items from number `seq` on, many at a time. `received_ms` is 0 in all."""
        return self._spool.stretches(max(0, seq - FIRST_SEQ))

    def iter_from(self, seq: int = FIRST_SEQ) -> Iterator[Item]:
        """The items from number `seq` on; the k-th has the number seq + k."""
        for stretch in self.stretches(seq):
            yield from stretch.items()

    def times_from(self, seq: int = FIRST_SEQ) -> Longs:
        """The stream's own time (ms, never falling) at each item from number `seq` on."""
        return self._spool.times(max(0, seq - FIRST_SEQ))

    def time_of(self, seq: int) -> int:
        """The stream's own time at item number `seq`."""
        return self._spool.time(seq - FIRST_SEQ)


def _ticks(
    file: RecordedFile, report: FileReport, instruments: Mapping[str, InstrumentSpec]
) -> Iterator[Tick]:
    """The ticks of a file. Raises UnknownInstrument at once."""
    spec = instruments.get(file.key)
    if spec is None:
        raise UnknownInstrument(f"{file.path.name}: {file.key} is not in the instrument list")
    return read_ticks(file.path, token=spec.token, is_index=spec.is_index, report=report)


def _calendars(
    files: Sequence[RecordedFile], instruments: Mapping[str, InstrumentSpec], hours: MarketHours
) -> list[Calendar]:
    """The calendars of the recorded markets, each once."""
    try:
        found = [hours.of(instruments[file.key]) for file in files]
    except UnknownMarket as error:
        raise UnknownInstrument(str(error)) from error
    return list({id(calendar): calendar for calendar in found}.values())
