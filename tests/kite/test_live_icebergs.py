"""Icebergs at the broker: what is wanted of the order reaches the leg that works."""

from __future__ import annotations

from typing import Any

import pytest

from alphapanda.kite_simulator.faults import Fault, Kind
from alphapanda.proof.kite_parts import PRICE_E4
from execution.models import BrokerCall, Order
from tests.kite.test_live_way_out import at_work, pass_ms

pytestmark = pytest.mark.django_db

LEG = 400


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
