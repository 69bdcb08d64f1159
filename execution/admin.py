"""Orders with their history, and fills in the admin."""

from __future__ import annotations

from django.contrib import admin
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from alphapanda.web.admin import ReadOnlyDesk, shown
from execution import live_admin as _live  # noqa: F401  registers its pages
from execution.models import Fill, Order, OrderEvent, PaperMemory


@admin.register(OrderEvent)
class OrderEventAdmin(ReadOnlyDesk):
    list_display = (
        shown("at_ms", "event time"),
        "order",
        "number",
        "status",
        "quantity",
        "filled_quantity",
        shown("limit_price_e4"),
        shown("trigger_price_e4"),
        "reason",
    )
    list_filter = ("status",)
    list_select_related = ("order",)
    search_fields = ("=order__id", "=decision__id")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-number")


@admin.register(PaperMemory)
class PaperMemoryAdmin(ReadOnlyDesk):
    list_display = ("deployment",)
    list_select_related = ("deployment",)
    deferred = ("deployment__checkpoint", "deployment__consequences")
    search_fields = ("deployment__name",)
    ordering = ("deployment__name",)


@admin.register(Order)
class OrderAdmin(ReadOnlyDesk):
    list_display = (
        shown("placed_at_ms", "placed"),
        "deployment",
        "broker",
        "instrument",
        "side",
        "quantity",
        "filled_quantity",
        "order_type",
        shown("limit_price_e4"),
        shown("trigger_price_e4"),
        "validity",
        "variety",
        "status",
        "reason",
        "broker_order_id",
    )
    list_filter = (
        "status",
        "broker",
        "side",
        "order_type",
        "variety",
        "validity",
        ("deployment", AutocompleteSelectFilter),
    )
    list_select_related = ("deployment", "instrument")
    deferred = ("deployment__checkpoint", "deployment__consequences")
    search_fields = (
        "=id",
        "=broker_order_id",
        "=correlation_id",
        "deployment__name",
        "instrument__tradingsymbol",
    )
    date_hierarchy = "created_at"
    ordering = ("-created_at",)


@admin.register(Fill)
class FillAdmin(ReadOnlyDesk):
    list_display = (
        shown("at_ms", "event time"),
        "deployment",
        "broker",
        "instrument",
        "side",
        "quantity",
        shown("price_e4"),
        "source",
        "order",
        "number",
    )
    list_filter = ("broker", "side", "source", ("deployment", AutocompleteSelectFilter))
    list_select_related = ("deployment", "instrument", "order")
    deferred = ("deployment__checkpoint", "deployment__consequences")
    search_fields = ("=id", "=order__id", "deployment__name", "instrument__tradingsymbol")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
