"""Positions: what is held (net), what the day has traded, sums by strategy, and how far the stops are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse

from alphapanda import exits
from alphapanda.core.clock import DAY_MS, ist_midnight_ms
from alphapanda.core.money import ZERO, to_rupees
from alphapanda.core.vocabulary import Side
from alphapanda.dashboard import frame, idle, moment, screen, seen
from alphapanda.dashboard.access import broker_of, page_view
from alphapanda.dashboard.open_risk import at_positions
from execution.models import Fill

VIEWS = ("net", "day", "strategy")
BAD_REQUEST, UNAVAILABLE = 400, 503


@page_view
def positions(request: HttpRequest) -> HttpResponse:
    """What is held, at its last price, with the sums of it; or what the day has traded; or sums by strategy."""
    broker = broker_of(request.GET.get("broker", ""))
    live = frame.Reading(broker)
    view = request.GET.get("view", VIEWS[0])
    kinds = ("positions", "held")
    held = list(live.rows.get("positions", {}).values())
    stored = (
        _of_now(broker, live, held) if moment.current() is None else {"stops": {}, "idle": {}}
    ) | _of_view(view, broker, live, held)
    html = screen.rendered(screen.showing(live.rows, kinds) | stored)
    if frame.wants_json(request):
        return frame.snapshot(live, html)
    context: dict[str, Any] = {
        "view": view,
        "views": VIEWS,
        "kind": "positions" if view not in VIEWS[1:] else _KIND[view],
        "rows": list(html.get(_KIND.get(view, "positions"), {}).values()),
        "stops": list(html["stops"].values()),
        "bare": "" if view == "day" else html["idle"].get("positions", ""),
        "held": next(iter(html.get("held", {}).values()), ""),
    }
    status = UNAVAILABLE if live.error else 200 if view in VIEWS else BAD_REQUEST
    return frame.shown(
        request, "positions", "dashboard/positions.html", context,
        live=live, kinds=kinds, hints=[*stored, "orders", "fills"], status=status,
    )  # fmt: skip


def _of_now(broker: str, live: frame.Reading, held: list[screen.Row]) -> dict[str, dict[str, screen.Row]]:
    """What is not kept of a past moment."""
    bare = {"id": "positions"} | idle.positions(broker, live)
    return {"stops": stops(held, exits_of(held)), "idle": {"positions": bare}}


_KIND = {"day": "traded", "strategy": "groups"}


def _of_view(
    view: str, broker: str, live: frame.Reading, held: list[screen.Row]
) -> dict[str, dict[str, screen.Row]]:
    if view == "day":
        return {"traded": traded(broker, live)}
    return {"groups": groups(live, held)} if view == "strategy" else {}


def groups(live: frame.Reading, held: Iterable[screen.Row]) -> dict[str, screen.Row]:
    """Sums of open positions by strategy; one without a price is counted, and not in the profit."""
    strategies = {i: row["strategy"] for i, row in live.rows.get("deployments", {}).items()}
    sums: dict[str, screen.Row] = {}
    for row in held:
        name = strategies.get(row["deployment_id"], "unknown")
        one = sums.setdefault(
            name, {"id": name, "name": name, "count": 0, "unmarked": 0} | dict.fromkeys(_SUMS, ZERO)
        )
        one["count"] += 1
        one["unmarked"] += row["unrealised"] is None
        one["gross"] += abs(Decimal(row["value"]))
        one["unrealised"] += Decimal(row["unrealised"] or 0)
        one["realised"] += Decimal(row["realised"])
    return {name: _written(one) for name, one in sorted(sums.items())}


def _written(one: screen.Row) -> screen.Row:
    """Where none of a strategy's positions has a price its profit is not known, which is not nought."""
    unknown = {"unrealised": None} if one["unmarked"] == one["count"] else {}
    return one | {field: str(one[field]) for field in _SUMS} | unknown


_SUMS = ("gross", "unrealised", "realised")


def traded(broker: str, live: frame.Reading) -> dict[str, screen.Row]:
    """What the day has bought and sold of each instrument by each deployment, before charges: what was sold less what
    was bought, and what is left of it at its last price."""
    if live.day is None:
        return {}
    start = ist_midnight_ms(date.fromisoformat(live.day))
    fills = seen.fills().filter(broker=broker, at_ms__gte=start, at_ms__lt=start + DAY_MS)
    found: dict[tuple[UUID, int], list[Fill]] = defaultdict(list)
    for fill in fills.select_related("deployment", "instrument").defer("deployment__checkpoint"):
        found[fill.deployment_id, fill.instrument_id].append(fill)
    marks = {row["instrument"]: row["price_e4"] for row in live.rows.get("marks", {}).values()}
    rows = [_day_row(one, marks.get(str(one[0].instrument))) for one in found.values()]
    return {row["id"]: row for row in sorted(rows, key=lambda row: (row["deployment"], row["instrument"]))}


def _day_row(fills: list[Fill], mark_e4: int | None) -> screen.Row:
    sides = {side: [fill for fill in fills if fill.side == side] for side in Side}
    units = {side: sum(fill.quantity for fill in found) for side, found in sides.items()}
    worth = {
        side: sum((to_rupees(fill.price_e4) * fill.quantity for fill in found), ZERO)
        for side, found in sides.items()
    }
    left = units[Side.BUY] - units[Side.SELL]
    open_worth = ZERO if not left else None if mark_e4 is None else to_rupees(mark_e4) * left
    charged = sum((Decimal(one) for fill in fills for one in fill.charges.values()), ZERO)
    first = fills[0]
    return {
        "id": f"{first.deployment_id}-{first.instrument_id}",
        "deployment": first.deployment.name,
        "instrument": str(first.instrument),
        "bought": units[Side.BUY],
        "sold": units[Side.SELL],
        "buy_average": str(worth[Side.BUY] / units[Side.BUY]) if units[Side.BUY] else None,
        "sell_average": str(worth[Side.SELL] / units[Side.SELL]) if units[Side.SELL] else None,
        "left": left,
        "mark_e4": mark_e4,
        "pnl": None if open_worth is None else str(worth[Side.SELL] - worth[Side.BUY] + open_worth),
        "charged": str(charged),
    }


def exits_of(held: Iterable[screen.Row]) -> list[screen.Row]:
    """The exits that wait at deployments with open positions."""
    return exits.waiting({UUID(row["deployment_id"]) for row in held})


def stops(held: Iterable[screen.Row], waiting: list[screen.Row]) -> dict[str, screen.Row]:
    """Of each open position the exits that wait, with their distance from the last price."""
    rows = [_stop(row, one) for row, found in at_positions(held, waiting) for one in found]
    return {
        f"{place:04}": row | {"id": f"{place:04}", "order": f"{place:04}"} for place, row in enumerate(rows)
    }


def _stop(row: screen.Row, one: screen.Row) -> screen.Row:
    mark_e4 = row["mark_e4"]
    away = None if mark_e4 is None else one["level_e4"] - mark_e4
    return {name: row[name] for name in ("instrument", "deployment")} | {
        "what": one["what"],
        "quantity": one["quantity"],
        "level_e4": one["level_e4"],
        "away": None if away is None else str(to_rupees(away)),
        "percent": None if not mark_e4 or away is None else f"{Decimal(away) / mark_e4 * 100:+.2f}",
    }
