"""Ticks and times for tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time
from pathlib import Path

from alphapanda.core.clock import ist_ms
from marketdata.domain.calendar import Calendar
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.markets import INDICES
from marketdata.domain.ticks import Tick
from marketdata.feeds.files import RecordedFile, recorded_file
from marketdata.feeds.recorded import RecordedSource


def at(day: str, clock: str) -> int:
    """Epoch ms of a time in India."""
    return ist_ms(date.fromisoformat(day), time.fromisoformat(clock))


def tick(clock: str = "10:00:00", day: str = "2019-07-09", token: int = 7, **more: int) -> Tick:
    """A good tick of 95 rupees and unknown volume at a time in India."""
    return Tick(token, at(day, clock), 0, 0, 950_000, 0, -1, 0, 0, 0, 0, 0)._replace(**more)


def spec(file: RecordedFile, token: int = 1) -> InstrumentSpec:
    """What a source wants to know of the instrument of a file."""
    segment = INDICES if file.tradingsymbol.startswith("NIFTY ") else file.exchange
    return InstrumentSpec(file.key, file.exchange, file.tradingsymbol, token, 5, 1, segment, 0)


def source(paths: Sequence[Path | str], calendar: Calendar) -> RecordedSource:
    """The stream of some files; the tokens are 1, 2, ... in their order."""
    files = [recorded_file(str(path)) for path in paths]
    instruments = {file.key: spec(file, token) for token, file in enumerate(files, 1)}
    return RecordedSource(files, instruments=instruments, calendar=calendar)
