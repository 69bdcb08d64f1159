"""Rules of one instrument by date: sizes and freeze quantity from a day on, circuit limits of one day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import msgspec

from alphapanda.core.money import PriceNotExact, to_e4, to_rupees

COLUMNS = (
    "instrument", "valid_from", "tick_size", "lot_size", "freeze_quantity", "lower_circuit", "upper_circuit"
)  # fmt: skip
_UNITS_MAX = 2**31 - 1
_RUPEES_BELOW = 10**8


class BadRules(ValueError):
    """A row that is no rule; the text says which cell and what is accepted."""


class Sizes(msgspec.Struct, frozen=True, array_like=True, order=True):
    """What lists said from a day on."""

    valid_from: date
    tick_size_e4: int
    lot_size: int


class Freeze(msgspec.Struct, frozen=True, array_like=True, order=True):
    """The most units of one order from a day on."""

    valid_from: date
    quantity: int


class Circuit(msgspec.Struct, frozen=True, array_like=True, order=True):
    """The lowest and the highest price of a day."""

    day: date
    lower_e4: int
    upper_e4: int


class Dated(msgspec.Struct, frozen=True):
    """All that is kept of an instrument by date, each oldest first; empty where what holds now always held."""

    sizes: tuple[Sizes, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    circuits: tuple[Circuit, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sizes or self.freezes or self.circuits)

    def sizes_on(self, day: date) -> Sizes | None:
        """What lists said on a day; None where nothing is kept of it."""
        return _last(self.sizes, day)

    def freeze_on(self, day: date) -> int:
        """The freeze quantity of a day; 0 where it is not known."""
        found = _last(self.freezes, day)
        return found.quantity if found else 0

    def circuit_on(self, day: date) -> Circuit | None:
        """The circuit limits of a day, where they are known."""
        return next((one for one in self.circuits if one.day == day), None)


_From = TypeVar("_From", Sizes, Freeze)
_Rule = TypeVar("_Rule", Sizes, Freeze, Circuit)


def _last(rules: Sequence[_From], day: date) -> _From | None:
    return next((one for one in reversed(rules) if one.valid_from <= day), None)


NOTHING_DATED = Dated()


def dated(sizes: Iterable[Sizes], freezes: Iterable[Freeze], circuits: Iterable[Circuit]) -> Dated:
    """Rules in the order of their days."""
    return Dated(tuple(sorted(sizes)), tuple(sorted(freezes)), tuple(sorted(circuits)))


def merged(before: Dated, after: Dated) -> Dated:
    """Rules of both; where both speak of a day, those of `after`."""
    return dated(
        {one.valid_from: one for one in (*before.sizes, *after.sizes)}.values(),
        {one.valid_from: one for one in (*before.freezes, *after.freezes)}.values(),
        {one.day: one for one in (*before.circuits, *after.circuits)}.values(),
    )


def as_rows(key: str, rules: Dated) -> list[dict[str, str]]:
    """Rules of an instrument as rows of COLUMNS, which `of_rows` reads."""
    found: list[tuple[date, dict[str, str]]] = []
    for one in rules.sizes:
        sizes = {"tick_size": f"{to_rupees(one.tick_size_e4):f}", "lot_size": str(one.lot_size)}
        found.append((one.valid_from, sizes))
    found += [(one.valid_from, {"freeze_quantity": str(one.quantity)}) for one in rules.freezes]
    for limits in rules.circuits:
        lower, upper = (f"{to_rupees(price_e4):f}" for price_e4 in (limits.lower_e4, limits.upper_e4))
        found.append((limits.day, {"lower_circuit": lower, "upper_circuit": upper}))
    blank = dict.fromkeys(COLUMNS, "") | {"instrument": key}
    return [blank | {"valid_from": str(day)} | cells for day, cells in found]


def of_rows(rows: Iterable[Mapping[str, str]]) -> dict[str, Dated]:
    """Rules by instrument (EXCHANGE:TRADINGSYMBOL) from rows of COLUMNS: tick and lot, freeze quantity, and circuit
    limits (of the day alone), each where its cells are filled and no row before said otherwise. Raises BadRules."""
    found: dict[str, tuple[dict[date, Sizes], dict[date, Freeze], dict[date, Circuit]]] = {}
    for row in rows:
        cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
        key, day = cells["instrument"], _day(cells["valid_from"])
        if not all(key.partition(":")):
            raise BadRules(f"instrument {key[:40]!r} is not EXCHANGE:TRADINGSYMBOL")
        if not any(cells[name] for name in COLUMNS[2:]):
            raise BadRules(f"says nothing of {key}: fill at least one of {', '.join(COLUMNS[2:])}")
        sizes, freezes, circuits = found.setdefault(key, ({}, {}, {}))
        if _are_filled(cells, "tick_size", "lot_size"):
            _say(sizes, _sizes(day, cells), key, day)
        if cells["freeze_quantity"]:
            _say(freezes, Freeze(day, _units(cells, "freeze_quantity")), key, day)
        if _are_filled(cells, "lower_circuit", "upper_circuit"):
            _say(circuits, _circuit(day, cells), key, day)
    return {
        key: dated(sizes.values(), freezes.values(), circuits.values())
        for key, (sizes, freezes, circuits) in found.items()
    }


def _say(rules: dict[date, _Rule], rule: _Rule, key: str, day: date) -> None:
    if rules.setdefault(day, rule) != rule:
        raise BadRules(f"{key} on {day} is said twice, and not the same: keep one of the rows")


def _sizes(day: date, cells: Mapping[str, str]) -> Sizes:
    """Tick and lot; both are 0 for an index, as lists say of it."""
    if all(_is_nought(cells[name]) for name in ("tick_size", "lot_size")):
        return Sizes(day, 0, 0)
    return Sizes(day, _e4(cells, "tick_size"), _units(cells, "lot_size"))


def _is_nought(text: str) -> bool:
    return not text.strip("0.") and "0" in text and text.count(".") <= 1


def _circuit(day: date, cells: Mapping[str, str]) -> Circuit:
    lower_e4, upper_e4 = _e4(cells, "lower_circuit"), _e4(cells, "upper_circuit")
    if lower_e4 >= upper_e4:
        raise BadRules(f"lower_circuit {cells['lower_circuit']} is not below {cells['upper_circuit']}")
    return Circuit(day, lower_e4, upper_e4)


def _are_filled(cells: Mapping[str, str], one: str, other: str) -> bool:
    if bool(cells[one]) != bool(cells[other]):
        raise BadRules(f"{one} and {other} go together: fill both cells or none")
    return bool(cells[one])


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadRules(f"valid_from {text[:20]!r} is not a day such as 2026-08-03") from None


def _units(cells: Mapping[str, str], name: str) -> int:
    text = cells[name]
    is_whole = text.isascii() and text.isdigit() and len(text) <= len(str(_UNITS_MAX))
    if not is_whole or not 0 < int(text) <= _UNITS_MAX:
        raise BadRules(f"{name} {text[:20]!r} is not a whole number from 1 to {_UNITS_MAX}")
    return int(text)


def _e4(cells: Mapping[str, str], name: str) -> int:
    try:
        amount_e4 = to_e4(Decimal(cells[name]))
    except (InvalidOperation, PriceNotExact):
        amount_e4 = 0
    if not 0 < amount_e4 < to_e4(_RUPEES_BELOW):
        raise BadRules(
            f"{name} {cells[name][:20]!r} is not an amount above 0 and below {_RUPEES_BELOW} in rupees of four places"
        )
    return amount_e4
