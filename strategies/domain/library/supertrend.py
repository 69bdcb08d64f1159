"""SuperTrend: on the side of the band that the price has closed beyond, until it closes beyond the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from marketdata.domain.bars import Bar
from strategies.domain.base import Intent, Strategy, View
from strategies.domain.indicators import Atr, SuperTrend
from strategies.domain.parameters import LENGTH_MAX, BarMinutes, Quantity, Short


class SuperTrendFollower(Strategy):
    name = "supertrend"
    title = "SuperTrend"

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """The usual setting of Indian desks is 10 and 3, on bars of 5 or 15 minutes."""

        length: Annotated[int, Meta(ge=1, le=LENGTH_MAX, description="bars of the average true range")] = 10
        multiple: Annotated[
            float, Meta(gt=0, le=20, description="average true ranges from the middle of a bar to a band")
        ] = 3.0
        quantity: Quantity = 1
        bar_minutes: BarMinutes = 5
        short: Short = True

    class State(msgspec.Struct):
        trends: dict[str, SuperTrend] = msgspec.field(default_factory=dict)

    def warm_up(self) -> int:
        return int(self.params.length) + 1

    def on_bar(self, state: State, bar: Bar, view: View) -> Iterable[Intent]:
        """Acts on the bar that closes beyond the band; the first side of all is no signal."""
        trend = state.trends.get(bar.instrument)
        if trend is None:
            trend = SuperTrend(Atr(self.params.length), self.params.multiple)
            state.trends[bar.instrument] = trend
        before = trend.side
        side = trend.update(bar.high_e4 / 10_000, bar.low_e4 / 10_000, bar.close_e4 / 10_000)
        if not before or before == side:
            return ()
        wanted = self.params.quantity * side if side > 0 or self.params.short else 0
        return view.target(wanted, reason=f"closed {'above' if side > 0 else 'below'}, stop {trend.line:.2f}")

    def indicators(self, state: State, instrument: str) -> Mapping[str, float | None]:
        """The band that is the stop, once there is one."""
        trend = state.trends.get(instrument)
        return {"stop": trend.line if trend and trend.side else None}
