"""A row of each kind that has to do with where alerts go."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from risk.channel_models import AlertChannel, AlertDelivery, AlertSilence


def alerting() -> list[Any]:
    at = datetime(2026, 11, 27, 3, tzinfo=UTC)
    facts = {"name": "desk", "service": "JSON", "address": b"sealed", "created_by": "alice"}
    channel = AlertChannel.objects.create(**facts, created_at=at)
    delivery = AlertDelivery.objects.create(
        id=UUID(int=1), channel=channel, occasion="test:1", due_at=at, created_at=at, state="SENT"
    )
    silence = AlertSilence.objects.create(code="drill", until=at, reason="drill", by="alice", at=at)
    return [channel, delivery, silence]
