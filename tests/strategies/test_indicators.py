"""Indicators: small cases by hand, and real bars against TA-Lib, talipp and numpy to 1e-9."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import cache
from math import sqrt

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st
from talipp.indicators import SuperTrend as TalippSuperTrend
from talipp.indicators.SuperTrend import Trend
from talipp.ohlcv import OHLCV

from strategies.domain.indicators import Atr, Ema, Extreme, Rsi, SuperTrend, Vwap, Window
from tests.shared_data import SHARED, needs_shared_data

CLOSE_ENOUGH = 1e-9
SBIN = SHARED / "bars_1min" / "kite_1min_2023-04_SBIN.csv.gz"


@cache
def real(column: str) -> np.ndarray:
    with gzip.open(SBIN, "rt") as lines:
        return np.array([float(row[column]) for row in csv.DictReader(lines)])


def assert_equal(ours: Iterable[float | None], theirs: np.ndarray) -> None:
    """Undefined at the same places, else equal."""
    found = np.array([np.nan if value is None else value for value in ours], float)
    assert len(found) > 5000
    np.testing.assert_allclose(found, theirs, rtol=CLOSE_ENOUGH, atol=0, equal_nan=True)


def windows(length: int, of: Callable[[Window], float | None]) -> list[float | None]:
    window, found = Window(length), []
    for x in real("close").tolist():
        window.push(x)
        found.append(of(window))
    return found


@needs_shared_data
def test_averages_are_those_of_talib() -> None:
    ema = Ema(21)

    assert_equal([ema.update(x) for x in real("close").tolist()], talib.EMA(real("close"), 21))


@needs_shared_data
@pytest.mark.parametrize("length", [2, 14])
def test_strengths_are_those_of_talib(length: int) -> None:
    rsi = Rsi(length)
    theirs = talib.RSI(real("close"), length)
    ours = [rsi.update(x) for x in real("close").tolist()]

    assert_equal([0.0 if value is None and theirs[n] == 0 else value for n, value in enumerate(ours)], theirs)


@needs_shared_data
def test_true_ranges_are_those_of_talib() -> None:
    atr = Atr(14)
    bars = zip(*(real(name).tolist() for name in ("high", "low", "close")), strict=True)

    assert_equal([atr.update(*bar) for bar in bars], talib.ATR(real("high"), real("low"), real("close"), 14))


@needs_shared_data
@pytest.mark.parametrize("length", [2, 20, 200])
def test_deviations_and_scores_are_those_of_numpy(length: int) -> None:
    views = np.lib.stride_tricks.sliding_window_view(real("close"), length)
    deviations = np.where(views.min(axis=1) == views.max(axis=1), 0, views.std(axis=1))
    missing = np.full(length - 1, np.nan)

    assert_equal(windows(length, Window.deviation), np.concatenate([missing, deviations]))
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.where(deviations > 0, (views[:, -1] - views.mean(axis=1)) / deviations, np.nan)
    found = np.array([np.nan if x is None else x for x in windows(length, Window.z_score)])
    np.testing.assert_allclose(found[length - 1 :], scores, rtol=0, atol=CLOSE_ENOUGH, equal_nan=True)


@needs_shared_data
def test_extremes_are_those_of_talib() -> None:
    for sign, column, theirs in ((1, "high", talib.MAX), (-1, "low", talib.MIN)):
        extreme, ours = Extreme(20, sign), []
        for x in real(column).tolist():
            extreme.push(round(x * 10_000))
            ours.append(None if extreme.value is None else extreme.value / 10_000)
        assert_equal(ours, theirs(real(column), 20))


@needs_shared_data
def test_the_supertrend_is_that_of_talipp() -> None:
    """Their average true range begins one bar earlier: compared when that has faded, 0.9 ** 500."""
    ours, theirs, turns = SuperTrend(Atr(10), 3.0), TalippSuperTrend(10, 3), 0
    bars = zip(*(real(name).tolist() for name in ("high", "low", "close")), strict=True)
    for number, (high, low, close) in enumerate(bars):
        before = ours.side
        side = ours.update(high, low, close)
        theirs.add(OHLCV(close, high, low, close))
        if number > 500:
            turns += side != before
            assert (theirs[-1].trend is Trend.UP) == (side > 0), number
            assert ours.line == pytest.approx(theirs[-1].value, rel=CLOSE_ENOUGH)
    assert turns > 100


def test_an_ema_begins_with_the_mean_of_its_first_values() -> None:
    ema = Ema(3)

    # alpha is 2 / (3 + 1); the seed (1 + 2 + 6) / 3
    assert [ema.update(x) for x in (1.0, 2.0, 6.0, 5.0, 0.0)] == [None, None, 3.0, 4.0, 2.0]


def test_an_ema_of_one_is_the_value() -> None:
    ema = Ema(1)

    assert [ema.update(x) for x in (5.0, 7.0)] == [5.0, 7.0]


def test_a_z_score_measures_in_deviations_of_the_window() -> None:
    window = Window(4)
    for x in (100.0, 2.0, 4.0, 4.0):
        window.push(x)
    window.push(6.0)

    # 2, 4, 4, 6: mean 4, variance 2
    assert window.z_score() == pytest.approx(2 / sqrt(2))
    assert (window.first, window.newest) == (2.0, 6.0)


def test_a_window_that_is_not_full_has_no_score() -> None:
    window = Window(2)
    window.push(1.0)

    assert window.z_score() is None


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=200), st.integers(2, 30))
def test_a_window_is_that_of_numpy_whatever_came_before(prices_e4: list[int], length: int) -> None:
    window = Window(length)
    for number, price in enumerate(prices_e4, start=1):
        window.push(price / 10_000)
        last = np.array(prices_e4[max(0, number - length) : number]) / 10_000
        assert window.mean == pytest.approx(last.mean(), rel=1e-9, abs=1e-6)
        deviation = window.deviation()
        assert (deviation is None) == (len(last) < length)
        assert deviation is None or deviation == pytest.approx(last.std(), rel=1e-6, abs=1e-3)


@given(st.integers(1, 10**9), st.integers(2, 60), st.integers(61, 90), st.lists(st.integers(1, 10**9)))
def test_equal_prices_have_no_score_and_equal_averages(
    price_e4: int, short: int, long: int, before: list[int]
) -> None:
    """A frozen price must not look like a move because of how floats round."""
    price = float(Decimal(price_e4).scaleb(-4))
    window, fast, slow = Window(short), Ema(short), Ema(long)
    for other in before:
        window.push(other / 10_000)
    for _ in range(100):
        window.push(price)
        fast.update(price)
        slow.update(price)

    assert window.deviation() == 0
    assert window.z_score() is None
    assert fast.value == slow.value == price


@given(st.lists(st.integers(1, 50), min_size=1, max_size=100), st.integers(1, 12), st.sampled_from([1, -1]))
def test_an_extreme_is_that_of_the_last_prices(prices: list[int], length: int, sign: int) -> None:
    extreme = Extreme(length, sign)
    for number, price in enumerate(prices, start=1):
        extreme.push(price)
        last = prices[max(0, number - length) : number]
        expected = max(last) if sign > 0 else min(last)
        assert extreme.value == (expected if number >= length else None)


def test_a_price_that_only_rises_has_full_strength_and_a_frozen_one_none() -> None:
    rising, frozen = Rsi(2), Rsi(2)

    assert [rising.update(x) for x in (1.0, 2.0, 3.0, 4.0)] == [None, None, 100.0, 100.0]
    assert [frozen.update(5.0) for _ in range(4)] == [None] * 4


def test_a_strength_by_hand() -> None:
    rsi = Rsi(2)

    # changes +2 -1 +3: averages (1, 0.5), then ((1 + 3) / 2, 0.25)
    assert [rsi.update(x) for x in (10.0, 12.0, 11.0, 14.0)] == [
        None,
        None,
        pytest.approx(100 * 1 / 1.5),
        pytest.approx(100 * 2 / 2.25),
    ]


def test_a_vwap_weighs_by_volume_and_begins_each_day_anew() -> None:
    vwap = Vwap()
    for price, volume in ((100.0, 10), (103.0, 20), (50.0, 0)):
        vwap.update(1, price, volume)

    assert vwap.value == pytest.approx(102)
    assert vwap.deviation() == pytest.approx(sqrt((10 * 4 + 20 * 1) / 30))
    vwap.update(2, 7.0, 5)
    assert (vwap.value, vwap.deviation()) == (7.0, None)


def test_a_vwap_without_volume_is_not_defined() -> None:
    vwap = Vwap()
    vwap.update(1, 100.0, 0)

    assert (vwap.value, vwap.deviation()) == (None, None)


@given(st.lists(st.tuples(st.integers(10**5, 10**8), st.integers(1, 10**6)), min_size=1, max_size=50))
def test_a_vwap_lies_within_the_day(trades: list[tuple[int, int]]) -> None:
    vwap = Vwap()
    for price_e4, volume in trades:
        vwap.update(1, price_e4 / 10_000, volume)
    prices = [price / 10_000 for price, _ in trades]

    assert vwap.value is not None
    assert min(prices) * (1 - 1e-12) <= vwap.value <= max(prices) * (1 + 1e-12)
