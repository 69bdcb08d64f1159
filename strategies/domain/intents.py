"""What a strategy may want: an order, with exits that the platform carries out for it."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from alphapanda.core.vocabulary import OrderType, Side, Validity

MINUTES_MAX = 1_440


class Bracket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exits of an entry, watched by the platform in event time from each fill on, carried out at the market.

    `stop` and `target` are distances in rupees from the price of the fill; `trail` is the distance in rupees at
    which a stop follows the best price since; `minutes` is the longest stay. Raises ValueError."""

    stop: Decimal | None = None
    target: Decimal | None = None
    trail: Decimal | None = None
    minutes: int | None = None

    def __post_init__(self) -> None:
        distances = (self.stop, self.target, self.trail)
        if all(distance is None for distance in distances) and self.minutes is None:
            raise ValueError("a bracket needs a stop, a target, a trail or minutes")
        if any(d is not None and not (d.is_finite() and 0 < d <= 10**6) for d in distances):
            raise ValueError("`stop`, `target` and `trail` are rupees above 0 and at most 1,000,000")
        if self.minutes is not None and not 0 < self.minutes <= MINUTES_MAX:
            raise ValueError(f"`minutes` must be from 1 to {MINUTES_MAX}")


class Intent(msgspec.Struct, frozen=True):
    """What a strategy wants at this moment; it becomes a signal."""

    instrument: str
    side: Side
    quantity: int
    reason: str = ""
    limit_price: Decimal | None = None
    validity: Validity = Validity.DAY
    bracket: Bracket | None = None

    @property
    def order_type(self) -> OrderType:
        return OrderType.MARKET if self.limit_price is None else OrderType.LIMIT
