"""Trades stored and handed to the books, whichever exchange made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from alphapanda.core.envelope import Envelope
from alphapanda.core.money import written
from execution.domain.settlement import FillRow
from execution.models import Fill, Order
from portfolio.services import PostingRequest, postings_receive

NO_KEYS: Mapping[UUID, str] = {}


def fills_write(
    orders: Mapping[UUID, Order],
    fills: Sequence[FillRow],
    envelopes: Sequence[Envelope],
    *,
    trade_keys: Mapping[UUID, str] = NO_KEYS,
) -> None:
    """Write trades of these orders, each with its event, and hand them to their books, inside the caller's transaction.
    `trade_keys` are what a broker outside calls them, by fill."""
    if not fills:
        return
    Fill.objects.bulk_create(
        _fill(orders[fill.fill.order_id], fill, trade_keys.get(fill.id)) for fill in fills
    )
    postings_receive(
        [
            PostingRequest(fill=row.fill, event_id=envelope.id, correlation_id=envelope.correlation_id)
            for row, envelope in zip(fills, envelopes, strict=True)
        ]
    )


def _fill(order: Order, row: FillRow, trade_key: str | None) -> Fill:
    return Fill(
        id=row.id,
        order=order,
        number=row.number,
        deployment_id=order.deployment_id,
        broker=order.broker,
        instrument_id=order.instrument_id,
        step=row.step,
        side=row.fill.side,
        quantity=row.fill.quantity,
        price_e4=row.fill.price_e4,
        charges={line: written(amount) for line, amount in row.fill.charges.items()},
        at_ms=row.fill.at_ms,
        received_at_ms=row.received_at_ms,
        source=row.source,
        trade_key=trade_key,
    )
