"""The first two strategies on small bars with answers worked out by hand, parameters, targets, the registry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.vocabulary import OrderType, Side
from marketdata.domain.bars import Bar
from strategies.domain.base import BadParameters, Intent, Strategy, UnknownStrategy, View, build
from strategies.domain.library.ema_cross import EmaCross
from strategies.domain.library.mean_reversion import MeanReversion
from strategies.registry import find, names, source_hash
from tests.builders import at, e4

NAME = "NSE:STOCK7"


def a_view(position: int = 0, working: int = 0) -> View:
    return View(at_ms=at(), instrument=NAME, holdings={NAME: (position, working)})


def a_bar(close: object, instrument: str = NAME) -> Bar:
    price = e4(close)
    return Bar(instrument, 7, at(), 1, price, price, price, price, 100, 1)


def run(strategy: Strategy, closes: Sequence[object], *, obey: bool = True) -> list[list[tuple[Side, int]]]:
    """What the strategy asks for at each bar, everything filled at once if `obey`."""
    state, position, asked = type(strategy).State(), 0, []
    for close in closes:
        intents = list(strategy.on_bar(state, a_bar(close), a_view(position)))
        asked.append([(intent.side, intent.quantity) for intent in intents])
        position += sum(intent.side.sign * intent.quantity for intent in intents) if obey else 0
    return asked


# fast 2, slow 3 over 10 10 10 13 13 7 7: after the seed 10 the fast average is 12, 12.667, 8.889, 7.630 and
# the slow one 11.5, 12.25, 9.625, 8.3125; the first crossing needs a side before it.
CROSSING = [10, 10, 10, 13, 13, 7, 7, 20]


def test_ema_cross_turns_at_crossings_only() -> None:
    strategy = build(EmaCross, {"fast": 2, "slow": 3, "quantity": 5})

    asked = run(strategy, CROSSING)

    # the first side (above, at 13) is no crossing; 7 crosses below; 20 crosses above and closes first
    assert asked == [
        [],
        [],
        [],
        [],
        [],
        [(Side.SELL, 5)],
        [],
        [(Side.BUY, 5), (Side.BUY, 5)],
    ]


def test_ema_cross_without_shorting_goes_flat() -> None:
    strategy = build(EmaCross, {"fast": 2, "slow": 3, "quantity": 5, "short": False})

    assert run(strategy, [*CROSSING, 1]) == [[], [], [], [], [], [], [], [(Side.BUY, 5)], [(Side.SELL, 5)]]


def test_ema_cross_keeps_instruments_apart() -> None:
    strategy = build(EmaCross, {"fast": 2, "slow": 3})
    state = EmaCross.State()
    for close in CROSSING[:5]:
        assert not list(strategy.on_bar(state, a_bar(close), a_view()))
        assert not list(strategy.on_bar(state, a_bar(100 - close, "NSE:OTHER"), a_view()))

    assert state.averages[NAME].side == 1
    assert state.averages["NSE:OTHER"].side == -1
    (intent,) = strategy.on_bar(state, a_bar(7), a_view())
    assert (intent.instrument, intent.side) == (NAME, Side.SELL)


def test_mean_reversion_enters_against_the_move_and_leaves_near_the_mean() -> None:
    strategy = build(MeanReversion, {"length": 4, "enter_at": 1.5, "leave_at": 0.5, "quantity": 3})

    # windows of four: 10 10 10 6 scores -1.73, 10 10 6 7 -0.70, 10 6 7 8 0.17, 6 7 8 20 1.71
    assert run(strategy, [10, 10, 10, 6, 7, 8, 20]) == [
        [],
        [],
        [],
        [(Side.BUY, 3)],
        [],
        [(Side.SELL, 3)],
        [(Side.SELL, 3)],
    ]


def test_mean_reversion_turns_by_closing_first() -> None:
    strategy = build(MeanReversion, {"length": 4, "enter_at": 1.5, "quantity": 3})

    # 10 10 6 20 scores 1.64 while still long
    assert run(strategy, [10, 10, 10, 6, 20])[-1] == [(Side.SELL, 3), (Side.SELL, 3)]
    long_only = build(MeanReversion, {"length": 4, "enter_at": 1.5, "quantity": 3, "short": False})
    assert run(long_only, [10, 10, 10, 6, 20])[-1] == [(Side.SELL, 3)]


def test_mean_reversion_on_a_frozen_price_does_nothing() -> None:
    strategy = build(MeanReversion, {"length": 20, "enter_at": 0.9, "leave_at": 0.1})

    assert not any(run(strategy, ["100.1"] * 30))


@pytest.mark.parametrize(
    ("strategy", "params", "field"),
    [
        (EmaCross, {"fast": 9, "slow": 9}, "fast"),
        (EmaCross, {"fast": 0}, "fast"),
        (EmaCross, {"fast": "9"}, "fast"),
        (EmaCross, {"slow": 21.5}, "slow"),
        (EmaCross, {"quantity": 0}, "quantity"),
        (EmaCross, {"quantity": True}, "quantity"),
        (EmaCross, {"bar_minutes": -1}, "bar_minutes"),
        (EmaCross, {"bar_minutes": 1441}, "bar_minutes"),
        (EmaCross, {"speed": 1}, "speed"),
        (EmaCross, {"short": None}, "short"),
        (MeanReversion, {"length": 1}, "length"),
        (MeanReversion, {"quantity": -1}, "quantity"),
        (MeanReversion, {"leave_at": 2.0}, "leave_at"),
        (MeanReversion, {"leave_at": -0.1}, "leave_at"),
        (MeanReversion, {"enter_at": "2"}, "enter_at"),
        (MeanReversion, {"enter_at": float("nan")}, "enter_at"),
        (MeanReversion, {"bar_minutes": 0}, "bar_minutes"),
    ],
)
def test_bad_parameters_are_named(strategy: type[Strategy], params: dict[str, Any], field: str) -> None:
    assert build(strategy, {})

    with pytest.raises(BadParameters, match=field):
        build(strategy, params)


class Deaf(Strategy):
    """Has an `on_bar` that asks for no bars, as if they came by themselves."""

    name = "deaf"

    def on_bar(self, state: Any, bar: Any, view: View) -> Any:
        yield view.buy(1)


class AtNoon(Deaf):
    def timers(self) -> tuple[time, ...]:
        return (time(12),)


class Hearing(Deaf):
    def bar_minutes(self) -> tuple[int, ...]:
        return (5,)


def test_a_decimal_that_is_no_number_is_refused() -> None:
    class Stops(Strategy):
        name = "stops"

        class Params(msgspec.Struct, frozen=True):
            stop: Decimal = Decimal(1)

    with pytest.raises(BadParameters, match=r"stops: Expected a finite number, got NaN - at `[$].stop`"):
        build(Stops, {"stop": "NaN"})


def test_bars_that_nobody_asked_for_are_missed_at_once() -> None:
    for strategy in (Deaf, AtNoon):
        with pytest.raises(BadParameters, match="deaf: has on_bar and names no length of bars"):
            build(strategy, {})
    assert build(Hearing, {})
    assert build(EmaCross, {"bar_minutes": 0})  # acts on ticks then


@pytest.mark.parametrize(
    ("position", "working", "wanted", "expected"),
    [
        (0, 0, 10, [(Side.BUY, 10)]),
        (0, 0, -10, [(Side.SELL, 10)]),
        (0, 0, 0, []),
        (10, 0, 10, []),
        (4, 6, 10, []),
        (4, 0, 10, [(Side.BUY, 6)]),
        (10, 0, 4, [(Side.SELL, 6)]),
        (10, 0, 0, [(Side.SELL, 10)]),
        (-10, 0, 0, [(Side.BUY, 10)]),
        (10, 0, -5, [(Side.SELL, 10), (Side.SELL, 5)]),
        (-10, 0, 5, [(Side.BUY, 10), (Side.BUY, 5)]),
        (10, -10, -5, [(Side.SELL, 5)]),
        (0, 10, -5, [(Side.SELL, 10), (Side.SELL, 5)]),
    ],
)
def test_a_target_closes_before_it_turns(
    position: int, working: int, wanted: int, expected: list[tuple[Side, int]]
) -> None:
    intents = list(a_view(position, working).target(wanted, reason="why"))

    assert [(intent.side, intent.quantity) for intent in intents] == expected
    assert all((i.instrument, i.reason, i.order_type) == (NAME, "why", OrderType.MARKET) for i in intents)


@given(st.integers(-100, 100), st.integers(-100, 100), st.integers(-100, 100))
def test_a_target_is_reached_and_no_leg_passes_zero(position: int, working: int, wanted: int) -> None:
    now = position + working
    for intent in a_view(position, working).target(wanted):
        after = now + intent.side.sign * intent.quantity
        assert now * after >= 0
        now = after
    assert now == wanted


def test_a_view_speaks_of_other_instruments_by_name() -> None:
    view = View(at_ms=at(), instrument=NAME, holdings={NAME: (1, 2), "NSE:OTHER": (-3, 4)})

    assert (view.position(), view.working()) == (1, 2)
    assert (view.position("NSE:OTHER"), view.working("NSE:OTHER")) == (-3, 4)
    assert (view.position("NSE:THIRD"), view.working("NSE:THIRD")) == (0, 0)
    assert view.sell(2, instrument="NSE:OTHER") == Intent("NSE:OTHER", Side.SELL, 2)
    limit = view.buy(2, limit_price=Decimal("10.05"))
    assert (limit.instrument, limit.order_type) == (NAME, OrderType.LIMIT)


def test_the_registry_knows_the_library() -> None:
    assert {"ema_cross", "mean_reversion"} <= set(names())
    assert find("ema_cross") is EmaCross
    assert source_hash("ema_cross") != source_hash("mean_reversion")
    with pytest.raises(UnknownStrategy, match="ema_cross"):
        find("ema")
