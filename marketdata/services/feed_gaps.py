"""Gaps of a live feed told as events: what was not heard is nowhere, and whoever decides must be able to know."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from alphapanda.core import ids
from alphapanda.core.clock import to_ms
from alphapanda.core.envelope import EventType, FeedGap, seal
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import outbox


def gap_tell(gap: FeedGap, *, now: datetime) -> None:
    """Tell of a gap, when it begins and when it is over; the same told again is the same event."""
    subject = f"{gap.source}|{gap.connection}|{gap.from_ms}|{gap.until_ms}"
    event_id = ids.event_id(EventType.FEED_GAP, subject)
    envelope = seal(
        gap,
        event_type=EventType.FEED_GAP,
        event_id=event_id,
        ts=to_ms(now),
        source="feed",
        broker=Broker.SHARED,
        key=f"{gap.source}:{gap.connection}",
        correlation_id=event_id,
        causation_id=event_id,
    )
    with transaction.atomic():
        outbox.publish([envelope])
