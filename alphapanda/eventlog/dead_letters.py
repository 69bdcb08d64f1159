"""Messages that could not be handled: kept whole, told of, sent again when mended, or put away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from alphapanda import logs
from alphapanda.core import ids
from alphapanda.core.refusals import Conflict, NotThere
from alphapanda.eventlog import outbox, topics
from alphapanda.eventlog.models import DeadLetter, OutboxEvent
from alphapanda.eventlog.records import MESSAGE_BYTES_MAX, Record

REDRIVES_MAX = 3
ERROR_CHARS_MAX = 500
KEY_CHARS_MAX = 120
REDRIVEN_HEADER = "redriven"


class LetterNotFound(NotThere):
    """There is no such dead letter."""


class NotRedrivable(Conflict):
    """A dead letter was put away, or was sent again often enough."""


class AlreadyDiscarded(Conflict):
    """A dead letter was put away before."""


def one_line(error: BaseException | str) -> str:
    """An error as one printable line of at most 500 characters without secrets."""
    flat = "".join(c if c.isprintable() else " " for c in str(error))
    return logs.without_secrets(" ".join(flat.split()))[:ERROR_CHARS_MAX]


def park(
    consumer: str, record: Record, reason: str, error: BaseException | str, incarnation: UUID
) -> DeadLetter:
    """Keep a message in the caller's transaction and queue it for its dead-letter topic; one that was parked
    before is left as it is. Raises NotInTransaction."""
    outbox.require_transaction("a dead letter")
    letter, is_new = DeadLetter.objects.get_or_create(
        consumer=consumer,
        topic=record.topic,
        incarnation=incarnation,
        partition=record.partition,
        offset=record.offset,
        defaults={
            "key": record.key,
            "body": record.value,
            "reason": reason,
            "error": one_line(error),
            "redrive_count": _redrives_so_far(record),
        },
    )
    if is_new:
        outbox.add([_announcement(letter, record, type(error).__name__)])
    return letter


def _redrives_so_far(record: Record) -> int:
    origin = record.headers.get(REDRIVEN_HEADER, b"").decode(errors="replace")
    if not origin.isdecimal():
        return 0
    counts = DeadLetter.objects.filter(id=int(origin)).values_list("redrive_count", flat=True)
    return counts.first() or 0


def _announcement(letter: DeadLetter, record: Record, error_class: str) -> OutboxEvent:
    fits = len(record.value) <= MESSAGE_BYTES_MAX
    headers = {
        "dead-letter": str(letter.id),
        "source-topic": record.topic,
        "source-partition": str(record.partition),
        "source-offset": str(record.offset),
        "source-timestamp": str(record.timestamp_ms),
        "consumer": letter.consumer,
        "reason": letter.reason,
        "error-class": error_class,
        "error": letter.error,
    }
    if not fits:
        headers["body-omitted"] = f"{len(record.value)} bytes are above the limit; the dead letter has them"
    place = (letter.consumer, letter.topic, letter.incarnation, letter.partition, letter.offset)
    return _message(
        ids.derived("dead-letter", *place),
        kind="dead.letter",
        topic=topics.dead_letters_of(record.topic),
        key=record.key or b"",
        body=record.value if fits else b"",
        headers=headers,
    )


def _message(
    message_id: UUID,
    *,
    kind: str,
    topic: str,
    key: bytes,
    body: bytes,
    headers: dict[str, str],
    partition: int | None = None,
) -> OutboxEvent:
    text = key.decode(errors="replace")
    return OutboxEvent(
        event_id=message_id,
        type=kind,
        broker=topics.find(topic).namespace,
        topic=topic,
        key=(text if text.isprintable() else key.hex())[:KEY_CHARS_MAX],
        correlation_id=message_id,
        causation_id=message_id,
        body=body,
        raw_key=key,
        partition=partition,
        headers=headers,
    )


def find(*, topic: str = "", reason: str = "", consumer: str = "", state: str = "") -> QuerySet[DeadLetter]:
    """Dead letters that fit all conditions given, oldest first."""
    wanted = {"topic": topic, "reason": reason, "consumer": consumer, "state": state}
    return DeadLetter.objects.filter(**{name: value for name, value in wanted.items() if value}).order_by(
        "id"
    )


@transaction.atomic
def redrive(
    *, dead_letter_id: int, now: datetime, repair: Callable[[bytes], bytes] | None = None
) -> DeadLetter:
    """Send a dead letter, repaired where `repair` is given, to the topic and partition it came from; the shell
    that asks writes the audit. What fails again and again is sent three times. Raises LetterNotFound,
    NotRedrivable."""
    letter = _locked(dead_letter_id)
    _refuse_unless_redrivable(letter)
    letter.redrive_count += 1
    outbox.add([_repeat(letter, repair)])
    return _settled(letter, DeadLetter.State.REDRIVEN, now)


@transaction.atomic
def discard(*, dead_letter_id: int, now: datetime) -> DeadLetter:
    """Put a dead letter away for good; the shell that asks writes the audit. Raises LetterNotFound,
    AlreadyDiscarded."""
    letter = _locked(dead_letter_id)
    if letter.state == DeadLetter.State.DISCARDED:
        raise AlreadyDiscarded(f"Dead letter {letter.id} was discarded before.")
    return _settled(letter, DeadLetter.State.DISCARDED, now)


def _locked(dead_letter_id: int) -> DeadLetter:
    try:
        return DeadLetter.objects.select_for_update().get(id=dead_letter_id)
    except DeadLetter.DoesNotExist:
        raise LetterNotFound(f"There is no dead letter {dead_letter_id}.") from None


def _refuse_unless_redrivable(letter: DeadLetter) -> None:
    if letter.state == DeadLetter.State.DISCARDED:
        raise NotRedrivable(f"Dead letter {letter.id} was discarded.")
    if letter.redrive_count >= REDRIVES_MAX:
        raise NotRedrivable(f"Dead letter {letter.id} was sent again {letter.redrive_count} times already.")


def _repeat(letter: DeadLetter, repair: Callable[[bytes], bytes] | None) -> OutboxEvent:
    body = bytes(letter.body)
    body = body if repair is None else repair(body)
    if len(body) > MESSAGE_BYTES_MAX:
        raise NotRedrivable(f"Dead letter {letter.id} has {len(body)} bytes, above the limit of the log.")
    return _message(
        ids.derived("redrive", letter.id, letter.redrive_count),
        kind="dead.letter.redriven",
        topic=letter.topic,
        partition=letter.partition,
        key=bytes(letter.key or b""),
        body=body,
        headers={REDRIVEN_HEADER: str(letter.id)},
    )


def origin(letter: DeadLetter) -> dict[str, Any]:
    """Where a dead letter stood, for the audit trail."""
    return {"topic": letter.topic, "partition": letter.partition, "offset": letter.offset}


def _settled(letter: DeadLetter, state: DeadLetter.State, now: datetime) -> DeadLetter:
    letter.state, letter.settled_at = state, now
    letter.save(update_fields=["state", "settled_at", "redrive_count"])
    return letter
