"""Exits of the platform where no order is taken: they wait for the next session, and none is asked for in vain."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import msgspec

from alphapanda.core.vocabulary import Broker, OrderStatus, SignalOrigin
from alphapanda.engine.account import Account
from marketdata.domain.ticks import Item
from tests.builders import DAY, a_clock, a_tick, at, e4
from tests.strategies.test_guards import AT_ONCE, TOKEN, Told, an_account, fed, flatten, once, ticks


def intraday_after_the_close(*items: Item, **deployment: Any) -> Account:
    """A position whose last tick before the square-off is one of 15:10, then clock items until 15:45 and more."""
    account = an_account(Told(on_start=once(10)), **deployment)
    evening = [a_clock(f"15:{minute}") for minute in (20, 25, 30, 31, 40, 45)]
    return fed(account, *ticks(100, 100, start="15:10"), *evening, a_clock("23:00"), *items)


WEDNESDAY = DAY + timedelta(days=1)
NEVER_CLOSED = AT_ONCE | {"square_off": False}
TOMORROW = [
    a_clock("00:00", WEDNESDAY),
    a_clock("08:59", WEDNESDAY),
    a_clock("09:01", WEDNESDAY),
    a_clock("09:16", WEDNESDAY),
    a_tick(99, at_ms=at("09:17", WEDNESDAY)),
    a_tick(98, at_ms=at("09:18", WEDNESDAY)),
]


def square_offs(account: Account) -> list[tuple[int, OrderStatus]]:
    asked = [order for order in account.journal.orders.values() if order.origin is SignalOrigin.SQUARE_OFF]
    return [(order.placed_at_ms, order.status) for order in asked]


def test_nothing_is_asked_for_where_no_order_is_taken_and_again_where_one_is():
    """A square-off that found no offer: not refused each minute of the night, but closed in the morning."""
    account = intraday_after_the_close(*TOMORROW)

    assert square_offs(account) == [
        (at("15:20"), OrderStatus.EXPIRED),
        (at("09:01", WEDNESDAY), OrderStatus.COMPLETE),
    ]
    assert account.holdings[TOKEN].quantity == 0
    assert account.machine.state.guards.overdue == []


def test_a_square_off_that_nobody_was_there_for_is_made_up_for():
    account = fed(an_account(Told(on_start=once(10))), *ticks(100, 100, start="15:10"), *TOMORROW)

    assert square_offs(account) == [(at("09:01", WEDNESDAY), OrderStatus.COMPLETE)]


def test_what_may_queue_is_asked_for_after_the_close():
    account = intraday_after_the_close(*TOMORROW, execution=AT_ONCE | {"may_queue": True})

    assert square_offs(account) == [
        (at("15:20"), OrderStatus.EXPIRED),
        (at("15:30"), OrderStatus.COMPLETE),
    ]


def test_a_broker_outside_is_owed_no_square_off_of_yesterday():
    """It has closed the position, or made another product of it: one more order would open one."""
    account = an_account(Told(on_start=once(10)))
    account.machine.spec = msgspec.structs.replace(account.machine.spec, broker=Broker.ZERODHA)
    fed(account, *ticks(100, 100, start="15:10"), *TOMORROW)

    assert square_offs(account) == []


def test_an_operator_who_flattens_at_night_is_obeyed_in_the_morning():
    account = intraday_after_the_close(
        a_clock("23:01"), *TOMORROW, commands=flatten(12), execution=NEVER_CLOSED
    )

    made = [row for row in account.journal.signals if row.origin is SignalOrigin.OPERATOR]
    assert [row.at_ms for row in made] == [at("09:01", WEDNESDAY)]
    assert account.holdings[TOKEN].quantity == 0


def test_the_exchange_hears_of_the_last_close_where_circuit_limits_follow_from_it():
    """A fill ends at the band of the day, also where the tick that fills is the first one of it."""
    how = {"latency_ms": 0, "slippage_ticks": 100, "circuit_percent": 1, "may_queue": True}
    account = an_account(Told(on_timer=buys_one, times=(time(15, 31),)), execution=how)
    morning = a_clock("09:16", WEDNESDAY), a_tick(100, at_ms=at("09:17", WEDNESDAY))
    fed(account, *ticks(100, start="15:10"), a_clock("15:31"), *morning)

    assert [row.fill.price_e4 for row in account.journal.fills] == [e4(101)]


def buys_one(view: Any, _at: time) -> Any:
    yield view.buy(1)
