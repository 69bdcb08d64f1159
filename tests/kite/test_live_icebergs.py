"""Icebergs at the broker: what is wanted of the order reaches the leg that works."""

from __future__ import annotations

from typing import Any

import pytest

from alphapanda.kite_simulator.book import Habits
from alphapanda.kite_simulator.faults import Fault, Kind
from alphapanda.proof.kite_faults import leave_beside
from alphapanda.proof.kite_parts import PRICE_E4
from execution.models import BrokerCall, Order
from risk.models import Alert
from tests.kite.test_live_way_out import at_work, pass_ms

pytestmark = pytest.mark.django_db

LEG, SMALL = 400, 60


def iceberg(world: Any, *, legs: int) -> Order:
    """An order that rests near the market, which takes about a minute for a leg."""
    more = {"variety": "iceberg", "iceberg_legs": legs, "quantity": legs * LEG}
    return at_work(world, order_type="LIMIT", limit_price_e4=PRICE_E4 + 10_000, **more)


def cancel(world: Any, order: Order) -> None:
    facts = {"side": order.side, "quantity": order.quantity, "order_type": "LIMIT", "variety": "iceberg"}
    world.want(kind="CANCEL", target=order.id, replaces=order.quantity, **facts)


def cancelled(order: Order) -> list[tuple[str, str]]:
    calls = BrokerCall.objects.filter(order=order.id, kind="CANCEL").order_by("attempt")
    return list(calls.values_list("broker_order_id", "state"))


@pytest.mark.parametrize(("late", "filled"), [(1, LEG), (2, 2 * LEG)])
def test_a_cancellation_that_came_too_late_for_a_leg_reaches_the_next(
    world: Any, late: int, filled: int
) -> None:
    order = iceberg(world, legs=3)
    world.broker.faults.arm([Fault(kind=Kind.LATE, times=late, on=["cancel"], ms=(300_000, 300_000))])
    cancel(world, order)

    pass_ms(world, 600_000)

    order.refresh_from_db()
    assert (order.status, order.filled_quantity) == ("CANCELLED", filled)
    names = [name for name, _ in cancelled(order)]
    assert (len(names), len(set(names))) == (late + 1, late + 1)


def test_a_leg_that_comes_after_none_was_cancelled_works_on(world: Any) -> None:
    order = iceberg(world, legs=2)

    pass_ms(world, 600_000)

    order.refresh_from_db()
    assert (order.status, cancelled(order)) == ("COMPLETE", [])


def test_an_iceberg_is_as_large_as_all_its_legs_from_the_first_on(world: Any) -> None:
    order = iceberg(world, legs=3)

    assert Order.objects.get(id=order.id).quantity == 3 * LEG


def test_a_change_of_the_price_of_an_iceberg_says_no_quantity_of_its_leg(world: Any) -> None:
    terms = {"order_type": "LIMIT", "variety": "iceberg", "quantity": 2 * LEG, "iceberg_legs": 2}
    order = world.want(**terms, limit_price_e4=PRICE_E4 + 10_000)
    world.want(kind="MODIFY", target=order.id, replaces=2 * LEG, **terms, limit_price_e4=PRICE_E4 + 20_000)

    pass_ms(world, 10_000)

    call = BrokerCall.objects.get(kind="MODIFY")
    assert (call.state, call.form) == ("DONE", {"order_type": "LIMIT", "price": "1502.00"})


def test_the_quantity_of_an_iceberg_cannot_be_changed(world: Any) -> None:
    """Said of a leg, it would be beside what the legs to come add to it."""
    order = iceberg(world, legs=2)
    terms = {"order_type": "LIMIT", "variety": "iceberg", "iceberg_legs": 2}
    world.want(
        kind="MODIFY", target=order.id, replaces=2 * LEG, quantity=LEG, **terms, limit_price_e4=PRICE_E4
    )

    pass_ms(world, 5_000)

    call = BrokerCall.objects.get(kind="MODIFY")
    assert (call.state, call.reason) == ("DROPPED", "the quantity of an iceberg order cannot be modified")


def legs_of(world: Any) -> list[str]:
    return [order.rows[-1]["status"] for order in world.broker.book.orders.values()]


def filled(order: Order) -> int:
    return Order.objects.get(id=order.id).filled_quantity


def let_legs_rest(world: Any) -> None:
    """The broker takes a while to send the next leg, longer than between two looks at its book."""
    world.broker.book.habits = Habits(ladder_ms=8_000)


