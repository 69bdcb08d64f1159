"""Limits in words: their names and units for people, amounts in their shortest form, limits as JSON."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import Any, get_args

import msgspec

from risk.domain.limits import Limits, given

# What people call a limit, where its name does not say it by itself. Many a rule has the name of its limit.
NAMES = {
    "collar_percent": "price collar",
    "collar_ticks": "price collar in ticks",
    "price_age_ms": "age of the price",
    "price_jump_percent": "jump of the price",
    "duplicate_ms": "time between equal orders",
    "restricted": "instruments not entered",
    "allowed": "instruments entered",
    "products": "products used",
    "expiry_until": "entries on the last day until",
    "position_quantity": "position",
    "repeated_ms": "window of repeated entries",
    "underlying_exposure": "exposure to one underlying",
    "daily_loss": "loss of the day",
    "loss_cancel": "loss that cancels entries",
    "loss_flatten": "loss that closes positions",
    "orders_per_second": "orders a second",
    "orders_per_minute": "orders a minute",
    "daily_orders": "orders of the day",
    "exit_lane": "orders kept for exits",
    "self_trade": "trade with ourselves",
}
UNITS = {
    field.name: unit
    for field in msgspec.structs.fields(Limits)
    for kind, unit in ((Decimal, "rupees"), (int, "count"))
    if kind in get_args(field.type)
}


def named(name: str) -> str:
    """A limit, a rule or the code of an alert as people say it; programs know it by its name."""
    return NAMES.get(name, name.replace("_", " "))


def unit_of(name: str) -> str:
    """What a limit is counted in: rupees, percent, ms or count; nothing for what is no number."""
    ending = name.rpartition("_")[2]
    return ending if ending in ("percent", "ms") else UNITS.get(name, "")


def text(amount: Decimal) -> str:
    """An amount in its shortest form, so that 0.00 and 0 read the same."""
    return f"{amount.normalize():f}"


def plain(limit: Any) -> Any:
    """A limit as JSON."""
    if isinstance(limit, Decimal):
        return text(limit)
    if isinstance(limit, time):
        return limit.isoformat()
    return list(limit) if isinstance(limit, tuple) else limit


def written(limits: Limits) -> dict[str, Any]:
    """The limits that are set, as JSON."""
    return {name: plain(limit) for name, limit in given(limits).items()}
