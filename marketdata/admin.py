"""Instruments, the exchange calendar and tick faults in the admin."""

from __future__ import annotations

from django.contrib import admin

from alphapanda.web.admin import Desk, ReadOnlyDesk, shown
from marketdata.models import Holiday, Instrument, SessionRule, SpecialSession, TickFaultCount


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
class HolidayAdmin(Desk):
    list_display = ("date", "exchange", "name")
    list_filter = ("exchange",)
    search_fields = ("name",)
    date_hierarchy = "date"
    ordering = ("-date", "exchange")


@admin.register(SpecialSession)
class SpecialSessionAdmin(Desk):
    list_display = ("date", "exchange", "opens", "closes", "name")
    list_filter = ("exchange",)
    search_fields = ("name",)
    date_hierarchy = "date"
    ordering = ("-date", "exchange")


@admin.register(SessionRule)
class SessionRuleAdmin(Desk):
    list_display = ("exchange", "phase", "starts", "ends", "valid_from")
    list_filter = ("exchange", "phase")
    ordering = ("exchange", "-valid_from", "starts")


@admin.register(TickFaultCount)
class TickFaultCountAdmin(ReadOnlyDesk):
    list_display = ("instrument_token", "fault", "count")
    list_filter = ("fault",)
    search_fields = ("=instrument_token",)
    ordering = ("-count",)
