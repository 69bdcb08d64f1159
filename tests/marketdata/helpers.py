"""Ticks and times for tests."""

from __future__ import annotations

from datetime import date, time

from alphapanda.core.clock import ist_ms
from marketdata.domain.ticks import Tick


def at(day: str, clock: str) -> int:
    """Epoch ms of a time in India."""
    return ist_ms(date.fromisoformat(day), time.fromisoformat(clock))


def tick(clock: str = "10:00:00", day: str = "2019-07-09", token: int = 7, **more: int) -> Tick:
    """A good tick of 95 rupees and unknown volume at a time in India."""
    return Tick(token, at(day, clock), 0, 0, 950_000, 0, -1, 0, 0, 0, 0, 0)._replace(**more)
