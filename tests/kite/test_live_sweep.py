"""How often a kill switch and the comparison look again, and what is named that will not go."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from alphapanda.core.money import to_rupees
from alphapanda.kite_simulator.faults import Fault, Kind
from alphapanda.kite_simulator.script import Step, do
from execution.models import BrokerCall, ExternalOrder, Order
from execution.services.live import killing
from risk.models import Alert
from risk.services import halts
from tests.kite.test_live_way_out import FAR, at_work, pass_ms, throw

if TYPE_CHECKING:
    from alphapanda.proof.kite_world import World

pytestmark = pytest.mark.django_db


def test_what_will_not_die_is_asked_again_every_five_seconds_and_named(world: World) -> None:
    world.broker.faults.arm([Fault(kind=Kind.LOST, on=["cancel"], times=-1)])
    order = at_work(world, **FAR)
    throw(world)
    world.is_killed = True  # its steps are short then
    pass_ms(world, 22_000)

    said = BrokerCall.objects.filter(kind="CANCEL", decision=None).order_by("sent_at_ms")
    times = list(said.values_list("sent_at_ms", flat=True))
    alert = Alert.objects.get(code="order_will_not_die")
    assert (alert.severity, alert.subject) == ("CRITICAL", str(order.id))
    assert [5_000 <= after - before < 8_000 for before, after in pairwise(times)] == [True] * 3

    world.broker.faults.clear()
    world.work(until=lambda: Order.objects.get(id=order.id).status == "CANCELLED", ends_ms=20_000)
    assert Order.objects.get(id=order.id).status == "CANCELLED"


def test_the_book_is_read_every_five_seconds_while_an_order_works_and_else_every_half_minute(
    world: World,
) -> None:
    def looks(ms: int) -> int:
        began, ends_ms = set[int](), world.broker.clock.now_ms() + ms
        while world.broker.clock.now_ms() < ends_ms:
            began.add(world.desk._began_ms)
            pass_ms(world, 500)
        return len(began) - 1

    pass_ms(world, 31_000)
    idle = looks(91_000)
    at_work(world, **FAR)

    assert (idle, looks(61_000)) == (3, 12)


def test_a_kill_switch_leaves_orders_of_others_alone(world: World) -> None:
    order = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 3}
    order |= {"product": "MIS", "order_type": "LIMIT", "price": to_rupees(FAR["limit_price_e4"])}
    placed = do(world.broker, Step(place=order))
    ours = at_work(world, **FAR)
    throw(world)
    world.work(until=lambda: Order.objects.get(id=ours.id).status == "CANCELLED", ends_ms=20_000)
    pass_ms(world, 12_000)

    others = world.broker.book.find(placed["order_id"])
    assert (others.core.status, Order.objects.get(id=ours.id).status) == ("OPEN", "CANCELLED")
    assert ExternalOrder.objects.get().is_open


def test_the_largest_exposure_is_cancelled_first(world: World) -> None:
    sizes = (5, 40, 10, 20)
    placed = {at_work(world, **FAR | {"quantity": size}).id: size for size in sizes}
    halts.halt_throw(level="GLOBAL", step="CANCEL", reason="drill", actor="alice", now=world.now())
    killing.sweep(world.now())

    asked = BrokerCall.objects.filter(kind="CANCEL").order_by("queued_at_ms", "id")  # as calls leave
    assert [placed[call.order_id] for call in asked] == sorted(sizes, reverse=True)
