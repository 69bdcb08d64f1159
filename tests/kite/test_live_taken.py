"""What others do to what our books hold, and what a person says of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEntry
from alphapanda.core.vocabulary import OrderStatus, Side
from execution.domain.kite.gtt import GttKind, GttTerms, Leg
from execution.domain.kite.rows import Rows, Where, trades_of
from execution.gtt_models import Gtt
from execution.models import BrokerCall, BrokerDesk, Difference, ExternalOrder, Fill, Order
from execution.services.differences import difference_accept
from execution.services.live import account, external, looking, reconciling, taking
from execution.services.live.gtt import columns
from execution.services.live.held import books
from portfolio.models import Position
from risk.models import Alert
from strategies import loading as deployments
from strategies.models import Command, Deployment
from tests.builders import an_instrument
from tests.kite.live import Live
from tests.kite.looks import Started, looks, open_differences, order_of_others, tick, until_morning
from tests.kite.test_live_stuck import standing_still
from tests.kite_builders import snapshot, trade

pytestmark = pytest.mark.django_db(transaction=True)


def hold(live: Live) -> None:
    """Ten units, and an item of the log behind the deployment: it knows the time."""
    live.want(quantity=10)
    live.work()
    tick(live)


def accept(live: Live, **more: Any) -> Difference:
    row = Difference.objects.get(settled_at=None)
    facts = {"actor": "alice", "reason": "sold in the app", "now": live.now()}
    row = difference_accept(difference_id=row.pk, **(facts | more))
    live.hand.run()
    return row


def held() -> int:
    return sum(Position.objects.values_list("quantity", flat=True))


def test_what_others_sold_leaves_the_books_when_a_person_accepts_it(started: Started) -> None:
    live = started()
    hold(live)
    order_of_others(live, quantity=4)
    looks(live, 2)
    assert open_differences() == [("TAKEN", "NSE:INFY MIS", "10", "6")]
    calls = BrokerCall.objects.count()

    accept(live)

    fill = Fill.objects.get(source="ELSEWHERE")
    assert (fill.side, fill.quantity, fill.price_e4, fill.order.origin) == ("SELL", 4, 14_999_000, "TAKEN")
    assert (held(), BrokerCall.objects.count()) == (6, calls)
    looks(live, 3)
    assert open_differences() == []
    assert BrokerDesk.objects.get().outside["accepted"] == {}
    order_of_others(live, quantity=6)
    looks(live)
    assert open_differences() == [("TAKEN", "NSE:INFY MIS", "6", "0")], "what comes after is news"
    accept(live)
    looks(live, 2)
    assert (held(), open_differences()) == (0, [])
    until_morning(live)
    looks(live, 2)
    assert open_differences() == []


def test_what_our_books_hold_is_read_in_one_statement(started: Started) -> None:
    """Units move from reports to postings to positions while it runs."""
    live = started()
    live.want(quantity=10)
    live.work()

    with CaptureQueriesContext(connection) as asked:
        assert books().held == {Where("NSE:INFY", "MIS"): 10}

    moving = ("portfolio_position", "portfolio_posting", "strategies_report", "execution_fill")
    assert [sum(table in one["sql"] for table in moving) for one in asked][1:] == [4]


def test_an_exit_from_what_others_have_closed_does_not_leave(started: Started) -> None:
    live = started()
    live.want(quantity=10)
    live.work()
    order_of_others(live, quantity=10)
    looks(live)
    order = live.want(side="SELL", quantity=10)
    live.work(rounds=20)
    assert BrokerCall.objects.get(order=order.id).state == "READY"
    assert Alert.objects.get(code="exit_held_up").severity == "CRITICAL"

    tick(live)
    accept(live)
    live.work(rounds=40)

    order.refresh_from_db()
    assert (held(), order.reason, order.filled_quantity) == (0, "cancelled before it was sent", 0)
    looks(live, 2)
    assert open_differences() == []


def test_a_person_hears_each_time_that_an_exit_is_held_up(started: Started) -> None:
    live = started()
    told = Alert.objects.filter(code="exit_held_up")
    for times in (1, 2):
        live.want(quantity=10)
        live.work()
        order_of_others(live, quantity=10)
        looks(live)
        live.want(side="SELL", quantity=10)
        live.work(rounds=20)
        assert told.count() == times
        Alert.objects.update(acknowledged_at=live.now(), acknowledged_by="alice")
        live.work(rounds=20)
        assert told.count() == times, "of what it is about a person knows"
        tick(live, second=600 + times)
        accept(live)
        live.work(rounds=40)
        looks(live)
        assert (held(), open_differences()) == (0, [])


def test_a_person_hears_each_day_of_an_exit_that_waits_for_what_is_not_booked(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = started()
    hold(live)
    call = BrokerCall.objects.get(order=live.want(side="SELL", quantity=10).id)
    monkeypatch.setattr(taking, "_waiting", lambda *_given: 10)
    for day in (0, 0, 1):
        assert taking.holds_up(call, live.now() + timedelta(days=day))
        Alert.objects.update(acknowledged_at=live.now(), acknowledged_by="alice")

    assert Alert.objects.filter(code="exit_held_up").count() == 2


def test_an_exit_from_what_is_still_there_leaves(started: Started) -> None:
    live = started()
    hold(live)
    order_of_others(live, quantity=4)
    looks(live)

    order = live.want(side="SELL", quantity=6)
    live.work()

    order.refresh_from_db()
    assert order.status == "COMPLETE"


def test_exits_that_together_exceed_what_is_still_there_do_not_all_leave(started: Started) -> None:
    live = started()
    hold(live)
    order_of_others(live, quantity=4)
    looks(live)
    live.want(side="SELL", quantity=6)
    second = live.want(side="SELL", quantity=4)

    live.work(rounds=30)

    assert len(live.posts()) == 2, "the purchase, and the exit from what is still there"
    assert BrokerCall.objects.get(order=second.id).state == "READY", "it would open a position"


def test_an_intraday_position_that_the_broker_closed_is_one_difference_for_nights(started: Started) -> None:
    live = started()
    hold(live)
    order_of_others(live, quantity=10)
    looks(live)
    for _ in range(2):
        until_morning(live)
        looks(live, 2)
        assert open_differences() == [("TAKEN", "NSE:INFY MIS", "10", "0")]
    assert Difference.objects.count() == 1

    row = accept(live)
    looks(live, 2)

    assert (held(), open_differences()) == (0, [])
    assert Fill.objects.get(source="ELSEWHERE").price_e4 == 14_999_000, "as it was told on the first day"
    entry = AuditEntry.objects.get(action="difference.accept")
    assert entry.details["taken"] == {live.deployment.name: 10}
    assert row.settled_by == "alice"
    until_morning(live)
    looks(live, 2)
    assert open_differences() == []


@pytest.mark.parametrize(("product", "count"), [("CNC", 1), ("MIS", 0)])
def test_a_share_is_taken_at_the_price_of_the_exchange_where_others_sold_it(product: str, count: int) -> None:
    sold = trade(quantity=10, price=1499, instrument="BSE:INFY", side=Side.SELL, product=product)
    book = looking.Book(0, trades=(sold,))

    assert taking.lots_of(Where("NSE:INFY", product), book) == [(-10, 14_990_000)] * count


def fired(live: Live) -> Gtt:
    terms = GttTerms(GttKind.SINGLE, "NSE:INFY", Side.SELL, "MIS", (Leg(14_990_000, 14_980_000, 10),))
    return Gtt.objects.create(
        id=live.deployment.id, trigger_id=1, is_ours=True, status="TRIGGERED", **columns(terms)
    )


def test_what_a_gtt_of_ours_has_closed_leaves_the_books_without_a_person(started: Started) -> None:
    live = started()
    hold(live)
    order_of_others(live, quantity=10)
    looks(live)
    ExternalOrder.objects.update(gtt=fired(live))

    looks(live)
    live.hand.run()
    looks(live, 2)

    assert (held(), open_differences(), Deployment.objects.get().status) == (0, [], "RUNNING")
    order_of_others(live, quantity=5, transaction_type="BUY")
    looks(live)
    assert Difference.objects.filter(settled_at=None).count() == 0, "what the account holds is theirs"


def bought_alone(body: bytes, units: Mapping[str, int]) -> Rows:
    """A list of trades that shows no sale yet."""
    shown = trades_of(body, units)
    return msgspec.structs.replace(shown, trades=tuple(one for one in shown.trades if one.side is Side.BUY))


def test_what_a_gtt_of_ours_has_closed_waits_for_the_price_of_its_trades(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kite's list of trades may lag behind that of orders, and the last price is not theirs."""
    live = started()
    hold(live)
    order_of_others(live, quantity=10)
    monkeypatch.setattr(taking, "marks_before", lambda *_given: {"NSE:INFY": (15_100_000, 0)})
    with monkeypatch.context() as patched:
        patched.setattr(looking, "trades_of", bought_alone)
        looks(live)
        ExternalOrder.objects.update(gtt=fired(live))
        looks(live, advance_ms=1_000)
    assert open_differences() == [("TAKEN", "NSE:INFY MIS", "10", "0")]

    looks(live, advance_ms=1_000)
    live.hand.run()

    assert (Fill.objects.get(source="ELSEWHERE").price_e4, held()) == (14_999_000, 0)
    assert Deployment.objects.get().status == "RUNNING"


