"""Stored backtests and searches in the admin: ask for one, watch it, read it, cancel it, run it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelect2MultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from alphapanda.core.refusals import Refusal
from alphapanda.research import selectors
from alphapanda.research.asking import AskForm
from alphapanda.research.stored import backtest_again, backtest_cancel, backtest_create
from alphapanda.web.admin import ReadOnlyDesk, by_hand, link, shown
from alphapanda.web.formats import UNKNOWN, rupees_signed
from strategies.forms import ParametersField
from strategies.models import BacktestRun

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

HIDDEN = ("result", "summary")
TOLD_FIRST = ("state", "error")
WIDGETS = {
    **dict.fromkeys(("name", "costs"), UnfoldAdminTextInputWidget),
    **dict.fromkeys(
        ("params", "execution", "limits", "search"), lambda: UnfoldAdminTextareaWidget(attrs={"rows": 2})
    ),
    **dict.fromkeys(("files", "instruments", "rules", "warm_up"), UnfoldAdminSelect2MultipleWidget),
    **dict.fromkeys(("strategy", "product", "fills"), UnfoldAdminSelectWidget),
    **dict.fromkeys(("first_day", "last_day"), UnfoldAdminSingleDateWidget),
    "each": UnfoldBooleanWidget,
    "cash": UnfoldAdminDecimalFieldWidget,
}


class NewBacktest(AskForm, forms.ModelForm):
    """The form with the admin's inputs; `?strategy=NAME` names the strategy."""

    class Meta:
        model = BacktestRun
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, widget in WIDGETS.items():
            if isinstance(self.fields[name], ParametersField):
                continue  # it has inputs of its own
            choices = getattr(self.fields[name], "choices", None)
            self.fields[name].widget = widget()
            if choices is not None:
                self.fields[name].choices = choices


@admin.register(BacktestRun)
class BacktestDesk(ReadOnlyDesk):
    """A stored backtest never changes; a new one can be asked for, and any run again."""

    form = NewBacktest
    deferred = ("result",)
    exclude = HIDDEN
    audited_by_services = frozenset({"add"})
    list_display = (
        *("name", "kind", "state", "progress", "profit", "trades", "doubts", "sheet", "created_at"),
    )
    list_filter = ("kind", "state", "asked_by")
    search_fields = ("name", "asked_by", "=id", "result_sha256")
    ordering = ("-created_at",)
    actions = ("again", "cancel")
    added = (
        *("name", "files", "strategy", "params", "each", "product", "fills", "execution", "limits"),
        *("costs", "first_day", "last_day", "cash", "instruments", "rules", "warm_up", "search"),
    )

    def has_add_permission(self, request: HttpRequest, _obj: BacktestRun | None = None) -> bool:
        return self.has_act_permission(request)

    def get_fields(self, request: HttpRequest, obj: BacktestRun | None = None) -> list[Any]:
        if obj is None:
            return list(self.added)
        first = ["sheet", "state", shown("error"), "progress", "figures"]
        return [*first, *(one for one in super().get_fields(request, obj) if one.__name__ not in TOLD_FIRST)]

    def get_form(self, request: HttpRequest, obj: BacktestRun | None = None, **options: Any) -> Any:
        return NewBacktest if obj is None else super().get_form(request, obj, form=forms.ModelForm, **options)

    def get_readonly_fields(self, request: HttpRequest, obj: BacktestRun | None = None) -> tuple[Any, ...]:
        return () if obj is None else tuple(self.get_fields(request, obj))

    def save_model(self, request: HttpRequest, obj: BacktestRun, form: Any, change: bool) -> None:
        made = backtest_create(
            form.asked,
            search=form.search,
            name=form.cleaned_data["name"],
            now=timezone.now(),
            **by_hand(request),
        )
        obj.pk = made.pk

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.sheet_view)
        return [path("<uuid:pk>/sheet/", view, name="backtest_sheet"), *super().get_urls()]

    def sheet_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """The tear sheet, or the page of a search, as a page of its own."""
        from alphapanda.research.sheets import sheet_of

        run = BacktestRun.objects.filter(pk=pk).first()
        if run is None:
            raise Http404
        if not self.has_view_permission(request, run):
            raise PermissionDenied
        try:
            return HttpResponse(sheet_of(run))
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:strategies_backtestrun_changelist"))

    @admin.display(description="progress")
    def progress(self, run: BacktestRun) -> str:
        return selectors.progress_of(run, timezone.now()) or UNKNOWN

    @admin.display(description="profit")
    def profit(self, run: BacktestRun) -> str:
        return rupees_signed(run.summary.get("net_pnl"))

    @admin.display(description="trades")
    def trades(self, run: BacktestRun) -> Any:
        return run.summary.get("trades", UNKNOWN)

    @admin.display(description="reasons to doubt, or why it failed")
    def doubts(self, run: BacktestRun) -> str:
        if run.state != BacktestRun.State.DONE:
            return run.error.strip().rpartition("\n")[2] or UNKNOWN
        return ", ".join(run.findings) or "none found"

    @admin.display(description="tear sheet")
    def sheet(self, run: BacktestRun) -> str:
        if run.state != BacktestRun.State.DONE:
            return UNKNOWN
        return link(reverse("admin:backtest_sheet", args=[run.pk]), "open")

    @admin.display(description="figures")
    def figures(self, run: BacktestRun) -> str:
        return format_html("<pre>{}</pre>", msgspec.json.format(msgspec.json.encode(run.summary)).decode())

    @admin.action(description="Run again", permissions=["act"])
    def again(self, request: HttpRequest, rows: QuerySet[BacktestRun]) -> None:
        self.act_on(request, rows, backtest_again, key="run_id", **by_hand(request))

    @admin.action(description="Cancel", permissions=["act"])
    def cancel(self, request: HttpRequest, rows: QuerySet[BacktestRun]) -> None:
        self.act_on(request, rows, backtest_cancel, key="run_id", **by_hand(request))
