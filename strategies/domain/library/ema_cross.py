"""Exponential-average cross: long while the fast average is above the slow one, short or flat below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from alphapanda.core.money import PRICE_SCALE
from marketdata.domain.bars import Bar
from marketdata.domain.ticks import Tick
from strategies.domain.base import Intent, Strategy, View
from strategies.domain.indicators import Ema
from strategies.domain.parameters import LENGTH_MAX, MINUTES_OF_DAY, Quantity, Short

BarMinutesOrTick = Annotated[
    int, Meta(ge=0, le=MINUTES_OF_DAY, description="length of a bar in minutes; 0 acts on every tick")
]


class Averages(msgspec.Struct):
    """Both averages of one instrument and which side the fast one was on."""

    fast: Ema
    slow: Ema
    side: int = 0


class EmaCross(Strategy):
    name = "ema_cross"
    title = "Exponential-average cross"

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """The fast average must be shorter than the slow one."""

        fast: Annotated[int, Meta(ge=1, le=LENGTH_MAX, description="values of the fast average")] = 9
        slow: Annotated[int, Meta(ge=2, le=LENGTH_MAX, description="values of the slow average")] = 21
        quantity: Quantity = 1
        bar_minutes: BarMinutesOrTick = 1
        short: Short = True

        def __post_init__(self) -> None:
            if self.fast >= self.slow:
                raise ValueError("`fast` must be below `slow`")

    class State(msgspec.Struct):
        averages: dict[str, Averages] = msgspec.field(default_factory=dict)

    def warm_up(self) -> int:
        return int(self.params.slow)

    def wants_ticks(self) -> bool:
        return not self.params.bar_minutes

    def on_bar(self, state: State, bar: Bar, view: View) -> Iterable[Intent]:
        """Acts on the bar at which the fast average crosses the slow one."""
        return self._on_price(state, bar.instrument, bar.close_e4 / PRICE_SCALE, view)

    def on_tick(self, state: State, tick: Tick, view: View) -> Iterable[Intent]:
        return self._on_price(state, view.instrument, tick.price_e4 / PRICE_SCALE, view)

    def indicators(self, state: State, instrument: str) -> Mapping[str, float | None]:
        pair = state.averages.get(instrument)
        if pair is None:
            return {}
        return {f"EMA {self.params.fast}": pair.fast.value, f"EMA {self.params.slow}": pair.slow.value}

    def _on_price(self, state: State, instrument: str, price: float, view: View) -> Iterable[Intent]:
        pair = state.averages.get(instrument)
        if pair is None:
            pair = state.averages[instrument] = Averages(Ema(self.params.fast), Ema(self.params.slow))
        fast, slow = pair.fast.update(price), pair.slow.update(price)
        if fast is None or slow is None or fast == slow:
            return ()
        before, pair.side = pair.side, 1 if fast > slow else -1
        if not before or before == pair.side:
            return ()
        wanted = self.params.quantity * pair.side if pair.side > 0 or self.params.short else 0
        return view.target(wanted, instrument=instrument, reason=f"fast {fast:.4f} crossed slow {slow:.4f}")
