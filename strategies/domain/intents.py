"""What a strategy may want: an order, with exits that the platform carries out, or the end or a change of one."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from alphapanda.core.vocabulary import OrderType, Side, Validity, Variety
from strategies.domain.consequences import WorkingOrder

MINUTES_MAX = 1_440


def check_rupees(wish: msgspec.Struct, *names: str) -> None:
    """Refuse prices that are no Decimal: a float is no price. Raises TypeError."""
    for name in names:
        given = getattr(wish, name)
        if given is not None and not isinstance(given, Decimal):
            raise TypeError(f"`{name}` is a Decimal of rupees, not the {type(given).__name__} {given!r}")


class Bracket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exits of an entry, watched by the platform in event time from each fill on, carried out at the market.

    `stop` and `target` are distances in rupees from the price of the fill; `trail` is the distance in rupees at
    which a stop follows the best price since; `minutes` is the longest stay. Raises ValueError, TypeError."""

    stop: Decimal | None = None
    target: Decimal | None = None
    trail: Decimal | None = None
    minutes: int | None = None

    def __post_init__(self) -> None:
        check_rupees(self, "stop", "target", "trail")
        distances = (self.stop, self.target, self.trail)
        if all(distance is None for distance in distances) and self.minutes is None:
            raise ValueError("a bracket needs a stop, a target, a trail or minutes")
        if any(d is not None and not (d.is_finite() and 0 < d <= 10**6) for d in distances):
            raise ValueError("`stop`, `target` and `trail` are rupees above 0 and at most 1,000,000")
        if self.minutes is not None and not 0 < self.minutes <= MINUTES_MAX:
            raise ValueError(f"`minutes` must be from 1 to {MINUTES_MAX}")


class Intent(msgspec.Struct, frozen=True):
    """What a strategy wants at this moment; it becomes a signal.

    Its order type follows from its prices: with a trigger it waits for that and goes on at the market (SL-M) or at
    the limit (SL). `validity_minutes` is the life of a TTL order; an order in `iceberg_legs` sends the next leg when
    the one before has traded, fewer of them where whole lots make no more; `tag` is at most 20 letters and digits, as
    at the broker."""

    instrument: str
    side: Side
    quantity: int
    reason: str = ""
    limit_price: Decimal | None = None
    validity: Validity = Validity.DAY
    bracket: Bracket | None = None
    trigger_price: Decimal | None = None
    validity_minutes: int = 0
    variety: Variety = Variety.REGULAR
    disclosed_quantity: int = 0
    iceberg_legs: int = 0
    tag: str = ""

    def __post_init__(self) -> None:
        check_rupees(self, "limit_price", "trigger_price")

    @property
    def order_type(self) -> OrderType:
        if self.trigger_price is None:
            return OrderType.MARKET if self.limit_price is None else OrderType.LIMIT
        return OrderType.SL_M if self.limit_price is None else OrderType.SL


class Cancel(msgspec.Struct, frozen=True):
    """The end of an order that works."""

    order: WorkingOrder
    reason: str = ""

    @property
    def instrument(self) -> str:
        return self.order.instrument


class Modify(msgspec.Struct, frozen=True):
    """A change of an order that works: what is given here replaces what it has. `quantity` is the new total, traded
    units included. `order_type` says what becomes of a stop that is to go to the market at once, and the like."""

    order: WorkingOrder
    quantity: int | None = None
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    order_type: OrderType | None = None
    validity: Validity | None = None
    validity_minutes: int | None = None
    disclosed_quantity: int | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        check_rupees(self, "limit_price", "trigger_price")

    @property
    def instrument(self) -> str:
        return self.order.instrument

    @property
    def open_units(self) -> int:
        """Units that could still trade after it."""
        traded = self.order.quantity - self.order.unfilled
        return (self.order.quantity if self.quantity is None else self.quantity) - traded


Wish = Intent | Cancel | Modify


def change(wish: Wish) -> int:
    """Signed units by which a wish changes what works; a cancelled order works until it is gone."""
    if isinstance(wish, Intent):
        return Side(wish.side).sign * wish.quantity
    if isinstance(wish, Modify):
        return wish.order.side.sign * (wish.open_units - wish.order.unfilled)
    return 0
