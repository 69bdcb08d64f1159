"""Strategies on bars made by hand: each enters exactly here and leaves exactly there."""

from __future__ import annotations

from datetime import date, time, timedelta
from math import exp, log
from typing import Any

import pytest

from alphapanda.core.vocabulary import Side
from marketdata.domain.bars import Bar
from strategies.domain.base import BadParameters, View, build
from strategies.domain.library.donchian import Donchian
from strategies.domain.library.momentum import Momentum
from strategies.domain.library.opening_range import OpeningRange
from strategies.domain.library.pairs import Pairs
from strategies.domain.library.rsi_reversion import RsiReversion
from strategies.domain.library.supertrend import SuperTrendFollower
from strategies.domain.library.vwap_reversion import VwapReversion
from tests.builders import DAY, at
from tests.strategies.bars import NAME, OTHER, Asked, a_bar, acts, run

BUY, SELL = Side.BUY, Side.SELL


# ---- RSI: length 2, so after changes d1 d2 the averages are their means, then (before + change) / 2


def test_rsi_buys_what_is_oversold_and_leaves_in_the_middle() -> None:
    strategy = build(RsiReversion, {"length": 2, "oversold": 20, "leave_at": 50, "quantity": 4})

    # 10 9 8: no gain, 0. 9: gain .5, loss .5, 50. 9.5: gain .5, loss .25, 66.7
    assert acts(run(strategy, [a_bar(x) for x in (10, 9, 8, 9, 9.5)])) == {2: [(BUY, 4)], 3: [(SELL, 4)]}


def test_rsi_sells_what_is_overbought_unless_it_may_not() -> None:
    bars = [a_bar(x) for x in (10, 11, 12, 11)]

    assert acts(run(build(RsiReversion, {"length": 2}), bars)) == {2: [(SELL, 1)], 3: [(BUY, 1)]}
    assert not acts(run(build(RsiReversion, {"length": 2, "short": False}), bars))


# ---- SuperTrend: length 1, so the average is the last true range


def test_supertrend_turns_when_a_close_passes_the_band_and_not_before() -> None:
    strategy = build(SuperTrendFollower, {"length": 1, "multiple": 1.0, "quantity": 2})
    bars = [
        a_bar(100, high=101, low=99),
        a_bar(100, high=101, low=99),  # range 2: upper 102; begins below
        a_bar(
            102, high=102, low=100
        ),  # range 2, middle 101: upper 103 is no narrower, so 102; 102 is not above
        a_bar(103, high=103, low=102),  # range 1, middle 102.5: 103.5 or 102: above 102, turns
        a_bar(106, high=106, low=104),  # range 3, middle 105: lower 102
        a_bar(102, high=103, low=102),  # range 4: lower 98.5 is no narrower, so 102; not below
        a_bar(101, high=102, low=101),  # below 102, turns
    ]

    assert acts(run(strategy, bars)) == {3: [(BUY, 2)], 6: [(SELL, 2), (SELL, 2)]}


def test_supertrend_without_shorting_goes_flat() -> None:
    strategy = build(SuperTrendFollower, {"length": 1, "multiple": 1.0, "short": False})
    closes = [100, 100, 103, 90]

    # without high and low the range is the move, and the middle the close: upper 100 at the second bar
    assert acts(run(strategy, [a_bar(x) for x in closes])) == {2: [(BUY, 1)], 3: [(SELL, 1)]}


# ---- Donchian: in beyond three bars, out beyond two


CHANNEL = {"length": 3, "exit_length": 2, "quantity": 5}


def highs_and_lows(*closes: int) -> list[Bar]:
    """Each bar reaches one rupee above and below its close."""
    return [a_bar(x, high=x + 1, low=x - 1) for x in closes]


