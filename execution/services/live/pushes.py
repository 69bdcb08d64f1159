"""Order updates as they are pushed, by websocket frames and postbacks: kept as they came, then merged by the one
process that owns the account."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from alphapanda import logs
from alphapanda.core.clock import to_ms
from alphapanda.prepared import Prepared
from execution.domain.kite.rows import NotKites, order_of
from execution.models import BrokerPush
from execution.services.live import containing, looking

TAKEN_MAX = 200
STREAM, POSTBACK = "stream", "postback"  # sources
GAP = "gap"  # no update, but that some were missed
log = logs.channel("trading")


def keep(body: bytes, source: str) -> None:
    """Keep an update for the broker's process. It is a hint: what is lost here is found in the broker's book."""
    words = body.decode("utf-8", "replace").replace("\0", "?")  # which no column takes
    BrokerPush.objects.create(body=words, source=source)


def missed() -> None:
    """Tell the broker's process that the stream of updates had a gap: what it missed stands in the broker's book."""
    BrokerPush.objects.create(body="", source=GAP)


def take_all(now: datetime, *, look_soon: Callable[[], None]) -> bool:
    """Merge what was pushed since the last look; whether there was anything. One that cannot be merged is kept with
    the reason, and not met again: what it told stands in the broker's book."""
    rows = _first()
    for row in rows:
        if row.source == GAP:
            look_soon()
        fault = containing.savepoint("push", row.pk, now, partial(_take, row, now))
        if fault == containing.BUSY:
            row.delete()  # nothing is wrong with it, and the next look at the book tells the same
        elif fault:
            BrokerPush.objects.filter(pk=row.pk).update(fault=fault)
    return bool(rows)


_first = Prepared(lambda: BrokerPush.objects.filter(fault="").order_by("id")[:TAKEN_MAX])


def _take(row: BrokerPush, now: datetime) -> None:
    if row.source != GAP:
        _merge(row, now)
    row.delete()


def _merge(row: BrokerPush, now: datetime) -> None:
    try:
        order = order_of(row.body.encode(), looking.Units())
    except NotKites as error:
        log.warning("execution.broker.bad_update", source=row.source, text=str(error)[:200])
        return
    looking.take_pushed(order, to_ms(row.received_at), now)
