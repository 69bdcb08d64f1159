"""The synchronous core of the tick stream: log ranges to shards, marks and bars out, faulty ticks counted, poison set
aside."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F

from alphapanda import failpoints
from alphapanda.core.clock import to_ms
from alphapanda.eventlog import cursors, dead_letters, doorbell, gaps, outbox
from alphapanda.eventlog.client import Record
from alphapanda.push import readmodel
from marketdata import bars
from marketdata.bars import Hours, Wanted
from marketdata.domain.bars import Bar
from marketdata.domain.calendar import Calendar, MarketHours
from marketdata.domain.series import StreamState, decode_state
from marketdata.domain.ticks import Batch, Clock, MalformedTicks, unpack
from marketdata.models import TickFaultCount

CONSUMER = "tick_stream"
DOORBELLS_IN_FLIGHT_MAX = 4  # a shard; one more would tell it nothing new
STORE_EVERY_S = 0.5
PUSH_EVERY_S = 0.1  # screens are pushed each 0.25 s, and shall not wait as long again for what they show
PUSH_ALL_EVERY_S = 2.0  # prices of instruments that nobody uses
RATE_OVER_S = 2.0  # a slow feed sends a few messages a second: over one push it would read 0, 8, 0
SWEEP_EVERY_S = 0.5
RING_ALL_EVERY_S = 0.5
REFRESH_EVERY_S = 5.0  # which instruments are in use, and the hours of markets


class Poison:
    """A message that could not be decoded."""

    def __init__(self, record: Record, error: MalformedTicks) -> None:
        self.record = record
        self.error = error


class StreamCore:
    """State between polls. What it has not stored it does again: counts and cursor are one transaction."""

    def __init__(
        self,
        *,
        topic: str,
        shards: int,
        hours: Callable[[], tuple[MarketHours, Calendar]],
        incarnation: UUID,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        lag: Callable[[], int] = lambda: 0,
        feed: Mapping[str, str | float] | None = None,
    ) -> None:
        """`hours`: the calendars of all markets, and NSE's for tokens that nobody knows; `feed`: what screens say
        of where ticks come from; `lag`: how many messages are still to be read."""
        self.topic = topic
        self.shards = shards
        self.read_hours = hours
        self.hours = Hours(*hours())
        self.wanted = Wanted()
        self.bars: list[Bar] = []  # closed and not stored yet
        self.incarnation = incarnation
        self.clock = clock
        self.monotonic = monotonic
        self.lag = lag
        self.feed = feed or {}
        self.states: dict[int, StreamState] = {}
        self.offsets: dict[int, int] = {}
        self.stored: dict[int, int | None] = {}  # where our own cursor rows stand
        self.sources: dict[int, int] = {}
        self.seqs: dict[int, int] = {}  # in these sources
        self.faults: Counter[tuple[int, str]] = Counter()
        self.poison: list[Poison] = []
        self.marks: dict[int, tuple[int, int]] = {}
        self.items = 0
        self.at_ms = 0
        self.received_at_ms = 0
        self._rates: deque[tuple[float, int]] = deque()  # seconds and items of the last pushes
        self._credits = dict.fromkeys(range(shards), 0)  # doorbells that a shard's queue takes for sure
        self._is_idle = False
        self._making_told: set[int] = set()  # tokens on charts whose bars were written of late
        self._pushed_at = self._pushed_all_at = monotonic()
        self._stored_at = self._swept_at = self._rung_at = 0.0
        self._refreshed_at = monotonic()

    def load(self, watermarks: Mapping[int, tuple[int, int]]) -> dict[int, int]:
        """Offsets at which to read on: the stored cursors, or the log's first messages in another incarnation.
        A gap is told and passed."""
        self.wanted.refresh()
        for partition, (low, high) in watermarks.items():
            cursor = cursors.load(CONSUMER, self.topic, partition)
            self.stored[partition] = cursor.offset if cursor else None
            is_same = cursor is not None and cursor.incarnation == self.incarnation
            wanted = cursor.offset if cursor and is_same else low
            self.offsets[partition] = self._resumed(partition, wanted, low, high)
            self.sources[partition] = cursor.source if cursor else 0
            self.seqs[partition] = cursor.seq if cursor else -1
            state = bytes(cursor.state) if cursor else b""
            self.states[partition] = decode_state(state) if state else StreamState()
            self.at_ms = max(self.at_ms, self.states[partition].clock_ms)
            self._take_up(self.states[partition])
        return dict(self.offsets)

    def _resumed(self, partition: int, wanted: int, low: int, high: int) -> int:
        resumed = gaps.inside(wanted, low=low, high=high)
        if resumed != wanted:
            gaps.tell(
                CONSUMER,
                self.topic,
                partition,
                wanted=wanted,
                resumed=resumed,
                incarnation=self.incarnation,
                now=self.clock(),
            )
        return resumed

    def take(self, records: Sequence[Record]) -> None:
        """Take in one poll and ring the shards with the new ends of the log."""
        for record in records:
            self._take(record)
        if records:
            self.received_at_ms = to_ms(self.clock())
            failpoints.hit("stream.before_ring")
            self.ring()
        self.housekeeping()

    def _take(self, record: Record) -> None:
        if record.offset < self.offsets[record.partition]:
            return
        self.offsets[record.partition] = record.offset + 1
        try:
            batch = unpack(record.value, is_redriven=record.is_redriven)
        except MalformedTicks as error:
            self.poison.append(Poison(record, error))
            return
        self._watch(record.partition, batch)

    def _watch(self, partition: int, batch: Batch) -> None:
        state = self.states[partition]
        self._meet(state, batch)
        calendars, judge, marks, series = self.hours.by_token, state.judge, self.marks, state.series
        is_known = batch.source and batch.source == self.sources[partition]
        seen = self.seqs[partition] if is_known else -1
        is_overlap = batch.first_seq <= seen
        for number, item in enumerate(batch.items()):
            if is_overlap and batch.seq(number) <= seen:
                continue
            if isinstance(item, Clock):
                self.at_ms = max(self.at_ms, item.at_ms)
                state.on_clock(item.at_ms)
                bars.on_clock(state, item.at_ms, self.hours, self.bars)
                continue
            token, at_ms = item.token, item.at_ms
            fault = judge(item, calendars[token])
            if fault is not None:
                self.faults[token, fault.value] += 1
                continue
            if token in series:
                self.bars += series[token].on_tick(item)
            if at_ms > self.at_ms:
                self.at_ms = at_ms
            marks[token] = (item.price_e4, at_ms)
        self.items += batch.count
        if batch.source:
            self.sources[partition], self.seqs[partition] = batch.source, max(seen, batch.last_seq)

    def _meet(self, state: StreamState, batch: Batch) -> None:
        """Look up what is new in a message: hours of tokens, and which of them are to have bars."""
        tokens = batch.tokens.tolist()
        if not all(map(self.hours.by_token.__contains__, tokens)):
            self.hours.learn(tokens)
        if not self.wanted.instruments.keys().isdisjoint(tokens):
            self.wanted.begin(state, tokens)

    def _take_up(self, state: StreamState) -> None:
        """Go on with what is stored, for the instruments that are still in use."""
        self.wanted.end(state)
        self.hours.learn(state.series)

    def _refresh(self) -> None:
        """Look again at what others change: deployments, lists, and the hours of markets."""
        if self.bars:
            self.store()  # under the instruments for which they were made
        self.wanted.refresh()
        self.hours.refresh(*self.read_hours())
        for state in self.states.values():
            self._take_up(state)

    def _rate(self, seconds: float) -> float:
        """Items a second over the last pushes."""
        self._rates.append((seconds, self.items))
        while len(self._rates) > 1 and sum(s for s, _ in self._rates) - self._rates[0][0] >= RATE_OVER_S:
            self._rates.popleft()
        return sum(items for _, items in self._rates) / sum(s for s, _ in self._rates)

    def ring(self) -> None:
        """Ring every shard that has not enough doorbells in flight."""
        ends = {str(partition): offset for partition, offset in self.offsets.items()}
        for shard in range(self.shards):
            if self._may_ring(shard):
                self._credits[shard] -= 1
                doorbell.ring_shard(shard, partition_ends=ends)
        self._rung_at = self.monotonic()

    def _may_ring(self, shard: int) -> bool:
        """Whether the queue of a shard takes one more. It is looked at when what it could take last time is used up:
        looking costs as much as ringing."""
        if not self._credits[shard]:
            depth = doorbell.queue_depth(doorbell.shard_queue(shard))
            taken = DOORBELLS_IN_FLIGHT_MAX if depth is None else depth
            self._credits[shard] = max(0, DOORBELLS_IN_FLIGHT_MAX - taken)
        return bool(self._credits[shard])

    def housekeeping(self) -> None:
        """What is due by time: store, push marks, sweep, ring for shards that lost their doorbell."""
        now = self.monotonic()
        if now - self._stored_at >= STORE_EVERY_S:
            self.store()
            self._stored_at = now
        if now - self._pushed_at >= PUSH_EVERY_S:
            self._push(now - self._pushed_at)
            self._pushed_at = now
        if now - self._swept_at >= SWEEP_EVERY_S:
            doorbell.ring("execution.sweep")
            self._swept_at = now
        if now - self._rung_at >= RING_ALL_EVERY_S:
            self.ring()
        if now - self._refreshed_at >= REFRESH_EVERY_S:
            self._refresh()
            self._refreshed_at = now

    def store(self) -> None:
        """Counts, bars, dead letters and cursors, in one transaction."""
        with transaction.atomic():
            if not self.poison:
                outbox.commit_late()
            if self.bars:
                bars.bars_store(self.bars, self.wanted.instruments)
            for entry in self.poison:
                dead_letters.park(
                    consumer=CONSUMER,
                    record=entry.record,
                    reason=entry.error.reason,
                    error=entry.error,
                    incarnation=self.incarnation,
                )
            for (token, fault), count in sorted(self.faults.items()):
                row, _ = TickFaultCount.objects.get_or_create(instrument_token=token, fault=fault)
                TickFaultCount.objects.filter(id=row.id).update(count=F("count") + count)
            for partition, offset in self.offsets.items():
                cursors.advance(
                    CONSUMER,
                    self.topic,
                    partition,
                    expected_offset=self.stored[partition],
                    incarnation=self.incarnation,
                    offset=offset,
                    source=self.sources[partition],
                    seq=self.seqs[partition],
                    state=self.states[partition].encode(),
                )
            failpoints.hit("stream.before_commit")
        failpoints.hit("stream.after_commit")
        self.stored.update(self.offsets)
        self.poison.clear()
        self.faults.clear()
        self.bars.clear()

    def _push(self, seconds: float) -> None:
        """Marks are a hint for screens: while Redis is away they wait, the newest of each instrument.
        A stream that stands still says so once."""
        rate, self.items = self._rate(seconds), 0
        is_idle = not rate
        if is_idle and self._is_idle:
            return
        facts = dict(self.feed) | {"ticks_per_s": round(rate, 1), "lag": self.lag()}
        if self.at_ms:  # also of before a restart: a recording that is over says so
            facts["last_at_ms"] = self.at_ms
        if self.received_at_ms:
            facts["received_at_ms"] = self.received_at_ms
        try:
            charted = readmodel.charted()
            marks = self._marks_to_push(charted, is_idle=is_idle)
            readmodel.marks_write(marks)
            readmodel.making_write(self._making(charted, marks))
            readmodel.stream_write(**facts)
        except readmodel.ReadModelUnavailable:
            return
        for token in marks:
            del self.marks[token]
        self._is_idle = is_idle

    def _marks_to_push(self, charted: set[int], *, is_idle: bool) -> dict[int, tuple[int, int]]:
        """Those of instruments in use or on a chart; of all now and then, and when the stream comes to a stand."""
        now = self.monotonic()
        if is_idle or now - self._pushed_all_at >= PUSH_ALL_EVERY_S:
            self._pushed_all_at = now
            self._making_told.clear()
            return dict(self.marks)
        used = self.wanted.instruments
        return {token: mark for token, mark in self.marks.items() if token in used or token in charted}

    def _making(self, charted: set[int], moved: Container[int]) -> dict[int, list[tuple[int, ...]]]:
        """The bars in the making of instruments that are on a chart, where they moved; of all now and then, and of who
        has just been put on one."""
        due = {token for token in charted if token in moved or token not in self._making_told}
        self._making_told = charted
        return {
            token: [_written(bar) for bar in state.series[token].open_bars()]
            for state in self.states.values()
            for token in due & state.series.keys()
        }


def _written(bar: Bar) -> tuple[int, ...]:
    prices = bar.open_e4, bar.high_e4, bar.low_e4, bar.close_e4
    return (bar.minutes, bar.starts_ms, *prices, bar.volume)
