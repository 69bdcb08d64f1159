"""Reads of orders and fills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import F

from execution.models import Fill, Order, OrderEvent

if TYPE_CHECKING:
    from django.db.models import QuerySet

HEAVY = ("deployment__checkpoint", "deployment__consequences")


def orders_recorded() -> QuerySet[Order]:
    return Order.objects.select_related("deployment", "instrument").defer(*HEAVY)


def orders_oversized() -> QuerySet[Order]:
    """Orders larger than the signal they carry out, but for those that a later signal has changed: there are none."""
    return Order.objects.filter(quantity__gt=F("decision__signal__quantity"), modifications=0)


def order_events_recorded() -> QuerySet[OrderEvent]:
    return OrderEvent.objects.all()


def fills_recorded() -> QuerySet[Fill]:
    return Fill.objects.select_related("deployment", "instrument").defer(*HEAVY)
