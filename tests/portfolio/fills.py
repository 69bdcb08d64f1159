"""Fills for the tests of pure books."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from alphapanda.core import ids
from alphapanda.core.clock import ist_midnight_ms
from alphapanda.core.vocabulary import Side
from portfolio.domain.books import BookedFill

DEPLOYMENT = ids.deployment_id("books")
NOON_MS = 12 * 3_600_000


def a_fill(
    number: int,
    side: Side,
    quantity: int,
    price_e4: int,
    charges: dict[str, Decimal] | None = None,
    instrument: str = "NSE:INFY",
    day: date | None = None,
) -> BookedFill:
    """The only fill of order `number`, at noon of the day and `number` milliseconds."""
    order = ids.derived("order", number)
    return BookedFill(
        fill_id=ids.fill_id(order, 1),
        order_id=order,
        deployment_id=DEPLOYMENT,
        instrument=instrument,
        token=408065,
        side=side,
        quantity=quantity,
        price_e4=price_e4,
        charges=charges or {},
        at_ms=number + (ist_midnight_ms(day) + NOON_MS if day else 0),
    )
