"""Forms of deployments. What a strategy takes is written once, in its Params: the inputs, their ranges, defaults
and meanings come from there, and the same struct refuses what does not fit."""

from __future__ import annotations

import json
import math
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NamedTuple

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from alphapanda.core.strict_json import BadJson, decoded
from alphapanda.core.vocabulary import DeploymentStatus
from strategies.domain.base import BadParameters, UnknownStrategy, build
from strategies.domain.parameters import Parameter, described
from strategies.loading import strategy_class_of
from strategies.models import StrategyVersion

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

    from strategies.domain.base import Strategy

CONFIGURABLE = ("params", "execution")


class Look(NamedTuple):
    """The inputs that a form is made of, and the template that holds them."""

    template: str
    text: type[forms.Widget]
    select: type[forms.Widget]
    box: type[forms.Widget]


ADMIN = Look(
    "strategies/parameters.html", UnfoldAdminTextInputWidget, UnfoldAdminSelectWidget, UnfoldBooleanWidget
)


class ParametersWidget(forms.Widget):
    """An input for each parameter, named FIELD__PARAMETER; one named FIELD takes all of them as JSON instead."""

    def __init__(self, parameters: tuple[Parameter, ...], look: Look = ADMIN) -> None:
        super().__init__()
        self.parameters = parameters
        self.look = look

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        given = _object(value)
        rows = [(one, _input(one, f"{name}__{one.name}", given, self.look)) for one in self.parameters]
        return render_to_string(self.look.template, {"name": name, "rows": rows})

    def value_from_datadict(self, data: Any, _files: Any, name: str) -> Any:
        if name in data:
            return data[name]
        texts = {one.name: data.get(f"{name}__{one.name}") for one in self.parameters}
        given: dict[str, Any] = {key: text for key, text in texts.items() if text not in (None, "")}
        for one in self.parameters:
            if one.kind == "bool" and not one.is_optional:
                given[one.name] = texts[one.name] is not None
            elif one.is_optional and texts[one.name] == "" and (one.is_required or one.default is not None):
                given[one.name] = None
        return given

    def value_omitted_from_data(self, _data: Any, _files: Any, _name: str) -> bool:
        return False

    def id_for_label(self, _id: str) -> str:
        return ""


