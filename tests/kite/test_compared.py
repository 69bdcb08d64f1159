"""What the comparison of `manage.py kite_faults` finds, each thing made wrong by hand where all was right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from alphapanda.eventlog.models import OutboxEvent
from alphapanda.proof.kite_compared import Comparison
from execution.models import BrokerCall, Fill, Order, OrderEvent
from portfolio.models import Book
from risk.models import KillSwitch
from strategies.domain.consequences import Consequences
from strategies.models import Deployment
from tests.kite.test_live_way_out import DEAR, at_work, held, pass_ms, throw

pytestmark = pytest.mark.django_db


def _traded() -> Any:
    return Order.objects.filter(status="COMPLETE")


def _falls(world: Any) -> None:
    order = _traded().get()
    row = order.events.order_by("number").last()
    row.pk, row.number, row.filled_quantity = world.deployment.id, row.number + 1, 0
    OrderEvent.objects.bulk_create([row])
    _traded().update(events_count=F("events_count") + 1)


def _halted_before(world: Any) -> None:
    throw(world, "PAUSE")
    KillSwitch.objects.update(reached_at=world.now() - timedelta(hours=1))


def _believes_nothing(world: Any) -> None:
    world.shard.runners[world.deployment.id].machine.consequences = Consequences()


def _charged_otherwise(world: Any) -> None:
    """The same sum, under other names."""
    (trade,) = (trade for one in world.broker.book.orders.values() for trade in one.trades)
    first, second, *_ = trade.fill.charges
    trade.fill.charges[first] += 1
    trade.fill.charges[second] -= 1


WRONG: dict[str, tuple[Callable[[Any], Any], list[str]]] = {
    "worth": (lambda world: _traded().update(turnover=1), ["worth 1"]),
    "charges": (_charged_otherwise, ["charges {"]),
    "type": (lambda world: Order.objects.filter(side="SELL").update(order_type="SL"), ["'SL'"]),
    "validity": (lambda world: Order.objects.filter(side="SELL").update(validity="IOC"), ["'IOC'"]),
    "history": (_falls, ["fall in its history", "its history ends"]),
    "rows": (lambda world: _traded().update(events_count=99), ["rows of its history"]),
    "name": (lambda world: _traded().update(broker_order_id="7"), ["is called 7"]),
    "call": (
        lambda world: BrokerCall.objects.filter(lane="ENTRY").update(state="DROPPED"),
        ["left, though it was dropped"],
    ),
    "halt": (_halted_before, ["an entry left after the kill switch"]),
    "status": (lambda world: Deployment.objects.update(status="PAUSED"), ["is PAUSED"]),
    "books": (lambda world: Book.objects.update(cash=F("cash") - 1), ["cash of", "do not add up"]),
    "event": (
        lambda world: OutboxEvent.objects.filter(type="order.filled").delete(),
        ["0 events order.filled"],
    ),
    "belief": (_believes_nothing, ["believes to hold {}", "believes at work {}"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found(world: Any, name: str) -> None:
    act, words = WRONG[name]
    held(world)
    at_work(world, **DEAR, quantity=4)
    pass_ms(world, 20_000)
    assert Fill.objects.exists()
    assert list(Comparison(world).wrong()) == []

    act(world)

    found = list(Comparison(world).wrong())
    assert len(found) == len(words), found
    assert all(any(word in one for one in found) for word in words), found
