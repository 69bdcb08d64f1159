"""The feed against a log in memory: nothing lost, nothing twice, paced, never too far ahead."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import uuid4

import numpy as np
import pytest

from alphapanda.eventlog.models import LogCursor
from alphapanda.eventlog.topics import MARKET_TICKS
from marketdata.domain.calendar import Calendar
from marketdata.domain.ticks import FIRST_SEQ, Clock, Item, unpack
from marketdata.feeds.recorded import RecordedSource
from marketdata.feeds.synthetic import SyntheticSource
from marketdata.reference import SHIPPED_FILES, YESBANK_FILES
from marketdata.services import feed
from tests.marketdata.helpers import at, source

RECEIVED_MS = 1_795_000_000_000


class Record(NamedTuple):
    value: bytes
    offset: int


@dataclass
class Log:
    """A producer and a reader of one topic in memory."""

    partitions: dict[int, list[bytes]] = field(default_factory=dict)
    place: tuple[int, int] = (0, 0)

    def produce(self, topic: str, value: bytes, *, key: bytes, partition: int) -> None:
        assert (topic, key) == (MARKET_TICKS, str(partition).encode())
        self.partitions.setdefault(partition, []).append(value)

    def flush(self, timeout_s: float) -> None:
        raise NotImplementedError

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, len(self.partitions.get(partition, []))

    def assign(self, topic: str, offsets: Mapping[int, int]) -> None:
        [self.place] = offsets.items()

    def poll(self, *, messages_max: int, timeout_s: float) -> Iterable[Record]:
        partition, offset = self.place
        values = self.partitions[partition][offset : offset + 3]
        self.place = partition, offset + len(values)
        return [Record(value, offset + n) for n, value in enumerate(values)]

    def items(self, partition: int = 0) -> list[tuple[int, Item]]:
        batches = [unpack(value) for value in self.partitions.get(partition, [])]
        return [(batch.seq(n), item) for batch in batches for n, item in enumerate(batch.items())]


class Wall:
    """Time stands still unless a test lets it pass."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now_ms(self) -> int:
        return RECEIVED_MS

    def monotonic(self) -> float:
        return self.seconds


class Stop(threading.Event):
    """A stop flag on which waiting makes the wall clock go on."""

    def __init__(self, wall: Wall) -> None:
        super().__init__()
        self.wall = wall

    def wait(self, timeout: float | None = None) -> bool:
        self.wall.seconds += timeout or 0.0
        return self.is_set()


def player(
    stream: RecordedSource,
    log: Log,
    *,
    wall: Wall | None = None,
    stop: Stop | None = None,
    partitions: int = 1,
    lead: int = 0,
    done: Mapping[int, int] | None = None,
    progress: object = None,
) -> feed.RecordedFeed:
    wall = wall or Wall()
    tails = feed.tails(log, source=stream.source, partitions=range(partitions))
    publisher = feed.Publisher(
        log,
        source=stream.source,
        partitions={1: 0, 2: partitions - 1},
        tails=tails,
        wall=wall,
        batch_items=100,
    )
    return feed.RecordedFeed(
        stream,
        publisher,
        wall=wall,
        stop=stop or Stop(wall),
        done=lambda: done or {},
        lead_items=lead,
        **({"progress": progress} if progress else {}),
    )


@pytest.fixture(scope="module")
def yesbank(nse: Calendar) -> RecordedSource:
    return source(YESBANK_FILES, nse)


@pytest.fixture(scope="module")
def shipped(nse: Calendar) -> RecordedSource:
    return source(SHIPPED_FILES, nse)


def test_all_is_published_once_in_order(yesbank: RecordedSource) -> None:
    log = Log()
    assert player(yesbank, log).play(FIRST_SEQ, speed=math.inf)
    expected = [item._replace(received_ms=RECEIVED_MS) for item in yesbank.iter_from()]
    assert log.items() == list(enumerate(expected, FIRST_SEQ))
    assert max(unpack(value).count for value in log.partitions[0]) == 100


