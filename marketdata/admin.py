"""Instruments, the exchange calendar and tick faults in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import transaction

from alphapanda.web.admin import Desk, ReadOnlyDesk, shown
from marketdata import selectors
from marketdata.models import Holiday, Instrument, SessionRule, SpecialSession, TickFaultCount

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet
    from django.http import HttpRequest


class CalendarDesk(Desk):
    """What the exchange calendar is made of: a change counts at once here, in other processes within seconds."""

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        transaction.on_commit(selectors.calendars_forget)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        super().delete_model(request, obj)
        transaction.on_commit(selectors.calendars_forget)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        super().delete_queryset(request, queryset)
        transaction.on_commit(selectors.calendars_forget)


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
        "partition",
        "is_listed",
    )
    list_filter = ("exchange", "segment", "instrument_type", "is_listed")
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
    list_display = ("date", "exchange", "opens", "closes", "name")
    list_filter = ("exchange",)
    search_fields = ("name",)
    date_hierarchy = "date"
    ordering = ("-date", "exchange")


@admin.register(SessionRule)
class SessionRuleAdmin(CalendarDesk):
    list_display = ("exchange", "phase", "starts", "ends", "valid_from")
    list_filter = ("exchange", "phase")
    ordering = ("exchange", "-valid_from", "starts")


@admin.register(TickFaultCount)
class TickFaultCountAdmin(ReadOnlyDesk):
    list_display = ("instrument_token", "fault", "count")
    list_filter = ("fault",)
    search_fields = ("=instrument_token",)
    ordering = ("-count",)
