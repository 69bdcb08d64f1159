"""Reads of instruments and tick faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketdata.models import Instrument, TickFaultCount

if TYPE_CHECKING:
    from django.db.models import QuerySet


def instruments_known() -> QuerySet[Instrument]:
    return Instrument.objects.order_by("exchange", "tradingsymbol")


def tick_faults_counted() -> QuerySet[TickFaultCount]:
    return TickFaultCount.objects.order_by("-count", "pk")
