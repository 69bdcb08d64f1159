"""What our orders of a day have cost by our tables, as Kite is asked for its own figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

import msgspec

from alphapanda.core.vocabulary import Side

TOLERANCE = Decimal("0.02")  # rupees an order: Kite is told an average price of four decimal places
ROUNDING = Decimal("0.5")  # of stamp duty, which Kite states in whole rupees


class Charges(msgspec.Struct, frozen=True):
    """Rupees of an order, all of them and of these the stamp duty."""

    total: Decimal
    stamp: Decimal


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
    charges: Charges


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


def unequal(bills: Iterable[Bill], charges: Mapping[str, Charges]) -> list[tuple[Bill, Charges]]:
    """The orders that cost another amount at Kite, each with it."""
    told = [(bill, charges[bill.order_id]) for bill in bills]
    return [(bill, theirs) for bill, theirs in told if not _is_equal(bill.charges, theirs)]


def _is_equal(ours: Charges, theirs: Charges) -> bool:
    rest = (ours.total - ours.stamp) - (theirs.total - theirs.stamp)
    return abs(rest) <= TOLERANCE and abs(ours.stamp - theirs.stamp) <= ROUNDING + TOLERANCE
