"""What the account at the broker holds, has and pays, beside our books: over a night, with orders of others."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from alphapanda.core.clock import DAY_MS, to_datetime
from alphapanda.core.vocabulary import Broker, OrderStatus, Product
from execution.domain.kite import answers
from execution.domain.kite.account import BEGINS_MS
from execution.domain.kite.bills import Charges
from execution.domain.kite.rows import OrderSnapshot
from execution.models import BrokerCall, BrokerDesk, BrokerOrder, Difference, ExternalOrder, Fill
from execution.services.differences import NotOfPositions, difference_accept
from execution.services.live import billing, external, looking, reconciling, states
from portfolio.models import Position
from risk import loading
from risk.models import Alert
from strategies.models import Deployment
from tests.kite.live import Live
from tests.kite.looks import Started, looks, open_differences, order_of_others, tick, until_morning
from tests.kite.server import INFY
from tests.kite_builders import snapshot

pytestmark = pytest.mark.django_db(transaction=True)
HOUR_MS = 3_600_000


def test_a_broker_that_plays_a_recording_of_another_year_is_compared(
    started: Started, monkeypatch: Any
) -> None:
    """What we sent today is of today's book, whatever the broker's clock says; anything else is of the day before."""

    def now(live: Live) -> datetime:
        return to_datetime(live.served.simulator.clock.now_ms() + 350 * DAY_MS)

    monkeypatch.setattr(Live, "now", now)
    live = started()
    looks(live)
    live.want(quantity=10)
    live.work()
    tick(live)
    for sent_at_ms, is_compared in ((None, True), (1, False)):
        if sent_at_ms is not None:
            BrokerCall.objects.update(sent_at_ms=sent_at_ms)
        reconciling.let_entries_wait()
        looks(live, 2)
        assert (BrokerDesk.objects.get().reconciled_at is not None) == is_compared
    assert (Fill.objects.count(), open_differences()) == (1, [])


@pytest.mark.parametrize("exchange", ["NSE", "BSE"])
def test_delivery_is_held_over_nights_and_sold_and_nothing_differs(
    started: Started, monkeypatch: Any, exchange: str
) -> None:
    """Bought on one day, on its way on the next, in the depository on the third: and 7 of the person's all along. Kite
    may show what lies there as of the other exchange."""
    live = started(product=Product.CNC)
    looks(live)
    monkeypatch.setattr(
        looking,
        "holdings_of",
        lambda body: {key.replace("NSE", exchange): one for key, one in answers.holdings_of(body).items()},
    )
    order = live.want(quantity=10, product=Product.CNC)
    live.work()
    order.refresh_from_db()
    assert order.status == "COMPLETE"

    for _ in range(2):
        looks(live)
        until_morning(live)
        looks(live)
        assert open_differences() == []
        assert BrokerDesk.objects.get().outside["units"] == {"NSE:INFY CNC": 7}
    live.want(side="SELL", quantity=4, product=Product.CNC)
    live.work()
    looks(live, 3)

    assert Position.objects.get().quantity == 6
    assert (open_differences(), Alert.objects.filter(code="broker_differs").exists()) == ([], False)
    assert loading.outside_of(Broker.ZERODHA) == (), "what lay in the depository is no position"


def test_an_order_made_elsewhere_is_counted_by_risk_and_its_position_too(started: Started) -> None:
    live = started()
    looks(live)
    order_of_others(live, order_type="LIMIT", price=1600, quantity=5)
    looks(live)
    (row,) = loading.outside_of(Broker.ZERODHA)
    assert (row.instrument, row.product, row.units, row.sell, row.token) == ("NSE:INFY", "MIS", 0, 5, INFY)
    assert row.price_e4 == 16_000_000
    assert row.margin == Decimal("1600")  # a fifth of 8,000

    order_of_others(live, quantity=3)
    looks(live)

    (row,) = loading.outside_of(Broker.ZERODHA)
    assert (row.units, row.sell) == (-3, 5)
    assert (open_differences(), Deployment.objects.get().status) == ([], "RUNNING")
    until_morning(live)
    looks(live)
    assert (loading.outside_of(Broker.ZERODHA), ExternalOrder.objects.filter(is_open=True).count()) == ((), 0)


def test_others_who_sell_what_our_books_hold_stop_entries_until_a_person_says_so(started: Started) -> None:
    live = started()
    live.want(quantity=10)
    live.work()
    tick(live)
    order_of_others(live, quantity=10)

    looks(live, 2)

    assert open_differences() == [("TAKEN", "NSE:INFY MIS", "10", "0")]
    assert Deployment.objects.get().status == "PAUSED"
    row = Difference.objects.get()
    facts = {"difference_id": row.pk, "actor": "alice", "reason": "sold in the app", "now": live.now()}
    difference_accept(**facts)
    difference_accept(**facts)
    looks(live, 2)
    assert open_differences() == []


def test_looks_that_follow_at_once_are_one_round(started: Started) -> None:
    live = started()
    live.want(quantity=10)
    live.work()
    order_of_others(live, quantity=10)

    looks(live)
    looks(live, 2, advance_ms=1_000)
    assert (open_differences() != [], Deployment.objects.get().status) == (True, "RUNNING")
    looks(live, advance_ms=3_000)
    assert Deployment.objects.get().status == "PAUSED"


def test_units_that_nothing_explains_can_be_taken_as_not_ours(started: Started, monkeypatch: Any) -> None:
    live = started()
    looks(live)
    compared = looking.look

    def with_more(*given: Any) -> looking.Book:
        book = compared(*given)
        more = {reconciling.account.Where("NSE:INFY", "NRML"): looking.Amount(50, 15_000_000)}
        return msgspec.structs.replace(book, positions={**(book.positions or {}), **more})

    monkeypatch.setattr(looking, "look", with_more)
    looks(live, 2)
    assert open_differences() == [("POSITION", "NSE:INFY NRML", "0", "50")]
    assert Alert.objects.filter(code="broker_differs").count() == 1

    difference_accept(difference_id=Difference.objects.get().pk, actor="alice", reason="mine", now=live.now())
    looks(live, 2)

    assert open_differences() == []
    assert [(row.units, row.price_e4) for row in loading.outside_of(Broker.ZERODHA)] == [(50, 15_000_000)]


def test_a_halt_for_a_difference_is_not_lost_in_a_crash(started: Started, monkeypatch: Any) -> None:
    live = started()
    live.want(quantity=10)
    live.work()
    order_of_others(live, quantity=10)
    stop = reconciling._stop_entries

    def dies(*_given: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reconciling, "_stop_entries", dies)
    with pytest.raises(KeyboardInterrupt):
        looks(live, 2)
    monkeypatch.setattr(reconciling, "_stop_entries", stop)
    live.desk = live.begun()
    looks(live)

    assert Deployment.objects.get().status == "PAUSED"
    assert Difference.objects.get().halted_at is not None
    Deployment.objects.update(status="RUNNING")  # a person has started it again
    looks(live, 2)
    assert Deployment.objects.get().status == "RUNNING", "it was told, and is not said again"


@pytest.mark.parametrize("path", ["/portfolio/positions", "/portfolio/holdings", "/trades"])
def test_entries_wait_for_a_comparison_of_all(started: Started, monkeypatch: Any, path: str) -> None:
    live = started()
    read = looking.read_list

    def failing(http: Any, asked: str, *more: Any, **named: Any) -> Any:
        return None if asked == path else read(http, asked, *more, **named)

    monkeypatch.setattr(looking, "read_list", failing)
    looks(live, 2)
    assert BrokerDesk.objects.get().reconciled_at is None

    monkeypatch.setattr(looking, "read_list", read)
    looks(live)
    assert BrokerDesk.objects.get().reconciled_at is not None


def test_entries_wait_while_a_difference_is_looked_at_again(started: Started) -> None:
    live = started()
    live.want(quantity=10)
    live.work()
    order_of_others(live, quantity=10)
    live.desk = live.begun()

    looks(live)
    assert BrokerDesk.objects.get().reconciled_at is None

    looks(live)
    assert BrokerDesk.objects.get().reconciled_at is not None  # all whom it concerns are paused


def test_charges_of_a_day_are_compared_once_it_is_over(started: Started, monkeypatch: Any) -> None:
    live = started()
    live.want(quantity=10)
    live.work()
    looks(live)
    assert (billing.due(live.now()), BrokerDesk.objects.get().charged_on) == ((), None)

    live.served.advance(5 * HOUR_MS + 50 * 60_000)
    looks(live)

    day = live.now().date()
    assert (BrokerDesk.objects.get().charged_on, open_differences()) == (day, [])
    assert billing.due(live.now()) == ()


def test_charges_that_kite_does_not_tell_keep_no_later_day_waiting(
    started: Started, monkeypatch: Any, django_assert_max_num_queries: Any
) -> None:
    live = started()
    live.want(quantity=10)
    live.work()
    with django_assert_max_num_queries(3):  # however many trades: nothing is over yet
        assert billing.due(live.now()) == ()
    monkeypatch.setattr(billing, "_is_over", lambda _last, _now: True)
    monkeypatch.setattr(billing, "UNREAD_MAX", 3)
    monkeypatch.setattr(looking, "_read_charges", lambda *_: None)
    looks(live, 2)
    assert not Alert.objects.filter(code="charges_unread").exists()
    looks(live, 2)

    day = live.now().date()
    assert (Alert.objects.get(code="charges_unread").subject, BrokerDesk.objects.get().charged_on) == (
        str(day),
        day,
    )
    assert billing.due(live.now()) == ()


def test_an_order_that_costs_something_else_at_kite_halts_and_stays(
    started: Started, monkeypatch: Any
) -> None:
    live = started()
    live.want(quantity=10)
    live.work()
    monkeypatch.setattr(billing, "_is_over", lambda _fills, _now: True)
    told = looking.charges_of
    monkeypatch.setattr(
        looking,
        "charges_of",
        lambda body, bills: {
            name: Charges(one.total + 1, one.stamp) for name, one in told(body, bills).items()
        },
    )

    looks(live)
    assert BrokerDesk.objects.get().charged_on is None
    looks(live)
    (row,) = Difference.objects.all()
    charges = {name: Decimal(amount) for name, amount in Fill.objects.get().charges.items()}
    assert row.kind == "CHARGES"
    assert row.ours == f"{sum(charges.values()):.4f}, of it stamp duty {charges['stamp']:.4f}"
    assert (Deployment.objects.get().status, row.deployment_id) == ("PAUSED", live.deployment.id)
    assert BrokerDesk.objects.get().charged_on is not None
    looks(live, 2)
    row.refresh_from_db()
    assert (row.settled_at, row.rounds) == (None, 2), "nobody asks for that day again: a person settles it"
    with pytest.raises(NotOfPositions):
        difference_accept(difference_id=row.pk, actor="alice", reason="x", now=live.now())


def test_the_book_of_the_day_before_says_nothing_of_this_one(started: Started) -> None:
    """After six in the morning Kite may show the evening's lists for a while."""
    live = started()
    live.want(quantity=10)
    live.work()
    looks(live)
    door = live.desk._door(lambda: live.access)
    book = looking.look(door, live.now(), lambda: None, looking.Wanted(is_whole=True))
    live.served.advance(18 * HOUR_MS + BEGINS_MS)

    for _ in range(2):
        reconciling.compare(book, live.now())

    assert not Difference.objects.filter(kind__in=("POSITION", "TAKEN")).exists()


