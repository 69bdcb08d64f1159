"""What may be tuned: a range of numbers or a choice for each parameter, checked against the strategy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import msgspec

from alphapanda.research.plan import BadPlan
from alphapanda.web.formats import number
from strategies.domain.base import Strategy

ACCEPTED = 'a range [LOW, HIGH] or [LOW, HIGH, STEP], or a choice {"of": [VALUE, ...]}'
VALUES_MAX = (
    100_000  # of one parameter; more are nothing that a search of some thousand trials can tell apart
)
NUMBER_MAX = 10**15  # at the ends of a range
STEP_MIN = 1e-9


class Knob(msgspec.Struct, frozen=True):
    """A parameter and the values to try; a range of floats without a step has none to list."""

    name: str
    low: int | float = 0
    high: int | float = 0
    step: int | float | None = None
    choices: tuple[Any, ...] = ()

    @property
    def is_whole(self) -> bool:
        return all(isinstance(value, int) for value in (self.low, self.high, self.step or 1))

    @property
    def size(self) -> int | None:
        """How many values there are, without listing them; None for a range of floats without a step."""
        if self.choices:
            return len(self.choices)
        step = self.step or (1 if self.is_whole else None)
        return None if step is None else math.floor((self.high - self.low) / step + 1e-9) + 1

    @property
    def as_asked(self) -> Any:
        """As a space names it."""
        if self.choices:
            return {"of": list(self.choices)}
        return [self.low, self.high] if self.step is None else [self.low, self.high, self.step]

    def values(self) -> list[Any]:
        """Every value, where they can be listed."""
        if self.choices:
            return list(self.choices)
        return [min(self.low + place * (self.step or 1), self.high) for place in range(self.size or 0)]


def space_of(raw: Any, strategy: type[Strategy]) -> list[Knob]:
    """The knobs of a JSON object. Raises BadPlan."""
    if not raw or not isinstance(raw, dict):
        raise BadPlan(
            f"space is an object that names at least one parameter with {ACCEPTED}, not {raw!r:.80}"
        )
    kinds = {field.name: field.type for field in msgspec.structs.fields(strategy.Params)}
    knobs = []
    for name, given in raw.items():
        if name not in kinds:
            raise BadPlan(f"space: {strategy.name} has no parameter {name!r}; there are: {', '.join(kinds)}")
        knobs.append(_knob(name, given))
        _check_values(knobs[-1], kinds[name])
    return knobs


def _knob(name: str, given: Any) -> Knob:
    knob = _read(name, given)
    if knob.size is not None and knob.size > VALUES_MAX:
        raise BadPlan(
            f"space: {name} alone would be {number(knob.size)} combinations; at most {number(VALUES_MAX)} values of "
            "a parameter can be searched; give a smaller range or a larger STEP"
        )
    return knob


def _read(name: str, given: Any) -> Knob:
    if isinstance(given, dict) and set(given) == {"of"} and isinstance(given["of"], list) and given["of"]:
        return Knob(name, choices=_choices(name, given["of"]))
    if isinstance(given, list) and len(given) in (2, 3) and all(_is_number(value) for value in given):
        low, high, *step = given
        if low < high and all(value >= STEP_MIN for value in step):
            return Knob(name, low, high, step[0] if step else None)
    raise BadPlan(f"space: {name} is {given!r:.80}; accepted is {ACCEPTED}")


def _choices(name: str, given: list[Any]) -> tuple[Any, ...]:
    """Values that can be told apart and put in order."""
    if not any(all(is_kind(value) for value in given) for is_kind in (_is_number, _is_text, _is_yes_or_no)):
        raise BadPlan(
            f"space: {name} is a choice of {given!r:.80}; accepted are values of one kind: numbers, texts, or true "
            "and false"
        )
    if doubled := [value for place, value in enumerate(given) if value in given[:place]]:
        raise BadPlan(f"space: {name} has {doubled[0]!r:.80} more than once; each value is named once")
    return tuple(given)


def _check_values(knob: Knob, kind: Any) -> None:
    """Refuse values that the strategy never takes, whatever the other parameters are."""
    between = (knob.low, (knob.low + knob.high) / 2, knob.high)
    for value in between if knob.size is None else knob.values():
        try:
            msgspec.convert(value, kind, strict=True)
        except msgspec.ValidationError as error:
            raise BadPlan(f"space: {knob.name} cannot be {value!r:.80}: {error}") from None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_yes_or_no(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= NUMBER_MAX  # which infinities and what is no number are not


def grid_size(knobs: Sequence[Knob]) -> int | None:
    """How many combinations there are; None where a range has no step."""
    sizes = [knob.size for knob in knobs]
    return None if None in sizes else math.prod(size for size in sizes if size is not None)


def grid(knobs: Sequence[Knob]) -> list[dict[str, Any]]:
    """Every combination, in the order of the values."""
    names = [knob.name for knob in knobs]
    return [dict(zip(names, values, strict=True)) for values in product(*(knob.values() for knob in knobs))]
