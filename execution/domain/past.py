"""An order as it stood at an earlier moment, out of the rows of its history and the trades that were known by then."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from alphapanda.core.money import ZERO, quantized
from execution.domain.orders import OrderEventRow, PaperOrder


class Traded(msgspec.Struct, frozen=True):
    """What a trade added to an order; `turnover` is rupees."""

    quantity: int
    turnover: Decimal
    at_ms: int


def stood(order: PaperOrder, rows: Sequence[OrderEventRow], trades: Sequence[Traded]) -> PaperOrder:
    """The order after these rows, one at least, and trades, oldest first: what pages show of it. Its last row has its
    terms, but what has traded has traded; only an order that is over has a reason."""
    last, filled = rows[-1], sum(trade.quantity for trade in trades)
    return msgspec.structs.replace(
        order,
        status=last.status,
        quantity=max(last.quantity, filled),
        limit_price_e4=last.limit_price_e4,
        trigger_price_e4=last.trigger_price_e4,
        reason=_reason(order, last),
        filled_quantity=filled,
        fills_count=len(trades),
        turnover=quantized(sum((trade.turnover for trade in trades), ZERO)),
        events_count=last.number,
        updated_at_ms=max(last.at_ms, *(trade.at_ms for trade in trades), order.placed_at_ms),
    )


def _reason(order: PaperOrder, last: OrderEventRow) -> str:
    """An end is never followed by another one, so that the order's own words are those of then."""
    return order.reason if last.status.is_final and last.status is order.status else ""
