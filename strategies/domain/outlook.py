"""What a stretch of the log holds for one deployment, whatever its orders come to: its items, faults and bars.

Gate and bars follow from the log alone, so they are worked out for a whole stretch before its first item is
taken in. Everything is numbered by the deployment's own items: clock items, and ticks that pass the gate."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from alphapanda.core.vocabulary import TickFault
from marketdata.domain.bars import Bar
from marketdata.domain.quality import is_trading
from marketdata.domain.stretch import Longs, Stretch
from marketdata.domain.stretch_bars import bars_of
from marketdata.domain.ticks import Item, Tick, best
from strategies.domain.signals import Mark

if TYPE_CHECKING:
    from strategies.domain.machine import Machine


class TicksAhead(NamedTuple):
    """The ticks of one instrument that pass, in order."""

    numbers: list[int]  # among the deployment's own items
    at_ms: list[int]  # never falling, for the gate sees to that
    prices_e4: Longs
    has_depth: bool


class Minutes(NamedTuple):
    """The minutes of continuous trading that end in the stretch, and the last prices then (0: none yet)."""

    numbers: list[int]  # of their clock items
    at_ms: list[int]
    prices_e4: dict[int, list[int]]  # by token


class Outlook:
    """Made from a machine at the start of a stretch. Its gates and bar builders stand at the end of it then."""

    def __init__(self, machine: Machine, stretch: Stretch) -> None:
        state = machine.state
        self.stretch = stretch
        self._before_e4 = {token: mark.price_e4 for token, mark in state.marks.items()}
        is_clock = stretch.tokens == 0
        clocks = np.flatnonzero(is_clock)
        heard_ms = np.maximum.accumulate(np.where(is_clock, stretch.at_ms, 0))
        passed, faults = _judged(machine, stretch, np.maximum(heard_ms, state.clock_ms))
        is_own = is_clock.copy()
        for places in passed.values():
            is_own[places] = True
        self._places = np.flatnonzero(is_own)
        own_ms = stretch.at_ms[self._places]
        self.at_ms: list[int] = own_ms.tolist()
        self._heard_ms = heard_ms[self._places]
        self.latest_ms: list[int] = np.maximum.accumulate(own_ms).tolist()
        before = np.searchsorted(self._places, np.array([place for place, _ in faults], np.int64)).tolist()
        self.faults = sorted(
            (number, place, fault) for number, (place, fault) in zip(before, faults, strict=True)
        )
        self.ticks = {token: self._ticks_ahead(places) for token, places in passed.items()}
        self.bars = self._bars(machine, passed, clocks)
        self.minutes = self._minutes(machine, clocks)

    def __len__(self) -> int:
        """The number of the deployment's own items."""
        return len(self._places)

    def item(self, number: int) -> Item:
        return self.stretch.item(self.place(number))

    def place(self, number: int) -> int:
        """Where in the stretch own item `number` is."""
        return int(self._places[number])

    def tick_numbers(self) -> Longs:
        """The numbers of all ticks."""
        return np.flatnonzero(self.stretch.tokens[self._places])

    def tick_items(self, numbers: Longs) -> list[Tick]:
        return self.stretch.ticks(self._places[numbers])

    def clock_ms(self, number: int) -> int:
        """The time of the last clock item before own item `number`; 0 where there is none in the stretch."""
        return int(self._heard_ms[number - 1]) if number else 0

    def mark(self, token: int, number: int, before: Mark | None) -> Mark | None:
        """The last price of an instrument before own item `number`; `before` the stretch began it was another."""
        ahead = self.ticks[token]
        at = bisect_left(ahead.numbers, number) - 1
        if at < 0:
            return before
        bids, asks = self.stretch.depths.get(self.place(ahead.numbers[at]), ((), ()))
        return Mark(
            int(ahead.prices_e4[at]),
            ahead.at_ms[at],
            before.close_before_e4 if before else 0,
            int(ahead.prices_e4[at - 1]) if at else self._before_e4.get(token, 0),
            best(bids),
            best(asks),
        )

    def _ticks_ahead(self, places: Longs) -> TicksAhead:
        numbers = np.searchsorted(self._places, places)
        has_depth = not self.stretch.depths.keys().isdisjoint(places.tolist())
        prices_e4 = self.stretch.column("price_e4")[places]
        return TicksAhead(numbers.tolist(), self.stretch.at_ms[places].tolist(), prices_e4, has_depth)

    def _bars(self, machine: Machine, passed: dict[int, Longs], clocks: Longs) -> dict[int, tuple[Bar, ...]]:
        """The bars by the number of the item that closes them, in the order of the builders."""
        together: dict[int, tuple[Bar, ...]] = {}
        for builder in machine.state.builders:
            ticks = passed[builder.token]
            places, bars = bars_of(
                builder, self.stretch, ticks, clocks, machine.calendars[builder.token].closes_ms
            )
            numbers = np.searchsorted(self._places, places).tolist()
            made: dict[int, tuple[Bar, ...]] = dict(zip(numbers, zip(bars, strict=True), strict=True))
            for number in together.keys() & made.keys():
                made[number] = together[number] + made[number]
            together |= made
        return together

    def _minutes(self, machine: Machine, clocks: Longs) -> Minutes:
        ends_ms = self.stretch.at_ms[clocks]
        is_told = np.zeros(len(clocks), np.bool_)
        for hours in machine.hours:
            is_told |= is_trading(ends_ms - 1, hours)
        numbers = np.searchsorted(self._places, clocks[is_told])
        prices = {token: self._prices_at(numbers, token, machine) for token in self.ticks}
        return Minutes(numbers.tolist(), ends_ms[is_told].tolist(), prices)

    def _prices_at(self, numbers: Longs, token: int, machine: Machine) -> list[int]:
        ahead, mark = self.ticks[token], machine.state.marks.get(token)
        at = np.searchsorted(np.array(ahead.numbers, np.int64), numbers)
        found: list[int] = np.append(mark.price_e4 if mark else 0, ahead.prices_e4)[at].tolist()
        return found


def _judged(
    machine: Machine, stretch: Stretch, clock_ms: Longs
) -> tuple[dict[int, Longs], list[tuple[int, TickFault]]]:
    """The places of the ticks that pass, by token, and those that do not."""
    passed: dict[int, Longs] = {}
    faults: list[tuple[int, TickFault]] = []
    for token, gate in machine.state.gates.items():
        places = np.flatnonzero(stretch.tokens == token)
        found = gate.judge_all(stretch, places, machine.calendars[token], clock_ms=clock_ms[places])
        passed[token] = places[~np.isin(places, list(found))] if found else places
        faults += found.items()
    return passed, faults
