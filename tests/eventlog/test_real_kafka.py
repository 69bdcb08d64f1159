"""What only a real broker can show: topics made with partitions and retention, and what retention drops."""

from __future__ import annotations

import time

import pytest
from django.db import transaction

from alphapanda.core.envelope import decode
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import bootstrap, incarnation, outbox, topics
from alphapanda.eventlog.client import LogProducer, LogReader
from alphapanda.eventlog.models import OutboxEvent
from alphapanda.eventlog.records import MESSAGE_BYTES_MAX, LogUnavailable, OffsetGone
from alphapanda.eventlog.relay import Relay
from alphapanda.eventlog.topic_admin import LogAdmin
from tests.kafka import server

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(bool(server.why_not()), reason=f"the real Kafka {server.why_not()}"),
]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    one = server.KafkaServer(tmp_path_factory.mktemp("kafka"))
    yield one
    one.stop()


def configure(settings, kafka, *, prefix):
    settings.KAFKA_BOOTSTRAP, settings.KAFKA_EMBEDDED = kafka.address, False
    settings.TICK_PARTITIONS, settings.TOPIC_PARTITIONS, settings.TOPIC_RETENTION_HOURS = 3, 2, 24
    settings.TOPIC_REPLICATION = 1
    settings.TOPIC_PREFIX = prefix


@pytest.fixture
def the_log(kafka, settings):
    configure(settings, kafka, prefix="desk")
    bootstrap.ensure_topics()


def read(topic, partition, offset, *, count):
    found = []
    deadline = time.monotonic() + 20
    with LogReader() as reader:
        reader.assign(topic, {partition: offset})
        while len(found) < count and time.monotonic() < deadline:
            found += reader.poll(messages_max=100, timeout_s=1)
    return found


def test_bootstrap_makes_the_topics_once_as_configured(kafka, settings):
    configure(settings, kafka, prefix="fresh")
    admin = LogAdmin()
    with pytest.raises(LogUnavailable):
        incarnation.current()

    made = bootstrap.ensure_topics()
    first = incarnation.current()
    found = admin.partitions()
    assert sorted(made) == sorted(topics.TOPICS)
    assert bootstrap.ensure_topics() == []

    assert incarnation.current(refresh=True) == first
    assert {name: found[name] for name in topics.TOPICS} == {
        n: t.partitions for n, t in topics.TOPICS.items()
    }
    assert admin.partitions() == found
    assert admin.retention_ms("market.ticks") == 24 * 3_600_000
    assert admin.retention_ms("log.incarnation") == -1


@pytest.mark.usefixtures("the_log")
def test_a_message_of_the_largest_size_makes_the_round_trip():
    body = bytes(range(256)) * (MESSAGE_BYTES_MAX // 256)
    with LogProducer(Broker.SHARED) as producer:
        producer.produce("market.bars", body, key=b"k", partition=1, headers={"h": b"1"})

    (record,) = read("market.bars", 1, 0, count=1)

    assert (record.value == body, record.key, record.headers) == (True, b"k", {"h": b"1"})


def test_what_retention_dropped_is_a_gap(kafka, settings, monkeypatch):
    monkeypatch.setattr(topics, "HOUR_MS", 1)
    configure(settings, kafka, prefix="short")
    bootstrap.ensure_topics()
    with LogProducer(Broker.SHARED) as producer:
        for number in range(6):
            producer.produce("market.ticks", b"%d" % number, key=b"k", partition=2)

    with LogReader() as reader:
        deadline = time.monotonic() + 30
        while reader.watermarks("market.ticks", 2) != (6, 6):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        reader.assign("market.ticks", {2: 3})
        with pytest.raises(OffsetGone) as gap:
            _all_of(reader, 1)

        reader.seek("market.ticks", 2, gap.value.low)
        assert reader.poll(messages_max=1, timeout_s=0.5) == []

    assert (gap.value.wanted, gap.value.low, gap.value.high) == (3, 6, 6)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("the_log")
def test_what_the_relay_publishes_makes_the_round_trip(an_event, settings):
    events = [an_event(number, key=f"k{number % 3}") for number in range(50)]
    with transaction.atomic():
        outbox.publish(events)
    relay = Relay()
    assert relay.publish_batch() == 50
    relay.close()
    assert not OutboxEvent.objects.filter(published_at__isnull=True).exists()

    starts = dict.fromkeys(range(settings.TOPIC_PARTITIONS), 0)
    found = _read_from(starts, 20)[:20]
    for record in found:  # the second goes on where the first has stopped
        starts[record.partition] = record.offset + 1
    found += _read_from(starts, 50 - len(found))

    by_key = {f"k{lane}": [e.id for e in events[lane::3]] for lane in range(3)}
    seen = [decode(record.value)[0] for record in found]
    assert {key: [e.id for e in seen if e.key == key] for key in by_key} == by_key


def _read_from(offsets, count):
    with LogReader() as reader:
        reader.assign("paper.orders.failed", offsets)
        return _all_of(reader, count)


def _all_of(reader, count):
    found = []
    deadline = time.monotonic() + 20
    while len(found) < count and time.monotonic() < deadline:
        found += reader.poll(messages_max=100, timeout_s=0.5)
    return found


@pytest.mark.usefixtures("the_log")
def test_other_partition_counts_are_told(settings, monkeypatch):
    told = []
    monkeypatch.setattr(bootstrap.log, "warning", lambda event, **more: told.append(more), raising=False)
    settings.TICK_PARTITIONS = 5

    assert bootstrap.ensure_topics() == []

    assert told == [
        {"topic": topic, "found": 3, "configured": 5} for topic in ("market.ticks", "market.ticks.dlq")
    ]


def test_another_retention_reaches_topics_that_are_there(kafka, settings):
    configure(settings, kafka, prefix="longer")
    bootstrap.ensure_topics()
    settings.TOPIC_RETENTION_HOURS = 48

    assert bootstrap.ensure_topics() == []

    admin = LogAdmin()
    assert {admin.retention_ms(name) for name in topics.TOPICS} == {48 * 3_600_000, -1}
