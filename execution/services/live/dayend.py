"""Orders whose day ended while no process looked: the book of a later day does not know them, so they are over. What
they traded after the last look nobody tells any more; what the account holds does."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Severity
from alphapanda.prepared import Prepared
from execution.domain.kite.account import began_ms
from execution.domain.kite.reducer import Gone
from execution.models import BrokerOrder
from execution.services.live import evidence, states
from execution.services.live.calls import ANY_MS
from execution.services.live.containing import contained
from execution.services.live.looking import Book
from risk.services.alerts import alert_raise


def end_days(book: Book, now: datetime) -> int:
    """End what expired, and was sent, before the broker's day began and is not in its whole book; how many orders. What
    was sent today may be later than the book, whatever the clock says by which it expires: that of a recording is
    another than ours."""
    if book.whole_orders is None:
        return 0
    shown = {name for row in book.whole_orders for name in (row.order_id, *row.tags)}
    rows = _expired(began_ms(to_ms(now)))
    known = states.readable(rows, now)
    gone = [
        row
        for row in rows
        if (live := known.get(row.pk)) and live.parts and shown.isdisjoint({*live.parts, *live.tags})
    ]
    for row in gone:
        with contained("order", row.pk, now):
            _end(row, now)
    return len(gone)


def _of_days_before(before_ms: int) -> QuerySet[BrokerOrder]:
    expired = BrokerOrder.objects.filter(is_open=True, order__expires_at_ms__lt=before_ms)
    return expired.exclude(states.sent_since("pk", before_ms))


_expired = Prepared(_of_days_before, ANY_MS)


def _end(row: BrokerOrder, now: datetime) -> None:
    evidence.take(row.order_id, [Gone(to_ms(now))], now=now)
    alert_raise(
        code="order_day_ended",
        subject=str(row.order_id),
        text="its day ended while nobody looked at the broker's book: compare with the broker's statement of the day",
        severity=Severity.CRITICAL,
        deployment_id=row.order.deployment_id,
        now=now,
    )
