"""Orders as they stood at a moment of the wall's clock: what had been written of them by then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from alphapanda.core.clock import to_ms
from alphapanda.core.money import value
from alphapanda.core.vocabulary import Broker, OrderStatus, SignalKind
from execution import loading
from execution.domain.past import Traded, stood
from execution.models import BrokerCall, Fill, Order, OrderEvent
from execution.selectors import orders_timed

SHOWN = (
    "status", "quantity", "limit_price_e4", "trigger_price_e4", "reason", "filled_quantity", "fills_count", "turnover",
    "events_count", "updated_at_ms",
)  # fmt: skip


def orders_known(moment: datetime) -> QuerySet[Order]:
    """Orders that had been written by a moment, with the status that they had as `status_then`."""
    rows = OrderEvent.objects.filter(order=OuterRef("pk"), created_at__lte=moment).order_by("-number")
    known = Order.objects.filter(created_at__lte=moment)
    return known.annotate(status_then=Subquery(rows.values("status")[:1]))


def orders_then(found: QuerySet[Order], moment: datetime) -> list[Order]:
    """Orders as they stood at a moment, with the times of `orders_timed`; not to be saved. One to which nothing has
    happened since stands as it did; one without a row of history was being written. The broker's id comes with its
    answer."""
    known = orders_timed(found.filter(created_at__lte=moment), moment)
    orders = list(known.select_related("deployment", "instrument"))
    for order in orders:
        if not order.acknowledged_ms:
            order.broker_order_id = None
    changed = _changed_since(moment, [order.pk for order in orders])
    rows, trades = _rows(changed, moment), _trades(changed, moment)
    for order in orders:
        if rows[order.pk]:
            _put_back(order, rows[order.pk], trades[order.pk])
    return [order for order in orders if order.pk not in changed or rows[order.pk]]


def _changed_since(moment: datetime, orders: list[UUID]) -> set[UUID]:
    later = {"order__in": orders, "created_at__gt": moment}
    found = [model.objects.filter(**later).values_list("order_id", flat=True) for model in (OrderEvent, Fill)]
    return {order_id for ids in found for order_id in ids}


def _rows(orders: Iterable[UUID], moment: datetime) -> dict[UUID, list[OrderEvent]]:
    rows: dict[UUID, list[OrderEvent]] = defaultdict(list)
    known = OrderEvent.objects.filter(order__in=orders, created_at__lte=moment)
    for row in known.select_related("decision__signal").order_by("number"):
        rows[row.order_id].append(row)
    return rows


def _trades(orders: Iterable[UUID], moment: datetime) -> dict[UUID, list[Traded]]:
    trades: dict[UUID, list[Traded]] = defaultdict(list)
    for fill in Fill.objects.filter(order__in=orders, created_at__lte=moment).order_by("number"):
        told = Traded(fill.quantity, value(fill.price_e4, fill.quantity), fill.at_ms)
        trades[fill.order_id].append(told)
    return trades


def _put_back(order: Order, rows: list[OrderEvent], trades: list[Traded]) -> None:
    columns = loading.order_columns(
        stood(loading.paper_order(order), list(map(loading.order_event, rows)), trades)
    )
    for name in SHOWN:
        setattr(order, name, columns[name])
    if order.modifications:
        order.order_type, order.validity = _terms(order, rows)


def _terms(order: Order, rows: list[OrderEvent]) -> tuple[str, str]:
    """Type and validity by the newest modification that had arrived, else by the signal that it was placed on."""
    if order.broker != Broker.PAPER:
        return (
            order.order_type,
            order.validity,
        )  # a broker's reports do not tell them: they stay as they were placed
    asked = wanted = order.decision.signal
    for row in rows:
        if row.decision is not None and row.decision.signal.kind == SignalKind.MODIFY:
            wanted = row.decision.signal
        if row.status == OrderStatus.MODIFIED:
            asked = wanted
    return asked.order_type, asked.validity


def calls_then(found: QuerySet[BrokerCall], moment: datetime) -> list[BrokerCall]:
    """Calls that had been sent by a moment; not to be saved. One that was answered later was still on its way."""
    at_ms = to_ms(moment)
    calls = list(found.filter(sent_at_ms__lte=at_ms))
    for call in calls:
        if call.answered_at_ms is None or call.answered_at_ms > at_ms:
            call.state, call.reason = BrokerCall.State.SENDING, ""
            call.answered_at_ms = call.http_status = None
    return calls
