"""Orders at the simulated Zerodha, from an approved signal to the books."""

from __future__ import annotations

import pytest

from execution.domain.kite.budgets import Spent
from execution.models import BrokerCall, BrokerDesk, Fill, OrderEvent
from execution.services.live import answers, calls
from portfolio.models import Position
from risk.models import Alert
from risk.services import halts
from strategies.models import Report
from strategies.services.shard import Shard
from tests.kite.live import Live
from tests.kite.server import a_simulator, quoted, serving
from tests.pipeline.hand import packed

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
    statuses = list(
        OrderEvent.objects.filter(order=order).order_by("number").values_list("status", flat=True)
    )
    assert (statuses[0], statuses[-1]) == ("PUT ORDER REQ RECEIVED", "COMPLETE")


def test_a_second_process_starts_where_the_first_died(live):
    """What had left when it died is not known, and is found by its tag: nothing is sent twice."""
    order = live.want(quantity=10)
    live.served.advance(100)
    BrokerDesk.objects.update(reconciled_at=live.now())
    claimed = calls.claim(Spent(), live.now())
    answers.send(claimed.said, live.desk._signed())  # and dies before it can write down what came of it

    live.desk = live.begun()
    assert BrokerCall.objects.get().state == "UNKNOWN"
    live.work(advance_ms=500)

    order.refresh_from_db()
    assert (order.status, order.filled_quantity) == ("COMPLETE", 10)
    assert list(live.posts().values()) == [1]


def test_what_never_arrived_is_given_up_after_two_minutes_and_not_sent_again(live):
    order = live.want(quantity=10)
    live.served.advance(100)
    BrokerDesk.objects.update(reconciled_at=live.now())
    calls.claim(Spent(), live.now())  # and dies before anything is sent

    live.desk = live.begun()
    live.work(advance_ms=1_000)

    order.refresh_from_db()
    assert (order.status, order.filled_quantity, live.posts()) == ("REJECTED", 0, {})
    assert Alert.objects.get().code == "order_not_placed"


def test_a_cancellation_ends_a_resting_order(live):
    order = live.want(quantity=10, order_type="LIMIT", limit_price_e4=14_000_000)
    live.work(rounds=20)
    live.want(kind="CANCEL", target=order.id, quantity=10, replaces=10)

    live.work()

    order.refresh_from_db()
    assert (order.status, order.filled_quantity) == ("CANCELLED", 0)
    assert {call.kind: call.state for call in BrokerCall.objects.all()} == {"ORDER": "DONE", "CANCEL": "DONE"}


def test_a_kill_switch_cancels_what_works_and_lets_no_entry_out(live):
    resting = live.want(quantity=10, order_type="LIMIT", limit_price_e4=14_000_000)
    live.work(rounds=20)
    waiting = live.want(quantity=5)
    halts.halt_throw(level="GLOBAL", step="CANCEL", reason="drill", actor="alice", now=live.now())

    live.work()

    for order in (resting, waiting):
        order.refresh_from_db()
    assert (resting.status, waiting.status) == ("CANCELLED", "REJECTED")
    assert len(live.posts()) == 1
    assert waiting.reason == "halted: drill"


def test_a_kill_switch_that_flattens_lets_its_own_exits_trade(live):
    resting = live.want(quantity=5, order_type="LIMIT", limit_price_e4=14_000_000)
    live.want(quantity=10)
    for _ in range(40):
        live.work(rounds=10)
        if Position.objects.exists():
            break
    halts.halt_throw(level="GLOBAL", step="FLATTEN", reason="drill", actor="alice", now=live.now())
    live.hand.readers[0].values += packed([quoted(1500, 601)], source=8, batch=1)

    live.work()

    resting.refresh_from_db()
    assert (resting.status, Position.objects.get().quantity) == ("CANCELLED", 0)


def test_a_tick_that_is_held_while_a_report_is_booked_does_not_take_its_step(live, monkeypatch):
    """Workers look at all rows four times a second; what execution rings for, they take up in between."""
    live.want(quantity=10)
    hand, shard = live.hand, live.hand.shards[0]
    while not Report.objects.exists():
        live.served.advance(100)
        live.desk.round()
    hand.readers[0].values += packed([quoted(1500, 601)], source=8, batch=1)

    assert shard.evaluate({0: 1}), "it stops for the report, with the tick in its hands"
    while hand.rung:
        link, one = hand.rung.popleft()
        link(one)
    with monkeypatch.context() as between:
        between.setattr(Shard, "_is_refresh_due", lambda _shard: False)
        shard.evaluate({})
    live.work()

    assert not Report.objects.filter(told_at=None).exists()
    assert Position.objects.get().quantity == 10


def test_a_kill_switch_lets_no_change_out_that_adds_to_an_order(live):
    order = live.want(quantity=10, order_type="LIMIT", limit_price_e4=14_000_000)
    live.work(rounds=20)
    changed = {"order_type": "LIMIT", "limit_price_e4": 14_000_000, "target": order.id}
    live.want(kind="MODIFY", quantity=500, replaces=10, **changed)
    halts.halt_throw(level="GLOBAL", step="PAUSE", reason="drill", actor="alice", now=live.now())

    live.work(rounds=40)

    assert {call.kind: call.state for call in BrokerCall.objects.all()} == {
        "ORDER": "DONE",
        "MODIFY": "DROPPED",
    }
