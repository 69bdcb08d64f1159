"""The overview as rows by kind and id, and each row as HTML: one place for page, snapshot and push."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec
from django.conf import settings
from django.template.loader import render_to_string
from django.utils.safestring import mark_safe

from alphapanda.core.clock import ist_date
from alphapanda.core.money import ZERO, to_rupees
from alphapanda.core.vocabulary import Phase
from alphapanda.dashboard import sparkline
from alphapanda.dashboard.open_risk import open_risks, stop_distances, total
from alphapanda.push.readmodel import OWN_CLOCKS
from portfolio.domain.kite import day_change_percent

Row = dict[str, Any]
Rows = dict[str, dict[str, Row]]

FRAME = ("strip", "bell", "halts")  # on every page
DRAWN = ("curve", "earned")  # each has `points`
UNSHOWN = "news"  # no page shows it: it hints that there is something new
SINGLE = (*FRAME, "tiles", "curve", "held")  # one row for each broker namespace
TABLES = ("deployments", "positions", "signals", "orders", "fills", "marks")
PHASE_WORDS = {
    Phase.CLOSED: "Market closed",
    Phase.PRE_OPEN: "Pre-open",
    Phase.PRE_OPEN_MATCH: "Pre-open, matching",
    Phase.CONTINUOUS: "Market open",
    Phase.AUCTION_REFERENCE: "Closing auction",
    Phase.AUCTION_ENTRY: "Closing auction",
    Phase.AUCTION_LIMIT: "Closing auction",
    Phase.AUCTION_MATCH: "Closing auction",
    Phase.CLOSING: "Closing session",
    Phase.POST_CLOSE: "Post-close",
}


def rows(overview: Mapping[str, Any]) -> Rows:
    """Every row of the overview of the broker namespaces that are enabled, or have anything."""
    brokers = sorted({*overview["totals"], *settings.BROKERS})
    screen: Rows = {kind: _by_id(overview[kind]) for kind in TABLES}
    screen["positions"] = _positions(overview)
    for kind in ("signals", "orders", "fills", "deployments"):
        screen[kind] = {i: dated(row, overview["day"]) for i, row in screen[kind].items()}
    screen["strip"] = {broker: _strip(overview, broker) for broker in brokers}
    screen["halts"] = {broker: _halts(overview["session"], broker) for broker in brokers}
    screen["bell"] = {broker: _bell(overview["session"], broker) for broker in brokers}
    screen["news"] = {broker: _news(overview["session"], broker) for broker in brokers}
    screen["tiles"] = {broker: _tiles(overview, broker) for broker in brokers}
    screen["held"] = {broker: _held(overview, broker) for broker in brokers}
    screen["curve"] = {broker: _curve(overview, broker) for broker in brokers}
    return screen


def _positions(overview: Mapping[str, Any]) -> dict[str, Row]:
    """Those that are open. `stop`: None where it is not known which exits wait, as of a past moment."""
    products = {row["id"]: row["product"] for row in overview["deployments"]}
    closes, exits = overview["session"].get("closes", {}), overview["session"].get("exits")
    held = [row for row in overview["positions"] if row["quantity"]]
    known = stop_distances(held, exits or [])
    without = None if exits is None else {"stop_e4": None, "to_stop": None}
    return {
        row["id"]: _open(row, closes)
        | {"product": products.get(row["deployment_id"]), "stop": known.get(row["id"], without)}
        for row in held
    }


def of_broker(screen: Rows, broker: str) -> Rows:
    """The rows that one broker namespace shows; a removed row (None) passes, for its owner is forgotten."""
    return {
        kind: {i: row for i, row in found.items() if row is None or broker in _brokers(row)}
        for kind, found in screen.items()
    }


def _brokers(row: Row) -> list[str]:
    return list(row["brokers"]) if "brokers" in row else [row["broker"]]


def _by_id(found: Iterable[Row]) -> dict[str, Row]:
    return {row["id"]: row for row in found}


def dated(row: Row, day: str | None) -> Row:
    """With the mark of an earlier day: a bare time would be read as today's."""
    event = row.get("last_event", row)  # a deployment's is the newest of its rows
    is_past = bool(day and event) and ist_date(event["at_ms"]).isoformat() != day
    return row | {"is_past": is_past}


def _strip(overview: Mapping[str, Any], broker: str) -> Row:
    stream, session = overview["stream"], overview["session"]
    totals = overview["totals"].get(broker, {})
    phase, session_name = session.get("phase"), OWN_CLOCKS.get(stream.get("source", ""))
    return {
        "broker": broker,
        "day_pnl": None if totals.get("unmarked") else totals.get("day_pnl"),
        "day_known": totals.get("day_pnl"),
        "unmarked": totals.get("unmarked", 0),
        "open_positions": totals.get("open_positions", 0),
        "open_risk": _open_risk(overview, broker),
        "phase": phase,
        "phase_words": _phase_words(phase, session_name),
        "turn": session.get("turn"),
        "session": session_name,
        "speed": _speed(stream.get("speed")),
        "at_ms": stream.get("last_at_ms"),
        "received_at_ms": stream.get("received_at_ms"),
    }


