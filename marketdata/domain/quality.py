"""The quality gate: which ticks may reach a decision, and why the others may not.

Every reason looks only at the log: the tick, the ticks accepted before it, the calendar, and the clock items.
The receiver's wall clock plays no part, so a replay refuses the same ticks.
"""

from __future__ import annotations

import msgspec
import numpy as np

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS
from alphapanda.core.vocabulary import Phase, TickFault
from marketdata.domain.calendar import EARLIEST_MS, LATEST_MS, Calendar
from marketdata.domain.stretch import FIELDS, Bools, Longs, Stretch
from marketdata.domain.ticks import NOT_FINITE, Tick

# A stamp further ahead of the last clock item than this is a fault, so that one stamp from the future shuts
# out two minutes at most. So a feed must send clock items in every minute of a session, whatever else it
# sends. (Recorded ones do; a recorder's clock was seen 5 s behind the exchange.)
AHEAD_MS_MAX = 120_000
# So many ticks in a row, each at or above the one before, prove that a higher volume was the mistake. In 13
# files of recorded ticks (283,000 rows) no two falling volumes ever followed each other.
FALLING_RUN = 5
_COMPARED = [number for number, name in enumerate(FIELDS) if name != "received_ms"]


class Gate(msgspec.Struct):
    """What the gate remembers of one instrument; plain values that go into a checkpoint."""

    at_ms: int = 0  # of the last accepted tick
    last: Tick | None = None  # the last accepted tick
    volume: int = -1  # last known of `day`; -1: unknown
    day: int = 0  # IST day number of the last accepted tick
    falling: int = 0  # refused falling volumes in a row
    fallen_to: int = 0  # the last of them

    def check(self, tick: Tick, calendar: Calendar, *, clock_ms: int = 0) -> TickFault | None:
        """Why a tick must not pass, None when it may; changes nothing. The first reason in this order counts:
        BAD_STAMP, NOT_A_TRADING_DAY, OUT_OF_SESSION, BAD_STAMP again (too far ahead of `clock_ms`, the last
        clock item; 0: none yet), NON_FINITE_PRICE, NON_POSITIVE_PRICE, BACKWARD_TIME, DUPLICATE,
        FALLING_VOLUME."""
        at_ms = tick.at_ms
        if not EARLIEST_MS <= at_ms < LATEST_MS:
            return TickFault.BAD_STAMP
        if calendar.phase_at(at_ms) is not Phase.CONTINUOUS:
            has_session = calendar.has_session(at_ms)
            return TickFault.OUT_OF_SESSION if has_session else TickFault.NOT_A_TRADING_DAY
        if clock_ms and at_ms > clock_ms + AHEAD_MS_MAX:
            return TickFault.BAD_STAMP
        if tick.flags & NOT_FINITE:
            return TickFault.NON_FINITE_PRICE
        if tick.price_e4 <= 0:
            return TickFault.NON_POSITIVE_PRICE
        return self._against_last(tick)

    def accept(self, tick: Tick) -> None:
        """Remember a tick that passed."""
        day = (tick.at_ms + IST_OFFSET_MS) // DAY_MS
        if tick.volume >= 0 or day != self.day:
            self.volume = tick.volume
        self.at_ms, self.day, self.falling = tick.at_ms, day, 0
        self.last = tick

    def refuse(self, tick: Tick, fault: TickFault) -> None:
        """Remember a tick that did not pass: only a run of falling volumes matters later."""
        if fault is TickFault.FALLING_VOLUME:
            self.falling = self.falling + 1 if tick.volume >= self.fallen_to else 1
            self.fallen_to = tick.volume

    def judge(self, tick: Tick, calendar: Calendar, *, clock_ms: int = 0) -> TickFault | None:
        """Check a tick and remember the verdict."""
        fault = self.check(tick, calendar, clock_ms=clock_ms)
        if fault is None:
            self.accept(tick)
        else:
            self.refuse(tick, fault)
        return fault

    def judge_all(
        self, stretch: Stretch, places: Longs, calendar: Calendar, *, clock_ms: Longs
    ) -> dict[int, TickFault]:
        """Judge the ticks at these places of a stretch as `judge` would one by one; `clock_ms` is the last clock
        item before each. Returns the faults by place. Only ticks that may be faulty are looked at singly."""
        good = surely_good(stretch.columns[:, places], calendar, clock_ms=clock_ms)
        good[:1] = False  # there is a tick before the stretch, too
        faults: dict[int, TickFault] = {}
        known = 0  # ticks that are remembered
        for number in np.flatnonzero(~good).tolist():
            if number < known:
                continue
            if number > known:
                self._accept_at(stretch, places[number - 1])
            known = self._judge_from(number, stretch, places, calendar, clock_ms, faults)
        if known < len(places):
            self._accept_at(stretch, places[-1])
        return faults

    def _judge_from(
        self,
        number: int,
        stretch: Stretch,
        places: Longs,
        calendar: Calendar,
        clock_ms: Longs,
        faults: dict[int, TickFault],
    ) -> int:
        """Judge one by one up to the first tick that passes. Returns the number of the tick after it."""
        while number < len(places):
            place = int(places[number])
            tick = stretch.item(place)
            assert isinstance(tick, Tick)
            fault = self.judge(tick, calendar, clock_ms=int(clock_ms[number]))
            number += 1
            if fault is None:
                break
            faults[place] = fault
        return number

    def _accept_at(self, stretch: Stretch, place: int) -> None:
        tick = stretch.item(int(place))
        assert isinstance(tick, Tick)
        self.accept(tick)

    def _is_twin(self, tick: Tick) -> bool:
        """Whether a tick says what the last one said; when each was received does not count."""
        return self.last is not None and tick == self.last._replace(received_ms=tick.received_ms)

    def _against_last(self, tick: Tick) -> TickFault | None:
        if tick.at_ms < self.at_ms:
            return TickFault.BACKWARD_TIME
        if tick.at_ms == self.at_ms and self._is_twin(tick):
            return TickFault.DUPLICATE
        if 0 <= tick.volume < self.volume and (tick.at_ms + IST_OFFSET_MS) // DAY_MS == self.day:
            is_proven = self.falling >= FALLING_RUN - 1 and tick.volume >= self.fallen_to
            return None if is_proven else TickFault.FALLING_VOLUME
        return None