def test_funds_are_kept_and_only_shown(started: Started) -> None:
    live = started()
    looks(live)

    desk = BrokerDesk.objects.get()
    assert desk.funds["equity"] == {"opening": "1000000", "net": "1000000"}
    assert desk.funds_at is not None


def test_an_order_whose_day_ended_while_nobody_looked_is_over(started: Started) -> None:
    live = started()
    order = live.want(quantity=10, order_type="LIMIT", limit_price_e4=14_000_000)
    live.work(rounds=20)

    until_morning(live)  # and no process runs
    looks(live, 2)

    order.refresh_from_db()
    assert (order.status, order.reason) == ("EXPIRED", "its day ended while nobody looked")
    assert BrokerOrder.objects.get().is_open is False
    assert list(Alert.objects.values_list("code", flat=True)) == ["order_day_ended"]
    assert not Difference.objects.exists()


def test_a_contract_that_has_ended_is_settled_in_the_books_and_nothing_is_sent(started: Started) -> None:
    live = started()
    live.want(quantity=10)
    live.work()

    order = live.want(side="SELL", quantity=10, origin="EXPIRY")

    assert (order.status, order.filled_quantity) == ("COMPLETE", 10)
    assert order.reason.startswith("settled at expiry, its own last price")
    assert BrokerCall.objects.count() == 1
    fill = Fill.objects.get(order=order)
    assert (fill.source, fill.price_e4, fill.trade_key) == ("SETTLEMENT", 15_000_000, None)
    assert Position.objects.get().quantity == 0


