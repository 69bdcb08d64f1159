"""A gap: what a consumer was to read next is not in the log any more. It is logged, told as an event, and passed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from alphapanda import logs
from alphapanda.core import ids
from alphapanda.core.clock import to_ms
from alphapanda.core.envelope import EventType, LogGap, seal
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import outbox

log = logs.channel("market_data")


def inside(wanted: int, *, low: int, high: int) -> int:
    """Where to read on: the offset wanted, or the nearest that the log has or will have."""
    return min(max(wanted, low), high)


def tell(
    consumer: str, topic: str, partition: int, *, wanted: int, resumed: int, incarnation: UUID, now: datetime
) -> None:
    """Tell of a gap; the same one told again is the same event."""
    gap = LogGap(consumer=consumer, topic=topic, partition=partition, wanted=wanted, resumed=resumed)
    log.error(
        "eventlog.gap", consumer=consumer, topic=topic, partition=partition, wanted=wanted, resumed=resumed
    )
    subject = f"{consumer}|{topic}|{partition}|{incarnation}|{wanted}|{resumed}"
    event_id = ids.event_id(EventType.LOG_GAP, subject)
    envelope = seal(
        gap,
        event_type=EventType.LOG_GAP,
        event_id=event_id,
        ts=to_ms(now),
        source=consumer,
        broker=Broker.SHARED,
        key=f"{topic}:{partition}",
        correlation_id=event_id,
        causation_id=event_id,
    )
    with transaction.atomic():
        outbox.publish([envelope])
