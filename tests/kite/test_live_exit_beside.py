"""An exit that is decided beside the cancellation of a resting one leaves after it, or not at all."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import connection

from alphapanda.core.vocabulary import OrderStatus
from alphapanda.kite_simulator.faults import Fault, Kind
from alphapanda.kite_simulator.script import Step, do
from alphapanda.proof import kite_faults
from execution.domain.kite.budgets import Spent
from execution.domain.kite.lookup import PATIENCE_MS
from execution.domain.kite.reducer import Seen
from execution.models import BrokerCall, BrokerDesk, BrokerOrder, Order
from execution.services.live import calls, evidence
from execution.services.live.ways_out import AGAIN_MS
from portfolio.models import Position, Posting
from portfolio.services import postings_book
from risk.models import Alert
from risk.services import halts
from strategies.models import Deployment
from tests.kite.test_live_way_out import DEAR, _status, at_work, call_of, held, pass_ms, states_of
from tests.kite_builders import snapshot

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


def broker_id(order: Order) -> str:
    return next(iter(BrokerOrder.objects.get(order=order).state["parts"]))


def test_an_exit_leaves_where_what_was_to_be_cancelled_had_been_cancelled_elsewhere(world):
    """Kite refuses the cancellation, and no update tells why: the next look at the book does."""
    held(world)
    stop = at_work(world, **DEAR, quantity=10)
    world.is_pushed = False
    do(world.broker, Step(cancel=broker_id(stop)))
    order = leave_beside(world, stop)

    world.work(until=lambda: _status(order) in ("COMPLETE", "REJECTED"), ends_ms=20_000)

    assert (call_of(stop, "CANCEL").state, _status(stop), _status(order)) == (
        "REFUSED",
        "CANCELLED",
        "COMPLETE",
    )
    assert not Alert.objects.exists()


def test_an_exit_waits_two_minutes_at_most_for_what_stays_at_cancel_pending(world):
    held(world)
    stop = at_work(world, **DEAR, quantity=10)
    BrokerDesk.objects.update(stopped="a test")
    order = leave_beside(world, stop)
    sent_ms = world.broker.clock.now_ms()
    BrokerDesk.objects.update(stopped="")

    for passed_ms, state in ((PATIENCE_MS - AGAIN_MS, "READY"), (AGAIN_MS, "DROPPED")):
        world.advance(passed_ms)
        cancels = BrokerCall.objects.filter(kind="CANCEL")
        cancels.update(state="DONE", sent_at_ms=sent_ms, answered_at_ms=sent_ms)
        told = {"order_id": broker_id(stop), "instrument": "NSE:INFY", "side": "SELL", "at_ms": sent_ms}
        shown = Seen(snapshot(OrderStatus.CANCEL_PENDING, **told), world.broker.clock.now_ms())
        evidence.take(stop.pk, [shown], now=world.now())
        calls.claim(Spent(), world.now())
        assert call_of(order).state == state


def test_an_exit_sees_no_position_that_is_booked_away_while_it_is_looked_at(world):
    """A trade goes from those that wait into the position in one transaction, which may come between two reads."""
    held(world)
    stop = at_work(world, **DEAR, quantity=10)
    BrokerDesk.objects.update(stopped="a test")
    order = leave_beside(world, stop)
    BrokerDesk.objects.update(stopped="")
    BrokerCall.objects.filter(kind="CANCEL").update(state="REFUSED")
    Order.objects.filter(pk=stop.pk).update(status="COMPLETE", filled_quantity=10)
    sale = Posting.objects.get()
    sale.pk, sale.sequence, sale.fill_id = None, None, uuid4()
    sale.state, sale.fill = "NEW", sale.fill | {"side": "SELL", "fill_id": str(sale.fill_id)}
    sale.save(force_insert=True)

    with connection.execute_wrapper(_Booking(world)):
        calls.claim(Spent(), world.now())

    assert (Position.objects.get().quantity, call_of(order).state) == (0, "DROPPED")


class _Booking:
    """Books what waits as soon as somebody has read a position."""

    def __init__(self, world) -> None:
        self._world, self._is_done = world, False

    def __call__(self, execute, sql, params, many, context):
        rows = execute(sql, params, many, context)
        if "portfolio_position" in sql and not self._is_done:
            self._is_done = True
            postings_book(deployment_id=self._world.deployment.id, now=self._world.now())
        return rows
