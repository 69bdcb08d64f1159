"""Limits of a deployment and what risk remembers of its session."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """None: no limit. Quantities in units, values and losses in rupees, ages in milliseconds of event time."""

    order_quantity: int | None = None
    order_value: Decimal | None = None
    position_quantity: int | None = None
    daily_orders: int | None = None
    daily_loss: Decimal | None = None
    orders_per_minute: int | None = None
    price_age_ms: int | None = None


class DayState(msgspec.Struct, frozen=True):
    """One session of a deployment: `day` is the ordinal of the IST date, `equity` the net worth it began with,
    None while that is unknown.

    `recent_ms`: event times of the orders approved within the last minute."""

    day: int = 0
    orders: int = 0
    equity: Decimal | None = None
    recent_ms: tuple[int, ...] = ()


def strictest(levels: Iterable[Limits]) -> Limits:
    """The limits of several levels at once: of each, the smallest."""
    levels = list(levels)
    smallest = {}
    for name in Limits.__struct_fields__:
        given = [value for level in levels if (value := getattr(level, name)) is not None]
        smallest[name] = min(given) if given else None
    return Limits(**smallest)
