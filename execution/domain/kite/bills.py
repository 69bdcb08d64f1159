"""What our orders of a day have cost by our tables, as Kite is asked for its own figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

import msgspec

from alphapanda.core.vocabulary import Side

TOLERANCE = Decimal("0.02")  # rupees an order: Kite is told an average price of four decimal places


class Bill(msgspec.Struct, frozen=True):
    """An order of ours that traded, by the broker's id; `quantity` is in Kite's units."""

    order_id: str
    day: date
    exchange: str
    symbol: str
    side: Side
    variety: str
    product: str
    order_type: str
    quantity: int
    average_price: Decimal
    charges: Decimal


def said(bills: Iterable[Bill]) -> list[dict[str, object]]:
    """Orders as Kite's route asks for them."""
    return [
        {
            "order_id": bill.order_id,
            "exchange": bill.exchange,
            "tradingsymbol": bill.symbol,
            "transaction_type": bill.side.value,
            "variety": bill.variety,
            "product": bill.product,
            "order_type": bill.order_type,
            "quantity": bill.quantity,
            "average_price": float(round(bill.average_price, 4)),
        }
        for bill in bills
    ]


def unequal(bills: Iterable[Bill], charges: Mapping[str, Decimal]) -> list[tuple[Bill, Decimal]]:
    """The orders that cost another amount at Kite, each with it."""
    told = [(bill, charges[bill.order_id]) for bill in bills]
    return [(bill, theirs) for bill, theirs in told if abs(bill.charges - theirs) > TOLERANCE]
