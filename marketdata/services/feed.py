"""Publish a source to market.ticks: packed, paced, resumable, no further ahead than the log can hold."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from alphapanda import failpoints
from alphapanda.eventlog import cursors
from alphapanda.eventlog.topics import MARKET_TICKS
from marketdata.domain.bars import MINUTE_MS
from marketdata.domain.ticks import FIRST_SEQ, Clock, Item, MalformedTicks, Rows, pack, pack_rows, unpack
from marketdata.feeds.recorded import RecordedSource
from marketdata.feeds.synthetic import SyntheticSource

BATCH_ITEMS = 500
# What an embedded log surely holds: it drops its oldest beyond about 5 MiB a partition; so many items are
# 4.4 MB when all carry depth and nothing compresses.
LEAD_ITEMS = 20_000
BATCH_WAIT_S = 0.005
FLUSH_TIMEOUT_S = 30.0
_LEAD_POLL_S = 0.02
_SLEEP_S_MAX = 0.25
_TAIL_MESSAGES = 64  # of a partition, searched for the last one of this source
_READ_TIMEOUT_S = 5.0


class Producer(Protocol):
    """What the feed wants of alphapanda.eventlog.client.LogProducer."""

    def produce(self, topic: str, value: bytes, *, key: bytes, partition: int) -> None: ...
    def flush(self, timeout_s: float) -> None: ...


class Message(Protocol):
    """A record read from the log."""

    @property
    def value(self) -> bytes: ...
    @property
    def offset(self) -> int: ...


class Reader(Protocol):
    """What resuming wants of alphapanda.eventlog.client.LogReader."""

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]: ...
    def assign(self, topic: str, offsets: Mapping[int, int]) -> None: ...
    def poll(self, *, messages_max: int, timeout_s: float) -> Iterable[Message]: ...


class Wall(Protocol):
    """The clock of the process that runs the feed."""

    def now_ms(self) -> int: ...
    def monotonic(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a feed has come: items published, the number of the last one, and its time."""

    published: int
    seq: int
    at_ms: int


class Publisher:
    """Collects items by partition and sends them as messages of at most `batch_items`; items that a
    partition already has (`tails`) are left out."""

    def __init__(
        self,
        producer: Producer,
        *,
        source: int,
        partitions: Mapping[int, int],
        tails: Mapping[int, int],
        wall: Wall,
        batch_items: int = BATCH_ITEMS,
    ) -> None:
        self._producer = producer
        self._source = source
        self._partition_of = partitions
        self._wall = wall
        self._batch_items = batch_items
        self.sent = dict(tails)  # the highest seq of each partition
        self._seqs: dict[int, list[int]] = {partition: [] for partition in tails}
        self._items: dict[int, list[Item]] = {partition: [] for partition in tails}

    def add(self, seq: int, item: Item) -> None:
        """Take the next item; a partition that is full is sent."""
        if isinstance(item, Clock):
            for partition in self._items:
                self._add(partition, seq, item)
        else:
            self._add(self._partition_of[item.token], seq, item)

    def send(self) -> None:
        """Send what has been collected."""
        for partition in self._items:
            self._send(partition)

    def _add(self, partition: int, seq: int, item: Item) -> None:
        if seq <= self.sent[partition]:
            return
        items = self._items[partition]
        items.append(item)
        self._seqs[partition].append(seq)
        if len(items) >= self._batch_items:
            self._send(partition)

    def _send(self, partition: int) -> None:
        items, seqs = self._items[partition], self._seqs[partition]
        if not items:
            return
        raw = pack(items, source=self._source, first_seq=seqs[0], seqs=seqs, received_ms=self._wall.now_ms())
        _produce(self._producer, partition, raw)
        self.sent[partition] = seqs[-1]
        items.clear()
        seqs.clear()


