"""Historical candles: what the simulator has told, and before that the past of its market."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from alphapanda.core.clock import IST, ist_date, ist_text, to_ms
from alphapanda.kite_simulator.errors import bad_input
from alphapanda.kite_simulator.walk import Walk
from alphapanda.kite_simulator.wire import rupees
from marketdata.domain.bars import DAY_MINUTES, Bar, bucket

# minutes of an interval, and how many days may be asked for at once
INTERVALS = {
    "minute": (1, 60),
    "3minute": (3, 100),
    "5minute": (5, 100),
    "10minute": (10, 100),
    "15minute": (15, 200),
    "30minute": (30, 200),
    "60minute": (60, 400),
    "day": (DAY_MINUTES, 2_000),
}
Candle = list[object]


def span(query: Mapping[str, str], interval: str) -> tuple[int, int]:
    """The first and last ms that a request asks for. Raises KiteError."""
    if interval not in INTERVALS:
        raise bad_input(f"Invalid `interval` {interval[:20]!r}; accepted are {', '.join(INTERVALS)}.")
    from_ms, to = _moment("from", query, is_end=False), _moment("to", query, is_end=True)
    if to < from_ms:
        raise bad_input("Invalid `from` and `to`: the end is before the start.")
    most = INTERVALS[interval][1]
    if timedelta(milliseconds=to - from_ms) > timedelta(days=most):
        raise bad_input(f"interval exceeds max limit: {most} days")
    return from_ms, to


def _moment(name: str, query: Mapping[str, str], *, is_end: bool) -> int:
    text = query.get(name, "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise bad_input(f"Invalid `{name}` date {text[:30]!r}; YYYY-MM-DD HH:MM:SS is expected.") from None
    if is_end and len(text) == len("2015-12-28"):
        moment += timedelta(days=1) - timedelta(milliseconds=1)
    return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=IST))


def bars(
    token: int, told: list[Bar], past: Walk | None, from_ms: int, to_ms_: int, *, now_ms: int
) -> list[Bar]:
    """The minutes of a span that have begun by now, the oldest first."""
    last_ms = min(to_ms_, now_ms)
    first_told_ms = told[0].starts_ms if told else now_ms + 1
    found = [
        bar
        for day in _days(from_ms, last_ms)
        for bar in (past.minutes(token, day) if past else ())
        if bar.starts_ms < first_told_ms
    ]
    return [bar for bar in (*found, *told) if from_ms <= bar.starts_ms <= last_ms]


def _days(from_ms: int, last_ms: int) -> Iterable[date]:
    first, last = ist_date(from_ms), ist_date(last_ms)
    return (first + timedelta(days=ahead) for ahead in range((last - first).days + 1))


def folded(minutes: Iterable[Bar], interval: str, anchor_minutes: int) -> list[Bar]:
    """Minutes as bars of an interval."""
    length, found = INTERVALS[interval][0], list[Bar]()
    for bar in minutes:
        starts_ms = bucket(bar.starts_ms, length, anchor_minutes)
        if found and found[-1].starts_ms == starts_ms:
            found[-1] = _joined(found[-1], bar)
        else:
            found.append(_from(bar, starts_ms, length))
    return found


def _from(bar: Bar, starts_ms: int, minutes: int) -> Bar:
    prices = (bar.open_e4, bar.high_e4, bar.low_e4, bar.close_e4)
    return Bar(bar.instrument, bar.token, starts_ms, minutes, *prices, bar.volume, bar.ticks)


def _joined(one: Bar, more: Bar) -> Bar:
    prices = (one.open_e4, max(one.high_e4, more.high_e4), min(one.low_e4, more.low_e4), more.close_e4)
    volume, ticks = one.volume + more.volume, one.ticks + more.ticks
    return Bar(one.instrument, one.token, one.starts_ms, one.minutes, *prices, volume, ticks)


def rows(found: Iterable[Bar], *, with_oi: bool) -> list[Candle]:
    """Candles in Kite's shape: time, four prices, volume, and open interest where it is asked for."""
    return [
        [
            _stamp(bar.starts_ms),
            rupees(bar.open_e4),
            rupees(bar.high_e4),
            rupees(bar.low_e4),
            rupees(bar.close_e4),
            bar.volume,
            *([0] if with_oi else []),
        ]
        for bar in found
    ]


def _stamp(at_ms: int) -> str:
    return f"{ist_text(at_ms)[:19]}+0530"
