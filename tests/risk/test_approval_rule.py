"""In approval mode entries wait for a person, exits and cancellations never do."""

from __future__ import annotations

from uuid import UUID

import pytest

from alphapanda.core.vocabulary import Side, SignalKind, SignalOrigin
from risk.domain.limits import Limits
from risk.domain.review import review
from strategies.domain.consequences import Working
from tests.builders import a_holding, a_signal
from tests.risk.test_rules import a_context, rule_on, verdict_on

WAITED = UUID(int=5)


def test_an_entry_waits_and_the_verdict_says_until_when() -> None:
    verdict = verdict_on(a_signal(Side.BUY, 10), a_context(approval_s=90))

    assert (verdict.is_approved, verdict.rule) == (False, "approval")
    assert verdict.reason == "waits for a person until 2019-07-09T10:01:30.000+05:30"
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


def test_a_way_out_beside_the_cancellation_of_another_does_not_wait() -> None:
    context = a_context(approval_s=90, holdings={7: a_holding(100)}, working={7: Working(sell=100)})
    cancel = a_signal(Side.SELL, 100, kind=SignalKind.CANCEL, target=UUID(int=1), replaces=100)

    verdicts, _ = review([cancel, a_signal(Side.SELL, 100, ordinal=1)], context)
    assert [one.rule for one in verdicts] == ["cancel", "within_limits"]

    verdicts, _ = review([cancel, a_signal(Side.SELL, 101, ordinal=1)], context)
    assert [one.rule for one in verdicts] == ["cancel", "approval"]
    twice = [cancel, *(a_signal(Side.SELL, 100, ordinal=number) for number in (1, 2))]
    verdicts, _ = review(twice, context)
    assert [one.rule for one in verdicts] == ["cancel", "within_limits", "approval"]


def test_what_the_platform_itself_wants_waits_for_nobody() -> None:
    context = a_context(approval_s=90, working={7: Working(sell=100)})

    assert rule_on(a_signal(Side.SELL, 10, origin=SignalOrigin.SQUARE_OFF), context) == "within_limits"
