"""What is traded at a broker outside, in the admin: nothing is changed by hand, but differences are settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.contrib import admin, messages
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.forms import ActionForm
from unfold.widgets import UnfoldAdminTextInputWidget

from alphapanda.web.admin import ReadOnlyDesk, by_hand, shown
from execution.gtt_models import Gtt, GttCall
from execution.models import (
    BrokerCall,
    BrokerDesk,
    BrokerName,
    BrokerOrder,
    BrokerPush,
    Difference,
    ExternalOrder,
)
from execution.services.differences import NOTE_MAX, difference_accept, difference_settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from django.http import HttpRequest

HEAVY = ("order__deployment__checkpoint", "order__deployment__consequences")


@admin.register(BrokerDesk)
class BrokerDeskAdmin(ReadOnlyDesk):
    list_display = ("broker", "seen_at", "reconciled_at", "stopped")
    search_fields = ("broker",)
    ordering = ("broker",)


@admin.register(BrokerOrder)
class BrokerOrderAdmin(ReadOnlyDesk):
    list_display = ("order", "is_open", "wants_trades", "changed_at")
    list_filter = ("is_open", "wants_trades")
    list_select_related = ("order__deployment", "order__instrument")
    deferred = HEAVY
    search_fields = ("=order__id", "=names__name", "order__deployment__name")
    ordering = ("-changed_at",)


@admin.register(BrokerName)
class BrokerNameAdmin(ReadOnlyDesk):
    """Tags of ours and order ids of the broker, and the orders that they stand for."""

    list_display = ("name", "order")
    list_select_related = ("order__order",)
    search_fields = ("=name", "=order__order__id")
    ordering = ("name",)


@admin.register(BrokerPush)
class BrokerPushAdmin(ReadOnlyDesk):
    """Updates that wait for the broker's process."""

    list_display = ("received_at", "source")
    list_filter = ("source",)
    search_fields = ("body",)
    ordering = ("-received_at",)


@admin.register(BrokerCall)
class BrokerCallAdmin(ReadOnlyDesk):
    list_display = (
        shown("queued_at_ms", "asked for"),
        "kind",
        "lane",
        "state",
        "attempt",
        "tag",
        "broker_order_id",
        shown("sent_at_ms", "sent"),
        shown("answered_at_ms", "answered"),
        "http_status",
        "reason",
    )
    list_filter = (
        "state",
        "kind",
        "lane",
        ("order__order__deployment", AutocompleteSelectFilter),
    )
    search_fields = ("=id", "=order__order__id", "=tag", "=broker_order_id", "reason")
    ordering = ("-queued_at_ms", "-id")


@admin.register(ExternalOrder)
class ExternalOrderAdmin(ReadOnlyDesk):
    list_display = (
        "broker_order_id",
        "instrument",
        "is_open",
        "worst_value",
        "gtt",
        "first_seen_at",
        "seen_at",
    )
    list_select_related = ("gtt",)
    list_filter = ("is_open",)
    search_fields = ("=broker_order_id", "instrument")
    date_hierarchy = "first_seen_at"
    ordering = ("-first_seen_at",)


@admin.register(Gtt)
class GttAdmin(ReadOnlyDesk):
    """Triggers of the account; `manage.py gtt` and the API ask for them, change and delete those of ours."""

    list_display = (
        "instrument",
        "side",
        "quantity",
        "product",
        "kind",
        "status",
        "is_ours",
        "trigger_id",
        "exceeds_since",
        shown("expires_at_ms", "expires"),
        "seen_at",
        "reason",
    )
    list_filter = ("status", "is_ours", "kind", "product")
    search_fields = ("=id", "=trigger_id", "instrument")
    date_hierarchy = "first_seen_at"
    ordering = ("-first_seen_at", "-id")


@admin.register(GttCall)
class GttCallAdmin(ReadOnlyDesk):
    list_display = (
        shown("queued_at_ms", "asked for"),
        "kind",
        "gtt",
        "state",
        "actor",
        "why",
        shown("sent_at_ms", "sent"),
        shown("answered_at_ms", "answered"),
        "http_status",
        "reason",
    )
    list_filter = ("state", "kind")
    list_select_related = ("gtt",)
    search_fields = ("=id", "=key", "=gtt__id", "actor", "reason")
    ordering = ("-queued_at_ms", "-id")


class NoteForm(ActionForm):
    """Beside the choice of the action: how it was settled."""

    note = forms.CharField(
        required=False,
        max_length=NOTE_MAX,
        widget=UnfoldAdminTextInputWidget({"placeholder": "how it was settled"}),
    )


@admin.register(Difference)
class DifferenceAdmin(ReadOnlyDesk):
    list_display = (
        "first_seen_at",
        "kind",
        "key",
        "deployment",
        "ours",
        "theirs",
        "rounds",
        "settled_at",
        "settled_by",
        "note",
    )
    list_filter = (
        "kind",
        ("settled_at", admin.EmptyFieldListFilter),
        ("deployment", AutocompleteSelectFilter),
    )
    list_select_related = ("deployment",)
    deferred = ("deployment__checkpoint", "deployment__consequences")
    search_fields = ("key", "deployment__name", "ours", "theirs", "note")
    date_hierarchy = "first_seen_at"
    ordering = ("-first_seen_at", "-id")
    action_form = NoteForm
    actions = ("settle", "accept")

    @admin.action(description="Settle, with a note", permissions=["act"])
    def settle(self, request: HttpRequest, rows: QuerySet[Difference]) -> None:
        self._act(request, rows, difference_settle)

    @admin.action(description="Accept what the account holds, with a note", permissions=["act"])
    def accept(self, request: HttpRequest, rows: QuerySet[Difference]) -> None:
        self._act(request, rows, difference_accept)

    def _act(self, request: HttpRequest, rows: QuerySet[Difference], act: Callable[..., Difference]) -> None:
        note = request.POST.get("note", "").strip()
        if not note:
            self.message_user(request, "Say in the note how it was settled.", messages.ERROR)
            return
        facts = by_hand(request) | {"reason": note}
        self.act_on(request, rows, act, key="difference_id", **facts)
