"""Reads of orders and fills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import BigIntegerField, Count, F, Func, OuterRef, Subquery, TextField, Value
from django.db.models.functions import Cast

from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import OrderStatus, SignalKind
from execution.models import BrokerCall, Fill, Order, OrderEvent

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

HEAVY = ("deployment__checkpoint", "deployment__consequences")


def orders_recorded() -> QuerySet[Order]:
    return Order.objects.select_related("deployment", "instrument").defer(*HEAVY)


def orders_oversized() -> QuerySet[Order]:
    """Orders larger than the signal they carry out, but for those that a later signal has changed: there are none."""
    return Order.objects.filter(quantity__gt=F("decision__signal__quantity"), modifications=0)


def orders_rejected_in_a_row(*, count: int, since: datetime) -> list[Order]:
    """The last order of every deployment whose last `count` orders placed since then were all rejected."""
    lately = Order.objects.filter(created_at__gte=since)
    often = lately.filter(status=OrderStatus.REJECTED).values("deployment").annotate(times=Count("id"))
    found = []
    for deployment_id in often.filter(times__gte=count).values_list("deployment", flat=True):
        orders = (
            lately.filter(deployment=deployment_id).select_related("deployment", "instrument").defer(*HEAVY)
        )
        last = list(orders.order_by("-placed_at_ms", "-step", "-ordinal")[:count])
        if all(order.status == OrderStatus.REJECTED for order in last):
            found.append(last[0])
    return sorted(found, key=lambda order: order.deployment.name)


def orders_timed(found: QuerySet[Order], moment: datetime | None = None) -> QuerySet[Order]:
    """Orders with three times of the wall's clock: `decided_at` by risk, `acknowledged_ms` (the first answer of a
    broker outside to a call that placed it) and `filled_at` (its first fill was written); None where it has not been,
    or had not been by a moment."""
    calls = BrokerCall.objects.filter(order_id=OuterRef("pk"), kind=SignalKind.ORDER, answered_at_ms__gt=0)
    fills = Fill.objects.filter(order=OuterRef("pk"))
    if moment is not None:
        calls, fills = calls.filter(answered_at_ms__lte=to_ms(moment)), fills.filter(created_at__lte=moment)
    return found.annotate(
        decided_at=F("decision__created_at"),
        acknowledged_ms=Subquery(calls.order_by("answered_at_ms").values("answered_at_ms")[:1]),
        filled_at=Subquery(fills.order_by("number").values("created_at")[:1]),
    )


def order_events_recorded() -> QuerySet[OrderEvent]:
    return OrderEvent.objects.all()


def fills_recorded() -> QuerySet[Fill]:
    return Fill.objects.select_related("deployment", "instrument").defer(*HEAVY)


def marks_of_orders(deployment_id: UUID) -> dict[UUID, int]:
    """The last price of its instrument that the signal of each order saw, in 1/10,000 rupee; none where it saw none."""
    token = Cast("instrument__instrument_token", TextField())
    seen = Func(F("decision__signal__marks"), token, Value("price_e4"), function="jsonb_extract_path_text")
    found = Order.objects.filter(deployment=deployment_id)
    rows = found.annotate(seen_e4=Cast(seen, BigIntegerField())).values_list("id", "seen_e4")
    return {order_id: price_e4 for order_id, price_e4 in rows if price_e4}