def test_a_cancellation_between_two_legs_reaches_the_next(world: Any) -> None:
    order = iceberg(world, legs=3)
    let_legs_rest(world)
    world.work(until=lambda: filled(order) == LEG, ends_ms=300_000)
    assert (Order.objects.get(id=order.id).status, legs_of(world)) == ("OPEN", ["COMPLETE"])
    cancel(world, order)

    pass_ms(world, 60_000)

    order.refresh_from_db()
    assert (order.status, order.filled_quantity // LEG, len(cancelled(order))) == ("CANCELLED", 1, 1)


@pytest.mark.parametrize("skew_ms", [0, 90_000])
def test_a_cancellation_that_is_refused_for_a_leg_that_had_traded_reaches_the_next(
    world: Any, skew_ms: int
) -> None:
    """Nobody has heard of that yet when it leaves, and the broker's clock may be ahead of ours."""
    world.broker.clock.skew_ms = skew_ms
    order = iceberg(world, legs=3)
    world.is_pushed = False
    while legs_of(world) != ["COMPLETE", "OPEN"]:
        world.advance(100)
    cancel(world, order)

    pass_ms(world, 60_000)

    order.refresh_from_db()
    assert (order.status, order.filled_quantity // LEG) == ("CANCELLED", 1)
    assert [state for _, state in cancelled(order)] == ["REFUSED", "DONE"]


def test_a_lost_cancellation_of_a_leg_that_traded_reaches_the_next_though_that_comes_later(
    world: Any,
) -> None:
    order = iceberg(world, legs=3)
    world.work(until=lambda: filled(order) > LEG - 60, ends_ms=300_000)
    let_legs_rest(world)
    world.broker.faults.arm([Fault(kind=Kind.LOST, on=["cancel"])])
    cancel(world, order)

    pass_ms(world, 60_000)

    order.refresh_from_db()
    assert (order.status, order.filled_quantity // LEG) == ("CANCELLED", 1)


def test_a_cancellation_that_is_refused_while_its_leg_rests_leaves_the_next_alone(world: Any) -> None:
    """Whoever asked for it has heard so, and may have changed its mind since."""
    order = iceberg(world, legs=2)
    cancel(world, order)
    refused = {"state": "REFUSED", "broker_order_id": next(iter(world.broker.book.orders))}
    BrokerCall.objects.filter(kind="CANCEL").update(answered_at_ms=world.broker.clock.now_ms(), **refused)

    pass_ms(world, 300_000)

    order.refresh_from_db()
    assert (order.status, len(cancelled(order))) == ("COMPLETE", 1)


def beside_a_leg_that_never_comes(world: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Order, Order]:
    """A position, what was to close it by legs, of which the broker sends one, and an exit of what is left."""
    send_next = world.broker.book._next_leg
    monkeypatch.setattr(world.broker.book, "_next_leg", lambda order, at_ms: None)
    entry = world.want(quantity=2 * SMALL)
    world.work(until=lambda: filled(entry) == 2 * SMALL, ends_ms=100_000)
    price = {"order_type": "LIMIT", "limit_price_e4": PRICE_E4 - 10_000, "side": "SELL"}
    resting = at_work(world, variety="iceberg", iceberg_legs=2, quantity=2 * SMALL, **price)
    world.work(until=lambda: filled(resting) == SMALL, ends_ms=300_000)
    monkeypatch.setattr(world.broker.book, "_next_leg", send_next)
    resting.refresh_from_db()
    return resting, leave_beside(world, resting, SMALL)


def test_an_exit_does_not_wait_for_ever_for_a_leg_that_never_comes(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting, order = beside_a_leg_that_never_comes(world, monkeypatch)

    pass_ms(world, 200_000)

    assert (filled(order), legs_of(world)[1:]) == (SMALL, ["COMPLETE", "COMPLETE"])
    assert Order.objects.get(id=resting.id).status == "COMPLETE"
    assert not Alert.objects.exists()


def test_a_leg_that_comes_after_it_was_given_up_is_cancelled(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting, order = beside_a_leg_that_never_comes(world, monkeypatch)
    world.work(until=lambda: filled(order) == SMALL, ends_ms=200_000)
    first = next(one for one in world.broker.book.orders.values() if one.wanted.legs)
    world.broker.book._next_leg(first, world.broker.clock.now_ms())

    pass_ms(world, 20_000)

    assert legs_of(world)[-1] == "CANCELLED"
    assert Alert.objects.get(code="order_revived").severity == "CRITICAL"
    assert Order.objects.get(id=resting.id).status == "CANCELLED"
