"""Instruments and tick faults over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q
from django.urls import path
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from alphapanda.web.fields import MoneyField
from alphapanda.web.views import ListView
from marketdata import selectors
from marketdata.models import Instrument, TickFaultCount

if TYPE_CHECKING:
    from django.db.models import QuerySet


class InstrumentSerializer(serializers.ModelSerializer):
    strike = MoneyField()
    tick_size = MoneyField()

    class Meta:
        model = Instrument
        fields = (
            "id",
            "exchange",
            "tradingsymbol",
            "instrument_token",
            "exchange_token",
            "name",
            "expiry",
            "strike",
            "tick_size",
            "lot_size",
            "instrument_type",
            "segment",
            "partition",
            "is_listed",
        )


class TickFaultSerializer(serializers.ModelSerializer):
    class Meta:
        model = TickFaultCount
        fields = ("instrument_token", "fault", "count")


class InstrumentFilter(filters.FilterSet):
    search = filters.CharFilter(method="matching", help_text="part of the symbol or of the name")

    class Meta:
        model = Instrument
        fields = ("exchange", "tradingsymbol", "instrument_token", "instrument_type", "segment", "is_listed")

    def matching(self, rows: QuerySet[Instrument], _name: str, text: str) -> QuerySet[Instrument]:
        return rows.filter(Q(tradingsymbol__icontains=text) | Q(name__icontains=text))


@extend_schema(tags=["instruments"])
class Instruments(ListView):
    """Instruments, by exchange and symbol."""

    queryset = selectors.instruments_known()
    serializer_class = InstrumentSerializer
    filterset_class = InstrumentFilter
    page_ordering = ("exchange", "tradingsymbol")


@extend_schema(tags=["instruments"])
class TickFaults(ListView):
    """How many ticks were kept out of decisions, and why; the most first."""

    queryset = selectors.tick_faults_counted()
    serializer_class = TickFaultSerializer
    filterset_fields = ("instrument_token", "fault")
    page_ordering = ("-count", "pk")


urlpatterns = [
    path("instruments/", Instruments.as_view()),
    path("tick-faults/", TickFaults.as_view()),
]
