"""Orders at the simulated Zerodha, from an approved signal to the books."""

from __future__ import annotations

import pytest

from execution.models import BrokerCall, Fill, Order, OrderEvent
from portfolio.models import Position
from tests.kite.live import Live
from tests.kite.server import a_simulator, quoted, serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def live(monkeypatch):
    ticks = [quoted(1500, second) for second in range(600)]
    with serving(a_simulator(ticks)) as served:
        yield Live(served, monkeypatch)


def test_a_market_order_is_sent_once_filled_and_booked(live):
    order = live.want(quantity=10)
    assert (order.status, live.posts()) == ("PUT ORDER REQ RECEIVED", {})

    live.work()

    order.refresh_from_db()
    call = BrokerCall.objects.get()
    assert (order.status, order.filled_quantity, call.state) == ("COMPLETE", 10, "DONE")
    assert live.posts() == {call.tag: 1}
    fill = Fill.objects.get()
    assert (fill.quantity, fill.price_e4, fill.source) == (10, 15_001_000, "BROKER")
    assert Position.objects.get().quantity == 10
    statuses = list(OrderEvent.objects.filter(order=order).order_by("number").values_list("status", flat=True))
    assert (statuses[0], statuses[-1]) == ("PUT ORDER REQ RECEIVED", "COMPLETE")