def test_donchian_enters_beyond_the_bars_before_and_leaves_beyond_the_last_ones() -> None:
    bars = highs_and_lows(10, 10, 10, 11, 13, 14, 15, 13, 12)

    # 11 is not above the highest, 11; 13 is above 12. The lowest of two before 13 are 13 and 14, before 12 they
    # are 14 and 12: neither is passed
    assert acts(run(build(Donchian, CHANNEL), bars)) == {4: [(BUY, 5)]}
    assert acts(run(build(Donchian, CHANNEL), [*bars, *highs_and_lows(9)])) == {
        4: [(BUY, 5)],
        9: [(SELL, 5), (SELL, 5)],  # below the lowest of three as well, 11: turns
    }


def test_donchian_leaves_by_the_narrow_channel() -> None:
    # in at 20; the lowest of the last two before 17 are 20-1 and 19-1: out; the lowest of three, 9, is far away
    bars = highs_and_lows(10, 10, 10, 20, 19, 17)

    assert acts(run(build(Donchian, CHANNEL), bars)) == {3: [(BUY, 5)], 5: [(SELL, 5)]}


def test_donchian_short_is_the_mirror() -> None:
    bars = highs_and_lows(30, 30, 30, 20, 21, 23)

    assert acts(run(build(Donchian, CHANNEL), bars)) == {3: [(SELL, 5)], 5: [(BUY, 5)]}
    assert not acts(run(build(Donchian, CHANNEL | {"short": False}), bars))


# ---- opening range: 09:15 to 09:25 by bars of five minutes


RANGE = {"range_minutes": 10, "bar_minutes": 5, "leave_at": "10:00", "quantity": 3}


def morning(*closes: float, day: date = date(2019, 7, 9)) -> list[Bar]:
    """Bars from 09:15; the first two reach from 98 to 102."""
    reach = {0: (102, 99), 1: (101, 98)}
    return [
        a_bar(
            close,
            high=reach.get(number, (close,))[0],
            low=reach.get(number, (close,))[-1],
            clock="09:15",
            number=number,
            minutes=5,
            day=day,
        )
        for number, close in enumerate(closes)
    ]


def test_the_opening_range_is_entered_once_and_left_at_the_time_set() -> None:
    bars = morning(100, 100, 102, 102.05, 103, 101, 102.1, 102.2, 102.3, 102.4)

    # 102 is the range's edge; the bar from 09:55 ends at 10:00
    assert acts(run(build(OpeningRange, RANGE), bars)) == {3: [(BUY, 3)], 8: [(SELL, 3)]}


def test_the_other_side_of_the_range_is_the_stop() -> None:
    bars = morning(100, 100, 103, 98, 97.95, 103)

    assert acts(run(build(OpeningRange, RANGE), bars)) == {2: [(BUY, 3)], 4: [(SELL, 3)]}
    twice = build(OpeningRange, RANGE | {"entries_daily": 2})
    assert acts(run(twice, bars)) == {2: [(BUY, 3)], 4: [(SELL, 3), (SELL, 3)], 5: [(BUY, 3)]}
    long_only = build(OpeningRange, RANGE | {"entries_daily": 2, "short": False})
    assert acts(run(long_only, bars)) == {2: [(BUY, 3)], 4: [(SELL, 3)], 5: [(BUY, 3)]}


def test_each_day_has_its_own_range_and_entries() -> None:
    first, second = morning(100, 100, 103), morning(100, 100, 103, day=date(2019, 7, 10))

    flat = morning(*[103] * 9)[8:]  # closes the first day's position
    assert acts(run(build(OpeningRange, RANGE), [*first, *flat, *second])) == {
        2: [(BUY, 3)],
        3: [(SELL, 3)],
        6: [(BUY, 3)],
    }


def test_a_day_whose_range_was_not_seen_is_left_alone() -> None:
    assert not acts(run(build(OpeningRange, RANGE), morning(100, 100, 103, 90)[2:]))


# ---- VWAP: bars of equal volume, so the mean and deviation of the typical prices


VWAP = {"enter_at": 1.5, "enter_from": "09:20", "leave_at": "10:00", "bar_minutes": 5, "quantity": 2}


