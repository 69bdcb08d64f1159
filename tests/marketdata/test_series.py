"""The bars of every interval: against pandas' grouping, across a checkpoint, from the middle of a day."""

from __future__ import annotations

from datetime import date

import msgspec
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alphapanda.core.clock import IST_OFFSET_MS, ist_date
from marketdata.domain.bars import DAY_MINUTES, MINUTE_MS, Bar
from marketdata.domain.markets import anchor_minutes
from marketdata.domain.quality import Gate
from marketdata.domain.series import INTERVALS, Series, StreamState, begun, decode_state
from marketdata.domain.ticks import Clock, Tick
from marketdata.reference import load_calendar
from tests.marketdata.helpers import at, tick

NSE, MCX = load_calendar("NSE"), load_calendar("MCX")
DAY, NEXT = "2025-07-09", "2025-07-10"


def series(exchange: str = "NSE") -> Series:
    return begun(f"{exchange}:X", 7, anchor_minutes(exchange), None)


def fed(one: Series, items: list[Tick | Clock], hours=NSE) -> list[Bar]:
    made: list[Bar] = []
    for item in items:
        made += one.on_tick(item) if isinstance(item, Tick) else one.on_clock(item.at_ms, hours)
    return made


def minutes_of(made: list[Bar]) -> list[int]:
    return [bar.minutes for bar in made]


def test_a_clock_closes_every_interval_that_is_over_the_shortest_first() -> None:
    one = series()
    assert fed(one, [tick("09:17:01", DAY), Clock(at(DAY, "09:17:59"), 0)]) == []
    assert minutes_of(one.on_clock(at(DAY, "09:18"), NSE)) == [1, 3]
    assert minutes_of(one.on_clock(at(DAY, "09:20"), NSE)) == [5]
    assert minutes_of(one.on_clock(at(DAY, "10:15"), NSE)) == [15, 30, 60]


def test_a_tick_closes_what_ended_before_it_where_no_clock_came() -> None:
    one = series()
    made = fed(one, [tick("09:15:01", DAY), tick("09:40", DAY)])
    assert minutes_of(made) == [1, 3, 5, 15]
    assert {bar.starts_ms for bar in made} == {at(DAY, "09:15")}


def test_the_end_of_the_session_ends_all_of_them_and_the_day() -> None:
    one = series()
    one.on_tick(tick("15:29:59", DAY))
    made = one.on_clock(at(DAY, "15:30"), NSE)
    assert minutes_of(made) == list(INTERVALS)
    assert made[-2].starts_ms == at(DAY, "15:15"), "the last hour has fifteen minutes"
    assert made[-1].starts_ms == at(DAY, "00:00"), "a day starts at midnight, as Kite's does"


def test_a_market_that_opens_at_nine_counts_from_nine() -> None:
    one = series("MCX")
    made = fed(one, [tick("09:05", DAY), tick("10:00:01", DAY)], MCX)
    assert {bar.minutes: bar.starts_ms for bar in made}[60] == at(DAY, "09:00")
    assert fed(one, [Clock(at(DAY, "23:30"), 0)], MCX)[-1].starts_ms == at(DAY, "00:00")


def test_a_minute_that_comes_after_its_longer_bar_leaves_its_volume_to_the_next() -> None:
    one = series()
    made = fed(
        one,
        [
            tick("09:15:10", DAY, volume=100),
            Clock(at(DAY, "09:18"), 0),
            tick("09:18:01", DAY, volume=130, traded_at_ms=at(DAY, "09:17:59")),
            tick("09:18:30", DAY, volume=150),
            Clock(at(DAY, "09:21"), 0),
        ],
    )
    of_three = [bar.volume for bar in made if bar.minutes == 3]
    assert of_three == [100, 50]
    assert sum(bar.volume for bar in made if bar.minutes == 1) == 150


STEP_S = st.one_of(st.integers(0, 25), st.integers(0, 700))
STEPS = st.lists(st.tuples(STEP_S, st.integers(1, 9), st.integers(1, 50)), max_size=80)


def _ticks(steps: list[tuple[int, int, int]], opens: str) -> list[Tick]:
    """Ticks of two sessions, the second from the first one's end on."""
    found, volume, day = [], 0, DAY
    at_ms = at(DAY, opens)
    for seconds, price, traded in steps:
        at_ms, volume = at_ms + seconds * 1_000, volume + traded
        if at_ms >= at(day, "15:30"):
            if day == NEXT:
                break
            day, volume, at_ms = NEXT, traded, at(NEXT, "09:15") + seconds * 1_000
        found.append(tick(at_ms=at_ms, price_e4=price, volume=volume))
    return found


def _minutes() -> list[Clock]:
    """A clock item for each minute of both days."""
    spans = [range(at(day, "09:15"), at(day, "15:45"), MINUTE_MS) for day in (DAY, NEXT)]
    return [Clock(ms, 0) for span in spans for ms in span]


