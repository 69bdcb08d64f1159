"""The simulator's market: a recorded session, a seeded walk or the platform's log, told in the simulator's time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from alphapanda.core.clock import DAY_MS, ist_date
from alphapanda.core.vocabulary import Phase
from alphapanda.kite_simulator.clock import SimClock
from alphapanda.kite_simulator.listing import Listing
from alphapanda.kite_simulator.walk import Batch, Walk
from marketdata.domain.bars import Bar, BarBuilder
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.markets import anchor_minutes
from marketdata.domain.ticks import NOT_FINITE, Tick
from marketdata.feeds.recorded import RecordedSource
from strategies.domain.signals import Mark

QUEUED_BATCHES = 10_000  # what a subscriber may fall behind; then its oldest batches are dropped


@dataclass(slots=True)
class DayPrices:
    """The day so far of one instrument, in 1/10,000 rupee; `close_e4` is that of the day before (0: unknown)."""

    day: date
    open_e4: int
    high_e4: int
    low_e4: int
    close_e4: int
    oi_high: int = 0
    oi_low: int = 0

    def see(self, tick: Tick) -> None:
        self.high_e4 = max(self.high_e4, tick.price_e4)
        self.low_e4 = min(self.low_e4, tick.price_e4)
        self.oi_high = max(self.oi_high, tick.oi)
        self.oi_low = min(self.oi_low or tick.oi, tick.oi)


class Market:
    """What the simulator's instruments trade at. `step` tells what is due, in order; between steps nothing changes."""

    def __init__(
        self,
        listing: Listing,
        tokens: Collection[int],
        batches: Iterator[Batch],
        clock: SimClock,
        *,
        past: Walk | None = None,
    ) -> None:
        """`past`: what was before the first tick, where the market has a past."""
        self.days: dict[int, DayPrices] = {}
        self.past = past
        self._listing = listing
        self._tokens = frozenset(tokens)
        self._batches = batches
        self._clock = clock
        self._last: dict[int, Tick] = {}
        self._before_e4: dict[int, int] = {}
        self._minutes: dict[int, list[Bar]] = {}
        self._builders: dict[int, BarBuilder] = {}
        self._queues: set[asyncio.Queue[list[Tick]]] = set()
        self._next = next(batches, None)

    def close(self) -> None:
        """No tick comes any more."""
        self._next = None

    def tokens(self) -> Collection[int]:
        return self._tokens

    def last(self, token: int) -> Tick | None:
        """The last tick of an instrument."""
        return self._last.get(token)

    def now_ms(self) -> int:
        """The simulator's clock."""
        return self._clock.now_ms()

    def spec(self, token: int) -> InstrumentSpec:
        """Raises KeyError for an unknown token."""
        return self._listing.by_token[token]

    def square_off_ms(self, token: int, at_ms: int) -> int | None:
        """When the broker closes intraday positions of the day; None on a day without a session."""
        return self._listing.calendar(token).square_off_ms(at_ms)

    async def ticks(self) -> AsyncIterator[list[Tick]]:
        """All batches from now on."""
        queue: asyncio.Queue[list[Tick]] = asyncio.Queue()
        self._queues.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)

    @property
    def next_ms(self) -> int | None:
        """When the next ticks are due; None where the market has come to its end."""
        return self._next[0] if self._next else None

    def step(self) -> list[Tick]:
        """Take in the ticks that are due next."""
        due, self._next = self._next, next(self._batches, None)
        return self.take(due[1]) if due else []

    def take(self, told: Iterable[Tick]) -> list[Tick]:
        """Ticks that are the last ones from now on; those of no instrument that is known and that state no price are
        left out."""
        ticks = [
            tick
            for tick in told
            if tick.token in self._tokens and not tick.flags & NOT_FINITE and tick.price_e4 > 0
        ]
        for tick in ticks:
            self._see(tick)
        for queue in self._queues if ticks else ():
            if queue.qsize() >= QUEUED_BATCHES:
                queue.get_nowait()
            queue.put_nowait(ticks)
        return ticks

    def _see(self, tick: Tick) -> None:
        day, before = ist_date(tick.at_ms), self._last.get(tick.token)
        known = self.days.get(tick.token)
        if known is None or known.day != day:
            close_e4 = before.price_e4 if before else self._close_before_e4(tick.token, day)
            price_e4 = tick.price_e4
            self.days[tick.token] = DayPrices(day, price_e4, price_e4, price_e4, close_e4, tick.oi, tick.oi)
        else:
            known.see(tick)
        self._before_e4[tick.token] = before.price_e4 if before else 0
        self._last[tick.token] = tick
        self._minutes.setdefault(tick.token, []).extend(self._builder(tick.token).on_tick(tick))

    def _close_before_e4(self, token: int, day: date) -> int:
        """A walk goes from each day's first price to that of the next."""
        return self.past.opening_e4(token, day) if self.past else 0

    def _builder(self, token: int) -> BarBuilder:
        if token not in self._builders:
            spec = self._listing.by_token[token]
            builder = BarBuilder(spec.key, token, anchor_minutes=anchor_minutes(spec.exchange))
            self._builders[token] = builder
        return self._builders[token]

    def minutes(self, token: int) -> list[Bar]:
        """The minutes that this simulator has told, the one at work too."""
        open_one = self._builders.get(token)
        rest = [_so_far(open_one)] if open_one and open_one.ticks else []
        return [*self._minutes.get(token, ()), *rest]

    def mark(self, token: int) -> Mark | None:
        """The last price of an instrument as orders see it."""
        tick, day = self._last.get(token), self.days.get(token)
        if tick is None or day is None:
            return None
        return Mark(tick.price_e4, tick.at_ms, day.close_e4, self._before_e4[token])

    def marks(self) -> Mapping[int, Mark]:
        """The last prices of all instruments that have one."""
        return {token: mark for token in self._last if (mark := self.mark(token))}


def _so_far(one: BarBuilder) -> Bar:
    prices = (one.open_e4, one.high_e4, one.low_e4, one.close_e4)
    return Bar(one.instrument, one.token, one.starts_ms, 1, *prices, one.volume, one.ticks)


def recorded_batches(source: RecordedSource, *, days: int = 0) -> Iterator[Batch]:
    """The ticks of a recording in its own order and time, those of one time together; so many days later."""
    together: list[Tick] = []
    since_ms = 0
    for at_ms, item in zip((source.times_from() + days * DAY_MS).tolist(), source.iter_from(), strict=True):
        if together and at_ms != since_ms:
            yield since_ms, together
            together = []
        since_ms = at_ms
        if isinstance(item, Tick):
            together.append(_later(item, days * DAY_MS, received_ms=at_ms))
    if together:
        yield since_ms, together


def _later(tick: Tick, by_ms: int, *, received_ms: int) -> Tick:
    traded_ms = tick.traded_at_ms + by_ms if tick.traded_at_ms else 0
    return tick._replace(at_ms=tick.at_ms + by_ms, traded_at_ms=traded_ms, received_ms=received_ms)


def opening_ms(listing: Listing, tokens: Collection[int], now_ms: int) -> int:
    """Now where an instrument trades now, else when the first of them trades next."""
    calendars = [listing.calendar(token) for token in tokens]
    if any(calendar.phase_at(now_ms) is Phase.CONTINUOUS for calendar in calendars):
        return now_ms
    return min(calendar.next_open_ms(now_ms) for calendar in calendars)
