"""What a change made of an order at the broker is what its strategy sees of it, in every term."""

from __future__ import annotations

from typing import Any

import pytest

from alphapanda.proof.kite_parts import PRICE_E4, TICK_E4
from execution.models import Order
from tests.kite.test_live_way_out import at_work, pass_ms

pytestmark = pytest.mark.django_db

FAR_E4 = PRICE_E4 + 200 * TICK_E4
STOP = {"order_type": "SL", "trigger_price_e4": FAR_E4, "limit_price_e4": FAR_E4 + 10 * TICK_E4}
DEAR = {"order_type": "LIMIT", "limit_price_e4": PRICE_E4 - 200 * TICK_E4}


def stopped(world: Any) -> Order:
    """A stop that waits at the broker for its price."""
    order = world.want(**STOP, quantity=10)
    pass_ms(world, 10_000)
    order.refresh_from_db()
    assert order.status == "TRIGGER PENDING"
    return order


def changed(world: Any, order: Order, **terms: Any) -> Order:
    """The order, after a change of it was taken and seen."""
    same = {"side": order.side, "quantity": order.quantity, "replaces": order.quantity}
    world.want(kind="MODIFY", target=order.id, **(same | terms))
    pass_ms(world, 10_000)
    order.refresh_from_db()
    return order


def believed(world: Any) -> Any:
    """The one order at work, as its strategy sees it."""
    (one,) = world.shard.runners[world.deployment.id].machine.consequences.orders
    return one


def test_a_stop_that_was_made_a_limit_order_is_one_for_its_strategy(world: Any) -> None:
    order = changed(world, stopped(world), **DEAR)

    assert (order.order_type, order.limit_price_e4, order.trigger_price_e4) == (
        "LIMIT",
        DEAR["limit_price_e4"],
        None,
    )
    assert (believed(world).order_type, believed(world).trigger_price_e4) == ("LIMIT", None)


def test_what_else_a_change_says_is_so_for_its_strategy(world: Any) -> None:
    order = at_work(world, **DEAR, quantity=40, validity="TTL", validity_minutes=10)

    order = changed(world, order, **DEAR, validity="DAY", disclosed_quantity=20)

    assert (order.validity, order.validity_minutes, order.disclosed_quantity) == ("DAY", 0, 20)
    assert (believed(world).validity, believed(world).disclosed_quantity) == ("DAY", 20)
