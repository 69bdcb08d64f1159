"""Rows of live orders turned into what the domain knows of them, and back."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import Exists, OuterRef, QuerySet

from alphapanda.core.vocabulary import SignalKind
from execution import loading
from execution.domain.kite.orders import LiveOrder
from execution.domain.orders import PaperOrder
from execution.models import BrokerCall, BrokerOrder, Order
from execution.services.live.containing import contained

CHANGING = (
    "status", "reason", "quantity", "filled_quantity", "fills_count", "turnover", "leg_turnover", "limit_price_e4",
    "trigger_price_e4", "order_type", "validity", "validity_minutes", "disclosed_quantity", "modifications",
    "events_count", "updated_at_ms",
)  # fmt: skip


def written(order: LiveOrder) -> dict[str, Any]:
    """What is known of an order, as JSON."""
    told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(order))
    return told


def known(row: BrokerOrder) -> LiveOrder:
    """What is known of an order."""
    return msgspec.convert(row.state, LiveOrder, strict=False)


def readable(rows: Iterable[BrokerOrder], now: datetime) -> dict[UUID, LiveOrder]:
    """What is known of orders; of one whose row is no order, nothing, and a person is told."""
    found = {}
    for row in rows:
        with contained("order", row.pk, now):
            found[row.pk] = known(row)
    return found


def sent_since(order: str, at_ms: int) -> Exists:
    """Whether the call that places an order was sent since a time; `order` names the order in a query's rows."""
    placing = BrokerCall.objects.filter(order=OuterRef(order), kind=SignalKind.ORDER)
    return Exists(placing.filter(sent_at_ms__gte=at_ms))


class Remembered:
    """Orders as they were known last, so that a look at the book of a busy day reads those anew that have changed."""

    def __init__(self) -> None:
        self._known: dict[UUID, tuple[int, LiveOrder]] = {}

    def of(self, rows: QuerySet[BrokerOrder], now: datetime) -> dict[UUID, LiveOrder]:
        """What is known of orders, by their ids; of one whose row is no order, nothing."""
        revisions = dict(rows.values_list("pk", "revision"))
        changed = [pk for pk, revision in revisions.items() if self._revision(pk) != revision]
        found = readable(BrokerOrder.objects.filter(pk__in=changed), now)
        for pk in changed:
            self._known.pop(pk, None)
        self._known |= {pk: (revisions[pk], live) for pk, live in found.items()}
        return {pk: self._known[pk][1] for pk in revisions if pk in self._known}

    def forget_but(self, ids: Collection[UUID]) -> None:
        """Keep these alone: the book of another day has others."""
        self._known = {pk: found for pk, found in self._known.items() if pk in ids}

    def _revision(self, pk: UUID) -> int | None:
        found = self._known.get(pk)
        return None if found is None else found[0]


def order_save(row: Order, order: PaperOrder) -> None:
    """The order as its deployment sees it now."""
    columns = loading.order_columns(order)
    for name in CHANGING:
        setattr(row, name, columns[name])
    row.save(update_fields=CHANGING)
