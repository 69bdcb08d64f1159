"""Bars built from ticks, closed by ticks or by the clock; prices in 1/10,000 rupee, times in epoch ms."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS
from alphapanda.core.money import to_rupees
from marketdata.domain.ticks import Tick

MINUTE_MS = 60_000
DAY_MINUTES = 1_440  # a bar of the day: it starts at midnight in India, as Kite's does
# Buckets count from 09:15 IST, the opening of stocks, also before it and on evenings; some markets open at 09:00.
ANCHOR_MINUTES = 9 * 60 + 15
# A time of the last trade further from the event time than this is not believed. Seen: 6 s ahead of the
# recorder, and 86 s behind it where it caught up after a silence.
TRADED_APART_MS_MAX = 5 * MINUTE_MS


class Bar(msgspec.Struct, frozen=True, gc=False):
    """What one instrument did in the `minutes` from `starts_ms` on."""

    instrument: str
    token: int
    starts_ms: int
    minutes: int
    open_e4: int
    high_e4: int
    low_e4: int
    close_e4: int
    volume: int
    ticks: int

    @property
    def open(self) -> Decimal:
        """Rupees, as the three below."""
        return to_rupees(self.open_e4)

    @property
    def high(self) -> Decimal:
        return to_rupees(self.high_e4)

    @property
    def low(self) -> Decimal:
        return to_rupees(self.low_e4)

    @property
    def close(self) -> Decimal:
        return to_rupees(self.close_e4)

    @property
    def ends_ms(self) -> int:
        """The first millisecond that is not in the bar."""
        return self.starts_ms + self.minutes * MINUTE_MS


class BarBuilder(msgspec.Struct):
    """The bars of one instrument and interval; plain values that go into a checkpoint. It wants only ticks
    that passed the gate, in log order."""

    instrument: str
    token: int
    minutes: int = 1
    starts_ms: int = 0  # of the open bar, if ticks > 0
    open_e4: int = 0
    high_e4: int = 0
    low_e4: int = 0
    close_e4: int = 0
    volume: int = 0
    ticks: int = 0
    closed_ms: int = 0  # end of the last closed bucket: nothing older makes a bar again
    day: int = 0  # IST day number of `day_volume`
    day_volume: int = 0  # of the last tick that made a bar
    anchor_minutes: int = ANCHOR_MINUTES  # of the market: marketdata.domain.markets

    def on_tick(self, tick: Tick) -> list[Bar]:
        """The bars that this tick closes (none or one). A tick without a new trade, or of a bucket that is
        closed, makes no bar; the volume of such a late tick counts in the next one."""
        at_ms = bar_time(tick)
        day = (at_ms + IST_OFFSET_MS) // DAY_MS
        day_volume = self.day_volume if day == self.day else 0
        if tick.traded_at_ms and tick.volume >= 0 and tick.volume == day_volume:
            return []  # depth alone has changed: the last price is not news
        starts_ms = bucket(at_ms, self.minutes, self.anchor_minutes)
        if starts_ms < max(self.closed_ms, self.starts_ms if self.ticks else 0):
            return []
        closed = self._closed() if self.ticks and starts_ms > self.starts_ms else []
        self._add(tick, starts_ms, tick.quantity if tick.volume < 0 else max(0, tick.volume - day_volume))
        self.day, self.day_volume = day, day_volume if tick.volume < 0 else tick.volume
        return closed

    def on_clock(self, at_ms: int, *, closes_ms: int | None = None) -> list[Bar]:
        """The bar that time has closed, if any: its end, or the end of the session `closes_ms`, has come."""
        if not self.ticks:
            return []
        ends_ms = self.starts_ms + self.minutes * MINUTE_MS
        if closes_ms is not None and closes_ms > self.starts_ms:
            ends_ms = min(ends_ms, closes_ms)
        return self._closed() if at_ms >= ends_ms else []

    def _add(self, tick: Tick, starts_ms: int, volume: int) -> None:
        price = tick.price_e4
        if not self.ticks:
            self.starts_ms, self.open_e4, self.high_e4, self.low_e4 = starts_ms, price, price, price
        elif price > self.high_e4:
            self.high_e4 = price
        elif price < self.low_e4:
            self.low_e4 = price
        self.close_e4 = price
        self.volume += volume
        self.ticks += 1

    def open_bar(self) -> Bar | None:
        """The bar in the making, as it stands; None: no tick has made one."""
        if not self.ticks:
            return None
        return Bar(
            self.instrument,
            self.token,
            self.starts_ms,
            self.minutes,
            self.open_e4,
            self.high_e4,
            self.low_e4,
            self.close_e4,
            self.volume,
            self.ticks,
        )

    def _closed(self) -> list[Bar]:
        bar = self.open_bar()
        if bar is None:
            return []
        self.closed_ms = bar.ends_ms
        self.ticks = self.volume = 0
        return [bar]


def bar_time(tick: Tick) -> int:
    """The time by which a tick belongs to a bar: of its trade, where that is believable, else of the event."""
    apart = tick.traded_at_ms - tick.at_ms
    return tick.traded_at_ms if -TRADED_APART_MS_MAX <= apart <= TRADED_APART_MS_MAX else tick.at_ms


def bucket(at_ms: int, minutes: int, anchor_minutes: int = ANCHOR_MINUTES) -> int:
    """The start of the bar of so many minutes that a time belongs to."""
    anchor = 0 if minutes == DAY_MINUTES else anchor_minutes * MINUTE_MS
    of_day = (at_ms + IST_OFFSET_MS) % DAY_MS - anchor
    return at_ms - of_day % (minutes * MINUTE_MS)
