"""Publishes the outbox to the log, in order, at least once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import Any

from django.db import connection
from django.utils import timezone

from alphapanda import failpoints, logs
from alphapanda.core.envelope import Envelope, EventType, Payload, UndecodableEvent, decode
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import outbox, retries, topics
from alphapanda.eventlog.client import LogProducer
from alphapanda.eventlog.models import OutboxEvent
from alphapanda.eventlog.records import LogError, LogUnavailable, NotFlushed, QueueFull

LOCK = (0x0A17, 1)  # advisory lock of the one relay: a class of our own, and the relay in it
BATCH_MAX = 500
IDLE_S = 0.5  # rows whose notification was lost wait this long
ROUND_EVERY_S = (
    0.5  # at most: rounds cost more than rows. The first event after a quiet time goes out at once
)
STANDBY_S = 1.0
FLUSH_S = 1.0
DRAIN_S = 10.0

Fates = dict[int, Exception | None]  # outbox id: why it was refused, None where the log has it
Listener = Callable[[list[tuple[Envelope, Payload]]], None]

log, slow = logs.channel("application"), logs.channel("performance")
_EVENT_TYPES = frozenset(EventType)


class Relay:
    """One relay; of several started, one holds the lock and works while the others wait to take over.

    Lock, LISTEN, selection and marks share one database session: a relay that lost its session has lost the
    lock with it and can mark nothing.

    `listeners` are called with the events of each batch once the log has them, before they are marked: an
    event may come twice. A listener that raises is logged and stops nothing."""

    def __init__(
        self,
        *,
        stop: Event | None = None,
        batch_max: int = BATCH_MAX,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self.stop = stop or Event()
        self._listeners = listeners
        self._batch_max = batch_max
        self._producers: dict[Broker, LogProducer] = {}
        self._session: Any = None  # the database session that holds the lock
        self._role_told: bool | None = None
        self._round_at = 0.0

    def run(self) -> None:
        """Publish until asked to stop; the loss of database or log is waited out. Raises LogFatal."""
        try:
            while not self.stop.is_set():
                retries.in_place(self._cycle, stop=self.stop, before_retry=self._reconnect)
        except retries.Stopped:
            pass
        finally:
            self.close()

    def _cycle(self) -> None:
        if not self._hold_lock():
            self.stop.wait(STANDBY_S)
            return
        self._round_at = time.monotonic()
        if self.publish_batch() < self._batch_max:
            self._wait_for_news()

    def _reconnect(self) -> None:
        self._session = None
        connection.close()

    def _hold_lock(self) -> bool:
        if self._session is not None and connection.connection is self._session:
            return True
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", LOCK)
            (is_holder,) = cursor.fetchone()
            if is_holder:
                cursor.execute(f"LISTEN {outbox.CHANNEL}")
                self._session = connection.connection
        if is_holder is not self._role_told:
            log.info("eventlog.relay.role", is_publishing=is_holder)
            self._role_told = is_holder
        return is_holder

    def _wait_for_news(self) -> None:
        with connection.wrap_database_errors:
            for _ in connection.connection.notifies(timeout=IDLE_S, stop_after=1):
                break
        self.stop.wait(max(0.0, self._round_at + ROUND_EVERY_S - time.monotonic()))

    def publish_batch(self) -> int:
        """Publish and mark the oldest unpublished rows. Returns how many were marked; raises LogUnavailable
        when some were not acknowledged: they stay unmarked with all that follows under the same key."""
        rows = list(OutboxEvent.objects.filter(published_at__isnull=True).order_by("id")[: self._batch_max])
        if not rows:
            return 0
        failpoints.hit("relay.before_publish")
        fates = self._deliver(rows)
        failpoints.hit("relay.after_ack")
        in_order = _unbroken(rows, fates)
        self._call_listeners(in_order)
        failpoints.hit("relay.before_mark")
        ids = [row.id for row in in_order]
        OutboxEvent.objects.filter(id__in=ids).update(published_at=timezone.now())
        failpoints.hit("relay.after_mark")
        if len(ids) < len(rows):
            raise LogUnavailable(_refusals(rows, fates))
        return len(ids)

    def _deliver(self, rows: Sequence[OutboxEvent]) -> Fates:
        fates: Fates = {}
        queued = 0
        for row in rows:
            try:
                self._produce(row, fates)
            except QueueFull:
                break
            except (ValueError, KeyError) as error:  # this row can never be published; others can
                fates[row.id] = error
            queued += 1
        failpoints.hit("relay.after_publish")
        self._await_fates(fates, queued)
        return fates

    def _await_fates(self, fates: Fates, queued: int) -> None:
        # What is in flight is waited for and never produced again beside itself, so that order is kept.
        stop_at: float | None = None
        while len(fates) < queued:
            self._flush(fates)
            if self.stop.is_set():
                stop_at = stop_at or time.monotonic() + DRAIN_S
                if time.monotonic() > stop_at:
                    return

    def _flush(self, fates: Fates) -> None:
        for producer in self._producers.values():
            try:
                producer.flush(FLUSH_S)
            except NotFlushed as late:
                slow.warning("eventlog.relay.log_is_slow", waiting=late.left, delivered=len(fates))

    def _produce(self, row: OutboxEvent, fates: Fates) -> None:
        def told(error: LogError | None, _partition: int, _offset: int) -> None:
            fates[row.id] = error

        self._producer_of(row.topic).produce(
            row.topic,
            bytes(row.body),
            key=row.key.encode() if row.raw_key is None else bytes(row.raw_key),
            partition=row.partition,
            headers={name: text.encode() for name, text in row.headers.items()},
            on_delivery=told,
        )

    def _producer_of(self, topic: str) -> LogProducer:
        namespace = topics.find(topic).namespace
        if namespace not in self._producers:
            self._producers[namespace] = LogProducer(namespace, service="relay")
        return self._producers[namespace]

    def _call_listeners(self, rows: Sequence[OutboxEvent]) -> None:
        if not self._listeners:
            return
        events = list(_events(rows))
        for listener in self._listeners if events else []:
            try:
                listener(events)
            except Exception:
                log.exception("eventlog.relay.listener_failed", listener=getattr(listener, "__name__", "?"))

    def close(self) -> None:
        """Flush, let go of the lock. What was not acknowledged stays unmarked and is published again."""
        for producer in self._producers.values():
            try:
                producer.close()
            except LogError as error:
                log.warning("eventlog.relay.not_flushed", text=str(error))
        self._producers.clear()
        self._reconnect()


def _events(rows: Sequence[OutboxEvent]) -> Iterator[tuple[Envelope, Payload]]:
    for row in rows:
        if row.type not in _EVENT_TYPES:
            continue  # a dead letter, or a message redriven: no event of ours
        try:
            yield decode(bytes(row.body))
        except UndecodableEvent as error:
            log.error("eventlog.relay.undecodable", outbox_id=row.id, error=str(error))


def _unbroken(rows: Sequence[OutboxEvent], fates: Fates) -> list[OutboxEvent]:
    """The rows that the log acknowledged, of each key only those before its first that it did not."""
    broken: set[tuple[str, str]] = set()
    kept = []
    for row in rows:
        if row.id not in fates or fates[row.id] is not None:
            broken.add((row.topic, row.key))
        elif (row.topic, row.key) not in broken:
            kept.append(row)
    return kept


def _refusals(rows: Sequence[OutboxEvent], fates: Fates) -> str:
    refused = [row for row in rows if fates.get(row.id) is not None]
    first = f"; first {refused[0].topic} {refused[0].id}: {fates[refused[0].id]}" if refused else ""
    return f"{len(refused)} of {len(rows)} messages refused, {len(rows) - len(fates)} unanswered{first}"
