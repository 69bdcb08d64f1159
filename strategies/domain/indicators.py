"""Indicators as storable structs, a value a bar, each update in constant time. Floats: they are statistics, never
prices. Definitions are TA-Lib's; SuperTrend, which it has not, is TradingView's (docs/decisions)."""

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
        if self.value is not None:
            self.value += (x - self.value) * 2 / (self.length + 1)
            return self.value
        self.count += 1
        self.mean += (x - self.mean) / self.count
        if self.count == self.length:
            self.value = self.mean
        return self.value


class Window(msgspec.Struct):
    """The last n values with their mean and deviation (of the window itself, not of a sample).

    `squares`, the sum of squared distances from the mean, is carried on from value to value and reckoned anew
    each time the window has been passed, so that errors of rounding do not grow."""

    length: int
    values: list[float] = msgspec.field(default_factory=list)  # a ring: the oldest stands at `oldest`
    oldest: int = 0
    mean: float = 0.0
    squares: float = 0.0
    equal: int = 0  # how many of the newest values are the same

    def push(self, x: float) -> None:
        self.equal = self.equal + 1 if self.values and x == self.newest else 1
        if len(self.values) < self.length:
            self.values.append(x)
            before, self.mean = self.mean, self.mean + (x - self.mean) / len(self.values)
            self.squares += (x - before) * (x - self.mean)
            return
        gone, self.values[self.oldest] = self.values[self.oldest], x
        before, self.mean = self.mean, self.mean + (x - gone) / self.length
        self.squares += (x - gone) * (x - self.mean + gone - before)
        self.oldest += 1
        if self.oldest == self.length:
            self.oldest = 0
            self._reckon()

    def _reckon(self) -> None:
        first = self.values[0]
        self.mean = first + sum(x - first for x in self.values) / self.length
        self.squares = sum((x - self.mean) ** 2 for x in self.values)

    @property
    def is_full(self) -> bool:
        return len(self.values) == self.length

    @property
    def newest(self) -> float:
        """Raises IndexError while there is none."""
        return self.values[self.oldest - 1]

    @property
    def first(self) -> float:
        """The oldest value. Raises IndexError while there is none."""
        return self.values[self.oldest]

    def deviation(self) -> float | None:
        """The standard deviation; None until the window is full, and exactly 0 where all values are equal."""
        if not self.is_full:
            return None
        return 0.0 if self.equal >= self.length else sqrt(max(0.0, self.squares) / self.length)

    def z_score(self) -> float | None:
        """How many standard deviations (of the window) the newest value lies from the mean; None if undefined."""
        deviation = self.deviation()
        return (self.newest - self.mean) / deviation if deviation else None


class Extreme(msgspec.Struct):
    """The highest (`sign` 1) or the lowest (-1) of the last n prices. `line` holds what may still become it:
    pairs of a number in the stream and a price, the extreme first."""

    length: int
    sign: int = 1
    count: int = 0
    line: list[tuple[int, int]] = msgspec.field(default_factory=list)

    def push(self, x: int) -> None:
        line, signed = self.line, x * self.sign
        while line and line[-1][1] * self.sign <= signed:
            line.pop()
        line.append((self.count, x))
        self.count += 1
        if line[0][0] <= self.count - 1 - self.length:
            del line[0]

    @property
    def value(self) -> int | None:
        """None until there are n prices."""
        return self.line[0][1] if self.count >= self.length else None


class Rsi(msgspec.Struct):
    """Wilder's relative strength, 0 to 100; its averages begin with the mean of the first n changes."""

    length: int
    count: int = -1  # of changes
    last: float = 0.0
    gain: float = 0.0
    loss: float = 0.0

    def update(self, x: float) -> float | None:
        """The strength after x; None until there are n changes, and while the price has never changed."""
        change, self.last = x - self.last, x
        self.count = min(self.count + 1, self.length + 1)
        if self.count == 0:
            return None
        weight = min(self.count, self.length)
        self.gain += (max(change, 0.0) - self.gain) / weight
        self.loss += (max(-change, 0.0) - self.loss) / weight
        return self.value

    @property
    def value(self) -> float | None:
        """The strength now."""
        both = self.gain + self.loss
        return 100 * self.gain / both if self.count >= self.length and both > 0 else None


class Atr(msgspec.Struct):
    """Wilder's average true range; it begins with the mean of the first n ranges that have a close before them."""

    length: int
    count: int = -1
    close: float = 0.0
    mean: float = 0.0

    def update(self, high: float, low: float, close: float) -> float | None:
        """The average after a bar; None until there are n ranges."""
        before, self.close = self.close, close
        self.count = min(self.count + 1, self.length)
        if self.count == 0:
            return None
        reach = max(high, before) - min(low, before)
        self.mean += (reach - self.mean) / self.count
        return self.mean if self.count == self.length else None


class SuperTrend(msgspec.Struct):
    """Bands of `multiple` average true ranges around the middle of the bar, which only ever narrow towards the
    price until it closes beyond one; `side` is 1 above, -1 below, 0 before the first value. It begins below."""

    atr: Atr
    multiple: float
    upper: float = 0.0
    lower: float = 0.0
    side: int = 0

    def update(self, high: float, low: float, close: float) -> int:
        """The side after a bar."""
        before = self.atr.close
        atr = self.atr.update(high, low, close)
        if atr is None:
            return 0
        middle, reach = (high + low) / 2, self.multiple * atr
        if self.side == 0 or middle + reach < self.upper or before > self.upper:
            self.upper = middle + reach
        if self.side == 0 or middle - reach > self.lower or before < self.lower:
            self.lower = middle - reach
        if self.side > 0:
            self.side = -1 if close < self.lower else 1
        else:
            self.side = 1 if close > self.upper else -1
        return self.side

    @property
    def line(self) -> float:
        """The band that is the stop now."""
        return self.lower if self.side > 0 else self.upper


class Vwap(msgspec.Struct):
    """The volume-weighted average price of a day and the weighted deviation of prices around it. Both are summed
    up as distances from the day's first price, which keeps them exact."""

    day: int = 0
    first: float = 0.0
    volume: int = 0
    moves: float = 0.0
    squares: float = 0.0

    def update(self, day: int, price: float, volume: int) -> None:
        """Take in a price; another day begins anew. Without volume nothing happens."""
        if volume <= 0:
            return
        if day != self.day:
            self.day, self.first, self.volume, self.moves, self.squares = day, price, 0, 0.0, 0.0
        move = price - self.first
        self.volume += volume
        self.moves += move * volume
        self.squares += move * move * volume

    @property
    def value(self) -> float | None:
        return self.first + self.moves / self.volume if self.volume else None

    def deviation(self) -> float | None:
        """None without volume, and while all prices of the day are the same."""
        if not self.volume:
            return None
        mean = self.moves / self.volume
        variance = self.squares / self.volume - mean * mean
        return sqrt(variance) if variance > 0 else None