def test_a_look_reads_no_order_anew_that_has_not_changed(started: Started, monkeypatch: Any) -> None:
    live = started()
    live.want(quantity=10)
    live.work()
    looks(live)
    decoded = []
    known = states.known
    monkeypatch.setattr(states, "known", lambda row: decoded.append(row.pk) or known(row))

    looks(live)
    assert decoded == []

    live.want(quantity=5)
    live.work()
    assert len(set(decoded)) == 1


def test_an_order_of_others_is_written_where_it_changes_and_an_end_stays_one(started: Started) -> None:
    live = started()
    looks(live)
    order_of_others(live, order_type="LIMIT", price=1600, quantity=5)
    looks(live)
    before = ExternalOrder.objects.get()
    looks(live)
    assert ExternalOrder.objects.get().seen_at == before.seen_at

    ended = msgspec.convert(before.snapshot, OrderSnapshot, strict=False)
    external.keep([msgspec.structs.replace(ended, status=OrderStatus.CANCELLED)], live.now())
    assert ExternalOrder.objects.get().is_open is False
    external.keep([ended], live.now())  # an update that comes late
    assert ExternalOrder.objects.get().is_open is False


def test_an_order_of_others_that_a_book_does_not_show_yet_still_works(started: Started) -> None:
    """It was told of while the book was read, or a book lags: it works on, and is counted."""
    live, order = started(), snapshot(order_id="x1", tags=())
    before, after = live.now(), live.now() + timedelta(seconds=2)
    external.keep([order], after)
    external.keep_book([], before, after, is_whole=True)
    assert ExternalOrder.objects.get().is_open

    later = after + timedelta(seconds=5)
    external.keep_book([], later, later, is_whole=True)
    assert not ExternalOrder.objects.get().is_open
    external.keep_book([order], later, later, is_whole=True)
    assert ExternalOrder.objects.get().is_open
