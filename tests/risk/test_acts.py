"""Cancellations always pass; a modification is judged as if its order were the new one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from alphapanda.core.vocabulary import Side, SignalKind
from risk.domain.limits import Limits
from risk.domain.review import review
from strategies.domain.consequences import Working
from strategies.domain.signals import SignalRow
from tests.builders import a_holding, a_signal
from tests.risk.test_exits import OBSTACLES
from tests.risk.test_rules import a_context, rule_on


def an_act(kind: SignalKind, side: Side, quantity: int, replaces: int, **more: Any) -> SignalRow:
    return a_signal(side, quantity, kind=kind, target=UUID(int=1), replaces=replaces, limit="100", **more)


@pytest.mark.parametrize("obstacle", OBSTACLES)
@pytest.mark.parametrize("side", Side)
def test_a_cancellation_passes_whatever_stands_in_the_way(obstacle: str, side: Side) -> None:
    context = a_context(working={7: Working(60, 60)}, **OBSTACLES[obstacle])

    verdicts, _ = review([an_act(SignalKind.CANCEL, side, 60, 60)], context)

    assert [verdict.rule for verdict in verdicts] == ["cancel"]


@pytest.mark.parametrize(("quantity", "rule"), [(60, "within_limits"), (61, "position_limit")])
@pytest.mark.parametrize("side", Side)
def test_a_modification_replaces_what_its_order_had_open(side: Side, quantity: int, rule: str) -> None:
    """40 of another order and 50 of this one work; 100 is the limit."""
    context = a_context(limits=Limits(position_quantity=100), working={7: Working(90, 90)})
    assert rule_on(an_act(SignalKind.MODIFY, side, quantity, 50), context) == rule


def test_a_modification_of_an_exit_is_an_exit() -> None:
    context = a_context(
        holdings={7: a_holding(100)}, working={7: Working(sell=100)}, **OBSTACLES["kill switch"]
    )

    assert rule_on(an_act(SignalKind.MODIFY, Side.SELL, 100, 100), context) == "exit"
    assert rule_on(an_act(SignalKind.MODIFY, Side.SELL, 101, 100), context) == "kill_switch"


def test_acts_are_no_orders_of_the_day_and_a_changed_order_counts_in_its_new_size() -> None:
    signals = [
        an_act(SignalKind.MODIFY, Side.BUY, 80, 50),
        an_act(SignalKind.CANCEL, Side.BUY, 80, 80, ordinal=1),
        a_signal(Side.BUY, 20, ordinal=2),
        a_signal(Side.BUY, 1, ordinal=3),
    ]
    context = a_context(limits=Limits(position_quantity=100), working={7: Working(buy=50)})

    verdicts, day = review(signals, context)

    rules = [verdict.rule for verdict in verdicts]
    assert rules == ["within_limits", "cancel", "within_limits", "position_limit"]
    assert (day.orders, len(day.recent_ms)) == (1, 2)  # a change is a message to the broker