@pytest.mark.parametrize(("product", "is_ours"), [("CNC", True), ("NRML", False)])
def test_a_gtt_of_ours_has_closed_shares_at_either_exchange(
    started: Started, product: str, is_ours: bool
) -> None:
    live = started()
    at_bse = {"instrument": "BSE:INFY", "side": Side.SELL, "product": product, "tags": ()}
    sold = snapshot(OrderStatus.COMPLETE, 10, order_id="g1", **at_bse)
    external.keep([sold], live.now())
    ExternalOrder.objects.update(gtt=fired(live))
    row = Difference(kind="TAKEN", key=f"NSE:INFY {product}", ours="10", theirs="0")
    of_it = trade(order_id="g1", instrument="BSE:INFY", side=Side.SELL, product=product)

    assert taking.is_of_our_gtts(row, looking.Book(0, (sold,), (of_it,)), live.now()) is is_ours


def test_what_a_gtt_of_ours_has_closed_waits_for_a_worker_that_stands_still(started: Started) -> None:
    """And the broker's process does not wait with it."""
    live = started()
    hold(live)
    order_of_others(live, quantity=10)
    looks(live)
    ExternalOrder.objects.update(gtt=fired(live))
    book = looking.look(live.desk._signed(), live.now(), lambda: None)
    with standing_still(lambda: deployments.locked(live.deployment.id)):
        began_s = time.monotonic()
        reconciling.compare(book, live.now())
        took_s = time.monotonic() - began_s
    assert (took_s < 5, Difference.objects.get().settled_at) == (True, None)

    looks(live)
    assert Difference.objects.get().settled_by == "reconciliation"


