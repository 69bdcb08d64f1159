"""What one deployment has earned: its newest trades, and the profit of all that are over as a line."""

from __future__ import annotations

from alphapanda import journal
from alphapanda.core.money import ZERO
from alphapanda.dashboard import moment, screen
from alphapanda.dashboard.journal import trade_row
from alphapanda.journal import Entry
from strategies.models import Deployment

SHOWN = 30
ALL = {"symbol": "", "tag": "", "side": "", "first": None, "last": None}


def earned(found: Deployment) -> dict[str, dict[str, screen.Row]]:
    """Rows by kind and id, as the journal counts them at the moment that is looked at."""
    trades = journal.entries(found.broker, ALL | {"deployment": found}, moment.until())
    rows = [trade_row(entry) for entry in trades[:SHOWN]]
    return {"trips": {row["id"]: row for row in rows}, "earned": {str(found.pk): _sum(found, trades)}}


def _sum(found: Deployment, trades: list[Entry]) -> screen.Row:
    over = sorted(
        (one.trip.closed_at_ms, one.trip.net) for one in trades if one.trip.closed_at_ms is not None
    )
    total, points = ZERO, []
    for at_ms, net in over:
        total += net
        points.append([at_ms, str(total)])
    sums = journal.total(trades)
    return {
        "id": str(found.pk),
        "points": points,
        "count": sums.count,
        "won": sums.wins,
        "net": str(sums.net),
        "charges": str(sums.charges),
    }
