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
    low: float = 0
    high: float = 0
    step: float | None = None
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

    def values(self) -> list[Any]:
        """Every value, where they can be listed."""
        if self.choices:
            return list(self.choices)
        return [self.low + place * (self.step or 1) for place in range(self.size or 0)]


def space_of(raw: dict[str, Any], strategy: type[Strategy]) -> list[Knob]:
    """The knobs of a JSON object. Raises BadPlan."""
    if not raw:
        raise BadPlan(f"--space names at least one parameter with {ACCEPTED}")
    names = strategy.Params.__struct_fields__
    knobs = []
    for name, given in raw.items():
        if name not in names:
            raise BadPlan(
                f"--space: {strategy.name} has no parameter {name!r}; there are: {', '.join(names)}"
            )
        knobs.append(_knob(name, given))
    return knobs


def _knob(name: str, given: Any) -> Knob:
    knob = _read(name, given)
    if knob.size is not None and knob.size > VALUES_MAX:
        raise BadPlan(
            f"--space: {name} alone would be {number(knob.size)} combinations; at most {number(VALUES_MAX)} values of "
            "a parameter can be searched; give a smaller range or a larger STEP"
        )
    return knob


def _read(name: str, given: Any) -> Knob:
    if isinstance(given, dict) and set(given) == {"of"} and isinstance(given["of"], list) and given["of"]:
        return Knob(name, choices=tuple(given["of"]))
    if isinstance(given, list) and len(given) in (2, 3) and all(_is_number(value) for value in given):
        low, high, *step = given
        if low < high and all(value >= STEP_MIN for value in step):
            return Knob(name, low, high, step[0] if step else None)
    raise BadPlan(f"--space: {name} is {given!r:.80}; accepted is {ACCEPTED}")


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