def test_a_stopped_deployment_books_it_when_it_goes_on_and_is_told_once(started: Started) -> None:
    live = started()
    hold(live)
    Deployment.objects.update(status="STOPPED")
    order_of_others(live, quantity=10)
    looks(live, 2)
    accept(live)
    looks(live, 2)
    assert (held(), open_differences()) == (10, [])
    until_morning(live)
    looks(live, 2)
    assert (held(), open_differences()) == (10, [])

    Deployment.objects.update(status="RUNNING")
    live.hand.run()
    looks(live, 2)

    assert (held(), open_differences(), Order.objects.filter(origin="TAKEN").count()) == (0, [], 1)


def test_what_a_deployment_was_told_of_and_has_not_booked_is_not_told_again(started: Started) -> None:
    live = started()
    hold(live)
    Deployment.objects.update(status="STOPPED")
    for units in (4, 3):
        order_of_others(live, quantity=units)
        looks(live, 2)
        accept(live)
    told = Command.objects.filter(kind="TAKEN")
    assert sorted(one.taken["units"] for one in told) == [-4, -3]

    Deployment.objects.update(status="RUNNING")
    live.hand.run()
    looks(live, 2)

    assert (held(), open_differences()) == (3, [])


def test_a_contract_of_a_person_that_has_ended_is_no_difference(started: Started, monkeypatch: Any) -> None:
    """Kite shows it no more on the day after; our own list says that it has ended."""
    live = started()
    looks(live)
    contract = an_instrument(7, symbol="INFY26NOVFUT")
    spec = msgspec.structs.replace(contract, key="NFO:INFY26NOVFUT", exchange="NFO", expiry=live.now().date())
    monkeypatch.setattr(account, "specs_by_key", lambda keys: dict.fromkeys(keys, spec))
    place = f"{spec.key} NRML"
    desk = BrokerDesk.objects.get()
    BrokerDesk.objects.update(outside=desk.outside | {"before": {place: 75}})
    monkeypatch.setattr(account, "_watched", lambda *_given: {spec.key})
    until_morning(live)
    looks(live, 2)

    assert (open_differences(), BrokerDesk.objects.get().outside["before"]) == ([], {"NSE:INFY CNC": 7})
