"""The outbox (stand-in for the event log's own)."""

from __future__ import annotations

from alphapanda.core.envelope import Envelope, encode
from alphapanda.eventlog.models import OutboxEvent


def publish(envelopes: list[Envelope]) -> None:
    """Write events in the transaction of the change they tell of."""
    OutboxEvent.objects.bulk_create(
        [
            OutboxEvent(
                event_id=envelope.id,
                type=envelope.type,
                broker=envelope.broker,
                topic="operator.actions",
                key=envelope.key,
                correlation_id=envelope.correlation_id,
                causation_id=envelope.causation_id,
                body=encode(envelope),
            )
            for envelope in envelopes
        ]
    )
