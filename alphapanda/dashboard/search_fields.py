"""The inputs of a search for parameters in the form of a backtest: for each parameter the values to try."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from alphapanda.dashboard.run_figures import words_of
from alphapanda.research.search import BOUNDS, Search
from alphapanda.research.tuning import OBJECTIVES
from strategies.domain.parameters import Parameter

COUNTED = ("int", "float")
RANGE = re.compile(r"(-?[\d.]+?)\s*(?:\.\.|to)\s*(-?[\d.]+?)(?:\s*(?:/|step)\s*([\d.]+))?")
EXAMPLES = {"int": "3..21/2 or 5, 9, 13", "float": "1.5..3/0.5 or 2, 2.5", "bool": "true, false"}
HOW = ("objective", "trials", "walk_forward", "hold_out")
DEFAULTS = {one: getattr(Search(()), one) for one in HOW}


class Values(forms.CharField):
    """Values of one parameter: a range with or without a step, or a list; empty: it is not tuned."""

    def __init__(self, parameter: Parameter) -> None:
        example = EXAMPLES.get(parameter.kind) or ", ".join(map(str, parameter.choices))
        super().__init__(required=False, label=parameter.name, help_text=f"as {example}")
        self.parameter = parameter

    def clean(self, value: Any) -> Any:
        """As a space takes it; None where there is nothing."""
        text = super().clean(value)
        if not text:
            return None
        if self.parameter.kind in COUNTED and (found := RANGE.fullmatch(text)):
            return [self._number(part) for part in found.groups() if part is not None]
        return {"of": [self._one(part.strip()) for part in text.split(",")]}

    def _number(self, text: str) -> int | float:
        try:
            return int(text) if self.parameter.kind == "int" else float(text)
        except ValueError:
            wanted = "a whole number" if self.parameter.kind == "int" else "a number"
            raise ValidationError(f"{text!r} is not {wanted}: write {self.help_text}") from None

    def _one(self, text: str) -> Any:
        if self.parameter.kind in COUNTED:
            return self._number(text)
        return json.loads(text) if text in ("true", "false") else text


def search_fields(parameters: Sequence[Parameter]) -> dict[str, forms.Field]:
    """Values for each parameter that can be tuned, then how it is searched."""
    tuned = {f"try__{one.name}": Values(one) for one in parameters if one.kind not in ("json", "text")}
    return tuned | {
        "objective": forms.ChoiceField(
            choices=[(one, words_of(one)) for one in OBJECTIVES], required=False, label="What is made large"
        ),
        "trials": _whole("trials", "sets of parameters, all of them where there are no more"),
        "walk_forward": _whole("walk_forward", "each is tuned on the days before, then tested once"),
        "hold_out": forms.FloatField(
            required=False,
            min_value=0,
            max_value=0.9,
            help_text="share of the days that the search never sees",
        ),
    }


def _whole(name: str, what: str) -> forms.Field:
    low, high = BOUNDS[name]
    return forms.IntegerField(required=False, min_value=low, max_value=high, help_text=what)


def search_asked(cleaned: dict[str, Any]) -> dict[str, Any] | None:
    """The search that the inputs ask for; None where no parameter has values to try."""
    space = {
        name.removeprefix("try__"): found
        for name, found in cleaned.items()
        if name.startswith("try__") and found
    }
    if not space:
        return None
    return {"space": space} | {name: cleaned[name] for name in HOW if cleaned.get(name) not in (None, "")}
