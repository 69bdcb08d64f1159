"""Exits are sacred: what only reduces a position passes every rule; what may do more is judged as an entry."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.vocabulary import DeploymentStatus, Phase, Side
from risk.domain.limits import Limits
from risk.domain.memory import DayState
from risk.domain.review import review
from strategies.domain.consequences import Working
from tests.builders import DAY, a_holding, a_mark, a_signal, at
from tests.risk.test_rules import a_context, rule_on

NOTHING_GOES = Limits(
    order_quantity=0,
    order_value=Decimal(0),
    position_quantity=0,
    daily_orders=0,
    daily_loss=Decimal(0),
    orders_per_minute=0,
    price_age_ms=-1,
)
OBSTACLES: dict[str, dict[str, Any]] = {
    "kill switch": {"halts": ("GLOBAL: stop",)},
    "paused": {"status": DeploymentStatus.PAUSED},
    "odd lot": {"lot": 1000},
    "closed session": {"phase": Phase.CLOSED},
    "limits": {"limits": NOTHING_GOES},
    "loss": {"limits": Limits(daily_loss=Decimal(1)), "day": DayState(DAY.toordinal(), 0, Decimal(10**9))},
    "no equity": {"limits": Limits(daily_loss=Decimal(1)), "day": DayState(DAY.toordinal())},
}
OBSTACLES["all at once"] = {key: value for one in OBSTACLES.values() for key, value in one.items()}


@pytest.mark.parametrize("obstacle", OBSTACLES)
@pytest.mark.parametrize("marks", [{7: a_mark(at_ms=at() - 10**9)}, {}])
@pytest.mark.parametrize(("position", "side"), [(10, Side.SELL), (-10, Side.BUY)])
def test_an_exit_passes_whatever_stands_in_the_way(
    obstacle: str, marks: dict[int, Any], position: int, side: Side
) -> None:
    context = a_context(holdings={7: a_holding(position), 8: a_holding(5)}, **OBSTACLES[obstacle])

    assert rule_on(a_signal(side, 10, marks=marks), context) == "exit"
    assert rule_on(a_signal(side, 1, limit="100", marks=marks), context) == "exit"
    assert rule_on(a_signal(side.opposite, 1, marks=marks), context) not in {"exit", "within_limits"}


@pytest.mark.parametrize(
    ("position", "working", "side", "quantity", "is_exit"),
    [
        (10, Working(), Side.SELL, 10, True),
        (10, Working(), Side.SELL, 11, False),
        (10, Working(sell=6), Side.SELL, 4, True),  # together they close it
        (10, Working(sell=6), Side.SELL, 5, False),  # together they would turn it
        (10, Working(buy=100), Side.SELL, 10, True),
        (10, Working(), Side.BUY, 1, False),
        (-10, Working(), Side.BUY, 10, True),
        (-10, Working(), Side.BUY, 11, False),
        (-10, Working(buy=6), Side.BUY, 4, True),
        (-10, Working(buy=6), Side.BUY, 5, False),
        (-10, Working(sell=50), Side.BUY, 10, True),
        (0, Working(buy=10), Side.SELL, 10, False),  # the purchase may never fill
        (0, Working(), Side.BUY, 1, False),
    ],
)
def test_what_an_exit_is(position: int, working: Working, side: Side, quantity: int, is_exit: bool) -> None:
    context = a_context(
        holdings={7: a_holding(position)}, working={7: working}, halts=("DEPLOYMENT: no entries",)
    )

    assert rule_on(a_signal(side, quantity), context) == ("exit" if is_exit else "kill_switch")


@given(
    st.integers(-50, 50),
    st.integers(0, 50),
    st.integers(0, 50),
    st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 60)), max_size=6),
)
def test_under_a_kill_switch_no_fills_can_enlarge_or_turn_a_position_on_the_sides_asked_for(
    position: int, buy: int, sell: int, asked: list[tuple[Side, int]]
) -> None:
    """Whatever exits are approved: if all of them and all working orders of their side fill, the position is
    nearer to zero, at most flat."""
    context = a_context(
        holdings={7: a_holding(position)}, working={7: Working(buy, sell)}, halts=("GLOBAL: stop",)
    )
    signals = [a_signal(side, quantity, ordinal=n) for n, (side, quantity) in enumerate(asked)]
    verdicts, _ = review(signals, context)

    sides = {signal.side for signal, verdict in zip(signals, verdicts, strict=True) if verdict.is_approved}
    assert len(sides) <= 1
    approved = sum(s.quantity for s, v in zip(signals, verdicts, strict=True) if v.is_approved)
    if Side.SELL in sides:
        assert 0 <= position - sell - approved < position
    if Side.BUY in sides:
        assert 0 >= position + buy + approved > position


def test_the_entry_half_of_a_flip_is_judged() -> None:
    context = a_context(holdings={7: a_holding(10)}, limits=Limits(position_quantity=5))
    close, enter, too_far = (
        a_signal(Side.SELL, quantity, ordinal=n) for n, quantity in enumerate([10, 5, 1])
    )

    verdicts, _ = review([close, enter, too_far], context)

    assert [verdict.rule for verdict in verdicts] == ["exit", "within_limits", "position_limit"]
    assert [verdict.numbers["worst_position"] for verdict in verdicts] == [0, -5, -6]


def test_a_flip_in_one_order_is_judged_as_an_entry() -> None:
    context = a_context(holdings={7: a_holding(10)}, halts=("GLOBAL: stop",))

    assert rule_on(a_signal(Side.SELL, 15), context) == "kill_switch"


def test_two_exits_of_one_step_do_not_close_a_position_twice() -> None:
    context = a_context(holdings={7: a_holding(10)}, halts=("GLOBAL: stop",))

    verdicts, day = review([a_signal(Side.SELL, 10), a_signal(Side.SELL, 10, ordinal=1)], context)

    assert [verdict.rule for verdict in verdicts] == ["exit", "kill_switch"]
    assert day.orders == 1
