"""Portfolios, books, positions, ledger, snapshots and postings in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin

from alphapanda.core import ids
from alphapanda.web.admin import Desk, ReadOnlyDesk, shown
from portfolio.domain.corporate import BadAction
from portfolio.models import (
    ActionPosting,
    Book,
    CorporateAction,
    LedgerEntry,
    Portfolio,
    Position,
    Posting,
    Snapshot,
    TradeNote,
    TradePicture,
)

if TYPE_CHECKING:
    from django.http import HttpRequest


class PortfolioForm(forms.ModelForm):
    """The identity of a portfolio follows from the name under which it was made, and outlives that name."""

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        made = Portfolio.objects.filter(pk=ids.derived("portfolio", name)).first()
        if self.instance._state.adding and made is not None:
            raise forms.ValidationError(
                f"{made} was made under this name, and stays that: choose another one."
            )
        return name


@admin.register(Portfolio)
class PortfolioAdmin(Desk):
    """The broker of a portfolio and its cash at the start are fixed when it is made."""

    form = PortfolioForm
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


class CorporateActionForm(forms.ModelForm):
    """Refuses figures that do not fit the kind."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors:
            for name, value in cleaned.items():
                setattr(self.instance, name, value)
            try:
                _ = self.instance.action
            except BadAction as error:
                raise forms.ValidationError(str(error)) from error
        return cleaned


class CorporateActionAdmin(Desk):
    """Entered here, applied by an act that concerns deployments too: `alphapanda.admin` registers it."""

    form = CorporateActionForm
    list_display = ("instrument", "kind", "ex_date", "new", "old", shown("amount"), "note", "applied_at")
    list_filter = ("kind", "instrument")
    list_select_related = ("instrument",)
    search_fields = ("instrument__tradingsymbol", "note")
    autocomplete_fields = ("instrument",)
    date_hierarchy = "ex_date"
    ordering = ("-ex_date",)
    fields = ("instrument", "kind", "ex_date", "new", "old", "amount", "note")

    def get_readonly_fields(
        self, _request: HttpRequest, obj: CorporateAction | None = None
    ) -> tuple[str, ...]:
        """What identifies it is fixed once it is entered."""
        return () if obj is None else ("instrument", "kind", "ex_date")

    def has_change_permission(self, request: HttpRequest, obj: CorporateAction | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.applied_at is None)

    def has_delete_permission(self, request: HttpRequest, obj: CorporateAction | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or obj.applied_at is None)


@admin.register(ActionPosting)
class ActionPostingAdmin(ReadOnlyDesk):
    list_display = (
        "sequence",
        "corporate_action",
        "book",
        "quantity_before",
        "quantity_after",
        "created_at",
    )
    list_filter = ("book",)
    list_select_related = ("corporate_action__instrument", "book")
    search_fields = ("=posting_id", "book__name", "corporate_action__instrument__tradingsymbol")
    ordering = ("-sequence",)


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


@admin.register(TradeNote)
class TradeNoteAdmin(ReadOnlyDesk):
    """Written on the page Journal."""

    list_display = ("changed_at", "book", "tags", "text", "changed_by")
    list_filter = ("book",)
    list_select_related = ("book",)
    search_fields = ("=trade_id", "book__name", "text")
    ordering = ("-changed_at",)


@admin.register(TradePicture)
class TradePictureAdmin(ReadOnlyDesk):
    """Shown on the page Journal."""

    list_display = ("added_at", "book", "name", "kind", "width", "height", "size", "added_by", "removed_at")
    list_filter = ("book",)
    list_select_related = ("book",)
    search_fields = ("=trade_id", "book__name", "name")
    ordering = ("-added_at",)
    deferred = exclude = ("data",)
