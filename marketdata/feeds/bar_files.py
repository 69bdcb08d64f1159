"""Recorded bars as ticks: bars of minutes, of an hour or of a day, each told as four ticks of its own time.

What cannot be seen in a bar (the order of its high and low, when they were, the size on offer) is assumed: the
open comes first and the close last, in a rising bar the low before the high, in a falling one the high; the four
stand at the start, at a third, at two thirds and in the last millisecond. A bar of a day is told inside the
session of that day, an hour that the close cuts short until the close. Volume is split evenly, the rest on the
close. Of fewer than four units some ticks have none: they tell the trade before them again, for a tick that tells no
quantity offers any number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from math import gcd
from typing import NamedTuple

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS, ist_date, ist_text
from marketdata.domain.bars import MINUTE_MS
from marketdata.domain.calendar import Calendar
from marketdata.domain.ticks import FROM_BAR, Tick

DAY_MINUTES = 1_440
INTERVALS_MIN = (1, 3, 5, 15, 30, 60)  # of bars inside a day
CLOSED_DAYS_MAX = 5  # in a row: bars that never stand nearer are weeks or longer
FEW = {1: (1, 0, 0, 0), 2: (1, 0, 0, 1), 3: (1, 1, 0, 1)}  # units of each tick
CHANCE = 10**6  # one in so many
_U4_MAX = 2**32 - 1

Price = tuple[int, int]  # price_e4, and NOT_FINITE or 0


class UnknownFormat(ValueError):
    """A file that is none of the recorded formats, or whose name tells no symbol."""


class NotInOrder(UnknownFormat):
    """Bars whose times do not rise, or two files of one instrument over the same time."""


class BarRow(NamedTuple):
    """A bar as a line of a file states it; `starts_ms` is midnight in India for a day."""

    line: int
    starts_ms: int
    open: Price
    high: Price
    low: Price
    close: Price
    volume: int


def checked(row: BarRow) -> BarRow:
    """The row. Raises ValueError where its prices are no bar."""
    prices = (row.open, row.high, row.low, row.close)
    if any(bad for _, bad in prices):
        return row  # stays in the log, and no quality gate lets it pass
    low_e4, high_e4 = row.low[0], row.high[0]
    if low_e4 > min(row.open[0], row.close[0]) or high_e4 < max(row.open[0], row.close[0]):
        raise ValueError("open and close do not lie between low and high")
    return row


def in_order(path: object, rows: Sequence[BarRow]) -> None:
    """Raises NotInOrder at the first row that does not start after the one before it."""
    for before, row in pairwise(rows):
        if row.starts_ms <= before.starts_ms:
            raise NotInOrder(
                f"{path}: line {row.line} starts at {ist_text(row.starts_ms)}, not after line {before.line} at "
                f"{ist_text(before.starts_ms)}; bars are accepted in rising order, each time once"
            )


def interval_min(path: object, rows: Sequence[BarRow]) -> int:
    """Minutes of the bars of a file: DAY_MINUTES where each stands at midnight in India, else what lies most often
    between two bars of a day. One bar alone is taken for a minute. Raises UnknownFormat for any other length: told
    as a shorter one, a bar would tell its close before it was there."""
    if rows and all((row.starts_ms + IST_OFFSET_MS) % DAY_MS == 0 for row in rows):
        gap_ms = min((row.starts_ms - before.starts_ms for before, row in pairwise(rows)), default=DAY_MS)
        if gap_ms > CLOSED_DAYS_MAX * DAY_MS:
            raise _not_taken(path, f"bars of {gap_ms // DAY_MS} days and more")
        return DAY_MINUTES
    gaps = Counter(
        row.starts_ms - before.starts_ms
        for before, row in pairwise(rows)
        if (row.starts_ms + IST_OFFSET_MS) // DAY_MS == (before.starts_ms + IST_OFFSET_MS) // DAY_MS
    )
    if not gaps and len(rows) > 1:
        raise _not_taken(path, f"no day has two bars, and line {rows[0].line} is not at midnight in India")
    common_ms = min(gaps, key=lambda gap_ms: (-gaps[gap_ms], gap_ms), default=MINUTE_MS)
    if common_ms not in {minutes * MINUTE_MS for minutes in INTERVALS_MIN}:
        raise _not_taken(path, f"bars of {common_ms / MINUTE_MS:g} minutes")
    if len(gaps) > 1:
        _check_days(path, rows, common_ms)
    return common_ms // MINUTE_MS


def _check_days(path: object, rows: Sequence[BarRow], common_ms: int) -> None:
    """Raises UnknownFormat where a day has longer bars than the file. In few bars of a share that hardly trades every
    gap may be a multiple of two by chance: so many that chance makes them once in a million are none."""
    for day, bars in groupby(rows, lambda row: (row.starts_ms + IST_OFFSET_MS) // DAY_MS):
        starts = [(bar.line, bar.starts_ms) for bar in bars]
        gaps = [after - before for (_, before), (_, after) in pairwise(starts)]
        longer = gcd(*gaps) // common_ms
        if longer > 1 and longer ** len(gaps) > CHANCE:
            raise _not_taken(
                path,
                f"line {starts[0][0]}: bars of {longer * common_ms // MINUTE_MS} minutes on"
                f" {ist_date(day * DAY_MS)}, of {common_ms // MINUTE_MS} on most days",
            )


def _not_taken(path: object, what: str) -> UnknownFormat:
    *others, longest = INTERVALS_MIN
    return UnknownFormat(
        f"{path}: {what}; accepted are bars of {', '.join(map(str, others))} or {longest} minutes, and of a day,"
        " which stand at midnight in India"
    )


def spans(
    rows: Sequence[BarRow], minutes: int, calendar: Calendar | None
) -> Iterator[tuple[int, int] | None]:
    """When each bar is told, from and until (ms); None for a day without a session."""
    for number, row in enumerate(rows):
        if minutes == DAY_MINUTES:
            session = calendar.session(ist_date(row.starts_ms)) if calendar else None
            yield (session.opens_ms, session.closes_ms) if session else None
            continue
        ends_ms = row.starts_ms + minutes * MINUTE_MS
        if number + 1 < len(rows):
            ends_ms = min(ends_ms, rows[number + 1].starts_ms)
        if calendar and minutes > 1 and calendar.has_session(row.starts_ms):
            closes_ms = calendar.closes_ms(row.starts_ms)
            ends_ms = min(ends_ms, closes_ms) if closes_ms > row.starts_ms else ends_ms
        yield row.starts_ms, ends_ms


class BarTeller:
    """The ticks of the bars of one instrument, in order."""

    def __init__(self, token: int, flags: int) -> None:
        self._token = token
        self._flags = flags | FROM_BAR
        self._day = self._traded = 0

    def ticks(self, row: BarRow, starts_ms: int, ends_ms: int) -> Iterator[Tick]:
        """Four ticks from `starts_ms` on, the last one a millisecond before `ends_ms`."""
        if (day := (starts_ms + IST_OFFSET_MS) // DAY_MS) != self._day:
            self._day, self._traded = day, 0
        middle = (row.low, row.high) if row.close[0] >= row.open[0] else (row.high, row.low)
        length_ms, share = ends_ms - starts_ms, row.volume // 4
        offsets_ms = (0, length_ms // 3, 2 * length_ms // 3, length_ms - 1)
        shares = FEW.get(row.volume, (share, share, share, row.volume - 3 * share))
        told = zip((row.open, *middle, row.close), offsets_ms, shares, strict=True)
        for (price_e4, bad), offset_ms, quantity in told:
            self._traded += quantity
            yield Tick(
                self._token,
                starts_ms + offset_ms,
                0,
                0,
                price_e4,
                min(max(quantity, 1 if row.volume else 0), _U4_MAX),
                self._traded,
                0,
                0,
                0,
                0,
                self._flags | bad,
            )
