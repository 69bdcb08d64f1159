"""Order updates as they are pushed, by websocket frames and postbacks: kept as they came, then merged by the one
process that owns the account."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from alphapanda import logs
from alphapanda.core.clock import to_ms
from alphapanda.prepared import Prepared
from execution.domain.kite.rows import NotKites, order_of
from execution.models import BrokerPush
from execution.services.live import looking

TAKEN_MAX = 200
STREAM, POSTBACK = "stream", "postback"  # sources
log = logs.channel("trading")


def keep(body: bytes, source: str) -> None:
    """Keep an update for the broker's process. It is a hint: what is lost here is found in the broker's book."""
    BrokerPush.objects.create(body=body.decode("utf-8", "replace"), source=source)


def take_all(now: datetime) -> bool:
    """Merge what was pushed since the last look; whether there was anything."""
    rows = _first()
    for row in rows:
        with transaction.atomic():
            _take(row, now)
            row.delete()
    return bool(rows)


_first = Prepared(lambda: BrokerPush.objects.order_by("id")[:TAKEN_MAX])


def _take(row: BrokerPush, now: datetime) -> None:
    try:
        order = order_of(row.body.encode(), looking.Units())
    except NotKites as error:
        log.warning("execution.broker.bad_update", source=row.source, text=str(error)[:200])
        return
    looking.take_pushed(order, to_ms(row.received_at), now)
