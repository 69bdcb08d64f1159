"""The bars of a stretch at once, in numpy. The rules are `BarBuilder`'s: what is not regular goes to it singly."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat

import numpy as np

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS
from marketdata.domain.bars import MINUTE_MS, TRADED_APART_MS_MAX, Bar, BarBuilder, bucket
from marketdata.domain.stretch import Longs, Stretch
from marketdata.domain.ticks import Tick

ClosesMs = Callable[[int], int]  # the end of the session of a time
Made = tuple[Longs, list[Bar]]  # the place of the item that closed each bar, and the bars
# Rows of the columns of bars in the making; the last two are places of their first and last tick.
_STARTS, _OPEN, _HIGH, _LOW, _CLOSE, _VOLUME, _TICKS, _FIRST, _LAST = range(9)


def bars_of(builder: BarBuilder, stretch: Stretch, ticks: Longs, clocks: Longs, closes_ms: ClosesMs) -> Made:
    """The bars that items of a stretch close: ticks at these places that passed the gate, and clock items.
    Bars and builder are as after `on_tick` and `on_clock` of one after the other."""
    made = _at_once(builder, stretch, ticks, clocks, closes_ms) if len(ticks) else None
    return _one_by_one(builder, stretch, ticks, clocks, closes_ms) if made is None else made


def _one_by_one(
    builder: BarBuilder, stretch: Stretch, ticks: Longs, clocks: Longs, closes_ms: ClosesMs
) -> Made:
    places: list[int] = []
    made: list[Bar] = []
    for place in np.sort(np.concatenate([ticks, clocks])).tolist():
        item = stretch.item(place)
        if isinstance(item, Tick):
            made += builder.on_tick(item)
        elif builder.ticks:
            made += builder.on_clock(item.at_ms, closes_ms=closes_ms(builder.starts_ms))
        places += [place] * (len(made) - len(places))
    return np.array(places, np.int64), made


def _at_once(
    builder: BarBuilder, stretch: Stretch, ticks: Longs, clocks: Longs, closes_ms: ClosesMs
) -> Made | None:
    """None, and nothing is changed, where a late tick, or a volume that is known only now and then, could matter."""
    news = _news(builder, stretch, ticks)
    if news is None:
        return None
    places, starts_ms, volumes, days = news
    groups = _grouped(builder, stretch, places, starts_ms, volumes)
    closed_at = _closed_at(builder, groups, stretch.at_ms[clocks], clocks, closes_ms)
    if closed_at is None:
        return None
    count = int(np.count_nonzero(closed_at >= 0))
    _leave(builder, groups, closed=count)
    _leave_volume(builder, int(days[0]), int(days[-1]), int(stretch.column("volume")[places[-1]]))
    rows = groups[: _TICKS + 1, :count].tolist()
    fixed = repeat(builder.instrument), repeat(builder.token), rows[_STARTS], repeat(builder.minutes)
    return closed_at[:count], list(map(Bar, *fixed, *rows[_OPEN:]))


def _news(builder: BarBuilder, stretch: Stretch, ticks: Longs) -> tuple[Longs, Longs, Longs, Longs] | None:
    """Of the ticks that make bars: places, starts of their buckets, volume that each adds, days."""
    at_ms, traded_ms, volume = (stretch.column(name)[ticks] for name in ("at_ms", "traded_at_ms", "volume"))
    is_believed = np.abs(traded_ms - at_ms) <= TRADED_APART_MS_MAX
    times = np.where(is_believed, traded_ms, at_ms)
    days = (times + IST_OFFSET_MS) // DAY_MS
    is_known = bool(volume[0] >= 0)
    if (volume >= 0).any() != is_known or (volume >= 0).all() != is_known:
        return None
    before = np.where(np.diff(days, prepend=builder.day) == 0, np.append(builder.day_volume, volume[:-1]), 0)
    is_news = (traded_ms == 0) | (volume != before) | (not is_known)
    starts_ms: Longs = bucket(times, builder.minutes, builder.anchor_minutes)  # type: ignore[arg-type, assignment]
    earliest_ms = max(builder.closed_ms, builder.starts_ms if builder.ticks else 0)
    is_rising = (np.diff(starts_ms[is_news], prepend=earliest_ms) >= 0).all()
    if not is_news.any() or not is_rising or (np.diff(days) < 0).any():
        return None
    added = np.maximum(0, volume - before) if is_known else stretch.column("quantity")[ticks]
    return ticks[is_news], starts_ms[is_news], added[is_news], days[is_news]


def _grouped(builder: BarBuilder, stretch: Stretch, places: Longs, starts_ms: Longs, volumes: Longs) -> Longs:
    """The bars in the making, a column each; the one that was open before comes first, or in the first."""
    firsts = np.flatnonzero(np.diff(starts_ms, prepend=-1))
    lasts = np.append(firsts[1:], len(places)) - 1
    price = stretch.column("price_e4")[places]
    groups = np.stack(
        [
            starts_ms[firsts],
            price[firsts],
            np.maximum.reduceat(price, firsts),
            np.minimum.reduceat(price, firsts),
            price[lasts],
            np.add.reduceat(volumes, firsts),
            lasts - firsts + 1,
            places[firsts],
            places[lasts],
        ]
    )
    if not builder.ticks:
        return groups
    b = builder
    held = np.array(
        [b.starts_ms, b.open_e4, b.high_e4, b.low_e4, b.close_e4, b.volume, b.ticks, -1, -1], np.int64
    )
    if groups[_STARTS, 0] != b.starts_ms:
        return np.column_stack([held, groups])
    first = groups[:, 0]
    first[_OPEN], first[_FIRST] = held[_OPEN], held[_FIRST]
    first[_HIGH], first[_LOW] = max(first[_HIGH], held[_HIGH]), min(first[_LOW], held[_LOW])
    first[_VOLUME] += held[_VOLUME]
    first[_TICKS] += held[_TICKS]
    return groups


def _closed_at(
    builder: BarBuilder, groups: Longs, clocks_ms: Longs, clocks: Longs, closes_ms: ClosesMs
) -> Longs | None:
    """The place of the item that closes each bar, -1 where the last stays open: the first tick of the next, or
    a clock item before that. None where the clock closed one and a tick of its bucket came after."""
    starts_ms = groups[_STARTS]
    ends_ms = starts_ms + builder.minutes * MINUTE_MS
    day = (starts_ms + IST_OFFSET_MS) // DAY_MS
    firsts = np.flatnonzero(np.diff(day, prepend=-1))
    of_day = np.array([closes_ms(start) for start in starts_ms[firsts].tolist()], np.int64)
    session_ends = np.repeat(of_day, np.diff(firsts, append=len(day)))
    ends_ms = np.where(session_ends > starts_ms, np.minimum(ends_ms, session_ends), ends_ms)
    beyond = np.iinfo(np.int64).max
    ticking = np.searchsorted(np.maximum.accumulate(clocks_ms), ends_ms)
    by_clock = np.append(clocks, beyond)[ticking]
    if (by_clock < groups[_LAST]).any():
        return None
    closed_at: Longs = np.minimum(by_clock, np.append(groups[_FIRST, 1:], beyond))
    closed_at[closed_at == beyond] = -1
    return closed_at


def _leave(builder: BarBuilder, groups: Longs, *, closed: int) -> None:
    """The builder as so many closed bars, and perhaps one more that is open, leave it."""
    b = builder
    last = groups[:, -1].tolist()
    b.starts_ms, b.open_e4, b.high_e4, b.low_e4, b.close_e4 = last[:_VOLUME]
    b.volume, b.ticks = (0, 0) if closed == groups.shape[1] else (last[_VOLUME], last[_TICKS])
    if closed:
        b.closed_ms = int(groups[_STARTS, closed - 1]) + b.minutes * MINUTE_MS


def _leave_volume(builder: BarBuilder, first_day: int, last_day: int, volume: int) -> None:
    """What the builder knows of the day's volume after ticks of these days, the last with this volume."""
    if volume >= 0:
        builder.day_volume = volume
    elif not first_day == last_day == builder.day:
        builder.day_volume = 0
    builder.day = last_day
