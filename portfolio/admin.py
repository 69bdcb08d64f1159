"""Portfolios, books, positions, ledger, snapshots and postings in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin

from alphapanda.core import ids
from alphapanda.web.admin import Desk, ReadOnlyDesk, shown
from portfolio.models import Book, LedgerEntry, Portfolio, Position, Posting, Snapshot

if TYPE_CHECKING:
    from django.http import HttpRequest


@admin.register(Portfolio)
class PortfolioAdmin(Desk):
    """The broker of a portfolio and its cash at the start are fixed when it is made."""

    list_display = ("name", "broker", shown("starting_cash"), "created_at")
    list_filter = ("broker",)
    search_fields = ("name",)
    ordering = ("name",)
    fields = ("name", "broker", "starting_cash")

    def get_readonly_fields(self, _request: HttpRequest, obj: Portfolio | None = None) -> tuple[str, ...]:
        return () if obj is None else ("broker", "starting_cash")

    def has_delete_permission(self, _request: HttpRequest, _obj: Portfolio | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Portfolio, form: Any, change: bool) -> None:
        if not change:
            obj.id = ids.derived("portfolio", obj.name)
        super().save_model(request, obj, form, change)


@admin.register(Book)
class BookAdmin(ReadOnlyDesk):
    list_display = ("name", "portfolio", "broker", shown("cash"))
    list_filter = ("broker", "portfolio")
    list_select_related = ("portfolio",)
    search_fields = ("name", "=deployment_id")
    ordering = ("name",)


@admin.register(Position)
class PositionAdmin(ReadOnlyDesk):
    list_display = (
        "book",
        "instrument",
        "quantity",
        shown("cost"),
        shown("realised"),
        shown("charges"),
        shown("updated_at_ms", "updated"),
    )
    list_filter = ("book__broker", "book")
    list_select_related = ("book", "instrument")
    search_fields = ("book__name", "instrument__tradingsymbol")
    ordering = ("book", "instrument")


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyDesk):
    list_display = (
        shown("at_ms", "event time"),
        "portfolio",
        "book",
        "instrument",
        "account",
        shown("amount"),
        "fill",
    )
    list_filter = ("account", "portfolio", "book")
    list_select_related = ("portfolio", "book", "instrument")
    search_fields = ("=fill_id", "book__name", "instrument__tradingsymbol", "account")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "number")

    @admin.display(ordering="fill_id")
    def fill(self, entry: LedgerEntry) -> str:
        """As much of its id as tells it from its neighbours."""
        return str(entry.fill_id)[:8]


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyDesk):
    list_display = (
        shown("at_ms", "event time"),
        "portfolio",
        "book",
        shown("cash"),
        shown("cost"),
        shown("realised"),
        shown("charges"),
    )
    list_filter = ("portfolio", "book")
    list_select_related = ("portfolio", "book")
    search_fields = ("book__name",)
    date_hierarchy = "created_at"
    ordering = ("-created_at",)


@admin.register(Posting)
class PostingAdmin(ReadOnlyDesk):
    list_display = ("sequence", "book", "fill_id", "state", "created_at", "booked_at")
    list_filter = ("state", "book")
    list_select_related = ("book",)
    search_fields = ("=fill_id", "book__name")
    ordering = ("-sequence",)
