"""What a kill sweep goes by: what an order may still come to, when it is stubborn."""

from __future__ import annotations

from decimal import Decimal

from alphapanda.core.money import value
from execution.domain.kite.orders import LiveOrder

STUBBORN_AFTER = 3  # cancellations that did not end an order


def rank(order: LiveOrder) -> tuple[bool, Decimal, str]:
    """Sorts the largest exposure first; one that is not known may be the largest."""
    worth = exposure(order)
    return worth is not None, -(worth or Decimal(0)), str(order.id)


def exposure(order: LiveOrder) -> Decimal | None:
    """Rupees that an order may still come to, at the dearest of its prices; None where it has none."""
    terms = order.now
    price_e4 = max(terms.limit_price_e4 or 0, terms.trigger_price_e4 or 0)
    return value(price_e4, order.worst_open) if price_e4 else None
