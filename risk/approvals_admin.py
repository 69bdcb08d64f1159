"""Entries that wait for a person in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from alphapanda.web.admin import ReadOnlyDesk, by_hand, shown
from alphapanda.web.formats import pretty
from marketdata.selectors import calendars
from risk.selectors import approval_verdict
from risk.services.approvals import approval_answer
from risk.services.outlook import approval_outlook
from strategies.models import Approval

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyDesk):
    list_display = (
        shown("asked_at", "asked"),
        "deployment",
        "signal",
        "wanted_because",
        "state",
        shown("expires_at_ms", "expires"),
        "answered_by",
        "reason",
        "verdict",
    )
    list_filter = ("state", "deployment__broker", ("deployment", AutocompleteSelectFilter))
    list_select_related = ("deployment", "signal__instrument", "signal__approved_as__decision")
    deferred = ("deployment__checkpoint", "deployment__consequences")
    search_fields = ("=signal__id", "deployment__name", "signal__instrument__tradingsymbol", "reason")
    ordering = ("-asked_at",)
    actions = ("approve", "deny")

    def get_fields(self, request: HttpRequest, obj: Approval | None = None) -> list[Any]:
        return [*super().get_fields(request, obj), "outlook", "verdict"]

    @admin.display(description="wanted because")
    def wanted_because(self, approval: Approval) -> str:
        return approval.signal.reason

    @admin.display(description="verdict at approval")
    def verdict(self, approval: Approval) -> str:
        found = approval_verdict(approval)
        return f"{found['rule']}: {found['reason']}" if found else ""

    @admin.display(description="what it would do now")
    def outlook(self, approval: Approval) -> str:
        if approval.state != Approval.State.WAITING:
            return ""
        found = approval_outlook(approval, calendar=calendars(), now=timezone.now())
        return format_html("<pre>{}</pre>", pretty(found))

    @admin.action(description="Approve: raise it again, to be judged anew", permissions=["act"])
    def approve(self, request: HttpRequest, rows: QuerySet[Approval]) -> None:
        self.act_on(request, rows, approval_answer, key="signal_id", is_approved=True, **by_hand(request))

    @admin.action(description="Deny", permissions=["act"])
    def deny(self, request: HttpRequest, rows: QuerySet[Approval]) -> None:
        self.act_on(request, rows, approval_answer, key="signal_id", is_approved=False, **by_hand(request))
