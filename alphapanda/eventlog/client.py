"""Speaks the Kafka protocol, with topic_admin.py; topics go in and out by their names in the map."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from alphapanda import env, logs
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import topics
from alphapanda.eventlog.records import (
    MESSAGE_BYTES_MAX,
    LogError,
    LogFatal,
    LogUnavailable,
    MessageTooLarge,
    NotFlushed,
    OffsetGone,
    QueueFull,
    Record,
)
from alphapanda.eventlog.tuning import PRODUCER, READER, TRANSIENT

QUEUE_WAIT_S = 5.0
ASK_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 10.0
SAME_ERROR_EVERY_S = 5.0

log = logs.channel("application")
Delivered = Callable[[LogError | None, int, int], None]  # error, partition, offset


def error_of(error: KafkaError) -> LogError:
    if error.fatal():
        return LogFatal(error.str())
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return LogError(f"message too large for the log: {error.str()}")
    if error.name() in TRANSIENT or error.retriable():
        return LogUnavailable(f"{error.name()}: {error.str()}")
    return LogError(f"{error.name()}: {error.str()}")


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise error_of(error.args[0]) from error


class Watch:
    """Hears a client's errors: logs them, not more often than worth reading, and keeps a fatal one."""

    def __init__(self, client: str) -> None:
        self._client = client
        self._fatal: LogError | None = None
        self._heard: dict[int, float] = {}

    def __call__(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = error_of(error)
        now = time.monotonic()
        if now - self._heard.get(error.code(), -SAME_ERROR_EVERY_S) >= SAME_ERROR_EVERY_S:
            self._heard[error.code()] = now
            log.warning("eventlog.client.error", client=self._client, code=error.name(), text=error.str())

    def check(self) -> None:
        if self._fatal is not None:
            raise self._fatal


def address() -> str:
    """Where the log is now. Raises LogUnavailable while no embedded broker serves it."""
    try:
        return env.kafka_bootstrap()
    except env.NoBroker as error:
        raise LogUnavailable(str(error)) from error


def config_for(client_id: str, watch: Watch, more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "bootstrap.servers": address(),
        "client.id": client_id,
        "error_cb": watch,
        "logger": logging.getLogger("alphapanda.eventlog.librdkafka"),
        "log.connection.close": False,
        "reconnect.backoff.max.ms": 1000,
        **more,
    }


class LogProducer:
    """Writes to the topics of one namespace: idempotent, acknowledged by all replicas, in order per key.

    Messages wait without limit for a log that is away, because one that expires while the next goes through
    would break the order; a full queue raises QueueFull instead."""

    def __init__(self, namespace: Broker, *, service: str = "producer") -> None:
        self.namespace = namespace
        client_id = topics.group_id(f"{service}.{namespace}")
        self._watch = Watch(client_id)
        self._producer = Producer(config_for(client_id, self._watch, PRODUCER))

    def produce(
        self,
        topic: str,
        value: bytes,
        *,
        key: bytes,
        partition: int | None = None,
        headers: Mapping[str, bytes] | None = None,
        on_delivery: Delivered | None = None,
    ) -> None:
        """Queue one message; `on_delivery` hears its fate in a later `poll` or `flush`.
        Raises MessageTooLarge, WrongNamespace, QueueFull after waiting, LogFatal."""
        self._watch.check()
        if len(value) > MESSAGE_BYTES_MAX:
            raise MessageTooLarge(f"{len(value)} bytes for {topic}: at most {MESSAGE_BYTES_MAX}")
        if topics.find(topic).namespace is not self.namespace:
            raise topics.WrongNamespace(f"the producer of {self.namespace} does not write to {topic}")
        arguments: dict[str, Any] = {"key": key, "headers": dict(headers) if headers else None}
        if partition is not None:
            arguments["partition"] = partition
        if on_delivery is not None:
            arguments["on_delivery"] = _delivery(on_delivery)
        self._queue(topics.wire_name(topic), value, arguments)

    def _queue(self, wire: str, value: bytes, arguments: dict[str, Any]) -> None:
        deadline = time.monotonic() + QUEUE_WAIT_S
        while True:
            try:
                self._producer.produce(wire, value, **arguments)
            except BufferError as error:
                if time.monotonic() > deadline:
                    raise QueueFull(f"{len(self._producer)} messages wait for {wire}") from error
                self._producer.poll(0.05)
            except KafkaException as error:
                raise error_of(error.args[0]) from error
            else:
                self._producer.poll(0)
                return

    def poll(self, timeout_s: float = 0.0) -> None:
        """Hear what was delivered. Raises LogFatal."""
        self._producer.poll(timeout_s)
        self._watch.check()

    def flush(self, timeout_s: float) -> None:
        """Wait until all is acknowledged. Raises NotFlushed with the number left, LogFatal."""
        left = self._producer.flush(timeout_s)
        self._watch.check()
        if left:
            raise NotFlushed(left)

    def close(self) -> None:
        """Flush and forget what cannot be flushed. Raises NotFlushed."""
        try:
            self.flush(CLOSE_TIMEOUT_S)
        finally:
            self._producer.purge()
            self._producer.poll(0)

    def __enter__(self) -> LogProducer:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _delivery(told: Delivered) -> Callable[[KafkaError | None, Message], None]:
    def heard(error: KafkaError | None, message: Message) -> None:
        told(error_of(error) if error else None, message.partition(), message.offset())

    return heard


class LogReader:
    """Reads partitions that it is told, from offsets that it is told, in bounded polls; no rebalance, no commit: the
    position that counts is stored with the rows."""

    def __init__(self, service: str = "reader") -> None:
        client_id = topics.group_id(service)
        self._watch = Watch(client_id)
        self._failed: LogError | None = None
        self.positions: dict[tuple[str, int], int] = {}
        self._paused: set[tuple[str, int]] = set()
        self._consumer = Consumer(config_for(client_id, self._watch, READER | {"group.id": client_id}))

    def assign(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Read these partitions of a topic from these offsets on, instead of what was read before."""
        self.positions = {(topic, partition): offset for partition, offset in offsets.items()}
        self._paused.clear()
        self._assign()

    def _assign(self) -> None:
        self._failed = None
        self._consumer.assign(
            [TopicPartition(topics.wire_name(t), p, offset) for (t, p), offset in self.positions.items()]
        )

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """Go on at another offset of an assigned partition."""
        # Consumer.seek fails while an assignment is still being taken up; assigning anew never does.
        self.positions[topic, partition] = offset
        self._assign()
        self._consumer.pause(_partitions(self._paused))

    def pause(self, topic: str, partitions: Iterable[int]) -> None:
        """Return nothing of these partitions until resumed."""
        chosen = {(topic, partition) for partition in partitions}
        self._paused |= chosen
        self._consumer.pause(_partitions(chosen))

    def resume(self, topic: str, partitions: Iterable[int]) -> None:
        """Go on where the partitions were paused."""
        chosen = {(topic, partition) for partition in partitions}
        self._paused -= chosen
        self._consumer.resume(_partitions(chosen))

    def poll(self, *, messages_max: int, timeout_s: float) -> list[Record]:
        """What is there, at most so many, waiting only while there is nothing. Raises OffsetGone for a gap,
        after what came before it was returned; LogError for what waiting does not mend."""
        self._raise_failure()
        records = self._taken(self._consumer.consume(1, timeout_s))
        if records and messages_max > 1:
            records += self._taken(self._consumer.consume(messages_max - 1, 0))
        if not records:
            self._raise_failure()
        return records

    def _raise_failure(self) -> None:
        self._watch.check()
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    def _taken(self, messages: Iterable[Message]) -> list[Record]:
        records = []
        for message in messages:
            error = message.error()
            if error is not None:
                self._failed = self._failure(message, error) or self._failed
                continue
            record = _record(message)
            self.positions[record.topic, record.partition] = record.offset + 1
            records.append(record)
        return records

    def _failure(self, message: Message, error: KafkaError) -> LogError | None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            return self._gap(topics.logical_name(message.topic()), message.partition(), message.offset())
        failure = error_of(error)
        if isinstance(failure, LogUnavailable):
            self._watch(error)  # librdkafka tries again by itself
            return None
        return failure

    def _gap(self, topic: str, partition: int, wanted: int) -> LogError:
        try:
            low, high = self.watermarks(topic, partition)
        except LogError as error:
            return error
        return OffsetGone(topic, partition, wanted=wanted, low=low, high=high)

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset that the log still holds and the one that the next message will have.
        Raises LogUnavailable, also where the topic does not exist yet."""
        where = TopicPartition(topics.wire_name(topic), partition)
        with translated():
            answer = self._consumer.get_watermark_offsets(where, timeout=ASK_TIMEOUT_S, cached=False)
        if answer is None:
            raise LogUnavailable(f"no watermarks of {topic}[{partition}] in {ASK_TIMEOUT_S} s")
        return answer

    def lag(self) -> int:
        """How many messages are still to be read, as the log last told when it was read; asks nothing."""
        known = zip(_partitions(self.positions), self.positions.values(), strict=True)
        highs = ((self._consumer.get_watermark_offsets(where, cached=True)[1], at) for where, at in known)
        return sum(max(0, high - at) for high, at in highs)  # a high is below zero until one is heard

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _partitions(places: Iterable[tuple[str, int]]) -> list[TopicPartition]:
    return [TopicPartition(topics.wire_name(topic), partition) for topic, partition in places]


def _record(message: Message) -> Record:
    return Record(
        topic=topics.logical_name(message.topic()),
        partition=message.partition(),
        offset=message.offset(),
        key=message.key(),
        value=message.value() or b"",
        timestamp_ms=message.timestamp()[1],
        headers=dict(message.headers() or ()),
    )
