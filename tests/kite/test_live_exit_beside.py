"""An exit that is decided beside the cancellation of a resting one leaves after it, or not at all."""

from __future__ import annotations

import pytest

from alphapanda.kite_simulator.faults import Fault, Kind
from alphapanda.proof import kite_faults
from execution.domain.kite.budgets import Spent
from execution.models import BrokerCall, BrokerDesk, Order
from execution.services.live import calls
from portfolio.models import Position
from risk.models import Alert
from risk.services import halts
from strategies.models import Deployment
from tests.kite.test_live_way_out import DEAR, _status, at_work, call_of, held, pass_ms, states_of

pytestmark = pytest.mark.django_db


def leave_beside(world, resting: Order) -> Order:
    order = kite_faults.leave_beside(world, resting, 10)
    assert (order.decision.rule, call_of(order).lane) == ("exit", "EXIT")
    return order


def test_an_exit_beside_the_cancellation_of_its_stop_leaves_after_that_is_gone(world):
    held(world)
    stop = at_work(world, **DEAR, quantity=10)
    order = leave_beside(world, stop)
    Deployment.objects.update(status="PAUSED")

    world.work(until=lambda: _status(order) == "COMPLETE", ends_ms=20_000)

    assert (_status(stop), _status(order)) == ("CANCELLED", "COMPLETE")
    cancelled = BrokerCall.objects.filter(order_id=stop.id, kind="CANCEL").earliest("sent_at_ms")
    assert call_of(order).sent_at_ms > cancelled.answered_at_ms


def test_an_exit_beside_a_cancellation_of_which_no_update_comes_waits_for_the_book(world):
    """Kite takes a cancellation at once; that the order is gone comes later, or with the next look alone."""
    held(world)
    stop = at_work(world, **DEAR, quantity=10)
    world.is_pushed = False
    order = leave_beside(world, stop)

    world.work(until=lambda: call_of(stop, "CANCEL").state == "DONE" and _status(stop) != "OPEN", ends_ms=500)
    assert (_status(stop), call_of(order).state) == ("CANCEL PENDING", "READY")
    world.work(until=lambda: _status(order) == "COMPLETE", ends_ms=20_000)

    assert (_status(stop), _status(order)) == ("CANCELLED", "COMPLETE")
    assert not Alert.objects.exists()


def test_an_exit_does_not_wait_two_minutes_for_a_cancellation_that_never_arrived(world):
    held(world)
    stop = at_work(world, **DEAR, quantity=10)
    world.broker.faults.arm([Fault(kind=Kind.LOST, on=["cancel"])])
    order = leave_beside(world, stop)

    world.work(until=lambda: _status(order) == "COMPLETE", ends_ms=20_000)

    assert (_status(stop), _status(order)) == ("CANCELLED", "COMPLETE")
    assert not Alert.objects.exists()


def test_no_halt_leaves_a_position_without_its_stop_and_without_the_exit_beside_its_cancellation(world):
    held(world)
    stop = at_work(world, **DEAR, quantity=10)
    halts.halt_throw(level="GLOBAL", step="PAUSE", reason="drill", actor="alice", now=world.now())
    order = leave_beside(world, stop)

    world.work(until=lambda: _status(order) == "COMPLETE", ends_ms=20_000)

    assert (_status(stop), Position.objects.get().quantity) == ("CANCELLED", 0)


def test_an_exit_beside_a_cancellation_waits_for_the_login_with_it(world):
    held(world)
    stop = at_work(world, **DEAR, quantity=10)
    BrokerDesk.objects.update(stopped="a test")
    order = leave_beside(world, stop)
    pass_ms(world, 2_000)
    assert states_of("CANCEL") == ["READY"]
    assert call_of(order).state == "READY"
    BrokerDesk.objects.update(stopped="")

    world.work(until=lambda: _status(order) == "COMPLETE", ends_ms=20_000)

    assert (_status(stop), _status(order)) == ("CANCELLED", "COMPLETE")


@pytest.mark.parametrize("what", ["traded", "works on"])
def test_an_exit_beside_a_cancellation_that_came_to_nothing_opens_nothing(world, what: str):
    held(world)
    stop = at_work(world, **DEAR, quantity=10)
    BrokerDesk.objects.update(stopped="a test")
    order = leave_beside(world, stop)
    if what == "traded":
        Order.objects.filter(pk=stop.pk).update(status="COMPLETE", filled_quantity=10)
        Position.objects.update(quantity=0)
    else:
        Order.objects.filter(pk=stop.pk).update(status="OPEN")
    BrokerCall.objects.filter(kind="CANCEL").update(state="REFUSED")
    BrokerDesk.objects.update(stopped="")

    calls.claim(Spent(), world.now())

    assert call_of(order).state == "DROPPED"
    assert "units are held" in Alert.objects.get(code="exit_dropped").text
