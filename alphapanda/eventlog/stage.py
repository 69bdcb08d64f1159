"""The one loop that handles log events: effects first, offsets last; a bad message costs itself only."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Event
from typing import Protocol

from django.db import connection, transaction

from alphapanda import logs
from alphapanda.core.envelope import Envelope, Payload, UndecodableEvent, decode
from alphapanda.eventlog import dead_letters, inbox, incarnation, retries
from alphapanda.eventlog.client import GroupReader
from alphapanda.eventlog.records import InvalidMessage, Record
from alphapanda.eventlog.topics import WrongNamespace, check_belongs

MESSAGES_MAX = 500
POLL_S = 0.5
POISON_MAX = 100
TRIES_MAX = 3
DRAIN_S = 10.0

Handler = Callable[[Envelope, Payload], None]
log = logs.channel("application")


class TooManyPoison(RuntimeError):
    """So many messages in a row could not be handled that the fault must be ours: stop."""


class Reader(Protocol):
    """What a stage needs of a log: `client.GroupReader` has it."""

    def poll(self, *, messages_max: int, timeout_s: float) -> list[Record]: ...

    def commit(self, records: Sequence[Record]) -> None: ...

    def close(self) -> None: ...


class Stage:
    """Calls a handler with each event of its topics; inbox mark and effect are one transaction, so once.

    A handler raises InvalidMessage for what it can never handle; after another error it is tried three times.
    Both end in a dead letter, and more than `poison_max` of them in a row end the stage."""

    def __init__(
        self,
        *,
        name: str,
        topics: Sequence[str],
        handler: Handler,
        stop: Event,
        reader: Reader | None = None,
        messages_max: int = MESSAGES_MAX,
        poison_max: int = POISON_MAX,
        drain_s: float = DRAIN_S,
    ) -> None:
        self.name = name
        self._handler = handler
        self._stop = stop
        self._reader = reader or GroupReader(name, topics)
        self._messages_max = messages_max
        self._poison_max = poison_max
        self._poison_in_a_row = 0
        self._drain_s = drain_s

    def run(self) -> None:
        """Handle events until asked to stop; then finish the batch, within the drain deadline.
        Raises TooManyPoison, LogFatal."""
        try:
            while not self._stop.is_set():
                self.run_once()
        except retries.Stopped:
            log.info("eventlog.stage.stopped_while_retrying", stage=self.name)
        finally:
            self._reader.close()

    def run_once(self) -> int:
        """Handle one batch. Returns how many records were settled."""
        records = self._retried(self._poll)
        settled = []
        stop_at: float | None = None
        for record in records:
            if self._stop.is_set():
                stop_at = stop_at or time.monotonic() + self._drain_s
                if time.monotonic() >= stop_at:
                    break  # what is left is read again after the restart
            self._settle(record)
            settled.append(record)
        if settled:
            self._retried(lambda: self._reader.commit(settled))
        return len(settled)

    def _poll(self) -> list[Record]:
        return self._reader.poll(messages_max=self._messages_max, timeout_s=POLL_S)

    def _retried(self, work: Callable[[], retries.Result]) -> retries.Result:
        return retries.in_place(work, stop=self._stop, before_retry=connection.close)

    def _settle(self, record: Record) -> None:
        try:
            envelope, payload = _decoded(record)
        except (UndecodableEvent, WrongNamespace) as error:
            self._park(record, "UNDECODABLE" if isinstance(error, UndecodableEvent) else "NAMESPACE", error)
            return
        try:
            self._tried(envelope, payload)
        except retries.Stopped:
            raise
        except (InvalidMessage, UndecodableEvent) as error:
            self._park(record, "INVALID", error)
        except Exception as error:
            log.exception("eventlog.stage.handler_failed", stage=self.name, event_id=str(envelope.id))
            self._park(record, "HANDLER", error)
        else:
            self._poison_in_a_row = 0

    def _tried(self, envelope: Envelope, payload: Payload) -> None:
        for attempt in range(TRIES_MAX):
            try:
                self._retried(lambda: self._apply(envelope, payload))
            except Exception as error:
                is_final = isinstance(error, (retries.Stopped, InvalidMessage, UndecodableEvent))
                if is_final or attempt == TRIES_MAX - 1:
                    raise
                self._stop.wait(retries.wait_s(attempt))
            else:
                return

    def _apply(self, envelope: Envelope, payload: Payload) -> None:
        with transaction.atomic():
            if inbox.once(self.name, envelope.id):
                self._handler(envelope, payload)

    def _park(self, record: Record, reason: str, error: Exception) -> None:
        def park() -> None:
            with transaction.atomic():
                dead_letters.park(self.name, record, reason, error, incarnation.current())

        self._retried(park)
        log.warning(
            "eventlog.stage.parked",
            stage=self.name,
            reason=reason,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
        self._poison_in_a_row += 1
        if self._poison_in_a_row > self._poison_max:
            log.critical("eventlog.stage.too_many_poison", stage=self.name, in_a_row=self._poison_in_a_row)
            raise TooManyPoison(f"{self.name}: {self._poison_in_a_row} messages in a row were parked")


def _decoded(record: Record) -> tuple[Envelope, Payload]:
    envelope, payload = decode(record.value)
    check_belongs(record.topic, envelope.type, envelope.broker)
    return envelope, payload
