"""The core of the tick stream over a real database: positions, gaps, poison and a second copy of itself."""

from __future__ import annotations

from itertools import count
from uuid import UUID

import pytest
from django.utils import timezone

from alphapanda.core.envelope import decode
from alphapanda.eventlog import cursors, doorbell
from alphapanda.eventlog.models import DeadLetter, LogCursor, OutboxEvent
from alphapanda.eventlog.records import Record
from alphapanda.push import readmodel
from marketdata.domain.ticks import Clock, pack
from marketdata.models import TickFaultCount
from marketdata.stream import DOORBELLS_IN_FLIGHT_MAX, StreamCore
from tests.builders import NSE, a_tick, at

pytestmark = pytest.mark.django_db
LOG, NEXT_LOG = UUID(int=1), UUID(int=2)
TOPIC = "market.ticks"


@pytest.fixture(autouse=True)
def silence(monkeypatch):
    monkeypatch.setattr(doorbell, "ring_shard", lambda *_a, **_k: True)
    monkeypatch.setattr(doorbell, "ring", lambda *_a, **_k: True)
    monkeypatch.setattr(doorbell, "queue_depth", lambda _queue: 0)


def a_core(*, incarnation: UUID = LOG, low: int = 0, high: int = 100) -> StreamCore:
    core = StreamCore(
        topic=TOPIC,
        shards=1,
        hours=lambda: (NSE, NSE),
        incarnation=incarnation,
        clock=timezone.now,
        monotonic=lambda: 0.0,
    )
    core.load({0: (low, high)})
    return core


def a_record(offset: int, *, source: int = 8, first_seq: int = 1, count: int = 3) -> Record:
    items = [a_tick(100 + n, at_ms=at() + 1_000 * (first_seq + n)) for n in range(count)]
    raw = pack(items, source=source, first_seq=first_seq)
    return Record(TOPIC, 0, offset, b"0", raw, 0, {})


def test_a_gap_is_told_and_passed_once():
    core = a_core()
    core.take([a_record(0)])
    core.store()

    for _ in range(2):
        again = a_core(low=40)
        assert again.offsets == {0: 40}
    again.take([a_record(40, first_seq=90)])
    again.store()

    assert LogCursor.objects.get().offset == 41
    (gap,) = OutboxEvent.objects.filter(type="log.gap")
    _, told = decode(bytes(gap.body))
    assert (told.consumer, told.partition, told.wanted, told.resumed) == ("tick_stream", 0, 1, 40)


def test_a_log_that_lost_its_end_is_read_from_where_it_ends():
    core = a_core()
    core.take([a_record(offset) for offset in range(5)])
    core.store()

    assert a_core(high=2).offsets == {0: 2}


def test_a_new_log_is_read_from_its_first_message_without_a_gap():
    core = a_core()
    core.take([a_record(7)])
    core.store()

    assert a_core(incarnation=NEXT_LOG, low=3).offsets == {0: 3}
    assert not OutboxEvent.objects.exists()


def test_another_source_counts_from_its_own_beginning():
    core = a_core()
    core.take([a_record(0, first_seq=500)])
    core.take([a_record(1, source=5, first_seq=1)])
    core.store()

    assert (core.items, core.sources[0], core.seqs[0]) == (6, 5, 3)
    assert cursors.slowest(TOPIC, source=5) == {0: 3}
    assert cursors.slowest(TOPIC, source=8) == {0: 0}
    assert core.marks == {7: (1_020_000, at() + 502_000)}, "the older ticks were judged, and refused as such"
    assert TickFaultCount.objects.get().count == 3


def test_what_was_seen_before_a_new_log_is_not_counted_again():
    core = a_core()
    core.take([a_record(0)])
    core.store()
    core = a_core(incarnation=NEXT_LOG)
    core.take([a_record(0), a_record(1, first_seq=4)])
    core.store()

    assert core.seqs == {0: 6}
    assert not TickFaultCount.objects.exists()


def test_a_stream_that_starts_behind_the_end_of_a_recording_says_what_time_it_is_there(monkeypatch):
    told = []
    monkeypatch.setattr(readmodel, "stream_write", lambda **facts: told.append(facts))
    core = a_core()
    core.take(
        [Record(TOPIC, 0, 0, b"0", pack([Clock(at("15:30"), at("15:30"))], source=8, first_seq=1), 0, {})]
    )
    core.store()

    again = a_core(low=1)
    seconds = count(1)
    again.monotonic = lambda: float(next(seconds))
    again.housekeeping()

    assert told[0]["last_at_ms"] == at("15:30")
    assert "received_at_ms" not in told[0]


def test_of_two_streams_one_stands_back():
    one, two = a_core(), a_core()
    for core in (one, two):
        core.take([Record(TOPIC, 0, 0, b"0", b"poison", 0, {}), a_record(1)])
    one.store()

    with pytest.raises(cursors.CursorMoved):
        two.store()
    assert DeadLetter.objects.count() == 1
    assert LogCursor.objects.get().offset == 2


def test_a_shard_never_has_more_doorbells_than_it_may(monkeypatch):
    queue: list[dict[str, int]] = []
    looks = []
    monkeypatch.setattr(doorbell, "queue_depth", lambda _queue: looks.append(1) or len(queue))
    monkeypatch.setattr(
        doorbell, "ring_shard", lambda _shard, *, partition_ends: queue.append(partition_ends)
    )
    core = a_core()

    for offset in range(10):
        core.take([a_record(offset, first_seq=1 + 3 * offset)])
    assert len(queue) == DOORBELLS_IN_FLIGHT_MAX
    queue.clear()  # the worker has taken them
    looks.clear()
    for offset in range(10, 10 + DOORBELLS_IN_FLIGHT_MAX):
        core.take([a_record(offset, first_seq=1 + 3 * offset)])
    assert len(queue) == DOORBELLS_IN_FLIGHT_MAX
    assert len(looks) == 1  # at the queue, for all of them


def test_a_shard_whose_queue_cannot_be_seen_is_not_rung(monkeypatch):
    monkeypatch.setattr(doorbell, "queue_depth", lambda _queue: None)
    monkeypatch.setattr(doorbell, "ring_shard", lambda *_a, **_k: pytest.fail("rang"))
    a_core().take([a_record(0)])