def _open_risk(overview: Mapping[str, Any], broker: str) -> Row | None:
    """None: it is not known which exits wait, as of a past moment."""
    waiting = overview["session"].get("exits")
    held = [row for row in overview["positions"] if row["broker"] == broker and row["quantity"]]
    return None if waiting is None else total(open_risks(held, waiting).values())


def _phase_words(phase: str | None, session: str | None) -> str:
    if session and phase in (Phase.POST_CLOSE, Phase.CLOSED):
        return f"{session.capitalize()} session over"
    return PHASE_WORDS[Phase(phase)] if phase else "Market state unknown"


def _speed(speed: float | None) -> str:
    """x60, or nothing for the pace of the world."""
    return f"×{speed:g}" if speed and speed != 1 else ""  # noqa: RUF001


def _halts(session: Mapping[str, Any], broker: str) -> Row:
    active = [halt for halt in session.get("halts", []) if halt["broker"] in ("", broker)]
    alerts = session.get("alerts") or {}
    return {
        "broker": broker,
        "active": active,
        "critical": alerts.get("critical"),
        "gravest": alerts.get("gravest"),
    }


def _bell(session: Mapping[str, Any], broker: str) -> Row:
    """Alerts are of the house: both namespaces show them."""
    return {"broker": broker} | session.get("alerts", {"open": None})


def _news(session: Mapping[str, Any], broker: str) -> Row:
    """It changes with each act of a person, each alert, and whatever begins or ends to wait for a person."""
    return {"broker": broker} | {name: session.get(name) for name in ("act", "alerts", "waits")}


def _tiles(overview: Mapping[str, Any], broker: str) -> Row:
    totals, stream = overview["totals"].get(broker, {}), overview["stream"]
    names = ("equity", "realised", "charges", "unmarked")
    has_price = totals.get("unmarked", 0) < totals.get("open_positions", 0) or not totals.get("unmarked")
    return {name: totals.get(name) for name in names} | {
        "broker": broker,
        "unrealised": totals.get("unrealised") if has_price else None,
        "ticks_per_s": stream.get("ticks_per_s"),
        "lag": stream.get("lag"),
        "orders_today": overview["session"].get("orders_today", {}).get(broker, 0),
    }


def _open(row: Row, closes: Mapping[str, Any]) -> Row:
    """With what it has made of what it cost, and what its price has moved today, in percent."""
    cost = abs(Decimal(row["cost"]))
    known = row["unrealised"] is not None and cost
    return row | {
        "percent": f"{Decimal(row['unrealised']) / cost * 100:+.2f}" if known else None,
        "day_change": _day_change(row, closes),
    }


def _day_change(row: Row, closes: Mapping[str, Any]) -> str | None:
    """Unknown where the close is, and where the mark is of another day than the one that follows it."""
    close_e4 = closes.get("prices_e4", {}).get(row["instrument"])
    if not close_e4 or row["mark_e4"] is None or ist_date(row["mark_at_ms"]).isoformat() != closes["day"]:
        return None
    return f"{day_change_percent(to_rupees(row['mark_e4']), to_rupees(close_e4)):+.2f}"


def _held(overview: Mapping[str, Any], broker: str) -> Row:
    """The sums below the open positions; what has no mark is not in them, and is counted."""
    totals = overview["totals"].get(broker, {})
    own = [row for row in overview["positions"] if row["broker"] == broker and row["quantity"]]
    known = [Decimal(row["unrealised"]) for row in own if row["unrealised"] is not None]
    worth = [abs(Decimal(row["value"])) for row in own]
    costs = sum((abs(Decimal(row["cost"])) for row in own if row["unrealised"] is not None), ZERO)
    return {
        "broker": broker,
        "count": len(own),
        "unrealised": str(sum(known, ZERO)) if len(known) == len(own) or known else None,
        "unmarked": totals.get("unmarked", 0),
        "percent": f"{sum(known, ZERO) / costs * 100:+.2f}" if costs else None,
        "gross": str(sum(worth, ZERO)),
        "realised": str(sum((Decimal(row["realised"]) for row in own), ZERO)),
    }


def _curve(overview: Mapping[str, Any], broker: str) -> Row:
    points = overview["curves"].get(broker, [])
    return {"broker": broker, "day": overview["day"], "points": [list(point) for point in points]}


def showing(screen: Rows, kinds: Collection[str]) -> Rows:
    """What the frame and a page of these kinds show."""
    return {kind: found for kind, found in screen.items() if kind in FRAME or kind in kinds}


def rendered(screen: Rows) -> dict[str, dict[str, str | None]]:
    """The HTML of rows by kind and id; None for a row that is gone."""
    return {
        kind: {i: None if row is None else fragment(kind, row) for i, row in found.items()}
        for kind, found in screen.items()
        if kind != UNSHOWN
    }


def fragment(kind: str, row: Row) -> str:
    """One row as one HTML element with the id `kind-id`. Equal rows are rendered once for all sockets."""
    return _fragment(kind, msgspec.json.encode(row, order="deterministic"))


@lru_cache(maxsize=2048)
def _fragment(kind: str, encoded: bytes) -> str:
    row = msgspec.json.decode(encoded)
    context: dict[str, Any] = {"row": row}
    if kind in DRAWN:
        context["line"] = sparkline.drawn(row["points"])
    return mark_safe(render_to_string(f"dashboard/rows/_{kind}.html", context).strip())