def _object(value: Any) -> dict[str, Any]:
    """What a form holds: an object, its JSON, or what somebody typed."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _input(one: Parameter, name: str, given: dict[str, Any], look: Look) -> str:
    value = given.get(one.name, one.default)
    attrs: dict[str, Any] = {"id": f"id_{name}"}
    if one.kind == "bool" and not one.is_optional:
        return str(look.box(attrs=attrs).render(name, value))
    if one.kind in ("bool", "choice"):
        return str(look.select(attrs=attrs, choices=_choices(one)).render(name, _text(value)))
    if one.kind in ("int", "float"):
        attrs |= {"type": "number", "step": "1" if one.kind == "int" else "any"}
        attrs |= {bound: at for bound, at in (("min", one.low), ("max", one.high)) if at is not None}
    if one.pattern:
        attrs["pattern"] = one.pattern.removeprefix("^").removesuffix("$")
    text = json.dumps(value) if one.kind == "json" and not isinstance(value, str) else value
    return str(look.text(attrs=attrs).render(name, text))


def _choices(one: Parameter) -> list[tuple[str, str]]:
    """What can be chosen, by the texts that are posted; the empty one stands for None."""
    texts = ["true", "false"] if one.kind == "bool" else list(map(str, one.choices))
    return [("", "null")] * one.is_optional + [(text, text) for text in texts]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return json.dumps(value)
    return "" if value is None else str(value)


class ParametersField(forms.Field):
    """The parameters of a strategy as an object; what was left empty has its default."""

    widget: ParametersWidget

    def __init__(self, parameters: tuple[Parameter, ...], look: Look = ADMIN) -> None:
        super().__init__(required=False, widget=ParametersWidget(parameters, look), label="Parameters")
        self.parameters = {one.name: one for one in parameters}

    def to_python(self, value: Any) -> dict[str, Any]:
        if isinstance(value, str) and value.strip():
            try:
                return decoded(value, dict[str, Any])
            except BadJson as error:
                raise ValidationError(f"Write a JSON object, such as {{}}: {error}") from error
        return {name: self._typed(name, text) for name, text in (value or {}).items()}

    def has_changed(self, initial: Any, data: Any) -> bool:
        defaults = {name: one.default for name, one in self.parameters.items()}
        try:
            return bool(defaults | _object(initial) != defaults | self.to_python(data))
        except ValidationError:
            return True

    def _typed(self, name: str, text: Any) -> Any:
        one = self.parameters[name]
        try:
            value = _typed(one.kind, text, one.choices)
        except ValueError:
            wanted = {"int": "a whole number", "float": "a number", "json": "JSON"}.get(
                one.kind, one.accepted
            )
            raise ValidationError(f"{name}: {text!r} is not {wanted}") from None
        if one.kind in ("int", "float") and value is not None and not _is_within(one, value):
            raise ValidationError(f"{name}: {text} is not {one.accepted}")
        return value


def _is_within(one: Parameter, value: float) -> bool:
    is_low = one.low is not None and (value <= one.low if one.is_above else value < one.low)
    return not is_low and (one.high is None or value <= one.high)


def _typed(kind: str, text: Any, choices: tuple[Any, ...]) -> Any:
    """A text as the value that it means. Raises ValueError."""
    if not isinstance(text, str):
        return text
    if kind == "int":
        return int(text)
    if kind == "float":
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(text)
        return number
    if kind in ("json", "bool"):
        return json.loads(text)
    if kind == "decimal" and not _is_decimal(text):
        raise ValueError(text)
    return next((choice for choice in choices if str(choice) == text), text)


def _is_decimal(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


class DeploymentForm(forms.ModelForm):
    """A deployment changes only while it is stopped, and only to parameters that its strategy takes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.fields.keys() & set(CONFIGURABLE):
            self.fields[name].required = False  # {} is an answer: the strategy's defaults
        strategy = self._strategy()
        if strategy is not None and "params" in self.fields:
            self.fields["params"] = ParametersField(described(strategy.Params))

    def _strategy(self) -> type[Strategy] | None:
        """The class whose parameters are asked for, where it is known already."""
        version = getattr(self.instance, "strategy_version", None)
        chosen = self.data.get("strategy_version") or self.initial.get("strategy_version")
        if version is None and str(chosen).isdigit():
            version = StrategyVersion.objects.select_related("strategy").filter(pk=chosen).first()
        try:
            return strategy_class_of(version) if version else None
        except UnknownStrategy:
            return None  # `clean` says so

    def clean_params(self) -> dict[str, Any]:
        return self.cleaned_data["params"] or {}

    def clean_execution(self) -> dict[str, Any]:
        execution = self.cleaned_data["execution"] or {}
        if not isinstance(execution, dict):
            raise ValidationError("Write a JSON object, such as {}.")
        return execution

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.instance._state.adding and self.instance.status != DeploymentStatus.STOPPED:
            raise ValidationError("Stop the deployment before you change it.")
        version = cleaned.get("strategy_version") or getattr(self.instance, "strategy_version", None)
        if version is not None and "params" in cleaned:
            self._check_params(version, cleaned["params"])
        return cleaned

    def _check_params(self, version: StrategyVersion, params: dict[str, Any]) -> None:
        chosen = self.cleaned_data.get("instruments")
        if chosen is None and not self.instance._state.adding:
            chosen = self.instance.instruments.all()
        try:
            build(strategy_class_of(version), params, instruments=[str(one) for one in chosen or ()])
        except (BadParameters, UnknownStrategy) as error:
            self.add_error("params", str(error))
