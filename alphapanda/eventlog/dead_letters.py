"""Messages that could not be handled: kept whole, told of, sent again when mended, or put away."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from alphapanda import logs
from alphapanda.core import ids as identity
from alphapanda.core.clock import to_ms
from alphapanda.core.envelope import EventType, OperatorActed, seal
from alphapanda.core.refusals import Conflict
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import outbox, topics
from alphapanda.eventlog.models import DeadLetter, OutboxEvent
from alphapanda.eventlog.records import MESSAGE_BYTES_MAX, REDRIVEN_HEADER, Record

REDRIVES_MAX = 3
ERROR_CHARS_MAX = 500
KEY_CHARS_MAX = 120

_SECRET = re.compile(
    r"(?i)\b(?!instrument_token)(\w*(?:token|secret|password|passwd|api_key|apikey|authorization|checksum)\w*)"
    r"""(["']?\s*[:=]\s*["']?)[^\s"',}&]+"""
)
_CREDENTIAL = re.compile(r"(?i)\b(bearer\s+\S+|token\s+\S+:\S+)")


class DeadLetterRefused(Conflict):
    """A dead letter does not exist, was put away, or was sent again often enough."""


def one_line(error: BaseException | str) -> str:
    """An error as one printable line of at most 500 characters without secrets."""
    flat = "".join(c if c.isprintable() else " " for c in str(error))
    hidden = _CREDENTIAL.sub("***", logs.without_shapes(" ".join(flat.split())))
    return _SECRET.sub(r"\1\2***", hidden)[:ERROR_CHARS_MAX]


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
        identity.derived("dead-letter", *place),
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


def find(
    *,
    topic: str = "",
    reason: str = "",
    consumer: str = "",
    state: str = "",
    id_min: int | None = None,
    id_max: int | None = None,
) -> QuerySet[DeadLetter]:
    """Dead letters that fit all conditions given, oldest first."""
    wanted = {"topic": topic, "reason": reason, "consumer": consumer, "state": state}
    wanted |= {"id__gte": id_min, "id__lte": id_max}
    return DeadLetter.objects.filter(**{k: v for k, v in wanted.items() if v not in ("", None)}).order_by(
        "id"
    )


def redrive(
    ids: Sequence[int],
    *,
    repair: Callable[[bytes], bytes] | None = None,
    actor: str,
    now: datetime,
    reason: str = "",
) -> list[int]:
    """Send dead letters, repaired where `repair` is given, to the topic and partition they came from: all of
    them or, by raising DeadLetterRefused, none. A message that fails again and again is sent three times."""
    with transaction.atomic():
        letters = _locked(ids)
        for letter in letters:
            _refuse_unless_redrivable(letter)
            letter.redrive_count += 1
            outbox.add([_repeat(letter, repair)])
            _settle(letter, DeadLetter.State.REDRIVEN, actor=actor, now=now, reason=reason)
    return [letter.id for letter in letters]


def discard(ids: Sequence[int], *, actor: str, now: datetime, reason: str) -> list[int]:
    """Put dead letters away for good: all of them or, by raising DeadLetterRefused, none."""
    with transaction.atomic():
        letters = _locked(ids)
        for letter in letters:
            _refuse_if_discarded(letter)
            _settle(letter, DeadLetter.State.DISCARDED, actor=actor, now=now, reason=reason)
    return [letter.id for letter in letters]


def _locked(ids: Sequence[int]) -> list[DeadLetter]:
    letters = list(DeadLetter.objects.select_for_update().filter(id__in=ids).order_by("id"))
    if unknown := set(ids) - {letter.id for letter in letters}:
        raise DeadLetterRefused(f"no dead letter {', '.join(map(str, sorted(unknown)))}")
    return letters


def _refuse_if_discarded(letter: DeadLetter) -> None:
    if letter.state == DeadLetter.State.DISCARDED:
        raise DeadLetterRefused(f"dead letter {letter.id} is {letter.state}")


def _refuse_unless_redrivable(letter: DeadLetter) -> None:
    _refuse_if_discarded(letter)
    if letter.topic not in topics.TOPICS:
        raise DeadLetterRefused(f"dead letter {letter.id} is of {letter.topic}, which is no topic any more")
    if letter.redrive_count >= REDRIVES_MAX:
        raise DeadLetterRefused(
            f"dead letter {letter.id} was sent again {letter.redrive_count} times already"
        )


def _repeat(letter: DeadLetter, repair: Callable[[bytes], bytes] | None) -> OutboxEvent:
    body = bytes(letter.body)
    body = body if repair is None else repair(body)
    if len(body) > MESSAGE_BYTES_MAX:
        raise DeadLetterRefused(f"dead letter {letter.id} has {len(body)} bytes, above the limit of the log")
    return _message(
        identity.derived("redrive", letter.id, letter.redrive_count),
        kind="dead.letter.redriven",
        topic=letter.topic,
        partition=letter.partition,
        key=bytes(letter.key or b""),
        body=body,
        headers={REDRIVEN_HEADER: str(letter.id)},
    )


def _namespace(topic: str) -> Broker:
    return topics.TOPICS[topic].namespace if topic in topics.TOPICS else Broker.SHARED


def _settle(letter: DeadLetter, state: DeadLetter.State, *, actor: str, now: datetime, reason: str) -> None:
    letter.state = state
    letter.settled_at = now
    letter.save(update_fields=["state", "settled_at", "redrive_count"])
    action = f"dead_letter.{state.lower()}"
    event = identity.event_id(EventType.OPERATOR_ACTED, f"{action}|{letter.id}|{letter.redrive_count}")
    acted = OperatorActed(
        action=action,
        target=f"dead-letter:{letter.id}",
        actor=actor,
        reason=reason,
        details={"topic": letter.topic, "partition": letter.partition, "offset": letter.offset},
    )
    sealed = seal(
        acted,
        event_type=EventType.OPERATOR_ACTED,
        event_id=event,
        ts=to_ms(now),
        source="dead_letters",
        broker=_namespace(letter.topic),
        key=acted.target,
        correlation_id=event,
        causation_id=event,
    )
    outbox.publish([sealed])
