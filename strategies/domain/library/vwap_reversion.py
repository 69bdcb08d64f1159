"""VWAP reversion: against moves away from the day's volume-weighted average price, out when the price is back at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import time
from typing import Annotated

import msgspec
from msgspec import Meta

from alphapanda.core.clock import ist_day
from marketdata.domain.bars import Bar
from strategies.domain.base import Intent, Strategy, View
from strategies.domain.indicators import Vwap
from strategies.domain.parameters import BarMinutes, Quantity, Short, TimeOfDay, minute_at, minute_of

Deviations = Annotated[
    float, Meta(ge=0, le=20, description="volume-weighted standard deviations from the VWAP")
]


class VwapReversion(Strategy):
    name = "vwap_reversion"
    title = "VWAP reversion"

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """Nothing is entered before `enter_from`, when the day has made a price of its own, nor from `leave_at`
        on, when the position is closed. An index has no volume, so no VWAP: nothing is done."""

        enter_at: Deviations = 2.0
        leave_at_deviations: Deviations = 0.0
        enter_from: TimeOfDay = "09:45"
        leave_at: TimeOfDay = "15:10"
        quantity: Quantity = 1
        bar_minutes: BarMinutes = 5
        short: Short = True

        def __post_init__(self) -> None:
            if self.leave_at_deviations >= self.enter_at:
                raise ValueError("`leave_at_deviations` must be below `enter_at`")
            if minute_of(self.enter_from) >= minute_of(self.leave_at):
                raise ValueError("`enter_from` must be before `leave_at`")

    class State(msgspec.Struct):
        averages: dict[str, Vwap] = msgspec.field(default_factory=dict)

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._enters, self._leaves = minute_of(params.enter_from), minute_of(params.leave_at)

    def timers(self) -> tuple[time, ...]:
        return (time.fromisoformat(self.params.leave_at),)

    def on_bar(self, state: State, bar: Bar, view: View) -> Iterable[Intent]:
        """Takes a bar's typical price with its volume, then compares its close."""
        vwap = state.averages.get(bar.instrument)
        if vwap is None:
            vwap = state.averages[bar.instrument] = Vwap()
        typical = (bar.high_e4 + bar.low_e4 + bar.close_e4) / 30_000
        vwap.update(ist_day(bar.starts_ms), typical, bar.volume)
        ends = minute_at(bar.starts_ms) + bar.minutes
        if ends >= self._leaves:
            return view.target(0, reason=f"it is {self.params.leave_at}")
        mean, deviation = vwap.value, vwap.deviation()
        if ends < self._enters or mean is None or deviation is None or vwap.day != ist_day(bar.starts_ms):
            return ()
        score = (bar.close_e4 / 10_000 - mean) / deviation
        wanted = self._wanted(score, view.position() + view.working())
        return view.target(wanted, reason=f"{score:+.2f} deviations from VWAP {mean:.2f}")

    def on_timer(self, state: State, at: time, view: View) -> Iterable[Intent]:
        """Leaves whatever is held."""
        for name in sorted(state.averages):
            yield from view.target(0, instrument=name, reason=f"it is {self.params.leave_at}")

    def indicators(self, state: State, instrument: str) -> Mapping[str, float | None]:
        """The day's average with the band outside which it enters."""
        vwap = state.averages.get(instrument)
        if vwap is None or vwap.value is None:
            return {}
        deviation = vwap.deviation()
        reach = None if deviation is None else self.params.enter_at * deviation
        return {
            "VWAP": vwap.value,
            "upper": None if reach is None else vwap.value + reach,
            "lower": None if reach is None else vwap.value - reach,
        }

    def _wanted(self, score: float, now: int) -> int:
        if score <= -self.params.enter_at:
            return int(self.params.quantity)
        if score >= self.params.enter_at:
            return -int(self.params.quantity) if self.params.short else 0
        leave_at = self.params.leave_at_deviations
        is_back = score >= -leave_at if now > 0 else score <= leave_at
        return 0 if is_back else now
