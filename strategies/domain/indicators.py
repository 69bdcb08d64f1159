"""Indicators as storable structs, a value a bar. Floats: they are statistics, never prices."""

from __future__ import annotations

from math import sqrt

import msgspec


class Ema(msgspec.Struct):
    """Exponential average: alpha 2/(n+1), seeded with the mean of the first n values."""

    length: int
    count: int = 0
    mean: float = 0.0  # of the values so far, until there are n; equal values have exactly their value
    value: float | None = None

    def update(self, x: float) -> float | None:
        """The average after x; None until there are n values."""
        self.count += 1
        if self.value is not None:
            self.value += (x - self.value) * 2 / (self.length + 1)
        else:
            self.mean += (x - self.mean) / self.count
            if self.count == self.length:
                self.value = self.mean
        return self.value


class Window(msgspec.Struct):
    """The last n values."""

    length: int
    values: list[float] = msgspec.field(default_factory=list)

    def push(self, x: float) -> None:
        self.values.append(x)
        if len(self.values) > self.length:
            del self.values[0]

    @property
    def is_full(self) -> bool:
        return len(self.values) == self.length

    def z_score(self) -> float | None:
        """How many standard deviations (of the window) the newest value lies from the mean; None if undefined."""
        if not self.is_full:
            return None
        moves = [x - self.values[0] for x in self.values]  # exactly zero where all values are equal
        mean = sum(moves) / self.length
        deviation = sqrt(sum((x - mean) ** 2 for x in moves) / self.length)
        return (moves[-1] - mean) / deviation if deviation > 0 else None
