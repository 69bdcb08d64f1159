"""Pairs: against the spread of two instruments that move together, both legs at once, out when it is back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log
from typing import Annotated

import msgspec
from msgspec import Meta

from marketdata.domain.bars import Bar
from strategies.domain.base import Indicator, Intent, Strategy, View, apart
from strategies.domain.indicators import Window
from strategies.domain.parameters import BarMinutes, Length, Quantity

Key = Annotated[str, Meta(pattern=r"^[A-Z]+:.+$", description="EXCHANGE:SYMBOL of a leg")]
Score = Annotated[float, Meta(ge=0, le=20, description="standard deviations of the spread")]


class Pairs(Strategy):
    name = "pairs"
    title = "Pairs on a spread"

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """The spread is log(first) - hedge * log(second). Long the spread buys `first` and sells `second`. Beyond
        `stop_at` both legs are closed, and entered again only after the spread was back inside `enter_at`."""

        first: Key
        second: Key
        hedge: Annotated[
            float, Meta(gt=0, le=100, description="log of second that balances one of first")
        ] = 1.0
        length: Length = 120
        enter_at: Score = 2.0
        leave_at: Score = 0.5
        stop_at: Score = 4.0
        first_quantity: Quantity = 1
        second_quantity: Quantity = 1
        bar_minutes: BarMinutes = 5

        def __post_init__(self) -> None:
            if self.first == self.second:
                raise ValueError("`first` and `second` must be two instruments")
            if not self.leave_at < self.enter_at < self.stop_at:
                raise ValueError("`leave_at` must be below `enter_at`, and that below `stop_at`")

    class State(msgspec.Struct):
        closes: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)  # start of the bar, close
        window: Window | None = None
        is_stopped: bool = False

    def check(self, instruments: Sequence[str]) -> None:
        legs = {self.params.first, self.params.second}
        if set(instruments) != legs:
            raise ValueError(f"the instruments must be {' and '.join(sorted(legs))}, and no other")

    def warm_up(self) -> int:
        return int(self.params.length) - 1

    def on_bar(self, state: State, bar: Bar, view: View) -> Iterable[Intent]:
        """Acts when both legs have closed the same bar."""
        state.closes[bar.instrument] = bar.starts_ms, bar.close_e4
        first, second = state.closes.get(self.params.first), state.closes.get(self.params.second)
        if first is None or second is None or first[0] != second[0]:
            return
        if state.window is None:
            state.window = Window(self.params.length)
        state.window.push(log(first[1] / 10_000) - self.params.hedge * log(second[1] / 10_000))
        score = state.window.z_score()
        if score is None:
            return
        side, reason = self._side(state, score, self._held(view)), f"spread {score:+.2f}"
        yield from view.target(side * self.params.first_quantity, instrument=self.params.first, reason=reason)
        yield from view.target(
            -side * self.params.second_quantity, instrument=self.params.second, reason=reason
        )

    def indicators(self, state: State, instrument: str) -> Mapping[str, Indicator]:
        """The score of the spread, the same for both legs."""
        return {"spread score": apart(state.window.z_score() if state.window else None)}

    def _held(self, view: View) -> int:
        """The side of the spread that is held; a single leg counts as what it is a part of."""
        first = view.position(self.params.first) + view.working(self.params.first)
        second = view.position(self.params.second) + view.working(self.params.second)
        return (first > 0) - (first < 0) or (second < 0) - (second > 0)

    def _side(self, state: State, score: float, held: int) -> int:
        if abs(score) < self.params.enter_at:
            state.is_stopped = False
        elif held * score < 0 and abs(score) >= self.params.stop_at:
            state.is_stopped = True
        if state.is_stopped:
            return 0
        if abs(score) >= self.params.enter_at:
            return -1 if score > 0 else 1
        is_back = score >= -self.params.leave_at if held > 0 else score <= self.params.leave_at
        return 0 if is_back else held
