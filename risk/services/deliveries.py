"""What an alert sets off: one row for each channel that wants it, in the transaction of the alert."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from alphapanda.core import ids
from alphapanda.core.vocabulary import Severity
from alphapanda.eventlog import doorbell
from risk.channel_models import AlertChannel, AlertDelivery

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from risk.models import Alert

TASK, QUEUE = "risk.tell", "alerts"
LEAST = {Severity.WARNING: [Severity.WARNING], Severity.CRITICAL: list(Severity)}  # wanted by whom


def deliveries_write(
    alert: Alert, *, now: datetime, occasion: str = AlertDelivery.OPENED, but: UUID | None = None
) -> None:
    """Have an alert told by every channel that wants its severity, `but` one. Written twice for an occasion it is told
    once; a channel to which it is on its way already is not told again."""
    on_its_way = AlertDelivery.objects.filter(alert=alert, state__in=("WAITING", "SENDING"))
    wanting = AlertChannel.objects.filter(
        is_enabled=True, removed_at=None, least__in=LEAST[Severity(alert.severity)]
    ).exclude(pk__in=on_its_way.values("channel"))
    rows = [delivery(one, now=now, occasion=occasion, alert=alert) for one in wanting if one.pk != but]
    if rows:
        AlertDelivery.objects.bulk_create(rows, ignore_conflicts=True)
        ring()


def delivery(
    channel: AlertChannel, *, now: datetime, occasion: str, alert: Alert | None = None
) -> AlertDelivery:
    """The row for an occasion; its id follows from it."""
    return AlertDelivery(
        id=ids.derived("alert-delivery", channel.pk, alert.pk if alert else "", occasion),
        channel=channel,
        alert=alert,
        occasion=occasion,
        due_at=now,
        created_at=now,
    )


def ring() -> None:
    """Ring for whoever sends, once what is to be sent is committed; beat rings again."""
    transaction.on_commit(lambda: doorbell.ring(TASK, queue=QUEUE))
