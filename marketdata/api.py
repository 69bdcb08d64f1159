"""Instruments, bars and tick faults over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q
from django.urls import path
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from alphapanda.web.fields import InstantField, MoneyField, PriceField
from alphapanda.web.views import ListView
from marketdata import selectors
from marketdata.domain.series import INTERVALS
from marketdata.models import Bar, Instrument, TickFaultCount

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
            "has_derivatives",
            "freeze_quantity",
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
    """Instruments, by symbol and exchange."""

    queryset = selectors.instruments_known()
    serializer_class = InstrumentSerializer
    filterset_class = InstrumentFilter
    page_ordering = ("tradingsymbol", "exchange")


class BarSerializer(serializers.ModelSerializer):
    instrument = serializers.CharField(read_only=True)
    starts_at = InstantField(source="starts_ms")
    open = PriceField(source="open_e4")
    high = PriceField(source="high_e4")
    low = PriceField(source="low_e4")
    close = PriceField(source="close_e4")

    class Meta:
        model = Bar
        fields = (
            "instrument", "minutes", "starts_ms", "starts_at", "open", "high", "low", "close", "volume", "ticks",
        )  # fmt: skip


class BarFilter(filters.FilterSet):
    """Bars are asked for by instrument and length: of all together nobody can make sense."""

    instrument = filters.CharFilter(method="of_instrument", required=True, help_text="EXCHANGE:TRADINGSYMBOL")
    minutes = filters.ChoiceFilter(
        choices=[(minutes, minutes) for minutes in INTERVALS],
        required=True,
        help_text="1, 3, 5, 15, 30, 60; 1440 is the day",
    )
    from_ms = filters.NumberFilter(
        "starts_ms", lookup_expr="gte", help_text="epoch ms, UTC: bars that start then or later"
    )
    to_ms = filters.NumberFilter("starts_ms", lookup_expr="lt", help_text="epoch ms, UTC: and before then")

    class Meta:
        model = Bar
        fields = ("instrument", "minutes", "from_ms", "to_ms")

    def of_instrument(self, rows: QuerySet[Bar], _name: str, key: str) -> QuerySet[Bar]:
        exchange, _, symbol = key.partition(":")
        return rows.filter(instrument__exchange=exchange, instrument__tradingsymbol=symbol)


@extend_schema(tags=["instruments"])
class Bars(ListView):
    """Bars of an instrument in use, the oldest first, as they were published to market.bars."""

    queryset = selectors.bars_known()
    serializer_class = BarSerializer
    filterset_class = BarFilter
    page_ordering = ("starts_ms",)


@extend_schema(tags=["instruments"])
class TickFaults(ListView):
    """How many ticks were kept out of decisions, and why; the most first."""

    queryset = selectors.tick_faults_counted()
    serializer_class = TickFaultSerializer
    filterset_fields = ("instrument_token", "fault")
    page_ordering = ("-count", "pk")


urlpatterns = [
    path("instruments/", Instruments.as_view()),
    path("bars/", Bars.as_view()),
    path("tick-faults/", TickFaults.as_view()),
]