def surely_good(ticks: Longs, calendar: Calendar, *, clock_ms: Longs) -> Bools:
    """Which of one instrument's ticks (columns as in a Stretch) pass the gate if the tick before each passed.
    That a tick is not among them says nothing: the rules, and all that is doubtful, are the Gate's."""
    at_ms, price_e4, volume, flags = (ticks[FIELDS.index(name)] for name in _LOOKED_AT)
    good: Bools = is_trading(at_ms, calendar) & ((clock_ms == 0) | (at_ms <= clock_ms + AHEAD_MS_MAX))
    good &= ((flags & NOT_FINITE) == 0) & (price_e4 > 0)
    day = (at_ms + IST_OFFSET_MS) // DAY_MS
    before, now = volume[:-1], volume[1:]
    rises = np.where(before < 0, now < 0, now >= before)
    good[1:] &= (at_ms[1:] >= at_ms[:-1]) & (rises | (day[1:] != day[:-1]))
    twins = np.flatnonzero(at_ms[1:] == at_ms[:-1]) + 1
    if len(twins):
        good[twins] &= (ticks[_COMPARED][:, twins] != ticks[_COMPARED][:, twins - 1]).any(axis=0)
    return good


_LOOKED_AT = ("at_ms", "price_e4", "volume", "flags")


def is_trading(at_ms: Longs, calendar: Calendar) -> Bools:
    """Which of these times lie in continuous trading."""
    day = (at_ms + IST_OFFSET_MS) // DAY_MS
    first_of_run = at_ms[np.flatnonzero(np.diff(day, prepend=-1))]
    spans = sorted({span for one in first_of_run.tolist() for span in calendar.trading(one)})
    edges = np.array([edge for span in spans for edge in span], np.int64)
    inside: Bools = np.searchsorted(edges, at_ms, side="right") % 2 == 1
    return inside


class GateBook(msgspec.Struct):
    """The gates of many instruments by token, and the last clock item."""

    gates: dict[int, Gate] = {}
    clock_ms: int = 0

    def on_clock(self, at_ms: int) -> None:
        """Time has come to `at_ms`; it never goes back."""
        self.clock_ms = max(self.clock_ms, at_ms)

    def judge(self, tick: Tick, calendar: Calendar) -> TickFault | None:
        """Check a tick at the gate of its instrument and remember the verdict."""
        gate = self.gates.get(tick.token)
        if gate is None:
            gate = self.gates[tick.token] = Gate()
        return gate.judge(tick, calendar, clock_ms=self.clock_ms)

    def encode(self) -> bytes:
        """All of it for a checkpoint; marketdata.domain.series.decode_state reads it back."""
        return msgspec.msgpack.encode(self)