def test_vwap_enters_far_from_the_average_and_leaves_at_it() -> None:
    # 100 100 100 96: mean 99, deviation 1.732: -1.732 deviations. then 98 of mean 98.8: not back; 99.2 of 98.867 is
    bars = morning(100, 100, 100, 96, 98, 99.2)
    bars = [a_bar(bar.close, clock="09:15", number=n, minutes=5) for n, bar in enumerate(bars)]

    assert acts(run(build(VwapReversion, VWAP), bars)) == {3: [(BUY, 2)], 5: [(SELL, 2)]}
    late = build(VwapReversion, VWAP | {"enter_from": "09:36"})
    assert not acts(run(late, bars[:4]))


def test_vwap_is_flat_by_the_time_set_and_does_nothing_without_volume() -> None:
    closes = [100, 100, 100, 104, 105, 106, 107, 108, 109, 90]
    bars = [a_bar(x, clock="09:15", number=n, minutes=5) for n, x in enumerate(closes)]

    assert acts(run(build(VwapReversion, VWAP), bars)) == {3: [(SELL, 2)], 8: [(BUY, 2)]}
    assert not acts(run(build(VwapReversion, VWAP | {"short": False}), bars))
    index = [a_bar(x, volume=0, clock="09:15", number=n, minutes=5) for n, x in enumerate(closes)]
    assert not acts(run(build(VwapReversion, VWAP), index))


# ---- pairs: the spread is log(first), for the second stands at 1 rupee


LEGS = {
    "first": NAME,
    "second": OTHER,
    "length": 4,
    "enter_at": 1.5,
    "leave_at": 0.5,
    "first_quantity": 2,
    "second_quantity": 3,
}


def spread(params: dict[str, Any], *spreads: float) -> dict[int, list[tuple[str, Side, int]]]:
    """What is asked for at each spread by instrument, everything filled at once."""
    strategy, position, asked = build(Pairs, LEGS | params), {NAME: 0, OTHER: 0}, {}
    state = Pairs.State()
    for number, value in enumerate(spreads):
        intents = []
        for bar in (a_bar(1, instrument=OTHER, number=number), a_bar(f"{exp(value):.4f}", number=number)):
            view = View(
                at_ms=bar.ends_ms,
                instrument=bar.instrument,
                holdings={k: (v, 0) for k, v in position.items()},
            )
            intents += list(strategy.on_bar(state, bar, view))
        for intent in intents:
            position[intent.instrument] += intent.side.sign * intent.quantity
        if intents:
            asked[number] = [(intent.instrument, intent.side, intent.quantity) for intent in intents]
    return asked


def test_pairs_trade_both_legs_against_the_spread_and_leave_near_its_mean() -> None:
    # as the z-scores of mean reversion: 5 5 5 1 scores -1.73, 5 5 1 2 -0.70, 5 1 2 3 0.17
    assert spread({}, 5, 5, 5, 1, 2, 3) == {
        3: [(NAME, BUY, 2), (OTHER, SELL, 3)],
        5: [(NAME, SELL, 2), (OTHER, BUY, 3)],
    }
    assert spread({}, 1, 1, 1, 5) == {3: [(NAME, SELL, 2), (OTHER, BUY, 3)]}


def test_pairs_beyond_the_stop_are_closed_and_wait_until_the_spread_is_back_inside() -> None:
    # 5 5 5 4 enters at -1.73; 5 5 4 2 scores -1.63, beyond a stop of 1.6: out; 5 4 2 0.5 at -1.29 is back
    # inside, so the next extreme is entered again
    far = spread({"stop_at": 1.6}, 5, 5, 5, 4.99, 2)

    assert far == {3: [(NAME, BUY, 2), (OTHER, SELL, 3)], 4: [(NAME, SELL, 2), (OTHER, BUY, 3)]}
    again = spread({"stop_at": 1.6}, 5, 5, 5, 4.99, 2, 2, 2, 2.01)
    assert list(again) == [3, 4, 7]