class RowPublisher:
    """Publishes the ticks of a live source, which come in rows, each to the partition of its token; clock items go to
    all `partitions`. Its numbers go on from `first_seq`."""

    def __init__(
        self,
        producer: Producer,
        *,
        source: int,
        first_seq: int,
        partitions: int,
        wall: Wall,
        batch_items: int = BATCH_ITEMS,
    ) -> None:
        self._producer = producer
        self._source = source
        self._seq = first_seq
        self._partitions = partitions
        self._wall = wall
        self._batch_items = batch_items
        self.route({})

    def route(self, partitions: Mapping[int, int]) -> None:
        """Take ticks of these tokens, to these partitions, from now on."""
        tokens = sorted(partitions)
        self._tokens = np.array([*tokens, 0], np.uint32)  # the last is nobody's
        self._homes = np.array([partitions[token] for token in tokens], np.int64)

    def rows(self, rows: Rows) -> int:
        """Publish the ticks whose tokens are routed; returns how many."""
        tokens = rows.records["token"]
        places = np.searchsorted(self._tokens[:-1], tokens)
        known = np.flatnonzero(self._tokens[places] == tokens)
        homes = self._homes[places[known]]
        for partition in np.unique(homes).tolist():
            chosen = known[homes == partition]
            for start in range(0, len(chosen), self._batch_items):
                self._send(partition, rows.at(chosen[start : start + self._batch_items]))
        return len(known)

    def clock(self, at_ms: int) -> None:
        """Publish that a time has come."""
        raw = pack([Clock(at_ms, self._wall.now_ms())], source=self._source, first_seq=self._seq)
        self._seq += 1
        for partition in range(self._partitions):
            _produce(self._producer, partition, raw)

    def _send(self, partition: int, rows: Rows) -> None:
        raw = pack_rows(rows, source=self._source, first_seq=self._seq)
        self._seq += len(rows.records)
        _produce(self._producer, partition, raw)


def _produce(producer: Producer, partition: int, raw: bytes) -> None:
    """A message of ticks to its partition."""
    failpoints.hit("feed.before_produce")
    producer.produce(MARKET_TICKS, raw, key=str(partition).encode(), partition=partition)
    failpoints.hit("feed.after_produce")


class Heard(NamedTuple):
    """The highest number of a source in the log, and when its newest item was received; 0: none."""

    seq: int
    received_ms: int


def heard(reader: Reader, *, source: int, partitions: Iterable[int]) -> Heard:
    """What the ends of the partitions hold of a source."""
    found = [_tail(reader, source, partition) for partition in partitions]
    return Heard(max(one.seq for one in found), max(one.received_ms for one in found))


_NOTHING = Heard(FIRST_SEQ - 1, 0)


def live_first_seq(found: Heard, *, now_ms: int) -> int:
    """Where a live source goes on. It has no places to go back to, so its numbers follow the time: they rise over
    restarts and new incarnations of the log alike, a thousand a millisecond, and are above what the log holds."""
    return max(now_ms * 1_000, found.seq + 1)


def consumed(source: int) -> dict[int, int]:
    """The seq of a source up to which every consumer of market.ticks is done, by partition."""
    return cursors.slowest(MARKET_TICKS, source=source)


def tails(reader: Reader, *, source: int, partitions: Iterable[int]) -> dict[int, int]:
    """The highest seq of a source that each partition of the log holds; FIRST_SEQ - 1 for none."""
    return {partition: _tail(reader, source, partition).seq for partition in partitions}


def first_seq(source: RecordedSource, *, tails: Mapping[int, int], done: Mapping[int, int]) -> int:
    """Where a recorded source goes on: after what every partition of the log holds; on a log that holds
    nothing of it (a new incarnation), after what every consumer has done, so that nothing is lost."""
    if any(seq >= FIRST_SEQ for seq in tails.values()):
        return min(tails.values()) + 1
    start = max(FIRST_SEQ, min(done.get(partition, 0) for partition in tails) + 1)
    # files of the same name may have become shorter
    return start if start <= source.last_seq + 1 else FIRST_SEQ


