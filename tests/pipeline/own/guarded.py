"""A user's own strategy, for the pipeline by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time
from decimal import Decimal
from typing import Any

from strategies.domain.base import Bracket, Intent, Strategy, View


class Guarded(Strategy):
    """Enters with brackets at times of day and at fills, so that every guard of the platform has work."""

    name = "guarded"

    def timers(self) -> tuple[time, ...]:
        return time(9, 30), time(10, 45), time(13, 0), time(15, 18)

    def bar_minutes(self) -> tuple[int, ...]:
        return (1,)

    def on_timer(self, state: Any, at: time, view: View) -> Iterable[Intent]:
        act = view.buy if at.hour % 2 else view.sell
        near = Bracket(stop=Decimal("0.30"), target=Decimal("0.25"))
        yield act(100, reason=f"at {at:%H:%M}", bracket=near)
        yield act(30, reason="trailed", bracket=Bracket(trail=Decimal("0.20"), minutes=40))

    def on_fill(self, state: Any, fill: Any, view: View) -> Iterable[Intent]:
        if fill.quantity == 30:
            yield view.buy(7, limit_price=fill.price - Decimal("0.40"), bracket=Bracket(minutes=15))
