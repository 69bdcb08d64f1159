"""The equity of a run by minute: integers while it runs, rupees when it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import repeat
from typing import overload

from alphapanda.core.money import to_rupees
from alphapanda.engine.statistics import EquityPoint


class Curve(Sequence[EquityPoint]):
    """Points in order of time. Cash is rupees after all fills so far, values are 1/10,000 rupee."""

    def __init__(self) -> None:
        self._at_ms: list[int] = []
        self._cash: list[Decimal] = []
        self._values_e4: list[int] = []
        self._exposures_e4: list[int] = []

    def add(
        self, at_ms: Sequence[int], cash: Decimal, values_e4: Sequence[int], exposures_e4: Sequence[int]
    ) -> None:
        """Points at these times, between which cash did not change: signed and absolute value of positions."""
        self._at_ms += at_ms
        self._cash += repeat(cash, len(at_ms))
        self._values_e4 += values_e4
        self._exposures_e4 += exposures_e4

    def __len__(self) -> int:
        return len(self._at_ms)

    @overload
    def __getitem__(self, place: int) -> EquityPoint: ...
    @overload
    def __getitem__(self, place: slice) -> list[EquityPoint]: ...
    def __getitem__(self, place: int | slice) -> EquityPoint | list[EquityPoint]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        return _point(
            self._at_ms[place], self._cash[place], self._values_e4[place], self._exposures_e4[place]
        )

    def __iter__(self) -> Iterator[EquityPoint]:
        return map(_point, self._at_ms, self._cash, self._values_e4, self._exposures_e4)


def _point(at_ms: int, cash: Decimal, value_e4: int, exposure_e4: int) -> EquityPoint:
    return EquityPoint(at_ms, cash + to_rupees(value_e4), to_rupees(exposure_e4))
