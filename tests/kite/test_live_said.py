"""What a deployment says of its orders reaches the broker with each of them."""

from __future__ import annotations

import pytest

from execution.models import BrokerCall
from tests.kite.live import Live
from tests.kite.server import a_simulator, quoted, serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def live(monkeypatch):
    execution = {"algo_id": "ALGO7", "market_protection": 2.5}
    with serving(a_simulator([quoted(1500, second) for second in range(600)])) as served:
        yield Live(served, monkeypatch, execution=execution)


def test_the_algorithms_name_and_the_protection_go_along(live):
    live.want(quantity=10)
    live.work()

    (order,) = live.served.call(lambda: list(live.served.simulator.book.orders.values()))
    assert (order.wanted.algo_id, order.tags[-1], str(order.protection)) == ("ALGO7", order.wanted.tag, "2.5")
    assert BrokerCall.objects.get().form["algo_id"] == "ALGO7"
