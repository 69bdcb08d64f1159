"""Stored backtests and searches in the admin: ask for one, watch it, read it, cancel it, run it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
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
from alphapanda.core.vocabulary import Product
from alphapanda.engine.costs import costs_of
from alphapanda.research import selectors
from alphapanda.research.places import list_names, placed, recorded_names, rule_names
from alphapanda.research.plan import FILL_MODELS, Plan, askable, definition_of, execution_of, one_for_each
from alphapanda.research.search import asked_of
from alphapanda.research.stored import backtest_again, backtest_cancel, backtest_create
from alphapanda.web.admin import ReadOnlyDesk, by_hand, link, shown
from alphapanda.web.formats import UNKNOWN, rupees_signed
from strategies.domain.parameters import described
from strategies.forms import ParametersField
from strategies.models import BacktestRun
from strategies.registry import find, names

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

HIDDEN = ("result", "summary")
TOLD_FIRST = ("state", "error")
WIDGETS = {
    **dict.fromkeys(("name", "costs"), UnfoldAdminTextInputWidget),
    **dict.fromkeys(("files", "instruments", "rules", "warm_up"), UnfoldAdminSelect2MultipleWidget),
    **dict.fromkeys(("strategy", "product", "fills"), UnfoldAdminSelectWidget),
    **dict.fromkeys(("first_day", "last_day"), UnfoldAdminSingleDateWidget),
    "each": UnfoldBooleanWidget,
    "cash": UnfoldAdminDecimalFieldWidget,
}


class Json(forms.JSONField):
    """An input of a few lines that is empty where there is nothing."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 2})

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)


class NewBacktest(forms.ModelForm):
    """What to run; `asked` holds the checked plan and `search` the search, if any, when the form is valid. Where the
    strategy is known (`?strategy=NAME`), there is an input for each of its parameters."""

    files = forms.MultipleChoiceField(help_text="recorded files of the product and of the data folder")
    strategy = forms.ChoiceField()
    params = Json(
        required=False,
        initial=dict,
        help_text="what is left out has its default; Backtest on a line of Strategy versions opens this form with an"
        " input for each parameter",
    )
    each = forms.BooleanField(required=False, label="A deployment for each instrument")
    product = forms.ChoiceField(choices=[(one.value, one.value) for one in Product], initial=Product.MIS)
    fills = forms.ChoiceField(choices=[(name, name) for name in FILL_MODELS], label="Fill model")
    execution = Json(required=False, initial=dict, help_text="settings over the fill model")
    limits = Json(required=False, initial=dict)
    costs = forms.CharField(initial="zerodha", help_text="zerodha, none, order:RUPEES or bps:BASIS_POINTS")
    first_day = forms.DateField(required=False)
    last_day = forms.DateField(required=False, help_text="included")
    cash = forms.DecimalField(initial=1_000_000, help_text="rupees, the base of percentages")
    instruments = forms.MultipleChoiceField(
        required=False, label="Instrument lists", help_text="besides the one that ships"
    )
    rules = forms.MultipleChoiceField(
        required=False,
        label="Instrument rules",
        help_text="by date, as manage.py instrument_rules writes them",
    )
    warm_up = forms.MultipleChoiceField(
        required=False, help_text="recorded files that end before, whose bars are seen first"
    )
    search = Json(
        required=False,
        help_text='empty: a backtest; {"space": {"fast": [3, 20]}, "trials": 100}: a search for parameters',
    )

    class Meta:
        model = BacktestRun
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in ("files", "warm_up"):
            self.fields[field].choices = [(name, name) for name in recorded_names()]
        self.fields["instruments"].choices = [(name, name) for name in list_names()]
        self.fields["rules"].choices = [(name, name) for name in rule_names()]
        self.fields["strategy"].choices = [(name, name) for name in names()]
        for name, widget in WIDGETS.items():
            choices = getattr(self.fields[name], "choices", None)
            self.fields[name].widget = widget()
            if choices is not None:
                self.fields[name].choices = choices
        strategy = self.data.get("strategy") or self.initial.get("strategy")
        if strategy in names():
            self.fields["params"] = ParametersField(described(find(strategy).Params))

    def clean_costs(self) -> Any:
        try:
            return costs_of(self.cleaned_data["costs"])
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        taken = getattr(self.fields["params"], "parameters", {})
        asked = {name.removeprefix("params__") for name in self.data if name.startswith("params__")}
        if odd := sorted(asked - taken.keys()):
            self.add_error(
                "params", f"{cleaned.get('strategy')} has no {odd[0]}: its own inputs are here now."
            )
        if not self.errors:
            try:
                self.asked = askable(placed(self._plan(cleaned)))
                self.search = asked_of(cleaned["search"], self.asked)
            except Refusal as refusal:
                raise ValidationError(str(refusal)) from None
        return cleaned

    def _plan(self, cleaned: dict[str, Any]) -> Plan:
        definition = definition_of(
            cleaned["strategy"],
            files=cleaned["files"],
            params=cleaned["params"] or {},
            execution=execution_of(cleaned["fills"], cleaned["execution"] or {}),
            limits=cleaned["limits"] or {},
            product=Product(cleaned["product"]),
            name=cleaned["name"],
        )
        return Plan(
            files=tuple(cleaned["files"]),
            definitions=one_for_each(definition) if cleaned["each"] else (definition,),
            instruments=tuple(cleaned["instruments"]),
            rules=tuple(cleaned["rules"]),
            warm_up=tuple(cleaned["warm_up"]),
            first_day=cleaned["first_day"],
            last_day=cleaned["last_day"],
            cash=cleaned["cash"],
            costs=cleaned["costs"],
        )


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
