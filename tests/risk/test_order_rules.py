"""Orders that are too large, repeat, or would meet one of our own; and the pause that only a person ends."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from alphapanda.core.vocabulary import DeploymentStatus, LimitLevel, Side, SignalKind
from risk.domain.context import Context, Member, Resting
from risk.domain.limits import Limits, Scope
from risk.domain.memory import DayState, Sent
from risk.domain.review import review
from strategies.domain.consequences import Working
from strategies.domain.signals import SignalRow
from tests.builders import DEPLOYMENT, a_holding, a_mark, a_signal, an_instrument, at, e4
from tests.risk.test_rules import STARTED, a_context, rule_on

OTHER = UUID(int=5)


@pytest.mark.parametrize(("quantity", "rule"), [(1800, "within_limits"), (1875, "order_quantity")])
def test_the_freeze_quantity_of_the_exchange(quantity: int, rule: str) -> None:
    spec = msgspec.structs.replace(an_instrument(7, lot=75), freeze_quantity=1830)
    assert rule_on(a_signal(quantity=quantity), a_context(instruments={7: spec})) == rule


@pytest.mark.parametrize(
    ("quantity", "legs", "more", "rule"),
    [
        (3_600, 2, {}, "within_limits"),
        (3_675, 2, {}, "order_quantity"),  # 49 lots: the first leg takes 25 of them
        (3_675, 3, {}, "within_limits"),
        (3_600, 0, {"kind": SignalKind.MODIFY, "target": UUID(int=9), "replaces": 3_600}, "within_limits"),
        (3_675, 0, {"kind": SignalKind.MODIFY, "target": UUID(int=9), "replaces": 3_600}, "order_quantity"),
    ],
)
def test_the_exchange_freezes_legs_and_what_grows(
    quantity: int, legs: int, more: dict[str, Any], rule: str
) -> None:
    spec = msgspec.structs.replace(an_instrument(7, lot=75), freeze_quantity=1830)
    context = a_context(instruments={7: spec}, working={7: Working(buy=3_600)})
    assert rule_on(a_signal(quantity=quantity, iceberg_legs=legs, **more), context) == rule


@pytest.mark.parametrize(
    ("before", "rule"),
    [
        (Sent(at() - 5_000, 7, Side.BUY, 10, None), "within_limits"),
        (Sent(at() - 4_999, 7, Side.BUY, 10, None), "duplicate_order"),
        (Sent(at() - 1, 8, Side.BUY, 10, None), "within_limits"),
        (Sent(at() - 1, 7, Side.SELL, 10, None), "within_limits"),
        (Sent(at() - 1, 7, Side.BUY, 11, None), "within_limits"),
        (Sent(at() - 1, 7, Side.BUY, 10, e4(100)), "within_limits"),
        (Sent(at() - 1, 7, Side.BUY, 10, None, e4(101)), "within_limits"),  # a stop is another order
    ],
)
def test_the_same_order_again(before: Sent, rule: str) -> None:
    day = msgspec.structs.replace(STARTED, sent=(before,))
    assert rule_on(a_signal(), a_context(limits=Limits(duplicate_ms=5_000), day=day)) == rule


@pytest.mark.parametrize(("since_ms", "rule"), [(5_000, "within_limits"), (4_999, "duplicate_order")])
def test_the_same_order_where_entries_are_remembered_for_longer(since_ms: int, rule: str) -> None:
    limits = Limits(duplicate_ms=5_000, repeated_entries=9, repeated_ms=60_000)
    day = msgspec.structs.replace(STARTED, sent=(Sent(at() - since_ms, 7, Side.BUY, 10, None),))
    assert rule_on(a_signal(), a_context(limits=limits, day=day)) == rule


def test_an_order_in_one_instrument_forgets_nothing_of_another() -> None:
    """Instrument 8 has a window of its own; the order in 7 between has none."""
    context = a_context(by_token={8: Limits(duplicate_ms=5_000)})
    marks = {7: a_mark(), 8: a_mark()}
    tokens = [8, 7, 8]
    signals = [
        a_signal(token=token, ordinal=n, at_ms=at() + n, marks=marks) for n, token in enumerate(tokens)
    ]

    verdicts, _ = review(signals, context)

    assert [verdict.rule for verdict in verdicts] == ["within_limits", "within_limits", "duplicate_order"]


def test_an_order_is_not_sent_twice_in_one_step_either() -> None:
    context = a_context(limits=Limits(duplicate_ms=5_000))
    verdicts, day = review([a_signal(), a_signal(ordinal=1), a_signal(quantity=9, ordinal=2)], context)

    assert [verdict.rule for verdict in verdicts] == ["within_limits", "duplicate_order", "within_limits"]
    assert len(day.sent) == 2


LIMITED = Limits(repeated_entries=2, repeated_ms=60_000)


def entered(times: int, *, since_ms: int = 0) -> DayState:
    sent = tuple(Sent(at() - since_ms - n, 7, Side.BUY, 1, None) for n in range(times))
    return msgspec.structs.replace(STARTED, sent=sent)


@pytest.mark.parametrize(
    ("day", "rule"),
    [
        (entered(1), "within_limits"),
        (entered(2), "repeated_entries"),
        (entered(2, since_ms=60_000), "within_limits"),
    ],
)
def test_so_many_entries_in_so_long(day: DayState, rule: str) -> None:
    assert rule_on(a_signal(), a_context(limits=LIMITED, day=day)) == rule


def test_the_pause_lasts_until_a_person_starts_the_deployment_again() -> None:
    context = a_context(limits=LIMITED, day=entered(2), holdings={8: a_holding(5)})
    _, held = review([a_signal()], context)
    assert held.held

    paused = msgspec.structs.replace(context, day=held, status=DeploymentStatus.PAUSED)
    much_later = at("14:00")
    (refused, exits), still = review(
        [a_signal(at_ms=much_later), a_signal(Side.SELL, 5, token=8, ordinal=1, at_ms=much_later)], paused
    )
    assert [refused.rule, exits.rule] == ["repeated_entries", "exit"]
    assert still.held == held.held

    started = msgspec.structs.replace(paused, day=still, status=DeploymentStatus.RUNNING)
    (entry,), after = review([a_signal(step=2, at_ms=much_later)], started)
    assert (entry.rule, after.held, len(after.sent)) == ("within_limits", "", 1)


def test_the_pause_holds_for_the_rest_of_the_step_that_earned_it() -> None:
    """Four entries at once, two are allowed: the fourth is no fresh start."""
    signals = [a_signal(quantity=number + 1, ordinal=number) for number in range(4)]

    verdicts, day = review(signals, a_context(limits=LIMITED))

    assert [verdict.rule for verdict in verdicts] == ["within_limits"] * 2 + ["repeated_entries"] * 2
    assert day.held


def meeting(*orders: Resting, limits: Limits | None = None, others: bool = False) -> Context:
    """Our own orders, or those of another deployment in the same scope."""
    scope = Scope(LimitLevel.GLOBAL, "", Limits(self_trade=True), frozenset({DEPLOYMENT, OTHER}))
    if not others:
        return a_context(limits=limits or Limits(self_trade=True), orders=orders)
    member = Member({}, {}, orders)
    return a_context(limits=limits or Limits(), scopes=(scope,), others={OTHER: member})


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize(
    ("side", "limit", "their_side", "their_limit", "is_blocked"),
    [
        (Side.BUY, None, Side.SELL, "150", True),
        (Side.BUY, "100", Side.SELL, None, True),
        (Side.BUY, "100", Side.SELL, "100", True),
        (Side.BUY, "99.95", Side.SELL, "100", False),
        (Side.SELL, "100", Side.BUY, "100", True),
        (Side.SELL, "100.05", Side.BUY, "100", False),
        (Side.BUY, "100", Side.BUY, "100", False),
    ],
)
def test_an_order_that_would_meet_one_of_ours(
    others: bool, side: Side, limit: object, their_side: Side, their_limit: object, is_blocked: bool
) -> None:
    order = Resting(OTHER, 7, their_side, None if their_limit is None else e4(their_limit))
    elsewhere = msgspec.structs.replace(order, token=8)
    rule = "self_trade" if is_blocked else "within_limits"

    assert rule_on(a_signal(side, limit=limit), meeting(order, others=others)) == rule
    assert rule_on(a_signal(side, limit=limit), meeting(elsewhere, others=others)) == "within_limits"


def test_meeting_orders_pass_where_nobody_asked_for_the_rule_and_exits_always() -> None:
    order = Resting(OTHER, 7, Side.BUY, None)
    assert rule_on(a_signal(Side.SELL), meeting(order, limits=Limits())) == "within_limits"
    holding = {"holdings": {7: a_holding(10)}, "working": {7: Working(buy=5)}}
    context = msgspec.structs.replace(meeting(order), **holding)
    assert rule_on(a_signal(Side.SELL, 10), context) == "exit"


def test_two_signals_of_one_step_that_would_meet() -> None:
    verdicts, _ = review([a_signal(), a_signal(Side.SELL, 30, ordinal=1)], meeting())

    assert [verdict.rule for verdict in verdicts] == ["within_limits", "self_trade"]


def changed(quantity: int, *, replaces: int, **more: object) -> SignalRow:
    """A modification of our order OURS."""
    facts = {"kind": SignalKind.MODIFY, "target": OURS.id, "replaces": replaces, "limit": "100"} | more
    return a_signal(quantity=quantity, **facts)  # type: ignore[arg-type]


OURS = Resting(UUID(int=9), 7, Side.BUY, e4(99))


@pytest.mark.parametrize(("quantity", "rule"), [(15, "within_limits"), (16, "position_limit")])
def test_a_change_counts_instead_of_what_it_changes(quantity: int, rule: str) -> None:
    context = a_context(limits=Limits(position_quantity=20), working={7: Working(buy=15)})

    (verdict,), day = review([changed(quantity, replaces=10)], context)

    assert verdict.rule == rule
    assert verdict.numbers["worst_position"] == 5 + quantity
    assert (day.orders, len(day.recent_ms), day.sent) == (0, 1 if rule == "within_limits" else 0, ())


def test_a_change_is_no_duplicate_no_entry_and_never_meets_itself() -> None:
    limits = Limits(duplicate_ms=5_000, repeated_entries=1, repeated_ms=5_000, self_trade=True)
    day = msgspec.structs.replace(STARTED, sent=(Sent(at() - 1, 7, Side.BUY, 10, e4(100)),))
    context = a_context(limits=limits, day=day, orders=(msgspec.structs.replace(OURS, side=Side.SELL),))

    assert rule_on(changed(10, replaces=10), context) == "within_limits"


@pytest.mark.parametrize("obstacle", [{"halts": ("GLOBAL: stop",)}, {"limits": Limits(orders_per_minute=0)}])
def test_a_cancellation_passes_everything_and_frees_nothing_yet(obstacle: dict[str, object]) -> None:
    cancel = a_signal(quantity=10, kind=SignalKind.CANCEL, target=OURS.id, replaces=10)
    context = a_context(working={7: Working(buy=10)}, orders=(OURS,), **obstacle)  # type: ignore[arg-type]

    verdicts, day = review([cancel, a_signal(ordinal=1)], context)

    assert verdicts[0].rule == "cancel"
    assert verdicts[1].numbers["worst_position"] == 20
    assert day.recent_ms == () or not obstacle


@pytest.mark.parametrize(
    ("quantity", "rule"), [(1_350, "within_limits"), (975, "within_limits"), (825, "duplicate_order")]
)
def test_parts_of_what_is_too_large_for_one_order_are_no_duplicates(quantity: int, rule: str) -> None:
    spec = msgspec.structs.replace(an_instrument(7, lot=75), freeze_quantity=1830)
    day = DayState(sent=(Sent(at(), 7, Side.BUY, quantity, None),))
    context = a_context(limits=Limits(duplicate_ms=5_000), day=day, instruments={7: spec})

    assert rule_on(a_signal(quantity=quantity), context) == rule
    late = a_signal(quantity=quantity, at_ms=at() + 1)
    assert rule_on(late, context) == "duplicate_order"