def test_ticks_go_to_the_partition_of_their_instrument_and_clock_items_to_all(
    shipped: RecordedSource,
) -> None:
    log = Log()
    player(shipped, log, partitions=3).play(FIRST_SEQ, speed=math.inf)
    clocks = [(seq, item) for seq, item in log.items(1)]
    assert all(isinstance(item, Clock) for _, item in clocks)
    assert {item.token for _, item in log.items(0) if not isinstance(item, Clock)} == {1}
    assert {item.token for _, item in log.items(2) if not isinstance(item, Clock)} == {2}
    seqs = sorted(seq for p in range(3) for seq, item in log.items(p) if not isinstance(item, Clock))
    assert sorted(seqs + [seq for seq, _ in clocks]) == list(range(1, shipped.last_seq + 1))


@pytest.mark.parametrize("lost", [0, 1, 7])
def test_a_feed_that_restarts_goes_on_where_each_partition_ends(shipped: RecordedSource, lost: int) -> None:
    whole, log = Log(), Log()
    player(shipped, whole, partitions=2).play(FIRST_SEQ, speed=math.inf)
    first = player(
        shipped, log, partitions=2, stop=(stop := Stop(Wall())), progress=lambda p: stop_at(p, stop)
    )
    assert not first.play(FIRST_SEQ, speed=math.inf)
    if lost:
        del log.partitions[1][-lost:]  # what a killed process had not delivered
    tails = feed.tails(log, source=shipped.source, partitions=range(2))
    start = feed.first_seq(shipped, tails=tails, done={})
    assert start > 1_000
    assert player(shipped, log, partitions=2).play(start, speed=math.inf)
    assert [log.items(p) for p in range(2)] == [whole.items(p) for p in range(2)]


def stop_at(progress: feed.Progress, stop: Stop) -> None:
    if progress.seq >= 5_000:
        stop.set()


def test_a_new_incarnation_goes_on_after_what_all_consumers_have_done(yesbank: RecordedSource) -> None:
    empty = {0: 0, 1: 0}
    assert feed.first_seq(yesbank, tails=empty, done={}) == FIRST_SEQ
    assert feed.first_seq(yesbank, tails=empty, done={0: 900, 1: 700}) == 701
    assert feed.first_seq(yesbank, tails=empty, done={0: 900}) == FIRST_SEQ
    assert feed.first_seq(yesbank, tails={0: 50, 1: 40}, done={0: 900, 1: 900}) == 41
    beyond = {0: 10**9, 1: 10**9}
    assert feed.first_seq(yesbank, tails=empty, done=beyond) == FIRST_SEQ


def test_messages_of_others_are_no_tail(yesbank: RecordedSource, nse: Calendar) -> None:
    log = Log({0: [b"noise"]})
    other = source(SHIPPED_FILES[:1], nse)
    player(other, log).play(FIRST_SEQ, speed=math.inf)
    assert feed.tails(log, source=yesbank.source, partitions=[0]) == {0: 0}


def test_the_feed_waits_for_its_consumers(yesbank: RecordedSource) -> None:
    log, wall, done, seen = Log(), Wall(), {0: 0}, list[int]()
    stop = Stop(wall)

    def progress(at: feed.Progress) -> None:
        seen.append(at.seq - done[0])
        done[0] = max(0, log.items()[-1][0] - 20)

    assert player(yesbank, log, wall=wall, stop=stop, lead=150, done=done, progress=progress).play(
        FIRST_SEQ, speed=math.inf
    )
    assert max(seen) <= 150 + 100  # the lead and one message that is being collected
    assert len(log.items()) == len(yesbank)


def test_without_consumers_only_the_lead_is_published(yesbank: RecordedSource) -> None:
    log, wall = Log(), Wall()

    class GivesUp(Stop):
        def wait(self, timeout: float | None = None) -> bool:
            if self.wall.seconds > 60:
                self.set()
            return super().wait(timeout)

    assert not player(yesbank, log, wall=wall, stop=GivesUp(wall), lead=150).play(FIRST_SEQ, speed=math.inf)
    assert len(log.items()) == 150


