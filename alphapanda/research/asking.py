"""The form of a new backtest or search, as the admin and the cockpit show it: each with inputs of its own look."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from alphapanda.core.refusals import Refusal
from alphapanda.core.vocabulary import Product
from alphapanda.engine.costs import costs_of
from alphapanda.research.places import list_names, placed, recorded_names, rule_names
from alphapanda.research.plan import FILL_MODELS, Plan, askable, definition_of, execution_of, one_for_each
from alphapanda.research.search import asked_of
from strategies.domain.parameters import described
from strategies.forms import ADMIN, Look, ParametersField
from strategies.models import BacktestRun
from strategies.registry import find, names

NAME_MAX = BacktestRun._meta.get_field("name").max_length


class Json(forms.JSONField):
    """An input of a few lines that is empty where there is nothing."""

    widget = forms.Textarea(attrs={"rows": 2})

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)


class AskForm(forms.Form):
    """What to run; `asked` holds the checked plan and `search` the search, if any, when the form is valid. Where the
    strategy is known, there is an input for each of its parameters, of the form's `look`."""

    look: Look = ADMIN

    name = forms.CharField(max_length=NAME_MAX)
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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in ("files", "warm_up"):
            self.fields[field].choices = [(name, name) for name in recorded_names()]
        self.fields["instruments"].choices = [(name, name) for name in list_names()]
        self.fields["rules"].choices = [(name, name) for name in rule_names()]
        self.fields["strategy"].choices = [(name, name) for name in names()]
        strategy = self.data.get("strategy") or self.initial.get("strategy")
        if strategy in names():
            self.fields["params"] = ParametersField(described(find(strategy).Params), self.look)

    def clean_costs(self) -> Any:
        try:
            return costs_of(self.cleaned_data["costs"])
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        taken = getattr(self.fields["params"], "parameters", {})
        asked = {name.removeprefix("params__") for name in self.data if name.startswith("params__")}
        if odd := sorted(asked - taken.keys()):
            self.add_error(
                "params", f"{cleaned.get('strategy')} has no {odd[0]}: its own inputs are here now."
            )
        if not self.errors:
            try:
                self.asked = askable(placed(self._plan(cleaned)))
            except Refusal as refusal:
                raise ValidationError(str(refusal)) from None
            try:
                self.search = asked_of(cleaned["search"], self.asked)
            except Refusal as refusal:
                self.add_error("search", str(refusal))
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
