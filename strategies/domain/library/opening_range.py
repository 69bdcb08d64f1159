"""Opening-range breakout: with the first close beyond the range of the session's first minutes, flat before its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import time
from typing import Annotated

import msgspec
from msgspec import Meta

from alphapanda.core.clock import ist_day
from alphapanda.core.money import PRICE_SCALE
from marketdata.domain.bars import Bar
from strategies.domain.base import Intent, Strategy, View
from strategies.domain.parameters import (
    MINUTES_OF_DAY,
    BarMinutes,
    Quantity,
    Short,
    TimeOfDay,
    minute_at,
    minute_of,
)


class Range(msgspec.Struct):
    """The range of one instrument's day so far, and how often it was entered."""

    day: int = 0
    high_e4: int = 0
    low_e4: int = 0
    entries: int = 0


class OpeningRange(Strategy):
    name = "opening_range"
    title = "Opening-range breakout"

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """The range is that of the bars that begin from `opens` on, for `range_minutes`; its other side is the
        stop. At `leave_at` the position is closed, and nothing is entered any more."""

        opens: TimeOfDay = "09:15"
        range_minutes: Annotated[
            int, Meta(ge=1, le=MINUTES_OF_DAY, description="minutes of the range; a multiple of bar_minutes")
        ] = 15
        leave_at: TimeOfDay = "15:10"
        entries_daily: Annotated[
            int, Meta(ge=1, le=100, description="most entries a day, each instrument")
        ] = 1
        quantity: Quantity = 1
        bar_minutes: BarMinutes = 5
        short: Short = True

        def __post_init__(self) -> None:
            if self.range_minutes % self.bar_minutes:
                raise ValueError("`range_minutes` must be a multiple of `bar_minutes`")
            if minute_of(self.opens) + self.range_minutes >= minute_of(self.leave_at):
                raise ValueError("`leave_at` must be after the range")

    class State(msgspec.Struct):
        ranges: dict[str, Range] = msgspec.field(default_factory=dict)

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._opens = minute_of(params.opens)
        self._formed = self._opens + params.range_minutes
        self._leaves = minute_of(params.leave_at)

    def timers(self) -> tuple[time, ...]:
        return (time.fromisoformat(self.params.leave_at),)

    def on_bar(self, state: State, bar: Bar, view: View) -> Iterable[Intent]:
        """Measures the range, then enters at the first close outside it."""
        today = state.ranges.get(bar.instrument)
        if today is None or today.day != ist_day(bar.starts_ms):
            today = state.ranges[bar.instrument] = Range(ist_day(bar.starts_ms))
        starts = minute_at(bar.starts_ms)
        if starts < self._formed:
            if starts >= self._opens:
                self._measure(today, bar)
            return ()
        now = view.position() + view.working()
        if starts + bar.minutes >= self._leaves:
            return view.target(0, reason=f"it is {self.params.leave_at}")
        wanted, reason = self._wanted(today, bar.close_e4, now)
        if wanted and wanted != now:
            today.entries += 1
        return view.target(wanted, reason=reason)

    def on_timer(self, state: State, at: time, view: View) -> Iterable[Intent]:
        """Leaves whatever is held."""
        for name in sorted(state.ranges):
            yield from view.target(0, instrument=name, reason=f"it is {self.params.leave_at}")

    def indicators(self, state: State, instrument: str) -> Mapping[str, float | None]:
        """The range of the day as far as it is measured."""
        today = state.ranges.get(instrument)
        if today is None or not today.high_e4:
            return {}
        return {"range high": today.high_e4 / PRICE_SCALE, "range low": today.low_e4 / PRICE_SCALE}

    def _measure(self, today: Range, bar: Bar) -> None:
        today.high_e4 = max(today.high_e4, bar.high_e4)
        today.low_e4 = min(today.low_e4 or bar.low_e4, bar.low_e4)

    def _wanted(self, today: Range, close_e4: int, now: int) -> tuple[int, str]:
        side = (close_e4 > today.high_e4) - (close_e4 < today.low_e4)
        if not today.high_e4 or not side or side * now > 0:
            return now, ""
        reason = f"{'above' if side > 0 else 'below'} the range of {self.params.range_minutes} minutes"
        if today.entries >= self.params.entries_daily or (side < 0 and not self.params.short):
            return 0, f"stop: {reason}"
        return side * self.params.quantity, reason
