"""What a signal stands on, for people: where in the log, which code, and what its strategy's indicators said then.
Nothing decides by it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    from strategies.domain.base import Strategy

INDICATORS_MAX = 12
NAME_LENGTH_MAX = 40
FAULT_LENGTH_MAX = 200


class Pane(StrEnum):
    """Where a chart draws an indicator."""

    PRICE = "price"  # over the candles: it is in rupees
    OWN = "own"  # below them: it is a number of another kind


class Indicator(msgspec.Struct, frozen=True):
    """What an indicator of a strategy says; None: nothing yet."""

    value: float | None
    pane: Pane = Pane.PRICE


def apart(value: float | None) -> Indicator:
    """An indicator that is no price: it is drawn in a pane of its own."""
    return Indicator(value, Pane.OWN)


class Place(msgspec.Struct, frozen=True):
    """Where in the log an item stands: message and item of it, and its number in its source."""

    incarnation: UUID
    partition: int
    offset: int
    index: int
    source: int
    seq: int


class Basis(msgspec.Struct, frozen=True, omit_defaults=True):
    """`place` is None where no item of the log raised the signal (a command, a report) or none is known; `code` is the
    SHA-256 of the strategy's text, `build` the product's version and the hash of its engine; `fault` says what was
    wrong with the indicators."""

    place: Place | None = None
    code: str = ""
    build: str = ""
    indicators: dict[str, Indicator] = {}
    fault: str = ""


def indicators_of(strategy: Strategy, state: Any, instrument: str) -> dict[str, Indicator]:
    """What a strategy says of itself now. Raises ValueError or TypeError for what cannot be shown, and whatever the
    strategy raises."""
    said = strategy.indicators(state, instrument)
    if not isinstance(said, Mapping) or len(said) > INDICATORS_MAX:
        raise ValueError(f"indicators() returns a dict of at most {INDICATORS_MAX} names")
    return {_name(name): _checked(name, one) for name, one in said.items()}


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= NAME_LENGTH_MAX:
        raise ValueError(
            f"an indicator has a name of at most {NAME_LENGTH_MAX} printable letters, not {name!r:.60}"
        )
    return name


def _checked(name: str, one: Any) -> Indicator:
    """A bare number is a price. What is not finite is not known."""
    found = one if isinstance(one, Indicator) else Indicator(one)
    value = found.value
    if value is None:
        return found
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"indicator {name!r} is a number or None, not {type(value).__name__}")
    return Indicator(float(value) if isfinite(value) else None, Pane(found.pane))


def noted(strategy: Strategy, state: Any, instrument: str) -> tuple[dict[str, Indicator], str]:
    """The same for who must go on: nothing and what went wrong, where something did."""
    try:
        return indicators_of(strategy, state, instrument), ""
    except Exception as error:  # noqa: BLE001 - a strategy may raise anything, and it decides nothing here
        return {}, f"{type(error).__name__}: {error}"[:FAULT_LENGTH_MAX]
