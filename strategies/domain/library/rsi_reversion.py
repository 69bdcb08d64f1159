"""RSI mean reversion: buys what is oversold, sells what is overbought, out when the strength is back in the middle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from marketdata.domain.bars import Bar
from strategies.domain.base import Indicator, Intent, Strategy, View, apart
from strategies.domain.indicators import Rsi
from strategies.domain.parameters import BarMinutes, Length, Quantity, Short

Strength = Annotated[float, Meta(ge=0, le=100, description="relative strength, 0 to 100")]


class RsiReversion(Strategy):
    name = "rsi_reversion"
    title = "RSI mean reversion"

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """Long at `oversold` or below, short at `overbought` or above; out at `leave_at` or beyond it."""

        length: Length = 14
        oversold: Strength = 30.0
        overbought: Strength = 70.0
        leave_at: Strength = 50.0
        quantity: Quantity = 1
        bar_minutes: BarMinutes = 5
        short: Short = True

        def __post_init__(self) -> None:
            if not self.oversold < self.leave_at < self.overbought:
                raise ValueError("`leave_at` must lie between `oversold` and `overbought`")

    class State(msgspec.Struct):
        strengths: dict[str, Rsi] = msgspec.field(default_factory=dict)

    def warm_up(self) -> int:
        return int(self.params.length)

    def on_bar(self, state: State, bar: Bar, view: View) -> Iterable[Intent]:
        """Enters at an extreme of the strength, leaves in its middle."""
        rsi = state.strengths.get(bar.instrument)
        if rsi is None:
            rsi = state.strengths[bar.instrument] = Rsi(self.params.length)
        strength = rsi.update(bar.close_e4 / 10_000)
        if strength is None:
            return ()
        wanted = self._wanted(strength, view.position() + view.working())
        return view.target(wanted, reason=f"RSI {strength:.1f}")

    def indicators(self, state: State, instrument: str) -> Mapping[str, Indicator]:
        """The strength with the levels at which it acts."""
        rsi = state.strengths.get(instrument)
        levels = ("oversold", "leave_at", "overbought")
        return {
            f"RSI {self.params.length}": apart(rsi.value if rsi else None),
            **{name.replace("_", " "): apart(getattr(self.params, name)) for name in levels},
        }

    def _wanted(self, strength: float, now: int) -> int:
        if strength <= self.params.oversold:
            return int(self.params.quantity)
        if strength >= self.params.overbought:
            return -int(self.params.quantity) if self.params.short else 0
        is_back = strength >= self.params.leave_at if now > 0 else strength <= self.params.leave_at
        return 0 if is_back else now
