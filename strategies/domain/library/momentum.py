"""Volatility-scaled momentum over a basket: at set times holds the instruments that have risen most for the risk they
took, each with the same risk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import time
from math import log
from typing import Annotated

import msgspec
from msgspec import Meta

from alphapanda.core.clock import ist_day
from marketdata.domain.bars import Bar
from strategies.domain.base import Indicator, Intent, Strategy, View, apart
from strategies.domain.indicators import Window
from strategies.domain.parameters import BarMinutes, Length, Short, TimeOfDay

PARTS = 1_000_000  # a share is a whole number of these, so that no float becomes a quantity


class Momentum(Strategy):
    name = "momentum"
    title = "Volatility-scaled momentum"

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """At each rebalancing `capital` is spread over the `hold` best instruments whose score is above 0 (with
        `short` also over the worst ones below 0), in shares inverse to their deviations. The score is the mean
        of the last `length` returns of bars over their deviation."""

        length: Length = 100
        hold: Annotated[int, Meta(ge=1, le=500, description="most instruments held on each side")] = 2
        capital: Annotated[int, Meta(ge=1, le=10**10, description="rupees spread over all holdings")] = (
            1_000_000
        )
        rebalance_at: Annotated[
            tuple[TimeOfDay, ...], Meta(min_length=1, max_length=50, description="times in India, HH:MM")
        ] = ("10:15",)
        every_days: Annotated[int, Meta(ge=1, le=250, description="rebalance every so many trading days")] = 1
        band_percent: Annotated[
            int, Meta(ge=0, le=100, description="a holding that is off by no more than this is left as it is")
        ] = 10
        bar_minutes: BarMinutes = 15
        short: Short = False

        def __post_init__(self) -> None:
            if len(set(self.rebalance_at)) != len(self.rebalance_at):
                raise ValueError("`rebalance_at` names a time twice")

    class State(msgspec.Struct):
        closes: dict[str, int] = msgspec.field(default_factory=dict)  # in 1/10,000 rupee
        returns: dict[str, Window] = msgspec.field(default_factory=dict)
        days: int = 0  # trading days on which a timer has fired
        day: int = 0

    def timers(self) -> tuple[time, ...]:
        return tuple(time.fromisoformat(text) for text in self.params.rebalance_at)

    def warm_up(self) -> int:
        return int(self.params.length)

    def on_bar(self, state: State, bar: Bar, view: View) -> Iterable[Intent]:
        """Only takes in the bar's return."""
        before = state.closes.get(bar.instrument)
        state.closes[bar.instrument] = bar.close_e4
        if before is not None:
            returns = state.returns.get(bar.instrument)
            if returns is None:
                returns = state.returns[bar.instrument] = Window(self.params.length)
            returns.push(log(bar.close_e4 / before))
        return ()

    def on_timer(self, state: State, at: time, view: View) -> Iterable[Intent]:
        """Rebalances: what is too much or on the wrong side first, then what is to be bought."""
        day = ist_day(view.at_ms)
        if day != state.day:
            state.day, state.days = day, state.days + 1
        if (state.days - 1) % self.params.every_days:
            return
        wanted = self._wanted(state)
        moves = [(name, wanted.get(name, 0), self._now(view, name)) for name in sorted(state.closes)]
        moves.sort(key=lambda move: abs(move[1]) > abs(move[2]))
        for name, quantity, now in moves:
            is_near = quantity * now > 0 and abs(quantity - now) * 100 <= self.params.band_percent * abs(
                quantity
            )
            if not is_near:
                yield from view.target(quantity, instrument=name, reason=f"rebalanced at {at:%H:%M}")

    def indicators(self, state: State, instrument: str) -> Mapping[str, Indicator]:
        """The score by which it ranks."""
        returns = state.returns.get(instrument)
        risk = returns.deviation() if returns else None
        return {"score": apart(returns.mean / risk if returns and risk else None)}

    def _now(self, view: View, name: str) -> int:
        return view.position(name) + view.working(name)

    def _wanted(self, state: State) -> dict[str, int]:
        """Signed units by instrument."""
        deviations = {name: returns.deviation() for name, returns in state.returns.items()}
        risks = {name: deviation for name, deviation in deviations.items() if deviation}
        scores = {name: state.returns[name].mean / risk for name, risk in risks.items()}
        ranked = sorted(scores, key=lambda name: (scores[name], name), reverse=True)
        sides = {name: 1 for name in ranked[: self.params.hold] if scores[name] > 0}
        if self.params.short:
            sides |= {name: -1 for name in ranked[-self.params.hold :] if scores[name] < 0}
        total = sum(1 / risks[name] for name in sides)
        return {
            name: side * self._units(round(PARTS / (risks[name] * total)), state.closes[name])
            for name, side in sides.items()
        }

    def _units(self, parts: int, close_e4: int) -> int:
        return int(self.params.capital) * 10_000 * parts // (close_e4 * PARTS)
