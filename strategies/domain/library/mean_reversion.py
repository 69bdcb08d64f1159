"""Mean reversion: against moves of more than so many standard deviations, out when the price is back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from marketdata.domain.bars import Bar
from strategies.domain.base import Indicator, Intent, Strategy, View, apart
from strategies.domain.indicators import Window
from strategies.domain.parameters import BarMinutes, Length, Quantity, Short

Score = Annotated[float, Meta(ge=0, le=20, description="standard deviations of the last `length` closes")]


class MeanReversion(Strategy):
    name = "mean_reversion"
    title = "Mean reversion on a z-score"

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """Enters at a score of `enter_at` or beyond, leaves at `leave_at` or nearer to the mean."""

        length: Length = 20
        enter_at: Score = 2.0
        leave_at: Score = 0.5
        quantity: Quantity = 1
        bar_minutes: BarMinutes = 1
        short: Short = True

        def __post_init__(self) -> None:
            if self.leave_at >= self.enter_at:
                raise ValueError("`leave_at` must be below `enter_at`")

    class State(msgspec.Struct):
        windows: dict[str, Window] = msgspec.field(default_factory=dict)

    def warm_up(self) -> int:
        return int(self.params.length) - 1

    def on_bar(self, state: State, bar: Bar, view: View) -> Iterable[Intent]:
        """Enters against the move, leaves near the mean."""
        window = state.windows.get(bar.instrument)
        if window is None:
            window = state.windows[bar.instrument] = Window(self.params.length)
        window.push(bar.close_e4 / 10_000)
        score = window.z_score()
        if score is None:
            return ()
        wanted = self._wanted(score, view.position() + view.working())
        return view.target(wanted, reason=f"z-score {score:.2f}")

    def indicators(self, state: State, instrument: str) -> Mapping[str, Indicator | float | None]:
        """The mean with the band outside which it enters, and the score."""
        window = state.windows.get(instrument)
        deviation = window.deviation() if window else None
        if window is None or deviation is None:
            return {}
        reach = self.params.enter_at * deviation
        bands = {"mean": window.mean, "upper": window.mean + reach, "lower": window.mean - reach}
        return {**bands, "z-score": apart(window.z_score())}

    def _wanted(self, score: float, now: int) -> int:
        if score <= -self.params.enter_at:
            return int(self.params.quantity)
        if score >= self.params.enter_at:
            return -int(self.params.quantity) if self.params.short else 0
        is_back = score >= -self.params.leave_at if now > 0 else score <= self.params.leave_at
        return 0 if is_back else now
