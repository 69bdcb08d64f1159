"""Bars from ticks: buckets, closing by tick and by clock, volume."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.bars import BarBuilder
from tests.marketdata.helpers import at, tick


def builder(minutes: int = 1) -> BarBuilder:
    return BarBuilder(instrument="NSE:YESBANK", token=7, minutes=minutes)


def test_a_later_bucket_closes_the_bar() -> None:
    bars = builder()
    for clock, price in [("10:00:01", 950_000), ("10:00:20", 970_000), ("10:00:40", 940_000)]:
        assert bars.on_tick(tick(clock, price_e4=price)) == []
    [bar] = bars.on_tick(tick("10:02:00", price_e4=999_000))
    assert (bar.open, bar.high, bar.low, bar.close) == (Decimal(95), Decimal(97), Decimal(94), Decimal(94))
    assert (bar.starts_ms, bar.ticks, bar.instrument) == (at("2019-07-09", "10:00"), 3, "NSE:YESBANK")


def test_the_clock_closes_the_bar_at_its_end_and_no_empty_one_follows() -> None:
    bars = builder()
    bars.on_tick(tick("10:00:01"))
    assert bars.on_clock(at("2019-07-09", "10:00:59.999")) == []
    assert len(bars.on_clock(at("2019-07-09", "10:01:00"))) == 1
    assert bars.on_clock(at("2019-07-09", "10:02:00")) == []


def test_a_late_tick_does_not_open_a_closed_bar_again_but_its_volume_is_kept() -> None:
    bars = builder()
    bars.on_tick(tick("10:00:01", volume=100))
    bars.on_clock(at("2019-07-09", "10:01:00"))
    assert bars.on_tick(tick("10:00:59", volume=150)) == []
    assert bars.ticks == 0
    bars.on_tick(tick("10:01:05", volume=170))
    assert bars.volume == 70


def test_buckets_count_from_the_opening() -> None:
    bars = builder(60)
    bars.on_tick(tick("10:14:59"))
    [bar] = bars.on_tick(tick("10:15:00"))
    assert bar.starts_ms == at("2019-07-09", "09:15")


def test_the_close_of_the_session_ends_a_longer_bar() -> None:
    bars = builder(60)
    bars.on_tick(tick("15:29:59"))
    closes_ms = at("2019-07-09", "15:30")
    assert bars.on_clock(at("2019-07-09", "15:29"), closes_ms=closes_ms) == []
    assert len(bars.on_clock(closes_ms, closes_ms=closes_ms)) == 1


def test_the_first_volume_of_a_day_counts_whole() -> None:
    bars = builder()
    bars.on_tick(tick("15:29:00", volume=900))
    [first] = bars.on_tick(tick("09:15:00", "2019-07-10", volume=40))
    bars.on_tick(tick("09:15:30", "2019-07-10", volume=65))
    [second] = bars.on_clock(at("2019-07-10", "09:16"))
    assert (first.volume, second.volume) == (900, 65)


def test_quantities_are_added_where_the_volume_is_unknown() -> None:
    bars = builder()
    for clock in ("10:00:01", "10:00:02"):
        bars.on_tick(tick(clock, quantity=30))
    assert bars.volume == 60


def test_a_trade_belongs_to_the_minute_in_which_it_was_done() -> None:
    bars = builder()
    done_at = at("2019-07-09", "10:01:02")
    bars.on_tick(tick("10:00:58", volume=100, traded_at_ms=done_at))
    assert bars.starts_ms == at("2019-07-09", "10:01")
    assert bars.on_tick(tick("10:02:30", volume=100, traded_at_ms=done_at)) == []
    assert bars.ticks == 1


def test_an_absurd_time_of_trade_is_not_believed() -> None:
    bars = builder()
    bars.on_tick(tick("10:00:58", volume=100, traded_at_ms=2**60))
    assert bars.starts_ms == at("2019-07-09", "10:00")


STEPS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9), st.integers(0, 50)), max_size=60)


@given(STEPS, st.integers(1, 15), st.integers(0, 60))
def test_nothing_is_lost_and_a_checkpoint_changes_nothing(
    steps: list[tuple[int, int, int]], minutes: int, cut: int
) -> None:
    whole, bars, at_ms, volume = builder(minutes), builder(minutes), at("2019-07-09", "09:15"), 0
    made, expected, prices = [], [], []
    for index, (seconds, price, traded) in enumerate(steps):
        if index == cut:
            bars = msgspec.msgpack.decode(msgspec.msgpack.encode(bars), type=BarBuilder)
        at_ms, volume = at_ms + seconds * 1_000, volume + traded
        each = tick(at_ms=at_ms, price_e4=price, volume=volume)
        made += bars.on_tick(each)
        expected += whole.on_tick(each)
        prices.append(price)
    made += bars.on_clock(at_ms + 3_600_000)
    expected += whole.on_clock(at_ms + 3_600_000)
    assert made == expected
    assert sum(bar.volume for bar in made) == volume
    assert sum(bar.ticks for bar in made) == len(steps)
    assert all(bar.low_e4 <= min(bar.open_e4, bar.close_e4) for bar in made)
    assert all(bar.high_e4 >= max(bar.open_e4, bar.close_e4) for bar in made)
    assert [bar.starts_ms for bar in made] == sorted({bar.starts_ms for bar in made})
