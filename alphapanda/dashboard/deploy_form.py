"""The form of a new paper deployment: parameters out of the strategy's own, everything else with a default."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from django import forms

from alphapanda.core.vocabulary import Broker, Product
from alphapanda.deploying import NAME_MAX, Definition
from alphapanda.shadows import PORTFOLIO as SHADOWS
from portfolio.models import Portfolio
from strategies.domain.base import BadParameters, Strategy, build
from strategies.domain.parameters import described
from strategies.forms import Look, ParametersField
from strategies.models import Deployment

PLAIN = Look("dashboard/parameters.html", forms.TextInput, forms.Select, forms.CheckboxInput)
LIMITS = ("order_quantity", "position_quantity", "daily_orders", "daily_loss")
TIMES = 5  # the limit of one order, in orders of the default quantity
QUANTITY_LEAST = 500


class DeployForm(forms.Form):
    """What a deployment is made of. `known` are instruments that are offered; the first is the default."""

    CASH = Decimal(10_00_000)

    params = forms.Field()
    instruments = forms.CharField(max_length=2000, help_text="EXCHANGE:SYMBOL, several with commas")
    portfolio = forms.ModelChoiceField(
        Portfolio.objects.filter(broker=Broker.PAPER).exclude(name=SHADOWS).order_by("name"),
        required=False,
        empty_label="Paper portfolio, made with ₹10,00,000",
    )
    name = forms.CharField(max_length=NAME_MAX)
    product = forms.ChoiceField(
        choices=[(one.value, one.value) for one in Product], initial=Product.MIS.value
    )
    order_quantity = forms.IntegerField(min_value=1, required=False, help_text="units of one order at most")
    position_quantity = forms.IntegerField(min_value=1, required=False, help_text="units held at most")
    daily_orders = forms.IntegerField(
        min_value=1, required=False, initial=60, help_text="entries of a day at most"
    )
    daily_loss = forms.DecimalField(
        min_value=Decimal(1), decimal_places=2, required=False, initial=5000,
        help_text="rupees lost on a day, after which nothing is entered",
    )  # fmt: skip
    starts = forms.BooleanField(required=False, initial=True, label="Start it at once")
    reason = forms.CharField(max_length=300, initial="a paper run of my own", help_text="for the audit trail")

    def __init__(
        self, *args: Any, strategy: type[Strategy], title: str, known: list[str], **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self.strategy = strategy
        parameters = described(strategy.Params)
        self.fields["params"] = ParametersField(parameters, PLAIN)
        first = known[0] if known else ""
        units = next((one.default for one in parameters if one.name == "quantity"), None)
        bound = max(QUANTITY_LEAST, TIMES * units) if isinstance(units, int) else QUANTITY_LEAST
        self.initial |= {"order_quantity": bound, "position_quantity": bound, "instruments": first}
        self.initial["name"] = free_name(f"{title} on {first.rpartition(':')[2]}" if first else title)
        self.fields["name"].widget.attrs |= {"data-title": title, "data-taken": json.dumps(_taken(title))}
        self.initial["portfolio"] = self.fields["portfolio"].queryset.first()
        self.fields["instruments"].widget.attrs |= {"list": "known-instruments", "autocomplete": "off"}

    def clean_instruments(self) -> tuple[str, ...]:
        names = self.cleaned_data["instruments"].upper().replace(";", ",").split(",")
        return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "params" in cleaned and "instruments" in cleaned:
            try:
                build(self.strategy, cleaned["params"], instruments=cleaned["instruments"])
            except BadParameters as error:
                self.add_error("params", str(error))
        return cleaned

    def definition(self) -> Definition:
        """What the valid form says."""
        given = self.cleaned_data
        limits = {name: given[name] for name in LIMITS if given[name] is not None}
        return Definition(
            name=given["name"],
            strategy=self.strategy.name,
            instruments=given["instruments"],
            params=given["params"],
            product=Product(given["product"]),
            limits={name: str(one) if isinstance(one, Decimal) else one for name, one in limits.items()},
        )


def _taken(beginning: str) -> list[str]:
    return list(Deployment.objects.filter(name__startswith=beginning).values_list("name", flat=True))


def free_name(wanted: str) -> str:
    """The name, or with the first number that no deployment has."""
    wanted = wanted[: NAME_MAX - 4]
    taken = _taken(wanted)
    numbered = (f"{wanted} {number}" for number in range(2, len(taken) + 3))
    return wanted if wanted not in taken else next(name for name in numbered if name not in taken)