def test_pairs_wait_for_both_legs_of_the_same_bar() -> None:
    strategy, state = build(Pairs, LEGS), Pairs.State()
    for number, close in enumerate((5, 5, 5, 1)):
        view = View(at_ms=0, instrument=NAME, holdings={})
        assert not list(strategy.on_bar(state, a_bar(close, number=number), view))
        late = a_bar(1, instrument=OTHER, number=number - 1)
        assert not list(strategy.on_bar(state, late, view))
    assert state.window is None


def test_pairs_refuse_other_instruments() -> None:
    assert build(Pairs, LEGS, instruments=[OTHER, NAME])
    for instruments in ([NAME], [NAME, "NSE:THIRD"], [NAME, OTHER, "NSE:THIRD"]):
        with pytest.raises(BadParameters, match="NSE:STOCK7 and NSE:STOCK8, and no other"):
            build(Pairs, LEGS, instruments=instruments)


# ---- parameters


@pytest.mark.parametrize(
    ("strategy", "params", "said"),
    [
        (RsiReversion, {"oversold": 50}, "leave_at"),
        (RsiReversion, {"overbought": 101}, "overbought"),
        (RsiReversion, {"length": 1}, "length"),
        (SuperTrendFollower, {"multiple": 0}, "multiple"),
        (SuperTrendFollower, {"multiple": float("nan")}, "multiple"),
        (Donchian, {"exit_length": 21}, "exit_length"),
        (Donchian, {"bar_minutes": 0}, "bar_minutes"),
        (OpeningRange, {"range_minutes": 7}, "range_minutes"),
        (OpeningRange, {"leave_at": "09:30"}, "leave_at"),
        (OpeningRange, {"opens": "9:15"}, "opens"),
        (OpeningRange, {"entries_daily": 0}, "entries_daily"),
        (VwapReversion, {"leave_at_deviations": 2.0}, "leave_at_deviations"),
        (VwapReversion, {"enter_from": "15:10"}, "enter_from"),
        (VwapReversion, {"enter_from": "24:00"}, "enter_from"),
        (Momentum, {"rebalance_at": []}, "rebalance_at"),
        (Momentum, {"rebalance_at": ["10:15", "10:15"]}, "twice"),
        (Momentum, {"capital": 0}, "capital"),
        (Pairs, {"first": OTHER}, "two instruments"),
        (Pairs, {"first": "STOCK7"}, "first"),
        (Pairs, {"stop_at": 1.0}, "stop_at"),
        (Pairs, {"hedge": 0}, "hedge"),
    ],
)
def test_nonsense_is_refused_by_name(strategy: Any, params: dict[str, Any], said: str) -> None:
    base = LEGS if strategy is Pairs else {}
    assert build(strategy, base)

    with pytest.raises(BadParameters, match=said):
        build(strategy, base | params)


def test_nothing_is_asked_for_within_the_warm_up() -> None:
    """The wildest prices give no signal before the bars that a strategy says it needs, and one right after."""
    cases: list[tuple[Any, list[float]]] = [
        (build(RsiReversion, {"length": 5}), [10, 9, 8, 7, 6, 5]),
        (build(Donchian, {"length": 5, "exit_length": 2}), [10, 10, 10, 10, 10, 20]),
        (build(SuperTrendFollower, {"length": 2, "multiple": 0.1}), [10, 10, 9, 20]),
    ]
    for strategy, closes in cases:
        asked: list[Asked] = run(strategy, [a_bar(x) for x in closes])
        assert list(acts(asked)) == [strategy.warm_up()] == [len(closes) - 1]


# ---- momentum: two returns each


BASKET = {"length": 2, "hold": 1, "capital": 12_000, "rebalance_at": ["10:15"], "bar_minutes": 1}
THIRD = "NSE:STOCK9"