def _grouped(ticks: list[Tick], minutes: int) -> list[tuple[int, ...]]:
    """What pandas makes of the same ticks: resampled per session from its opening, days by date."""
    rows = pd.DataFrame({
        "at": pd.to_datetime([one.at_ms + IST_OFFSET_MS for one in ticks], unit="ms"),
        "price": [one.price_e4 for one in ticks],
        "volume": [one.volume for one in ticks],
    })  # fmt: skip
    rows["day"] = rows["at"].dt.normalize()
    rows["traded"] = rows.groupby("day")["volume"].diff().fillna(rows["volume"]).astype(int)
    found = []
    for day, part in rows.groupby("day"):
        origin = day if minutes == DAY_MINUTES else day + pd.Timedelta(hours=9, minutes=15)
        groups = part.groupby(pd.Grouper(key="at", freq=f"{minutes}min", origin=origin))
        for start, group in groups:
            if len(group):
                prices = group["price"]
                starts_ms = int(start.value // 1_000_000) - IST_OFFSET_MS
                found.append(
                    (starts_ms, prices.iloc[0], prices.max(), prices.min(), prices.iloc[-1],
                     group["traded"].sum(), len(group))
                )  # fmt: skip
    return found


def _plain(bar: Bar) -> tuple[int, ...]:
    return (bar.starts_ms, bar.open_e4, bar.high_e4, bar.low_e4, bar.close_e4, bar.volume, bar.ticks)


@given(STEPS, st.sampled_from(["09:15", "09:41:07", "14:50"]), st.booleans())
def test_bars_are_what_pandas_groups(steps: list[tuple[int, int, int]], opens: str, with_clock: bool) -> None:
    ticks = _ticks(steps, opens)
    if not ticks:
        return
    items: list[Tick | Clock] = list(ticks)
    if with_clock:
        items = sorted([*_minutes(), *ticks], key=lambda item: (item.at_ms, isinstance(item, Tick)))
    made = fed(series(), [*items, Clock(at("2025-07-11", "16:00"), 0)])
    for minutes in INTERVALS:
        assert [_plain(bar) for bar in made if bar.minutes == minutes] == _grouped(ticks, minutes)


@given(STEPS, st.booleans())
def test_a_bar_in_the_making_becomes_the_bar_that_closes(
    steps: list[tuple[int, int, int]], with_clock: bool
) -> None:
    """Whatever closes: what stood the moment before is it, of every interval; looking changes nothing."""
    items: list[Tick | Clock] = [*_ticks(steps, "09:15"), Clock(at("2025-07-11", "16:00"), 0)]
    if with_clock:
        items = sorted([*items, *_minutes()], key=lambda item: (item.at_ms, isinstance(item, Tick)))
    one, plain = series(), series()
    for item in items:
        stood = one.open_bars()
        closed = fed(one, [item])
        assert closed == fed(plain, [item])
        assert all(bar in stood for bar in closed)
    assert one.open_bars() == []


@given(STEPS, st.integers(0, 80))
def test_a_checkpoint_in_between_changes_no_bar(steps: list[tuple[int, int, int]], cut: int) -> None:
    ticks: list[Tick | Clock] = [*_ticks(steps, "09:15"), Clock(at(NEXT, "16:00"), 0)]
    expected = fed(series(), ticks)
    state = StreamState(series={7: series()})
    made = fed(state.series[7], ticks[:cut])
    restored = decode_state(state.encode())
    assert restored == state
    assert made + fed(restored.series[7], ticks[cut:]) == expected


@given(STEPS, st.integers(1, 80))
@example([(10, 5, 7)] * 40, 8)
def test_begun_in_the_middle_it_makes_whole_bars_only(steps: list[tuple[int, int, int]], cut: int) -> None:
    """An instrument that comes into use later has the same bars from the first that is whole."""
    ticks = _ticks(steps, "09:15")
    gate = Gate()
    for one in ticks[:cut]:
        gate.accept(one)
    end = Clock(at(NEXT, "16:00"), 0)
    expected = [bar for bar in fed(series(), [*ticks, end]) if ticks[:cut]]
    made = fed(begun("NSE:X", 7, anchor_minutes("NSE"), gate), [*ticks[cut:], end])
    assert all(bar in expected for bar in made)
    if ticks[:cut]:
        seen_ms = ticks[:cut][-1].at_ms
        missing = [bar for bar in expected if bar not in made]
        assert all(bar.starts_ms <= seen_ms for bar in missing)


def test_a_state_of_a_version_without_series_is_read() -> None:
    gates = {7: Gate(at_ms=1)}
    raw = msgspec.msgpack.encode({"gates": msgspec.to_builtins(gates), "clock_ms": 5})
    assert decode_state(raw) == StreamState(gates=gates, clock_ms=5)


@pytest.mark.parametrize("exchange", ["NSE", "MCX"])
def test_the_first_tick_of_a_day_belongs_to_that_day(exchange: str) -> None:
    one = series(exchange)
    hours = load_calendar(exchange)
    opens = hours.session(date.fromisoformat(NEXT)).opens_ms
    fed(one, [tick("15:29", DAY), Clock(at(DAY, "23:55"), 0)], hours)
    made = fed(one, [tick(at_ms=opens), Clock(at(NEXT, "23:55"), 0)], hours)
    assert {ist_date(bar.starts_ms).isoformat() for bar in made} == {NEXT}
    assert minutes_of(made) == list(INTERVALS)
