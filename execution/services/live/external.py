"""Orders in the account that nobody here has sent: written down as they stand, never touched."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import partial

import msgspec
from django.db import transaction

from alphapanda.core.clock import ist_date, ist_midnight_ms, to_datetime
from alphapanda.prepared import Prepared
from execution.domain.kite import reconciling
from execution.domain.kite.rows import OrderSnapshot
from execution.models import ExternalOrder
from execution.services.live.containing import is_everybodys, savepoint


def keep(rows: Iterable[OrderSnapshot], at: datetime) -> None:
    """Write down orders as they were shown, where that is new. What was shown last may come first."""
    shown = {row.order_id: row for row in rows}
    for order_id, known in _known(shown).items():
        if _place(shown[order_id]) <= _place(known):
            del shown[order_id]
    ExternalOrder.objects.bulk_create(
        [
            ExternalOrder(
                broker_order_id=row.order_id,
                instrument=row.instrument,
                snapshot=msgspec.to_builtins(row),
                is_open=not row.is_final,
                worst_value=reconciling.worst_exposure(row, 0),
                seen_at=at,
            )
            for row in shown.values()
        ],
        update_conflicts=True,
        unique_fields=["broker_order_id"],
        update_fields=["snapshot", "is_open", "worst_value", "seen_at"],
    )


def keep_book(rows: Iterable[OrderSnapshot], at: datetime, now: datetime, *, is_whole: bool) -> None:
    """The same of a book, each order by itself where they cannot be kept together: what worked and is not in a whole
    one is over, for a day's orders end with it. What was told of since the book was asked for need not be in it."""
    shown = list(rows)
    if shown:
        _keep_shown(shown, at, now)
    over = {pk for (pk,) in _open()} - {row.order_id for row in shown} if is_whole else ()
    if over:
        ended = ExternalOrder.objects.filter(is_open=True, pk__in=over, seen_at__lte=at)
        ended.update(is_open=False, worst_value=Decimal(0), seen_at=at)


_open = Prepared(lambda: ExternalOrder.objects.filter(is_open=True).values_list("broker_order_id"))


def _keep_shown(shown: Collection[OrderSnapshot], at: datetime, now: datetime) -> None:
    try:
        with transaction.atomic():
            keep(shown, at)
    except Exception as error:
        if is_everybodys(error):
            raise
        for row in shown:
            savepoint("external", row.order_id, now, partial(keep, [row], at))


def _known(ids: Collection[str]) -> dict[str, OrderSnapshot]:
    """What was shown last; a row that cannot be read any more is written anew, and so is an order that was over for it
    was not shown any more."""
    found = {}
    rows = ExternalOrder.objects.filter(pk__in=list(ids))
    for pk, is_open, snapshot in rows.values_list("pk", "is_open", "snapshot"):
        with suppress(msgspec.ValidationError):
            row = msgspec.convert(snapshot, OrderSnapshot, strict=False)
            if is_open is not row.is_final:
                found[pk] = row
    return found


def _place(row: OrderSnapshot) -> tuple[bool, int, int, str]:
    """Of two snapshots of an order the larger counts: an end stays an end, and trades only grow."""
    return row.is_final, row.filled, row.at_ms, row.status_text


def placed_on_day(now_ms: int) -> int:
    """How many orders of others the account has placed since India's midnight, as far as we were shown them."""
    midnight_ms = ist_midnight_ms(ist_date(now_ms))
    shown = ExternalOrder.objects.filter(seen_at__gte=to_datetime(midnight_ms))
    return shown.filter(snapshot__placed_at_ms__gte=midnight_ms).count()
