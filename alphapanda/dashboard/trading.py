"""The lists of a trading day: orders, fills, signals."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from alphapanda import projection_rows
from alphapanda.core.clock import DAY_MS, ist_midnight_ms
from alphapanda.core.vocabulary import FINAL_STATUSES, OrderStatus, Side
from alphapanda.dashboard import idle, lists, moment, seen
from alphapanda.dashboard.access import page_view
from alphapanda.dashboard.days import Day
from alphapanda.dashboard.lists import Listing, Narrowed
from strategies.models import Deployment

ANY = ("", "any")
REFUSED = [OrderStatus.REJECTED.value, OrderStatus.CANCELLED.value]


class OfDay(Narrowed):
    """By instrument, deployment, side and IST day."""

    symbol = forms.CharField(required=False, max_length=80, label="Instrument")
    deployment = forms.ModelChoiceField(
        Deployment.objects.order_by("name"), required=False, empty_label="any"
    )
    side = forms.ChoiceField(required=False, choices=[ANY, *((side.value, side.value) for side in Side)])
    day = Day()

    time_column = "at_ms"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        made = moment.known(Deployment.objects.order_by("name"))
        self.fields["deployment"].queryset = made  # type: ignore[attr-defined]

    def narrow(self, found: QuerySet) -> QuerySet:
        given = self.cleaned_data
        if given["symbol"]:
            found = found.filter(instrument__tradingsymbol__icontains=given["symbol"].rpartition(":")[2])
        if given["deployment"]:
            found = found.filter(deployment=given["deployment"])
        if given["side"]:
            found = found.filter(side=given["side"])
        return self._of_day(found, given["day"]) if given["day"] else found

    def _of_day(self, found: QuerySet, day: date) -> QuerySet:
        start = ist_midnight_ms(day)
        return found.filter(**{f"{self.time_column}__gte": start, f"{self.time_column}__lt": start + DAY_MS})


class OrderForm(OfDay):
    """Also by what has become of it."""

    STATES = (ANY, ("open", "open"), ("executed", "executed"), ("rejected", "rejected or cancelled"))
    state = forms.ChoiceField(required=False, choices=STATES)
    time_column = "placed_at_ms"
    field_order = ("state",)

    def narrow(self, found: QuerySet) -> QuerySet:
        found, status = super().narrow(found), seen.order_status()
        match self.cleaned_data["state"]:
            case "open":
                return found.exclude(**{f"{status}__in": [one.value for one in FINAL_STATUSES]})
            case "executed":
                return found.filter(**{status: OrderStatus.COMPLETE})
            case "rejected":
                return found.filter(**{f"{status}__in": REFUSED})
        return found


class SignalForm(OfDay):
    """Also by the verdict."""

    verdict = forms.ChoiceField(required=False, choices=[ANY, ("approved", "approved"), ("denied", "denied")])
    field_order = ("verdict",)

    def narrow(self, found: QuerySet) -> QuerySet:
        found = super().narrow(found)
        verdict = self.cleaned_data["verdict"]
        is_approved = verdict == "approved"
        return found.filter(decision__is_approved=is_approved, **seen.decided()) if verdict else found


ORDERS = Listing("orders", "Orders", "orders", OrderForm, seen.orders, seen.order_rows, idle.orders)
FILLS = Listing("fills", "Fills", "fills", OfDay, seen.fills, projection_rows.fills, idle.fills)
SIGNALS = Listing("signals", "Signals", "signals", SignalForm, seen.signals, seen.signal_rows, idle.signals)


@page_view
def orders(request: HttpRequest) -> HttpResponse:
    """Orders with what became of them, and why not."""
    return lists.shown(request, ORDERS)


@page_view
def fills(request: HttpRequest) -> HttpResponse:
    """Trades with their charges."""
    return lists.shown(request, FILLS)


@page_view
def signals(request: HttpRequest) -> HttpResponse:
    """What strategies wanted, and the rule that decided."""
    return lists.shown(request, SIGNALS)
