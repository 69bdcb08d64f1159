"""Open risk: what open positions lose from their last price to their stops, and what no stop bounds."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from alphapanda.core.money import ZERO, to_rupees
from alphapanda.dashboard import screen
from alphapanda.dashboard.holding import stops


def open_risks(held: list[screen.Row]) -> dict[str, screen.Row]:
    """By open position: rupees from the last price to the stops that would close it, nearest first, and the units that
    none would close. A price that jumps over a stop costs more."""
    by_position: dict[str, list[screen.Row]] = {}
    for stop in stops(held).values():
        if stop["closes"]:
            by_position.setdefault(stop["position"], []).append(stop)
    return {row["id"]: _risk(row, by_position.get(row["id"], [])) for row in held}


def _risk(row: screen.Row, found: list[screen.Row]) -> screen.Row:
    sign, mark_e4 = (1 if row["quantity"] > 0 else -1), row["mark_e4"]
    left, lost_e4 = abs(row["quantity"]), 0
    for stop in sorted(found, key=lambda one: -sign * one["level_e4"]):
        units = min(left, stop["quantity"])
        left -= units
        lost_e4 += max(sign * ((mark_e4 or 0) - stop["level_e4"]), 0) * units
    is_known = mark_e4 is not None and left < abs(row["quantity"])
    kept = ("id", "broker", "instrument", "deployment", "quantity", "mark_e4")
    return {name: row[name] for name in kept} | {
        "unbounded": left,
        "at_risk": str(to_rupees(lost_e4)) if is_known else None,
    }


def total(risks: Iterable[screen.Row]) -> screen.Row:
    """The sums, of what has a bound and of what has none."""
    every = list(risks)
    known = [Decimal(row["at_risk"]) for row in every if row["at_risk"] is not None]
    return {
        "id": "all",
        "count": len(every),
        "at_risk": str(sum(known, ZERO)) if known or not every else None,
        "unbounded": sum(row["unbounded"] > 0 for row in every),
        "unmarked": sum(row["mark_e4"] is None for row in every),
    }
