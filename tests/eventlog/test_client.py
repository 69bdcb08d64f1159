"""The Kafka client, against the embedded log."""

from __future__ import annotations

import time

import pytest

from alphapanda import embedded
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import bootstrap, incarnation, topics
from alphapanda.eventlog.client import LogProducer, LogReader
from alphapanda.eventlog.records import (
    MESSAGE_BYTES_MAX,
    LogUnavailable,
    MessageTooLarge,
    NotFlushed,
    OffsetGone,
)


def write(topic: str, values: list[bytes], *, partition: int = 0) -> None:
    with LogProducer(topics.find(topic).namespace) as producer:
        for value in values:
            producer.produce(topic, value, key=b"k", partition=partition)


@pytest.mark.usefixtures("the_log")
def test_what_is_written_is_read_whole():
    told = []
    with LogProducer(Broker.SHARED) as producer:
        producer.produce(
            "market.ticks",
            b"value",
            key=b"key",
            partition=2,
            headers={"a": b"1"},
            on_delivery=lambda *fate: told.append(fate),
        )
        producer.flush(5)

    with LogReader() as reader:
        reader.assign("market.ticks", {2: 0})
        (record,) = reader.poll(messages_max=10, timeout_s=5)

    assert told == [(None, 2, 0)]
    assert (record.topic, record.partition, record.offset) == ("market.ticks", 2, 0)
    assert (record.key, record.value, record.headers) == (b"key", b"value", {"a": b"1"})
    assert abs(record.timestamp_ms - time.time() * 1000) < 60_000


@pytest.mark.usefixtures("the_log")
def test_a_poll_does_not_wait_for_more_than_there_is():
    write("market.ticks", [b"a", b"b"])

    with LogReader() as reader:
        reader.assign("market.ticks", {0: 0})
        started = time.monotonic()
        found = []
        while len(found) < 2:
            found += reader.poll(messages_max=500, timeout_s=5)

    assert time.monotonic() - started < 2


@pytest.mark.usefixtures("the_log")
def test_watermarks_seek_pause_and_resume():
    write("market.ticks", [b"0", b"1", b"2"])
    with LogReader() as reader:
        assert reader.watermarks("market.ticks", 0) == (0, 3)
        reader.assign("market.ticks", {0: 0})
        assert [r.offset for r in reader.poll(messages_max=1, timeout_s=5)] == [0]

        reader.seek("market.ticks", 0, 2)
        assert [r.offset for r in reader.poll(messages_max=9, timeout_s=5)] == [2]
        assert reader.positions == {("market.ticks", 0): 3}

        reader.pause("market.ticks", [0])
        reader.seek("market.ticks", 0, 1)
        assert reader.poll(messages_max=9, timeout_s=0.3) == []
        reader.resume("market.ticks", [0])
        assert reader.poll(messages_max=1, timeout_s=5)[0].offset == 1


@pytest.mark.usefixtures("the_log")
def test_an_offset_outside_of_the_log_is_a_gap_and_not_a_jump():
    write("market.ticks", [b"0", b"1"])

    with LogReader() as reader:
        reader.assign("market.ticks", {0: 9})
        with pytest.raises(OffsetGone) as gap:
            _some(reader, messages_max=9)

    assert (gap.value.wanted, gap.value.low, gap.value.high) == (9, 0, 2)


@pytest.mark.usefixtures("the_log")
def test_a_message_above_the_limit_is_refused():
    with LogProducer(Broker.SHARED) as producer:
        with pytest.raises(MessageTooLarge, match=r"market\.ticks"):
            producer.produce("market.ticks", bytes(MESSAGE_BYTES_MAX + 1), key=b"k")

        producer.produce("market.ticks", bytes(MESSAGE_BYTES_MAX), key=b"k")


@pytest.mark.usefixtures("the_log")
def test_a_paper_producer_does_not_write_to_zerodha():
    with LogProducer(Broker.PAPER) as producer, pytest.raises(topics.WrongNamespace):
        producer.produce("zerodha.orders.filled", b"", key=b"k")


def test_a_flush_says_how_many_are_left(settings):
    settings.KAFKA_BOOTSTRAP = "127.0.0.1:1"
    producer = LogProducer(Broker.SHARED)
    producer.produce("market.ticks", b"", key=b"k")

    with pytest.raises(NotFlushed) as late:
        producer.flush(0.2)

    assert late.value.left == 1


def test_a_broker_that_is_away_is_said_plainly(settings, tmp_path):
    settings.RUN_DIR = tmp_path

    with pytest.raises(LogUnavailable, match="no embedded Kafka broker serves"):
        LogReader()


def _some(reader, *, messages_max):
    found = []
    deadline = time.monotonic() + 20
    while not found and time.monotonic() < deadline:
        found += reader.poll(messages_max=messages_max, timeout_s=1)
    return found


@pytest.mark.usefixtures("empty_log")
def test_a_log_gets_one_identity():
    with pytest.raises(LogUnavailable):
        incarnation.current()

    bootstrap.ensure_topics()
    first = incarnation.current()
    assert bootstrap.ensure_topics() == []

    assert incarnation.current(refresh=True) == first


@pytest.mark.usefixtures("the_log")
def test_topics_of_another_prefix_are_not_ours(settings):
    settings.TOPIC_PREFIX += ".other"

    assert bootstrap.missing_topics() == list(topics.TOPICS)


@pytest.mark.usefixtures("the_log")
def test_another_log_is_another_incarnation(settings, tmp_path):
    first = incarnation.current()

    with embedded.start_all(tmp_path, ["kafka"]):
        settings.RUN_DIR = tmp_path
        bootstrap.ensure_topics()

        assert incarnation.current() != first
