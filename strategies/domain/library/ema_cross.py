"""Exponential-average cross: long while the fast average is above the slow one, short or flat below."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from alphapanda.core.money import PRICE_SCALE
from marketdata.domain.bars import Bar
from marketdata.domain.ticks import Tick
from strategies.domain.base import BAR_MINUTES_MAX, Intent, Strategy, View
from strategies.domain.indicators import Ema


class Averages(msgspec.Struct):
    """Both averages of one instrument and which side the fast one was on."""

    fast: Ema
    slow: Ema
    side: int = 0


class EmaCross(Strategy):
    name = "ema_cross"
    title = "Exponential-average cross"

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """`quantity` in units; `short` also sells short; `bar_minutes` is the length of a bar, 0 acts on every tick."""

        fast: int = 9
        slow: int = 21
        quantity: int = 1
        bar_minutes: int = 1
        short: bool = True

        def __post_init__(self) -> None:
            if not 0 < self.fast < self.slow:
                raise ValueError("`fast` must be positive and below `slow`")
            if self.quantity < 1:
                raise ValueError("`quantity` must be at least 1")
            if not 0 <= self.bar_minutes <= BAR_MINUTES_MAX:
                raise ValueError(f"`bar_minutes` must be from 0 (every tick) to {BAR_MINUTES_MAX}")

    class State(msgspec.Struct):
        averages: dict[str, Averages] = msgspec.field(default_factory=dict)

    def wants_ticks(self) -> bool:
        return not self.params.bar_minutes

    def on_bar(self, state: State, bar: Bar, view: View) -> Iterable[Intent]:
        """Acts on the bar at which the fast average crosses the slow one."""
        return self._on_price(state, bar.instrument, bar.close_e4 / PRICE_SCALE, view)

    def on_tick(self, state: State, tick: Tick, view: View) -> Iterable[Intent]:
        return self._on_price(state, view.instrument, tick.price_e4 / PRICE_SCALE, view)

    def _on_price(self, state: State, instrument: str, price: float, view: View) -> Iterable[Intent]:
        pair = state.averages.get(instrument)
        if pair is None:
            pair = state.averages[instrument] = Averages(Ema(self.params.fast), Ema(self.params.slow))
        fast, slow = pair.fast.update(price), pair.slow.update(price)
        if fast is None or slow is None or fast == slow:
            return
        before, pair.side = pair.side, 1 if fast > slow else -1
        if before and before != pair.side:
            wanted = self.params.quantity * pair.side if pair.side > 0 or self.params.short else 0
            yield from view.target(
                wanted, instrument=instrument, reason=f"fast {fast:.4f} crossed slow {slow:.4f}"
            )
