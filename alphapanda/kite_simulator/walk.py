"""A market by dice: prices follow from the seed, the instrument and the day; the same seed is the same market."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import date
from zlib import crc32

from alphapanda.core.clock import ist_date
from alphapanda.core.vocabulary import Phase
from alphapanda.kite_simulator.listing import Listing
from marketdata.domain.bars import MINUTE_MS, Bar
from marketdata.domain.calendar import Calendar
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.ticks import DEPTH_LEVELS, HAS_DEPTH, INDEX, Levels, Tick

SECOND_MS = 1_000
INDEX_TICK_E4 = 500
STEPS = (-2, -1, -1, 0, 0, 0, 1, 1, 2)  # ticks that a price moves at once
DRIFT_PERCENT = 5  # how far the first price of a day is from an instrument's own, at most
_BASES = {"EQ": (100, 3_000), "FUT": (100, 3_000), "CE": (50, 300), "PE": (50, 300)}  # rupees
_INDEX_BASE = (10_000, 30_000)

Batch = tuple[int, list[Tick]]  # a time and the ticks of it


class Walk:
    """The market of a seed: what prices were on any day, and ticks a second apart from a time on."""

    def __init__(self, listing: Listing, tokens: Iterable[int], *, seed: int) -> None:
        self.seed = seed
        self.tokens = list(tokens)
        self._listing = listing

    def opening_e4(self, token: int, day: date) -> int:
        """The first price of a day."""
        spec = self._listing.by_token[token]
        base_e4 = self._base_e4(spec)
        reach = max(base_e4 * DRIFT_PERCENT // 100 // _grid(spec), 1)
        return base_e4 + (self._dice(token, day.toordinal()) % (2 * reach + 1) - reach) * _grid(spec)

    def _base_e4(self, spec: InstrumentSpec) -> int:
        low, high = _INDEX_BASE if spec.is_index else _BASES.get(spec.instrument_type, _BASES["EQ"])
        rupees = low + self._dice(spec.token, 0) % (high - low)
        return rupees * 10_000 // _grid(spec) * _grid(spec)

    def _dice(self, *parts: int) -> int:
        return crc32(":".join(map(str, (self.seed, *parts))).encode())

    def batches(self, from_ms: int) -> Iterator[Batch]:
        """Ticks of all instruments that trade, second by second without end; nothing while markets are closed."""
        walkers = [self._walker(token) for token in self.tokens]
        at_ms = from_ms - from_ms % SECOND_MS + SECOND_MS
        while True:
            ticks = [walker.tick(at_ms) for walker in walkers if walker.trades(at_ms)]
            if ticks:
                yield at_ms, ticks
            at_ms += SECOND_MS if ticks else MINUTE_MS - at_ms % MINUTE_MS

    def _walker(self, token: int) -> _Walker:
        return _Walker(self, self._listing.by_token[token], self._listing.calendar(token))

    def minutes(self, token: int, day: date) -> list[Bar]:
        """The bars of a day's minutes, from its first price to that of the day after; none on a holiday."""
        spec, calendar = self._listing.by_token[token], self._listing.calendar(token)
        session = calendar.session(day)
        if session is None:
            return []
        starts = range(session.opens_ms, session.closes_ms, MINUTE_MS)
        next_day = ist_date(calendar.next_open_ms(session.closes_ms))
        first_e4, last_e4 = self.opening_e4(token, day), self.opening_e4(token, next_day)
        chance = random.Random(self._dice(token, day.toordinal(), 1))
        bars, open_e4 = [], first_e4
        for number, starts_ms in enumerate(starts, start=1):
            line_e4 = first_e4 + (last_e4 - first_e4) * number // len(starts)
            bars.append(_minute(spec, starts_ms, open_e4, line_e4, chance))
            open_e4 = bars[-1].close_e4
        return bars


def _minute(spec: InstrumentSpec, starts_ms: int, open_e4: int, line_e4: int, chance: random.Random) -> Bar:
    grid = _grid(spec)
    close_e4 = max(line_e4 // grid * grid + chance.choice(STEPS) * grid, grid)
    high_e4 = max(open_e4, close_e4) + chance.randrange(3) * grid
    low_e4 = max(min(open_e4, close_e4) - chance.randrange(3) * grid, grid)
    volume = 0 if spec.is_index else chance.randrange(1, 500) * max(spec.lot_size, 1)
    return Bar(spec.key, spec.token, starts_ms, 1, open_e4, high_e4, low_e4, close_e4, volume, 1)


class _Walker:
    """One instrument on its way."""

    def __init__(self, walk: Walk, spec: InstrumentSpec, calendar: Calendar) -> None:
        self._walk = walk
        self._spec = spec
        self._calendar = calendar
        self._day = date.min
        self._price_e4 = self._volume = self._turnover = 0
        self._chance = random.Random()

    def trades(self, at_ms: int) -> bool:
        return self._calendar.phase_at(at_ms) is Phase.CONTINUOUS

    def tick(self, at_ms: int) -> Tick:
        self._begin(ist_date(at_ms))
        spec, chance, grid = self._spec, self._chance, _grid(self._spec)
        self._price_e4 = max(self._price_e4 + chance.choice(STEPS) * grid, 10 * grid)
        if spec.is_index:
            return Tick(spec.token, at_ms, at_ms, at_ms, self._price_e4, 0, 0, 0, 0, 0, 0, INDEX)
        lot = max(spec.lot_size, 1)
        quantity = chance.randrange(1, 100) * lot
        self._volume += quantity
        self._turnover += quantity * self._price_e4
        bids, asks = self._levels(-grid, lot), self._levels(grid, lot)
        return Tick(
            spec.token,
            at_ms,
            at_ms,
            at_ms,
            self._price_e4,
            quantity,
            self._volume,
            0,
            self._turnover // self._volume,
            sum(size for _, size in bids),
            sum(size for _, size in asks),
            HAS_DEPTH,
            bids,
            asks,
        )

    def _begin(self, day: date) -> None:
        if day == self._day:
            return
        self._day = day
        self._price_e4 = self._walk.opening_e4(self._spec.token, day)
        self._volume = self._turnover = 0
        self._chance.seed(f"{self._walk.seed}:{self._spec.token}:{day}")

    def _levels(self, step_e4: int, lot: int) -> Levels:
        away = range(1, DEPTH_LEVELS + 1)
        return tuple((self._price_e4 + n * step_e4, self._chance.randrange(1, 200) * lot) for n in away)


def _grid(spec: InstrumentSpec) -> int:
    return spec.tick_size_e4 or INDEX_TICK_E4
