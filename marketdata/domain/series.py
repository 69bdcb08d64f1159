"""The bars of one instrument in every interval that is published: minutes from ticks, longer ones from minutes.

A longer bar is by construction what its minute bars are, so history of minutes and of longer bars agree."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

import msgspec

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS, ist_day
from marketdata.domain.bars import DAY_MINUTES, MINUTE_MS, Bar, BarBuilder, bar_time, bucket
from marketdata.domain.calendar import Calendar
from marketdata.domain.quality import Gate, GateBook
from marketdata.domain.ticks import Tick

LONGER = (3, 5, 15, 30, 60, DAY_MINUTES)
INTERVALS = (1, *LONGER)


class Longer(msgspec.Struct, array_like=True):
    """The open bar of a longer interval, if ticks > 0; `volume` without ticks waits for the next bar."""

    minutes: int
    starts_ms: int = 0
    open_e4: int = 0
    high_e4: int = 0
    low_e4: int = 0
    close_e4: int = 0
    volume: int = 0
    ticks: int = 0
    closed_ms: int = 0  # end of the last closed bucket: nothing older makes a bar again
    from_ms: int = 0  # the first whole bar: nothing before it is taken

    def ends_ms(self, closes_ms: int) -> int:
        """When the open bar is over: at its end, or where its session closes (`closes_ms`) before that."""
        ends_ms = self.starts_ms + self.minutes * MINUTE_MS
        return min(ends_ms, closes_ms) if closes_ms > self.starts_ms else ends_ms

    def take(self, bar: Bar, anchor_minutes: int) -> Bar | None:
        """Add a minute; the open bar is returned where the minute belongs to a later one. Of a minute whose
        longer bar is closed only the volume is kept, for the next bar of the day."""
        if bar.starts_ms < self.from_ms:
            return None
        starts_ms = bucket(bar.starts_ms, self.minutes, anchor_minutes)
        closed = self.close(bar) if self.ticks and starts_ms > self.starts_ms else None
        if starts_ms < max(self.closed_ms, self.starts_ms if self.ticks else 0):
            self.volume += bar.volume
            return closed
        if not self.ticks:
            if ist_day(starts_ms) != ist_day(self.starts_ms):
                self.volume = 0
            self.starts_ms, self.open_e4 = starts_ms, bar.open_e4
            self.high_e4, self.low_e4 = bar.high_e4, bar.low_e4
        self.high_e4, self.low_e4 = max(self.high_e4, bar.high_e4), min(self.low_e4, bar.low_e4)
        self.close_e4 = bar.close_e4
        self.volume += bar.volume
        self.ticks += bar.ticks
        return closed

    def close(self, of: Bar | BarBuilder) -> Bar:
        """The open bar of the instrument of `of`, done."""
        bar = Bar(
            of.instrument,
            of.token,
            self.starts_ms,
            self.minutes,
            self.open_e4,
            self.high_e4,
            self.low_e4,
            self.close_e4,
            self.volume,
            self.ticks,
        )
        self.closed_ms = bar.ends_ms
        self.ticks = self.volume = 0
        return bar


class Series(msgspec.Struct, array_like=True):
    """All bars of one instrument; plain values that go into a checkpoint. It wants only ticks that passed the
    gate, in log order, and what it makes depends on nothing else."""

    minute: BarBuilder
    longer: list[Longer] = msgspec.field(default_factory=lambda: [Longer(minutes) for minutes in LONGER])
    from_ms: int = 0  # the first whole minute

    def on_tick(self, tick: Tick) -> list[Bar]:
        """The bars that this tick closes, the shortest first."""
        if self.from_ms:
            if bar_time(tick) < self.from_ms:
                self._pass(tick)
                return []
            self.from_ms = 0
        minutes = self.minute.on_tick(tick)
        if not minutes:
            return minutes
        bars = self._taken(minutes)
        for longer in self.longer:  # those that ended before the minute that the tick has opened
            if longer.ticks and longer.starts_ms + longer.minutes * MINUTE_MS <= self.minute.starts_ms:
                bars.append(longer.close(self.minute))
        return bars

    def _pass(self, tick: Tick) -> None:
        """What trades before the first whole minute is in no bar."""
        if tick.volume >= 0:
            self.minute.day, self.minute.day_volume = (tick.at_ms + IST_OFFSET_MS) // DAY_MS, tick.volume

    def on_clock(self, at_ms: int, calendar: Calendar) -> list[Bar]:
        """The bars that time has closed: their end, or the end of their session, has come."""
        bars: list[Bar] = []
        if self.minute.ticks:
            closes_ms = calendar.closes_ms(self.minute.starts_ms)
            bars = self._taken(self.minute.on_clock(at_ms, closes_ms=closes_ms))
        for longer in self.longer:
            if longer.ticks and at_ms >= longer.ends_ms(calendar.closes_ms(longer.starts_ms)):
                bars.append(longer.close(self.minute))
        return bars

    def open_bars(self) -> list[Bar]:
        """The bars in the making, the shortest first, as they would close now; the series stays as it is."""
        minute = self.minute.open_bar()
        bars = [minute] if minute else []
        for longer in map(copy, self.longer):
            if minute:
                longer.take(minute, self.minute.anchor_minutes)
            if longer.ticks:
                bars.append(longer.close(self.minute))
        return bars

    def _taken(self, minutes: Iterable[Bar]) -> list[Bar]:
        bars = []
        for minute in minutes:
            bars.append(minute)
            closed = (longer.take(minute, self.minute.anchor_minutes) for longer in self.longer)
            bars += [bar for bar in closed if bar is not None]
        return bars


def begun(instrument: str, token: int, anchor_minutes: int, gate: Gate | None) -> Series:
    """The series of an instrument from here on. Where ticks have passed its gate before, the bars in progress
    are left out: what is published is whole."""
    series = Series(BarBuilder(instrument=instrument, token=token, anchor_minutes=anchor_minutes))
    if gate is None or gate.last is None:
        return series
    seen_ms = max(gate.at_ms, bar_time(gate.last))
    series.from_ms = bucket(seen_ms, 1, anchor_minutes) + MINUTE_MS
    for longer in series.longer:
        longer.from_ms = bucket(seen_ms, longer.minutes, anchor_minutes) + longer.minutes * MINUTE_MS
    series.minute.day = gate.day
    series.minute.day_volume = max(gate.volume, 0)
    return series


class StreamState(GateBook):
    """What the tick stream remembers of a partition: gates, and the series of instruments in use by token."""

    series: dict[int, Series] = {}
    minute: int = 0  # of the last clock item that closed bars

    def on_minute(self, at_ms: int) -> bool:
        """Whether a clock item begins a minute: only then can it close bars, for all end on whole minutes."""
        minute = at_ms // MINUTE_MS
        if minute <= self.minute:
            return False
        self.minute = minute
        return True


def decode_state(raw: bytes) -> StreamState:
    """The state of `StreamState.encode`, also of a version without series. Raises msgspec.MsgspecError."""
    return msgspec.msgpack.decode(raw, type=StreamState)
