"""Mean reversion: against moves of more than so many standard deviations, out when the price is back."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from marketdata.domain.bars import Bar
from strategies.domain.base import BAR_MINUTES_MAX, Intent, Strategy, View
from strategies.domain.indicators import Window


class MeanReversion(Strategy):
    name = "mean_reversion"
    title = "Mean reversion on a z-score"

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """Scores are standard deviations of the last `length` closes; `quantity` in units."""

        length: int = 20
        enter_at: float = 2.0
        leave_at: float = 0.5
        quantity: int = 1
        bar_minutes: int = 1
        short: bool = True

        def __post_init__(self) -> None:
            if self.length < 2 or self.quantity < 1:
                raise ValueError("`length` must be at least 2, `quantity` at least 1")
            if not 1 <= self.bar_minutes <= BAR_MINUTES_MAX:
                raise ValueError(f"`bar_minutes` must be from 1 to {BAR_MINUTES_MAX}")
            if not 0 <= self.leave_at < self.enter_at:
                raise ValueError("`leave_at` must lie between 0 and `enter_at`")

    class State(msgspec.Struct):
        windows: dict[str, Window] = msgspec.field(default_factory=dict)

    def on_bar(self, state: State, bar: Bar, view: View) -> Iterable[Intent]:
        """Enters against the move, leaves near the mean."""
        window = state.windows.setdefault(bar.instrument, Window(self.params.length))
        window.push(float(bar.close))
        score = window.z_score()
        if score is None:
            return
        wanted = self._wanted(score, view.position() + view.working())
        yield from view.target(wanted, reason=f"z-score {score:.2f}")

    def _wanted(self, score: float, now: int) -> int:
        if score <= -self.params.enter_at:
            return int(self.params.quantity)
        if score >= self.params.enter_at:
            return -int(self.params.quantity) if self.params.short else 0
        is_back = score >= -self.params.leave_at if now > 0 else score <= self.params.leave_at
        return 0 if is_back else now
