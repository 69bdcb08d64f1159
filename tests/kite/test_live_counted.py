"""What Kite turned away is counted on, and what moves with each tick makes no row."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alphapanda.core.clock import to_ms
from execution.domain.kite.outcomes import Outcome, Resend, Stage, Verdict, of_failure
from execution.live_selectors import desk_now
from execution.models import BrokerCall, BrokerDesk
from execution.services.live import answers, calls
from execution.services.live.held import books
from execution.services.live.outside import _is_much_the_same
from strategies.models import Deployment, Report
from tests.kite.looks import DAY_MS, Started, looks, order_of_others

TOO_MANY = Outcome(Verdict.REFUSED, "Too many requests", Resend.SAME_TAG, http_status=429)
NEVER_LEFT = of_failure(Stage.NOT_SENT, "no connection")


@pytest.mark.django_db(transaction=True)
def test_orders_turned_away_as_too_many_count_in_the_day_after_a_restart(started: Started) -> None:
    live = started()
    live.want(quantity=10)
    call = BrokerCall.objects.get()
    before = calls.spent_today(to_ms(live.now())).placed
    for attempt in (1, 2):
        BrokerCall.objects.update(state="SENDING", sent_at_ms=to_ms(live.now()))
        answers.record(call.id, TOO_MANY, live.now())
        assert BrokerCall.objects.get().state == "READY"
        assert calls.spent_today(to_ms(live.now())).placed == before + attempt


@pytest.mark.django_db(transaction=True)
def test_the_days_calls_are_counted_without_reading_what_is_known_of_their_orders(started: Started) -> None:
    """Pages ask for it every few seconds, of thousands of calls."""
    live = started()
    for _ in range(3):
        live.want(quantity=10)
    BrokerCall.objects.update(sent_at_ms=to_ms(live.now()), turned_away=1)

    with CaptureQueriesContext(connection) as asked:
        calls.spent_today(to_ms(live.now()))

    said = [one["sql"] for one in asked.captured_queries]
    assert len(said) == 4  # calls, those turned away, triggers, orders of others: none for each call
    assert not any('"execution_brokerorder"."state"' in one for one in said)


@pytest.mark.django_db(transaction=True)
def test_an_entry_that_never_left_counts_in_no_day_after_a_restart(started: Started) -> None:
    """Nor on the health page: an outage of an hour does not shut exits out."""
    live = started()
    live.want(quantity=10)
    before = calls.spent_today(to_ms(live.now())).placed
    for attempt in range(1, answers.ATTEMPTS_MAX + 1):
        row = BrokerCall.objects.get(attempt=attempt)
        BrokerCall.objects.filter(pk=row.pk).update(state="SENDING", sent_at_ms=to_ms(live.now()))
        answers.record(row.id, NEVER_LEFT, live.now())
        assert BrokerCall.objects.get(pk=row.pk).state == "REFUSED"
        assert calls.spent_today(to_ms(live.now())).placed == before
    assert BrokerCall.objects.count() == answers.ATTEMPTS_MAX


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("side", "lane"), [("BUY", "ENTRY"), ("SELL", "EXIT")])
def test_an_order_that_found_nobody_logged_in_counts_in_no_day(
    started: Started, side: str, lane: str
) -> None:
    """Neither in the process that met it nor after a restart."""
    live = started()
    live.want(quantity=10)
    live.work()
    looks(live)
    order = live.want(side=side, quantity=10)
    live.access = None
    live.desk._use(None)  # as its session was ended here
    before = live.desk._spent.placed
    for _ in range(3):
        live.desk.round()
        for future in live.desk._flying:
            future.exception(10)

    call = BrokerCall.objects.get(order=order.id)
    assert (call.lane, call.http_status, call.reason != "") == (lane, None, True)
    assert BrokerDesk.objects.get().stopped == answers.TOKEN_DEAD
    assert live.desk._spent.placed == before
    assert calls.spent_today(to_ms(live.now())).placed == before


@pytest.mark.django_db(transaction=True)
def test_orders_of_other_apps_count_in_the_day_after_a_look_and_after_a_restart(started: Started) -> None:
    live = started()
    order_of_others(live)
    order_of_others(live, quantity=5)
    looks(live)
    now_ms = to_ms(live.now())
    assert live.desk._spent.elsewhere == calls.spent_today(now_ms).elsewhere == 2
    assert {one.day for one in desk_now(live.now()).left} == {4_798, 4_998}
    assert calls.spent_today(now_ms + DAY_MS).elsewhere == 0


@pytest.mark.django_db(transaction=True)
def test_a_report_of_an_order_that_is_missing_hides_no_book(started: Started) -> None:
    live = started()
    told = {"order_id": str(live.deployment.id), "received_ms": 1}
    row = Deployment.objects.get()
    Report.objects.create(id=row.id, deployment=row, number=1, data=told)
    assert books().held == {}


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({"price_e4": 105}, True),
        ({"price_e4": 106}, False),
        ({"price_e4": 94}, False),
        ({"price_e4": 101, "margin": "12"}, True),
        ({"margin": None}, False),
        ({"units": 4}, False),
    ],
)
def test_what_is_outside_is_told_anew_where_more_moves_than_the_price(
    change: dict[str, Any], is_same: bool
) -> None:
    row = {"instrument": "NSE:INFY", "product": "MIS", "units": 3, "price_e4": 100, "margin": "11"}
    assert _is_much_the_same(row, row | change) is is_same
