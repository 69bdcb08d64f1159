"""A user's own strategy: holds on to what it bought, and has orders waiting far below the market."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from marketdata.domain.bars import Bar
from strategies.domain.base import Intent, Strategy, View


class Wall(Strategy):
    """Buys at once and then rests a limit far below, again after each that has gone."""

    name = "wall"

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        quantity: int = 200

    def bar_minutes(self) -> tuple[int, ...]:
        return (5,)  # each wish costs the pipeline of a test forty milliseconds, refused or not

    def on_bar(self, state: Any, bar: Bar, view: View) -> Iterable[Intent]:
        if not view.position() and not view.working():
            yield view.buy(self.params.quantity, reason="enter")
        if not view.orders():
            far = (bar.close - Decimal(10)).quantize(Decimal("0.05"))
            yield view.buy(50, limit_price=far, reason="wall")