def test_a_partition_without_news_holds_nobody_up(shipped: RecordedSource) -> None:
    log = Log()
    done = {0: 10**9, 1: 10**9}
    assert player(shipped, log, partitions=2, lead=10, done=done).play(FIRST_SEQ, speed=math.inf)


def test_event_time_passes_at_the_given_speed_and_nights_take_a_minute(yesbank: RecordedSource) -> None:
    log, wall = Log(), Wall()
    assert player(yesbank, log, wall=wall).play(FIRST_SEQ, speed=60.0)
    three_days_s = (3 * 405 + 2) * 60 / 60
    assert wall.seconds == pytest.approx(three_days_s, abs=1.0)
    assert len(log.items()) == len(yesbank)


@pytest.mark.django_db
def test_consumed_is_the_slowest_consumer_of_each_partition() -> None:
    def cursor(consumer: str, topic: str, partition: int, seq: int, source: int = 8) -> None:
        place = {"consumer": consumer, "topic": topic, "partition": partition}
        LogCursor.objects.create(**place, incarnation=uuid4(), offset=0, source=source, seq=seq)

    assert feed.consumed(8) == {}
    cursor("a", MARKET_TICKS, 0, 7)
    cursor("b", MARKET_TICKS, 0, 5)
    cursor("a", MARKET_TICKS, 1, 9)
    cursor("a", "market.bars", 0, 1)
    assert feed.consumed(8) == {0: 5, 1: 9}
    cursor("c", MARKET_TICKS, 1, 700, source=5)
    assert feed.consumed(8) == {0: 5, 1: 0}, "who has only read another source has done nothing of this one"


def synthetic(seed: int = 1, **more: int) -> SyntheticSource:
    arguments = {"ticks_per_s": 50_000, "starts_ms": at("2026-11-23", "09:15"), "batch_items": 500} | more
    return SyntheticSource({token: token % 2 for token in range(1, 1_001)}, seed=seed, **arguments)


def test_a_synthetic_source_is_its_arguments() -> None:
    one, two, other = synthetic(), synthetic(), synthetic(seed=2)
    first = [list(one.round(received_ms=5)) for _ in range(30)]
    assert first == [list(two.round(received_ms=5)) for _ in range(30)]
    assert first != [list(other.round(received_ms=5)) for _ in range(30)]


def test_synthetic_ticks_are_good_ticks_with_rising_numbers() -> None:
    made, seqs, counts = synthetic(ticks_per_s=1_000), set[int](), 0
    volumes: dict[int, int] = {}
    for _ in range(3_250):
        for message in made.round(received_ms=5):
            batch = unpack(message.raw)
            assert batch.count == message.items
            seqs |= {batch.seq(n) for n in range(batch.count)}
            for item in batch.items():
                if isinstance(item, Clock):
                    counts += 1
                    continue
                assert item.token % 2 == message.partition
                assert item.price_e4 > 0
                assert item.volume == volumes.get(item.token, 0) + item.quantity
                volumes[item.token] = item.volume
    assert seqs == set(range(1, len(seqs) + 1))
    assert counts == 2 * 2  # 65 seconds: two minutes begin, in both partitions


def test_a_synthetic_feed_keeps_its_pace() -> None:
    log, wall = Log(), Wall()

    class After(Stop):
        def wait(self, timeout: float | None = None) -> bool:
            if self.wall.seconds >= 2:
                self.set()
            return super().wait(timeout)

    sent = feed.play_synthetic(synthetic(), log, wall=wall, stop=After(wall), speed=1.0)
    assert sent == pytest.approx(
        100_000, abs=2 * 500 + 2
    )  # two rounds, and the clock items of the first minute
    assert np.all(unpack(log.partitions[0][-1]).tokens % 2 == 0)
