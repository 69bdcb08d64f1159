"""Instruments, the exchange calendar and tick faults in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import transaction

from alphapanda.web.admin import Desk, ReadOnlyDesk, shown
from marketdata import selectors
from marketdata.models import (
    Bar,
    CandleFetch,
    CircuitLimit,
    FreezeQuantity,
    Holiday,
    Instrument,
    InstrumentRule,
    MarketCutoff,
    MasterChange,
    MasterLoad,
    Permission,
    SessionRule,
    SpecialSession,
    TickFaultCount,
)
from marketdata.services.rules import freezes_changed, rules_changed

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet
    from django.http import HttpRequest


class CalendarDesk(Desk):
    """What the calendars of markets are made of, and what markets take: a change counts at once here, in other
    processes within seconds."""

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        transaction.on_commit(selectors.calendars_forget)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        super().delete_model(request, obj)
        transaction.on_commit(selectors.calendars_forget)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        super().delete_queryset(request, queryset)
        transaction.on_commit(selectors.calendars_forget)


class RulesDesk(Desk):
    """Rules by date: a change counts for the decisions of its days at once."""

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        was = set(self.model.objects.filter(pk=obj.pk).values_list("instrument", flat=True))
        super().save_model(request, obj, form, change)
        rules_changed(was | {obj.instrument_id})

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        super().delete_model(request, obj)
        rules_changed([obj.instrument_id])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        touched = list(queryset.values_list("instrument", flat=True))
        super().delete_queryset(request, queryset)
        rules_changed(touched)


@admin.register(Instrument)
class InstrumentAdmin(ReadOnlyDesk):
    """Written from the broker's instrument list."""

    list_display = (
        "__str__",
        "name",
        "instrument_token",
        "instrument_type",
        "segment",
        "expiry",
        shown("strike"),
        shown("tick_size"),
        "lot_size",
        "freeze_quantity",
        "partition",
        "is_listed",
    )
    list_filter = ("exchange", "segment", "instrument_type", "is_listed", "has_derivatives")
    search_fields = ("tradingsymbol", "name", "=instrument_token")
    ordering = ("exchange", "tradingsymbol")


@admin.register(Holiday)
class HolidayAdmin(CalendarDesk):
    list_display = ("date", "exchange", "name")
    list_filter = ("exchange",)
    search_fields = ("name",)
    date_hierarchy = "date"
    ordering = ("-date", "exchange")


@admin.register(SpecialSession)
class SpecialSessionAdmin(CalendarDesk):
    list_display = ("date", "exchange", "phase", "opens", "closes", "name")
    list_filter = ("exchange", "phase")
    search_fields = ("name",)
    date_hierarchy = "date"
    ordering = ("-date", "exchange")


@admin.register(SessionRule)
class SessionRuleAdmin(CalendarDesk):
    list_display = ("market", "phase", "starts", "ends", "season", "valid_from")
    list_filter = ("market", "phase")
    ordering = ("market", "-valid_from", "starts")


@admin.register(MarketCutoff)
class MarketCutoffAdmin(CalendarDesk):
    list_display = ("market", "kind", "minutes", "valid_from")
    list_filter = ("market", "kind")
    ordering = ("market", "kind", "-valid_from")


@admin.register(TickFaultCount)
class TickFaultCountAdmin(ReadOnlyDesk):
    list_display = ("instrument_token", "fault", "count")
    list_filter = ("fault",)
    search_fields = ("=instrument_token",)
    ordering = ("-count",)


@admin.register(InstrumentRule)
class InstrumentRuleAdmin(RulesDesk):
    """What lists said in the past: kept by itself where a list changes it."""

    list_display = ("instrument", "valid_from", shown("tick_size"), "lot_size", "expiry", shown("strike"))
    search_fields = ("instrument__tradingsymbol",)
    raw_id_fields = ("instrument",)
    list_select_related = ("instrument",)
    ordering = ("instrument__exchange", "instrument__tradingsymbol", "-valid_from")


@admin.register(FreezeQuantity)
class FreezeQuantityAdmin(Desk):
    """Loaded from NSE's file; a change counts for the decisions of its days at once."""

    list_display = ("underlying", "exchange", "quantity", "valid_from")
    list_filter = ("exchange", "valid_from")
    search_fields = ("underlying",)
    ordering = ("exchange", "underlying", "-valid_from")

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        freezes_changed()

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        super().delete_model(request, obj)
        freezes_changed()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        super().delete_queryset(request, queryset)
        freezes_changed()


@admin.register(CircuitLimit)
class CircuitLimitAdmin(RulesDesk):
    list_display = ("instrument", "date", shown("lower"), shown("upper"))
    search_fields = ("instrument__tradingsymbol",)
    raw_id_fields = ("instrument",)
    list_select_related = ("instrument",)
    date_hierarchy = "date"
    ordering = ("-date", "instrument__tradingsymbol")


@admin.register(Permission)
class PermissionAdmin(CalendarDesk):
    list_display = ("market", "instrument_type", "valid_from", "products", "order_types", "validities")
    list_filter = ("market", "instrument_type")
    ordering = ("market", "instrument_type", "-valid_from")


@admin.register(MasterLoad)
class MasterLoadAdmin(ReadOnlyDesk):
    list_display = (
        "loaded_at", "exchanges", "source", "added", "gone", "changed", "unchanged", "faulty"
    )  # fmt: skip
    date_hierarchy = "loaded_at"
    ordering = ("-loaded_at",)


@admin.register(CandleFetch)
class CandleFetchAdmin(ReadOnlyDesk):
    list_display = (
        "created_at", "instrument", "interval", "first", "last", "state", "done", "total", "asked_by"
    )  # fmt: skip
    list_filter = ("state", "interval")
    ordering = ("-created_at",)


@admin.register(MasterChange)
class MasterChangeAdmin(ReadOnlyDesk):
    """What a list changed, with the deployments and positions that it touches."""

    list_display = ("instrument", "kind", "field", "before", "after", "used_by", "load")
    list_filter = ("is_touching", "kind", "field", "load")
    search_fields = ("instrument",)
    list_select_related = ("load",)
    ordering = ("-load__loaded_at", "-is_touching", "instrument")

    @admin.display(description="Used by")
    def used_by(self, change: MasterChange) -> str:
        return ", ".join(f"{use['kind']} {use['name']}" for use in change.uses)


@admin.register(Bar)
class BarAdmin(ReadOnlyDesk):
    list_display = ("__str__", "open_e4", "high_e4", "low_e4", "close_e4", "volume", "ticks")
    list_filter = ("minutes",)
    search_fields = ("instrument__tradingsymbol",)
    list_select_related = ("instrument",)
    ordering = ("-starts_ms", "instrument")