class RecordedFeed:
    """Plays a recorded source into the log until it ends or `stop` is set."""

    def __init__(
        self,
        source: RecordedSource,
        publisher: Publisher,
        *,
        wall: Wall,
        stop: threading.Event,
        done: Callable[[], Mapping[int, int]] | None = None,
        lead_items: int = LEAD_ITEMS,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._publisher = publisher
        self._wall = wall
        self._stop = stop
        self._done = done or partial(consumed, source.source)
        self._lead_items = lead_items
        self._progress = progress
        self._may_reach = 0  # the seq up to which the consumers let us go

    def play(self, start: int, *, speed: float) -> bool:
        """Publish from number `start` on at `speed` times real time (inf: as fast as the consumers follow).
        Returns whether the recording came to its end. What was collected is sent in any case."""
        due_s = _due_s(self._source.times_from(start), speed)
        began = self._wall.monotonic()
        items = self._source.iter_from(start)
        seq = start
        while not self._stop.is_set() and seq <= self._source.last_seq:
            self._wait_for_consumers(seq)
            elapsed = self._wall.monotonic() - began + BATCH_WAIT_S
            ready = int(np.searchsorted(due_s, elapsed, side="right")) + start
            until = max(seq, min(ready, seq + BATCH_ITEMS, self._may_reach + 1))
            for item in islice(items, until - seq):
                self._publisher.add(seq, item)
                seq += 1
            if ready <= seq <= self._source.last_seq:
                self._publisher.send()
                self._stop.wait(min(max(0.0, due_s[seq - start] - elapsed), _SLEEP_S_MAX))
            self._progress(Progress(seq - start, seq - 1, self._source.time_of(seq - 1)))
        self._publisher.send()
        return seq > self._source.last_seq

    def _wait_for_consumers(self, seq: int) -> None:
        if not self._lead_items:
            self._may_reach = self._source.last_seq
        while seq > self._may_reach and not self._stop.is_set():
            self._may_reach = self._floor(seq) + self._lead_items
            if seq > self._may_reach:
                self._publisher.send()
                self._stop.wait(_LEAD_POLL_S)

    def _floor(self, seq: int) -> int:
        """The number up to which all is consumed. A partition whose last item is done holds nobody up,
        however long ago that item was."""
        done = self._done()
        behind = [
            done.get(partition, 0)
            for partition, sent in self._publisher.sent.items()
            if done.get(partition, 0) < sent
        ]
        return min(behind, default=seq - 1)


def play_synthetic(
    source: SyntheticSource, producer: Producer, *, wall: Wall, stop: threading.Event, speed: float
) -> int:
    """Publish a synthetic source until `stop` is set; returns how many items were sent."""
    began, sent = wall.monotonic(), 0
    while not stop.is_set():
        for message in source.round(received_ms=wall.now_ms()):
            ahead_s = message.due_ms / 1_000 / speed - (wall.monotonic() - began)
            if ahead_s > 0:
                stop.wait(ahead_s)
            producer.produce(
                MARKET_TICKS, message.raw, key=str(message.partition).encode(), partition=message.partition
            )
            sent += message.items
    return sent


def _due_s(times: npt.NDArray[np.int64], speed: float) -> npt.NDArray[np.float64]:
    """Seconds after the start at which each item is due. Clock items stand at every minute of a session, so a
    longer step is a night or a weekend: it is played as a minute."""
    steps = np.minimum(np.diff(times, prepend=times[:1]), MINUTE_MS)
    return np.cumsum(steps) / 1_000 / speed


def _tail(reader: Reader, source: int, partition: int) -> Heard:
    low, high = reader.watermarks(MARKET_TICKS, partition)
    offset, found = max(low, high - _TAIL_MESSAGES), _NOTHING
    if offset >= high:
        return found
    reader.assign(MARKET_TICKS, {partition: offset})
    while offset < high:
        records = list(reader.poll(messages_max=_TAIL_MESSAGES, timeout_s=_READ_TIMEOUT_S))
        if not records:
            break
        for record in records:
            offset = record.offset + 1
            found = max(found, _last_of(record.value, source))
    return found


def _last_of(raw: bytes, source: int) -> Heard:
    try:
        batch = unpack(raw)
    except MalformedTicks:
        return _NOTHING
    return (
        Heard(batch.last_seq, batch.item(batch.count - 1).received_ms) if batch.source == source else _NOTHING
    )
