"""Open risk: what open positions lose from their last price to their stops, and what no stop bounds. Pure: the line on
top of every page and the page of risk count alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from alphapanda.core.money import ZERO, to_rupees, value
from alphapanda.core.vocabulary import Side

Row = dict[str, Any]


def at_positions(held: Iterable[Row], waiting: Iterable[Row]) -> Iterator[tuple[Row, list[Row]]]:
    """Each position with the exits that wait at its deployment for its instrument."""
    found: dict[tuple[str, int], list[Row]] = {}
    for one in waiting:
        found.setdefault((one["deployment_id"], one["token"]), []).append(one)
    for row in held:
        yield row, found.get((row["deployment_id"], row["token"]), [])


def open_risks(held: Iterable[Row], waiting: Iterable[Row]) -> dict[str, Row]:
    """By open position: rupees from the last price to the stops that would close it, nearest first, and the units that
    none would close. A price that jumps over a stop costs more."""
    return {row["id"]: _risk(row, found) for row, found in _with_stops(held, waiting)}


def stop_distances(held: Iterable[Row], waiting: Iterable[Row]) -> dict[str, Row]:
    """By open position that has one: its nearest stop, and how far from the last price that is, in percent."""
    return {row["id"]: _distance(row, found[0]) for row, found in _with_stops(held, waiting) if found}


def _with_stops(held: Iterable[Row], waiting: Iterable[Row]) -> Iterator[tuple[Row, list[Row]]]:
    """Each position with the stops that would close it, nearest first."""
    for row, found in at_positions(held, waiting):
        sign = 1 if row["quantity"] > 0 else -1
        stops = [one for one in found if _ends(one, row)]
        yield row, sorted(stops, key=lambda one: -sign * one["level_e4"])


def _distance(row: Row, stop: Row) -> Row:
    mark_e4, level_e4 = row["mark_e4"], stop["level_e4"]
    percent = f"{Decimal(level_e4 - mark_e4) / mark_e4 * 100:+.2f}" if mark_e4 else None
    return {"stop_e4": level_e4, "to_stop": percent}


def _ends(one: Row, held: Row) -> bool:
    """A target ends no loss, and an order that would add to the position neither."""
    return bool(one["is_stop"]) and (one["side"] == Side.SELL) == (held["quantity"] > 0)


def _risk(row: Row, found: list[Row]) -> Row:
    sign, mark_e4 = (1 if row["quantity"] > 0 else -1), row["mark_e4"]
    left, lost_e4 = abs(row["quantity"]), 0
    for stop in found:
        units = min(left, stop["quantity"])
        left -= units
        lost_e4 += max(sign * ((mark_e4 or 0) - stop["level_e4"]), 0) * units
    is_known = mark_e4 is not None and left < abs(row["quantity"])
    kept = ("id", "broker", "instrument", "deployment", "quantity", "mark_e4")
    return {name: row[name] for name in kept} | {
        "unbounded": left,
        "unbounded_worth": None if mark_e4 is None else str(value(mark_e4, left)),
        "at_risk": str(to_rupees(lost_e4)) if is_known else None,
    }


def total(risks: Iterable[Row]) -> Row:
    """The sums, of what has a bound and of what has none."""
    every = list(risks)
    known = [Decimal(row["at_risk"]) for row in every if row["at_risk"] is not None]
    worth = [Decimal(row["unbounded_worth"]) for row in every if row["unbounded_worth"] is not None]
    return {
        "id": "all",
        "count": len(every),
        "at_risk": str(sum(known, ZERO)) if known or not every else None,
        "unbounded": sum(row["unbounded"] > 0 for row in every),
        "unbounded_worth": str(sum(worth, ZERO)),
        "unmarked": sum(row["mark_e4"] is None for row in every),
    }
