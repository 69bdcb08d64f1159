"""The bars of candles that a person has fetched, for a chart: the tick stream has stored none from before it ran."""

from __future__ import annotations

from collections import deque
from functools import lru_cache

from alphapanda.research.played import BARS_MAX, UNREADABLE
from marketdata.domain.bars import Bar
from marketdata.domain.kite_candles import Interval
from marketdata.feeds.files import recorded_file
from marketdata.feeds.recorded import RecordedSource
from marketdata.models import CandleFetch, Instrument
from marketdata.selectors import calendars, spec
from strategies.domain.history import bars_of

FILES_MAX = 2  # of sixty days each: about a second of the web process, once
KEPT_MAX = 4

Stamp = tuple[str, int, int]  # name, size, time


def files_fetched(instrument: Instrument) -> list[Stamp]:
    """The newest files of minute candles of an instrument that are there still, in order of time."""
    done = CandleFetch.objects.filter(
        instrument=instrument, interval=Interval.MINUTE, state=CandleFetch.State.DONE
    )
    newest = done.exclude(files=[]).order_by("-finished_at").first()
    stamps = [_stamp(name) for name in newest.files] if newest else []
    return [stamp for stamp in stamps if stamp][-FILES_MAX:]


def _stamp(name: str) -> Stamp | None:
    try:
        found = recorded_file(name).path.stat()
    except UNREADABLE:
        return None
    return name, found.st_size, found.st_mtime_ns


def bars_fetched(instrument: Instrument, minutes: int) -> list[Bar]:
    """The newest bars of a length out of those files, oldest first; none where there are no files."""
    stamps = files_fetched(instrument)
    return _folded(tuple(stamps), instrument.pk, minutes) if stamps else []


@lru_cache(maxsize=KEPT_MAX)
def _folded(stamps: tuple[Stamp, ...], instrument_id: int, minutes: int) -> list[Bar]:
    """The key has size and time of the files: where one changes they are read again."""
    known, hours = spec(Instrument.objects.get(pk=instrument_id)), calendars()
    try:
        files = [recorded_file(name) for name, *_ in stamps]
        source = RecordedSource(files, instruments={known.key: known}, calendar=hours)
        return list(deque(bars_of(source.iter_from(), [known], (minutes,), hours), maxlen=BARS_MAX))
    except UNREADABLE:
        return []
