"""What the read model adds up when it is read: pure, exact, and never across broker namespaces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from alphapanda.core.clock import ist_date
from alphapanda.core.money import ZERO, to_rupees, value, written

Row = dict[str, Any]
Marks = Mapping[int, tuple[int, int]]

SHOWN = 40  # rows of each recent list on a screen


def derived(
    tables: Mapping[str, list[Row]], lists: Mapping[str, list[Row]], marks: Marks, *, last_at_ms: int
) -> dict[str, Any]:
    """Positions at their marks and what follows: portfolios, deployments, totals and curves by broker."""
    positions = sorted((_marked(row, marks) for row in tables["positions"]), key=_position_order)
    day = _day(tables["books"], last_at_ms)
    books = [_of_day(book, day) for book in tables["books"]]
    portfolios = [_portfolio(row, books, positions) for row in tables["portfolios"]]
    last_events = _last_events(lists)
    deployments = [_deployment(row, books, positions, last_events) for row in tables["deployments"]]
    by_name = sorted(deployments, key=lambda row: row["name"])
    brokers = sorted({row["broker"] for row in (*portfolios, *deployments)})
    return {
        "day": day.isoformat() if day else None,
        "positions": positions,
        "portfolios": sorted(portfolios, key=lambda row: row["name"]),
        "deployments": by_name,
        "marks": _watched(by_name, marks),
        "totals": {
            broker: _totals(_only(broker, portfolios), _only(broker, positions)) for broker in brokers
        },
        "curves": {broker: curve(_only(broker, lists["snapshots"]), books, day) for broker in brokers},
    } | {kind: lists[kind][:SHOWN] for kind in ("signals", "decisions", "orders", "fills")}


def _only(broker: str, rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["broker"] == broker]


def _add(rows: Iterable[Row], field: str) -> Decimal:
    return sum((Decimal(row[field]) for row in rows if row[field] is not None), ZERO)


def _position_order(row: Row) -> tuple[bool, str, str]:
    return (row["quantity"] == 0, row["deployment"], row["instrument"])


def _marked(row: Row, marks: Marks) -> Row:
    price_e4, at_ms = marks.get(row["token"], (None, None))
    worth = None if price_e4 is None else value(price_e4, row["quantity"])
    cost = Decimal(row["cost"])
    return row | {
        "mark_e4": price_e4,
        "mark_at_ms": at_ms,
        "average": str(cost / row["quantity"]) if row["quantity"] else None,
        "value": written(worth if worth is not None else cost) if row["quantity"] else "0",
        "unrealised": "0" if not row["quantity"] else None if worth is None else written(worth - cost),
    }


def _day(books: Iterable[Row], last_at_ms: int) -> date | None:
    """The trading date that the screens call today: of the newest tick or booking, in event time."""
    days = [date.fromisoformat(book["day"]) for book in books if book["day"]]
    return max([*days, ist_date(last_at_ms)] if last_at_ms else days, default=None)


def _of_day(book: Row, day: date | None) -> Row:
    """A book with its realised profit after charges of this day."""
    is_today = day is not None and book["day"] == day.isoformat()
    gained = Decimal(book["net"]) - Decimal(book["day_base"]) if is_today else ZERO
    return book | {"net_day": written(gained)}


def _portfolio(row: Row, books: list[Row], positions: list[Row]) -> Row:
    own_books = [book for book in books if book["portfolio_id"] == row["id"]]
    own = [position for position in positions if position["portfolio_id"] == row["id"]]
    cash = Decimal(row["starting_cash"]) + _add(own_books, "cash")
    return row | {
        "cash": written(cash),
        "cost": written(_add(own, "cost")),
        "realised": written(_add(own, "realised")),
        "charges": written(_add(own, "charges")),
        "unrealised": written(_add(own, "unrealised")),
        "equity": written(cash + _add(own, "value")),
        "day_pnl": written(_add(own_books, "net_day") + _add(own, "unrealised")),
        "open_positions": sum(1 for position in own if position["quantity"]),
    }


def _totals(portfolios: list[Row], positions: list[Row]) -> Row:
    added = ("cash", "cost", "realised", "charges", "unrealised", "equity", "day_pnl")
    unmarked = sum(1 for row in positions if row["quantity"] and row["mark_e4"] is None)
    return {field: written(_add(portfolios, field)) for field in added} | {
        "open_positions": sum(row["open_positions"] for row in portfolios),
        "unmarked": unmarked,
    }


def _last_events(lists: Mapping[str, list[Row]]) -> dict[str, Row]:
    """The newest recent row of each deployment, as words."""
    newest: dict[str, Row] = {}
    for kind, noun in (("signals", "signal"), ("orders", "order"), ("fills", "fill")):
        for row in lists[kind]:
            event = {
                "kind": noun,
                "words": f"{noun} {row['side']} {row['quantity']} {row['instrument']}",
                "at_ms": row["at_ms"],
                "order": row["order"],
            }
            known = newest.get(row["deployment_id"])
            if known is None or event["order"] >= known["order"]:
                newest[row["deployment_id"]] = event
    return newest


def _deployment(row: Row, books: list[Row], positions: list[Row], last_events: Mapping[str, Row]) -> Row:
    own = [position for position in positions if position["deployment_id"] == row["id"]]
    net_day = _add((book for book in books if book["id"] == row["id"]), "net_day")
    held = [
        {"instrument": position["instrument"], "quantity": position["quantity"]}
        for position in own
        if position["quantity"]
    ]
    is_known = all(position["unrealised"] is not None for position in own)  # without a price it is not nought
    pnl = written(net_day + _add(own, "unrealised")) if is_known else None
    return row | {"held": held, "pnl": pnl, "last_event": last_events.get(row["id"])}


def _watched(deployments: list[Row], marks: Marks) -> list[Row]:
    """The instruments of deployments with their last price, by name."""
    instruments: dict[int, Row] = {}
    brokers: dict[int, set[str]] = defaultdict(set)
    for deployment in deployments:
        for item in deployment["instruments"]:
            instruments[item["token"]] = item
            brokers[item["token"]].add(deployment["broker"])
    rows = []
    for token, item in instruments.items():
        price_e4, at_ms = marks.get(token, (None, None))
        rows.append(
            {
                "id": str(token),
                "instrument": item["instrument"],
                "brokers": sorted(brokers[token]),
                "price_e4": price_e4,
                "price": None if price_e4 is None else str(to_rupees(price_e4)),
                "at_ms": at_ms,
            }
        )
    return sorted(rows, key=lambda row: str(row["instrument"]))


def curve(snapshots: Iterable[Row], books: Iterable[Row], day: date | None) -> list[tuple[int, str]]:
    """Realised profit after charges over the day, by event time (books arrive as they are done, one of them
    hours of a fast recording before another): one point for each booking."""
    bases = {book["id"]: Decimal(book["day_base"]) for book in books}
    gained: dict[str, Decimal] = {}
    points = []
    for row in sorted(snapshots, key=lambda row: (row["at_ms"], row["order"])):
        if day is not None and ist_date(row["at_ms"]) == day:
            gained[row["book_id"]] = Decimal(row["net"]) - bases.get(row["book_id"], ZERO)
            points.append((row["at_ms"], written(sum(gained.values(), ZERO))))
    return points
