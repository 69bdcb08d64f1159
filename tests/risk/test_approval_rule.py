"""In approval mode entries wait for a person, exits and cancellations never do."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from alphapanda.core.vocabulary import OrderStatus, Side, SignalKind, SignalOrigin
from risk.domain.context import leaving
from risk.domain.limits import Limits
from risk.domain.review import WAY_OUT, review
from strategies.domain.consequences import Working
from tests.builders import a_holding, a_signal
from tests.risk.test_rules import a_context, rule_on, verdict_on
from tests.strategies.test_acts import a_working_order

WAITED = UUID(int=5)


def test_an_entry_waits_and_the_verdict_says_until_when() -> None:
    verdict = verdict_on(a_signal(Side.BUY, 10), a_context(approval_s=90))

    assert (verdict.is_approved, verdict.rule) == (False, "approval")
    assert verdict.reason == "waits for a person until 2019-07-09T10:01:30.000+05:30"
    assert verdict.guards["approval"] == {"wait_s": 90}
    assert rule_on(a_signal(Side.BUY, 10), a_context()) == "within_limits"


def test_an_exit_and_a_cancellation_wait_for_nobody() -> None:
    context = a_context(approval_s=90, holdings={7: a_holding(10)}, working={7: Working(buy=5)})
    target = {"target": UUID(int=1), "replaces": 5}

    assert rule_on(a_signal(Side.SELL, 10), context) == "exit"
    assert rule_on(a_signal(Side.SELL, 11), context) == "approval"
    assert rule_on(a_signal(Side.BUY, 5, kind=SignalKind.CANCEL, **target), context) == "cancel"


def test_nobody_is_asked_for_what_another_rule_refuses() -> None:
    context = a_context(approval_s=90, limits=Limits(order_quantity=9), halts=("GLOBAL: drill",))
    assert rule_on(a_signal(Side.BUY, 9), context) == "kill_switch"
    assert rule_on(a_signal(Side.BUY, 10), a_context(approval_s=90, limits=Limits(order_quantity=9))) == (
        "order_quantity"
    )


def test_a_change_that_may_enter_is_refused_for_it_cannot_wait() -> None:
    change = a_signal(Side.BUY, 5, kind=SignalKind.MODIFY, limit="100", target=UUID(int=1), replaces=5)
    context = a_context(approval_s=90, working={7: Working(buy=5)})

    assert "cannot wait" in verdict_on(change, context).reason


@pytest.mark.parametrize("approval_s", [0, 90])
def test_what_was_approved_is_judged_by_every_rule_and_by_what_was_said_since(approval_s: int) -> None:
    again = a_signal(Side.BUY, 10, approves=WAITED)
    dropped = (("approval", "dropped, halt:global: drill"),)

    assert rule_on(again, a_context(approval_s=approval_s)) == "within_limits"
    assert (
        rule_on(again, a_context(approval_s=approval_s, limits=Limits(order_quantity=9))) == "order_quantity"
    )
    assert rule_on(again, a_context(approval_s=approval_s, halts=("GLOBAL: drill",))) == "kill_switch"
    assert rule_on(again, a_context(approval_s=approval_s, guards=dropped)) == "approval"
    exit_ = a_signal(Side.SELL, 10, approves=WAITED)
    holding = {7: a_holding(10)}
    assert rule_on(exit_, a_context(approval_s=approval_s, guards=dropped, holdings=holding)) == "exit"


def test_what_waits_is_no_order_and_counts_for_nothing() -> None:
    signals = [a_signal(Side.BUY, 10), a_signal(Side.BUY, 10, ordinal=1)]
    limits = Limits(position_quantity=10, daily_orders=1, repeated_entries=1, repeated_ms=60_000)

    verdicts, day = review(signals, a_context(approval_s=90, limits=limits))

    assert [verdict.rule for verdict in verdicts] == ["approval", "approval"]
    assert (day.orders, day.sent, day.recent_ms) == (0, (), ())


STOP = {"kind": SignalKind.CANCEL, "target": UUID(int=1), "replaces": 100}


def test_an_exit_beside_the_cancellation_of_its_stop_waits_for_nobody() -> None:
    """While it waits the stop would be gone, and approved later it would open what it was to close."""
    context = a_context(approval_s=90, holdings={7: a_holding(100)}, working={7: Working(sell=100)})
    cancel, leave, more = (
        a_signal(Side.SELL, 100, **STOP),
        a_signal(Side.SELL, 100, ordinal=1),
        a_signal(Side.SELL, 1, ordinal=2),
    )

    verdicts, _ = review([cancel, leave, more], context)

    assert [verdict.rule for verdict in verdicts] == ["cancel", "exit", "approval"]
    assert [verdict.numbers.get(WAY_OUT) for verdict in verdicts] == [None, True, None]
    twice, _ = review([cancel, cancel, leave, more], context)
    assert [verdict.rule for verdict in twice][2:] == ["exit", "approval"]
    alone, _ = review([leave], context)
    assert [verdict.rule for verdict in alone] == ["approval"], "both may trade"


def test_no_limit_and_no_kill_switch_keeps_an_exit_back_whose_stop_is_cancelled_beside_it() -> None:
    """The cancellation passes: without the exit the position would stand there without either."""
    context = a_context(
        limits=Limits(daily_orders=0), halts=("GLOBAL: drill",), holdings={7: a_holding(100)},
        working={7: Working(sell=100)},
    )  # fmt: skip
    cancel, leave = a_signal(Side.SELL, 100, **STOP), a_signal(Side.SELL, 100, ordinal=1)

    assert [verdict.rule for verdict in review([cancel, leave], context)[0]] == ["cancel", "exit"]
    assert [verdict.rule for verdict in review([leave], context)[0]] == ["kill_switch"], "both may trade"
    platform = msgspec.structs.replace(
        leave, origin=SignalOrigin.OPERATOR
    )  # which asks again once the stop is gone
    assert [verdict.rule for verdict in review([cancel, platform], context)[0]] == ["cancel", "kill_switch"]


def test_a_cancellation_on_its_way_counts_as_one_of_the_step() -> None:
    going = a_working_order(1, Side.SELL, unfilled=100, status=OrderStatus.CANCEL_PENDING)
    known = {"holdings": {7: a_holding(100)}, "working": {7: Working(sell=100)}, "approval_s": 90}

    assert rule_on(a_signal(Side.SELL, 100), a_context(leaving=leaving([going]), **known)) == "exit"
    works = msgspec.structs.replace(going, status=OrderStatus.OPEN)
    assert rule_on(a_signal(Side.SELL, 100), a_context(leaving=leaving([works]), **known)) == "approval"


def test_what_the_platform_wants_waits_for_nobody() -> None:
    context = a_context(approval_s=90, holdings={7: a_holding(100)}, working={7: Working(sell=100)})

    for origin in set(SignalOrigin) - {SignalOrigin.STRATEGY, SignalOrigin.TAKEN}:
        assert rule_on(a_signal(Side.SELL, 100, origin=origin), context) == "within_limits"


def test_the_entry_half_of_a_flip_waits() -> None:
    context = a_context(approval_s=90, holdings={7: a_holding(10)})
    verdicts, _ = review([a_signal(Side.SELL, 10), a_signal(Side.SELL, 10, ordinal=1)], context)
    assert [verdict.rule for verdict in verdicts] == ["exit", "approval"]