def basket(params: dict[str, Any], prices: dict[str, list[float]], *, days: int = 1) -> list[dict[str, int]]:
    """What is held after each day's rebalancing, everything filled at once."""
    strategy, state, held, found = (
        build(Momentum, BASKET | params),
        Momentum.State(),
        dict.fromkeys(prices, 0),
        [],
    )
    for name, closes in prices.items():
        for number, close in enumerate(closes):
            assert not list(strategy.on_bar(state, a_bar(close, number=number, instrument=name), a_view({})))
    for day in range(days):
        for intent in strategy.on_timer(state, time(10, 15), a_view(held, day=day)):
            held[intent.instrument] += intent.side.sign * intent.quantity
        found.append({name: units for name, units in held.items() if units})
    return found


def a_view(held: dict[str, int], *, day: int = 0) -> View:
    holdings = {name: (units, 0) for name, units in held.items()}
    return View(at_ms=at("10:15", DAY + timedelta(days=day)), instrument="", holdings=holdings)


# returns of the first: 0 and log 1.2; of the second 0.02 and log 1.1; of the third it falls
RISES = {NAME: [100, 100, 120], OTHER: [100, 102, 120], THIRD: [100, 90, 85]}


def test_momentum_holds_what_rose_most_for_its_risk() -> None:
    # scores: 0.0912 / 0.0912 = 1; 0.0912 / 0.0714 = 1.28; below 0
    assert basket({}, RISES) == [{OTHER: 100}]
    assert basket({"short": True, "capital": 24_000}, RISES)[0].keys() == {OTHER, THIRD}


def test_momentum_gives_each_holding_the_same_risk() -> None:
    (held,) = basket({"hold": 3, "capital": 1_000_000}, RISES)

    assert held.keys() == {NAME, OTHER}
    deviations = {NAME: log(1.2) / 2, OTHER: (log(120 / 102) - log(1.02)) / 2}
    risks = [held[name] * 120 * deviations[name] for name in held]
    assert risks[0] == pytest.approx(risks[1], rel=1e-3)
    assert 999_000 < sum(held.values()) * 120 <= 1_000_000


def test_momentum_without_enough_bars_or_without_risers_holds_nothing() -> None:
    assert basket({}, {NAME: [100, 120]}) == [{}]
    assert basket({}, {NAME: [100, 100, 100]}) == [{}]
    assert basket({}, {NAME: [100, 99, 95]}) == [{}]


def test_momentum_rebalances_on_its_days_and_leaves_small_differences() -> None:
    strategy, state = build(Momentum, BASKET | {"every_days": 3}), Momentum.State()
    for name, closes in RISES.items():
        for number, close in enumerate(closes):
            list(strategy.on_bar(state, a_bar(close, number=number, instrument=name), a_view({})))

    asked = [bool(list(strategy.on_timer(state, time(10, 15), a_view({}, day=day)))) for day in range(5)]
    assert asked == [True, False, False, True, False]
    again = build(Momentum, BASKET)
    for held, count in ((100, 0), (91, 0), (90, 0), (89, 1), (111, 1), (-5, 2)):
        assert len(list(again.on_timer(state, time(10, 15), a_view({OTHER: held}, day=6)))) == count


def test_momentum_sells_before_it_buys() -> None:
    strategy, state = build(Momentum, BASKET), Momentum.State()
    for name, closes in RISES.items():
        for number, close in enumerate(closes):
            list(strategy.on_bar(state, a_bar(close, number=number, instrument=name), a_view({})))

    intents = list(strategy.on_timer(state, time(10, 15), a_view({NAME: 10, THIRD: -4})))
    assert [(intent.instrument, intent.side) for intent in intents] == [
        (NAME, SELL),
        (THIRD, BUY),
        (OTHER, BUY),
    ]


@pytest.mark.parametrize("strategy", [build(OpeningRange, {}), build(VwapReversion, {})])
def test_what_is_held_is_left_at_the_time_set_also_without_a_bar(strategy: Any) -> None:
    state = type(strategy).State()
    list(strategy.on_bar(state, a_bar(100, clock="09:15", minutes=5), a_view({})))

    assert strategy.timers() == (time(15, 10),)
    (intent,) = strategy.on_timer(state, time(15, 10), a_view({NAME: -7}))
    assert (intent.instrument, intent.side, intent.quantity) == (NAME, BUY, 7)
