"""A user's own strategy: buys three times and leaves the exit to the square-off."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time
from typing import Any

from strategies.domain.base import Intent, Strategy, View


class Stack(Strategy):
    """Holds more than each of its orders was for."""

    name = "stack"

    def timers(self) -> tuple[time, ...]:
        return time(10), time(10, 5), time(10, 10)

    def on_timer(self, state: Any, at: time, view: View) -> Iterable[Intent]:
        yield view.buy(20, reason=f"at {at:%H:%M}")
