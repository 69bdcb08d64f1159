"""How long an order took, and its name at the broker, in the list of orders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import uuid5

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import strip_tags

from alphapanda import projection_rows, projections
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import OrderStatus
from alphapanda.dashboard import moment
from alphapanda.push import readmodel
from execution.models import BrokerCall, BrokerOrder, Order
from risk.models import Decision
from tests import rows
from tests.cockpit.test_pages import ROWS, browser

pytestmark = pytest.mark.django_db
KITES = "261129000123456"
WHY = "Insufficient funds. Required margin is 1,23,456.75 but available margin is 98,765.40."
CELLS = {"why": 7, "latency": 9, "broker_id": 10}
UNKNOWN = "–"  # noqa: RUF001


@contextmanager
def clock(moment: datetime) -> Iterator[None]:
    """What is written inside is written at that time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timezone, "now", lambda: moment)
        yield


def placed(broker: str = "paper", **after_ms: int) -> Order:
    """An order that was decided on at a whole second a minute ago, answered and filled so many ms later."""
    signal = rows.a_signal(rows.a_deployment(broker=broker))
    decided = timezone.now().replace(microsecond=0) - timedelta(minutes=1)
    with clock(decided):
        order = rows.an_order(rows.a_decision(signal))
        rows.an_order_event(order)
    if "filled" in after_ms:
        with clock(decided + timedelta(milliseconds=after_ms["filled"])):
            rows.a_fill(order)
    if "answered" in after_ms:
        answered(order, 1, to_ms(decided) + after_ms["answered"])
    projections.rebuild()
    return order


def answered(order: Order, attempt: int, at_ms: int | None) -> None:
    at_broker, _ = BrokerOrder.objects.get_or_create(order=order, defaults={"state": {}})
    BrokerCall.objects.create(
        id=uuid5(order.pk, str(attempt)), order=at_broker, kind="ORDER", lane="ENTRY", attempt=attempt,
        queued_at_ms=1, sent_at_ms=2, answered_at_ms=at_ms, state="DONE",
    )  # fmt: skip


@pytest.fixture
def viewer() -> Client:
    return browser("viewer")


def cells(viewer: Client, order: Order, **asked: str) -> list[str]:
    told = viewer.get("/orders/", {"broker": order.broker} | asked, headers=ROWS).json()["rows"]
    html = told["orders"][str(order.pk)]
    return [strip_tags(cell).strip() for cell in html.split("<td")[1:]]


def cell(viewer: Client, order: Order, name: str, **asked: str) -> str:
    return cells(viewer, order, **asked)[CELLS[name]].rpartition(">")[2]


def test_on_paper_it_is_the_time_from_the_decision_to_the_first_fill(viewer: Client) -> None:
    order = placed(filled=1_234)
    assert cell(viewer, order, "latency") == "1,234"
    assert cell(viewer, order, "broker_id") == UNKNOWN


@pytest.mark.usefixtures("live_enabled")
def test_at_a_broker_it_is_the_time_to_its_answer_with_that_to_the_fill_under_the_pointer(
    viewer: Client,
) -> None:
    order = placed("zerodha", answered=42, filled=310)
    Order.objects.update(broker_order_id=KITES)
    assert cell(viewer, order, "latency") == "42"
    assert cell(viewer, order, "broker_id") == KITES
    assert "answered by the broker in 42 ms, first fill in 310 ms" in cells(viewer, order)[CELLS["latency"]]


@pytest.mark.usefixtures("live_enabled")
def test_of_two_attempts_the_first_answer_counts(viewer: Client) -> None:
    order = placed("zerodha", answered=900)
    answered(order, 2, None)
    answered(order, 3, to_ms(Decision.objects.get().created_at) + 5_000)
    assert cell(viewer, order, "latency") == "900"


@pytest.mark.usefixtures("live_enabled")
def test_what_nobody_answered_has_none_and_a_refusal_says_why_in_full(viewer: Client) -> None:
    order = placed("zerodha")
    Order.objects.update(status=OrderStatus.REJECTED, reason=WHY)
    assert cell(viewer, order, "latency") == UNKNOWN
    assert cell(viewer, order, "why") == WHY


@pytest.mark.usefixtures("live_enabled")
def test_what_was_answered_after_the_moment_was_not_known_then(viewer: Client) -> None:
    order = placed("zerodha", answered=30_000, filled=40_000)
    Order.objects.update(broker_order_id=KITES)
    decided_ms = to_ms(Decision.objects.get().created_at)
    for after_ms, told in ((20_000, UNKNOWN), (35_000, "30,000")):
        at = moment.written(decided_ms + after_ms)
        assert cell(viewer, order, "latency", at=at) == told
        assert cell(viewer, order, "broker_id", at=at) == (KITES if told != UNKNOWN else UNKNOWN)


def test_what_is_pushed_has_it_and_many_cost_no_more_queries_than_one() -> None:
    order = placed(filled=7)
    (row,) = readmodel.recent("orders")
    assert (row["latency_ms"], row["id"]) == (7, str(order.pk))
    rows.an_order(rows.a_decision(rows.a_signal(order.deployment, 90)))
    with CaptureQueriesContext(connection) as asked:
        assert len(projection_rows.orders(Order.objects.all())) == 2
    assert len(asked) == 1
