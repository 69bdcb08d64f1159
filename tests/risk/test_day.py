"""What risk remembers of a day: order counts, the minute window, and the equity that the day began with."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from alphapanda.core.vocabulary import Side
from portfolio.domain.books import Holding
from risk.domain.limits import Limits
from risk.domain.memory import DayState
from risk.domain.review import review
from tests.builders import DAY, a_holding, a_mark, a_signal, at
from tests.risk.test_rules import STARTED, TODAY, a_context, rule_on, verdict_on

YESTERDAY = DayState(day=TODAY - 1, orders=99, equity=Decimal(10**6), recent_ms=(at() - 1,))


def test_approved_signals_of_a_step_count_for_those_after_them() -> None:
    context = a_context(limits=Limits(position_quantity=20, daily_orders=3))
    signals = [a_signal(quantity=10, ordinal=ordinal) for ordinal in range(3)]

    verdicts, day = review(signals, context)

    assert [verdict.rule for verdict in verdicts] == ["within_limits", "within_limits", "position_limit"]
    assert [verdict.numbers["orders_today"] for verdict in verdicts] == [0, 1, 2]
    assert day == DayState(day=TODAY, orders=2, equity=Decimal(0), recent_ms=(at(), at()))


def test_denied_signals_count_for_nothing() -> None:
    context = a_context(limits=Limits(order_quantity=9, position_quantity=9))

    verdicts, day = review([a_signal(quantity=10), a_signal(quantity=9, ordinal=1)], context)

    assert [verdict.is_approved for verdict in verdicts] == [False, True]
    assert day.orders == 1


@pytest.mark.parametrize(("so_far", "rule"), [(4, "within_limits"), (5, "daily_orders")])
def test_orders_of_a_day(so_far: int, rule: str) -> None:
    day = msgspec.structs.replace(STARTED, orders=so_far)

    assert rule_on(a_signal(), a_context(limits=Limits(daily_orders=5), day=day)) == rule


@pytest.mark.parametrize(("oldest", "rule"), [(60_000, "within_limits"), (59_999, "order_rate")])
def test_an_order_leaves_the_minute_after_sixty_seconds(oldest: int, rule: str) -> None:
    day = msgspec.structs.replace(STARTED, orders=2, recent_ms=(at() - oldest, at() - 10))
    context = a_context(limits=Limits(orders_per_minute=2), day=day)

    verdict = verdict_on(a_signal(), context)

    assert verdict.rule == rule
    assert verdict.numbers["orders_last_minute"] == (1 if rule == "within_limits" else 2)


def test_counters_roll_over_at_midnight_in_india() -> None:
    context = a_context(limits=Limits(daily_orders=1), day=msgspec.structs.replace(STARTED, orders=1))
    midnight = at("00:00", DAY + timedelta(days=1))

    _, before = review([a_signal(at_ms=midnight - 1)], context)
    (after,), day = review([a_signal(at_ms=midnight)], context)

    assert (before.day, before.orders) == (TODAY, 1)
    assert after.is_approved
    assert (day.day, day.orders) == (TODAY + 1, 1)


def test_the_minute_is_not_cut_by_midnight() -> None:
    midnight = at("00:00", DAY + timedelta(days=1))
    day = DayState(day=TODAY, orders=5, equity=Decimal(0), recent_ms=(midnight - 5,))

    verdict = verdict_on(a_signal(at_ms=midnight + 5), a_context(limits=Limits(orders_per_minute=1), day=day))

    assert (verdict.rule, verdict.numbers["orders_today"]) == ("order_rate", 0)


@pytest.mark.parametrize(
    ("price", "rule"), [("95.01", "within_limits"), ("95", "daily_loss"), ("94.99", "daily_loss")]
)
def test_the_days_loss_counts_open_positions_from_the_previous_close(price: str, rule: str) -> None:
    """10 units bought at 50 long ago closed at 100 yesterday: at 95 today has lost 50 rupees, not won 450."""
    marks = {7: a_mark(price, close_before=100)}
    context = a_context(
        limits=Limits(daily_loss=Decimal(50)), day=YESTERDAY, holdings={7: a_holding(10, 50, realised=70)}
    )

    (verdict,), day = review([a_signal(quantity=1, marks=marks)], context)

    assert day.equity == 70 + 10 * (100 - 50)
    assert verdict.rule == rule
    assert Decimal(verdict.numbers["day_pnl"]) == 10 * (Decimal(price) - 100)


def test_realised_losses_and_charges_of_the_day_count() -> None:
    holding = Holding(0, Decimal(0), realised=Decimal(-40), charges=Decimal(10))
    strict = a_context(limits=Limits(daily_loss=Decimal(50)), holdings={7: holding})
    lenient = msgspec.structs.replace(strict, limits=Limits(daily_loss=Decimal("50.01")))

    assert rule_on(a_signal(), strict) == "daily_loss"
    assert rule_on(a_signal(), lenient) == "within_limits"


def test_a_short_position_loses_when_the_price_rises() -> None:
    context = a_context(
        limits=Limits(daily_loss=Decimal(50)), day=YESTERDAY, holdings={7: a_holding(-10, 120)}
    )

    assert rule_on(a_signal(Side.SELL, marks={7: a_mark(105, close_before=100)}), context) == "daily_loss"


def test_a_position_without_a_previous_close_is_carried_at_its_first_price() -> None:
    context = a_context(day=YESTERDAY, holdings={7: a_holding(10, 50)})

    _, day = review([a_signal(marks={7: a_mark(100)})], context)

    assert day.equity == 500


def test_a_held_instrument_without_a_price_refuses_entries_and_lets_exits_pass() -> None:
    limits = Limits(daily_loss=Decimal(50))
    context = a_context(limits=limits, holdings={7: a_holding(10), 8: a_holding(3)})

    assert rule_on(a_signal(), context) == "daily_loss"
    assert rule_on(a_signal(Side.SELL, 10), context) == "exit"
    assert rule_on(a_signal(), msgspec.structs.replace(context, limits=Limits())) == "within_limits"


def test_a_day_that_begins_with_an_unknown_price_does_not_begin_with_nothing() -> None:
    """Profits of earlier days must not cover a loss of today once the price is known."""
    limits = Limits(daily_loss=Decimal(50))
    context = a_context(limits=limits, day=YESTERDAY, holdings={8: a_holding(10, 50, realised=10**6)})
    first = a_signal(marks={7: a_mark()})
    later = a_signal(step=2, marks={7: a_mark(), 8: a_mark(90, close_before=100)})

    (unknown,), day = review([first], context)
    (known,), day_later = review([later], msgspec.structs.replace(context, day=day))

    assert (unknown.rule, unknown.numbers["day_pnl"], day.equity) == ("daily_loss", None, None)
    assert (known.rule, known.numbers["day_pnl"]) == ("daily_loss", "-100")
    assert day_later.equity == 10**6 + 500


@pytest.mark.parametrize("day", [DayState(), STARTED, YESTERDAY])
def test_a_day_survives_being_stored(day: DayState) -> None:
    stored = msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(day)))

    assert msgspec.convert(stored, DayState, strict=False) == day
