"""Many ticks at once: gate and bars of a stretch are those of its items one by one, whatever the items."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS
from alphapanda.core.vocabulary import Phase, TickFault
from marketdata.domain.bars import Bar, BarBuilder
from marketdata.domain.calendar import Calendar
from marketdata.domain.quality import Gate, is_trading
from marketdata.domain.stretch import Stretch, stretch_of
from marketdata.domain.stretch_bars import bars_of
from marketdata.domain.ticks import HAS_DEPTH, NOT_FINITE, Clock, Item, Tick
from marketdata.reference import load_calendar
from tests.marketdata.helpers import at, source, tick

NSE = load_calendar("NSE")
OPENS = at("2019-07-09", "09:15")
CLOSES = at("2019-07-09", "15:30")

# Moves in time that matter: none, within a minute, backwards, over the ends of sessions and days.
MOVES_MS = st.sampled_from([0, 1, 500, 20_000, 59_999, 60_000, -1, -3_000, 61_000, 300_000, DAY_MS])
STARTS_MS = st.sampled_from([OPENS - 61_000, OPENS, OPENS + 40_000, CLOSES - 130_000, CLOSES - 1, 5])
PRICES = st.sampled_from([950_000, 950_500, 949_000, 950_000, 0, -1])
VOLUMES = st.sampled_from([-1, 0, 1, 1, 2, 5, -2])  # added to the last; -2: the volume is not known
KINDS = st.sampled_from(["tick"] * 6 + ["clock", "twin", "traded", "depth", "not finite", "depth alone"])


@st.composite
def walks(draw: st.DrawFn, *, is_clean: bool = False) -> list[Item]:
    """Ticks of one instrument and clock items, with everything that can be wrong with them unless `is_clean`."""
    at_ms, volume, items = draw(STARTS_MS.filter(lambda ms: not is_clean or ms >= OPENS)), 10, list[Item]()
    knows_volume = draw(st.booleans())
    for _ in range(draw(st.integers(0, 40))):
        move = draw(MOVES_MS)
        at_ms += max(0, move) if is_clean else move
        kind = draw(KINDS)
        if kind == "clock":
            items.append(Clock(at_ms - at_ms % 60_000, 7))
            continue
        price, added = draw(PRICES), draw(VOLUMES)
        if is_clean:
            price, added, kind = max(price, 949_500), abs(added), "tick" if kind != "traded" else kind
        volume = max(0, volume + added)
        if kind == "twin" and items and isinstance(items[-1], Tick):
            items.append(items[-1]._replace(received_ms=9))
            continue
        is_known = knows_volume if is_clean else added != -2
        items.append(a_tick_of(kind, max(at_ms, 0), price, volume if is_known else -1, added))
    return items


def a_tick_of(kind: str, at_ms: int, price_e4: int, volume: int, quantity: int) -> Tick:
    one = tick(at_ms=at_ms, price_e4=price_e4, volume=volume, quantity=max(quantity, 0))
    if kind == "traded":
        return one._replace(traded_at_ms=at_ms - 1_500, received_ms=3)
    if kind == "depth alone":
        return one._replace(traded_at_ms=at_ms - 90_000, quantity=0)
    if kind == "depth":
        return one._replace(flags=HAS_DEPTH, bids=((price_e4 - 500, quantity + 3),))
    return one._replace(flags=NOT_FINITE, price_e4=0) if kind == "not finite" else one


def cut(items: Sequence[Item], size: int) -> Iterable[Stretch]:
    for start in range(0, len(items), size):
        yield stretch_of(items[start : start + size], first_seq=start)


def singly(items: Iterable[Item], gate: Gate, builders: Sequence[BarBuilder]) -> tuple[list, list]:
    """Faults and bars with the numbers of their items, as gate and builders find them one by one."""
    clock_ms, faults, bars = 0, list[tuple[int, TickFault]](), list[tuple[int, Bar]]()
    for number, item in enumerate(items):
        if isinstance(item, Clock):
            clock_ms = max(clock_ms, item.at_ms)
            for builder in builders:
                if builder.ticks:
                    ends_ms = NSE.closes_ms(builder.starts_ms)
                    bars += ((number, bar) for bar in builder.on_clock(item.at_ms, closes_ms=ends_ms))
        elif (fault := gate.judge(item, NSE, clock_ms=clock_ms)) is not None:
            faults.append((number, fault))
        else:
            for builder in builders:
                bars += ((number, bar) for bar in builder.on_tick(item))
    return faults, bars


def at_once(stretches: Iterable[Stretch], gate: Gate, builders: Sequence[BarBuilder]) -> tuple[list, list]:
    clock_ms, faults, bars = 0, list[tuple[int, TickFault]](), list[tuple[int, Bar]]()
    for stretch in stretches:
        first = stretch.first_seq
        clocks, ticks = np.flatnonzero(stretch.tokens == 0), np.flatnonzero(stretch.tokens)
        heard = np.where(stretch.tokens == 0, stretch.at_ms, 0)
        heard = np.maximum(np.maximum.accumulate(heard), clock_ms)
        clock_ms = int(heard[-1])
        found = gate.judge_all(stretch, ticks, NSE, clock_ms=heard[ticks])
        passed = np.setdiff1d(ticks, list(found))
        faults += ((first + place, fault) for place, fault in found.items())
        for builder in builders:
            places, made = bars_of(builder, stretch, passed, clocks, NSE.closes_ms)
            bars += zip((first + places).tolist(), made, strict=True)
    return faults, bars


def some_builders() -> list[BarBuilder]:
    return [BarBuilder(instrument="NSE:YESBANK", token=7, minutes=minutes) for minutes in (1, 5, 60)]


def by_number(bars: list[tuple[int, Bar]]) -> list[tuple[int, Bar]]:
    return sorted(bars, key=lambda pair: (pair[0], pair[1].minutes, pair[1].starts_ms))


@settings(max_examples=400, deadline=None)
@given(st.one_of(walks(), walks(is_clean=True)), st.integers(1, 25))
def test_a_stretch_is_what_its_items_are(items: list[Item], size: int) -> None:
    """Verdicts, bars and all that gate and builders remember, however the stream is cut."""
    gates, builders = (Gate(), Gate()), (some_builders(), some_builders())
    faults, bars = singly(items, gates[0], builders[0])

    found, made = at_once(cut(items, size), gates[1], builders[1])

    assert found == faults
    assert by_number(made) == by_number(bars)
    assert gates[1] == gates[0]
    assert builders[1] == builders[0]


@given(walks(), st.integers(0, 40))
def test_items_come_out_of_a_stretch_as_they_went_in(items: list[Item], start: int) -> None:
    stretch = stretch_of(items, first_seq=1)

    assert list(stretch.items(start)) == items[start:]
    assert [stretch.item(place) for place in range(len(stretch))] == items
    places = np.flatnonzero(stretch.tokens)
    assert stretch.ticks(places) == [item for item in items if isinstance(item, Tick)]
    assert all(type(one) is Tick for one in stretch.ticks(places))


@pytest.mark.parametrize(
    "name",
    [
        "bars_1min/kite_1min_2023-04_SBIN.csv.gz",
        "bars_1min/index_1min_2024-01_NIFTY50.csv.gz",
        "ticks/nse_ltp_2021-04-30_dirty_RELIANCE.csv.gz",
        "ticks/nse_depth5_2025-12-15_NSE_BHARATFORG.csv.gz",
    ],
)
def test_recordings_are_the_same_at_once(data, nse: Calendar, name: str) -> None:
    items = list(source([data / name], nse).iter_from())
    gates, builders = (Gate(), Gate()), (some_builders(), some_builders())
    faults, bars = singly(items, gates[0], builders[0])

    found, made = at_once(cut(items, 8_192), gates[1], builders[1])

    assert (found, by_number(made)) == (faults, by_number(bars))
    assert msgspec.msgpack.encode([gates[1], builders[1]]) == msgspec.msgpack.encode([gates[0], builders[0]])
    assert len(bars) > 100


def test_times_of_trading_are_found_at_once(nse: Calendar) -> None:
    times = np.array(
        [
            at(day, clock)
            for day in ("2019-07-09", "2019-07-13", "2024-01-20", "2019-10-27")
            for clock in ("00:00", "09:14:59.999", "09:15", "11:15", "15:29:59.999", "15:30", "18:30")
        ]
        + [-IST_OFFSET_MS, 0, 2**62],
        np.int64,
    )
    assert is_trading(times, nse).tolist() == [nse.phase_at(ms) is Phase.CONTINUOUS for ms in times.tolist()]
