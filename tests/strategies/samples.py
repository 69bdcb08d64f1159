"""Strategies for tests of the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from alphapanda.core.vocabulary import Validity
from marketdata.domain.bars import Bar
from marketdata.domain.ticks import Tick
from strategies.domain.base import Intent, Strategy, View
from strategies.domain.machine import Machine
from tests.builders import NSE, a_deployment


class EveryNth(Strategy):
    """At every n-th tick of an instrument: turns its position; in between, limit orders around the price."""

    class Params(msgspec.Struct, frozen=True):
        every: int = 5
        quantity: int = 10

    class State(msgspec.Struct):
        seen: dict[int, int] = msgspec.field(default_factory=dict)
        spent: Decimal = Decimal(0)
        last: tuple[str, float] = ("", 0.0)

    def on_tick(self, state: State, tick: Tick, view: View) -> Iterable[Intent]:
        count = state.seen[tick.token] = state.seen.get(tick.token, 0) + 1
        state.spent += tick.price
        state.last = (view.instrument, float(tick.price))
        if count % self.params.every == 0:
            wanted = self.params.quantity if view.position() <= 0 else -self.params.quantity
            yield from view.target(wanted, reason=f"tick {count}, {state.spent} so far")
        elif count % self.params.every == 2:
            validity = Validity.IOC if count % 2 else Validity.DAY
            yield view.buy(3, limit_price=tick.price - Decimal("0.07"), validity=validity)


class Scripted(Strategy):
    """Does as a test says."""

    def __init__(
        self,
        on_tick: Callable[[View, Tick], Any] | None = None,
        on_bar: Callable[[View, Bar], Any] | None = None,
        minutes: tuple[int, ...] = (),
    ) -> None:
        super().__init__(self.Params())
        self.tick_script, self.bar_script, self.minutes = on_tick, on_bar, minutes

    def bar_minutes(self) -> tuple[int, ...]:
        return self.minutes

    def on_tick(self, state: Any, tick: Tick, view: View) -> Any:
        return self.tick_script(view, tick) if self.tick_script else ()

    def on_bar(self, state: Any, bar: Bar, view: View) -> Any:
        return self.bar_script(view, bar) if self.bar_script else ()


def a_machine(strategy: Strategy | None = None, **deployment: Any) -> Machine:
    return Machine(a_deployment(**deployment), strategy or Scripted(), NSE)
