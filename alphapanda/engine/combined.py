"""Several deployments as one portfolio: equity added up minute by minute, trades in the order of their exits."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from heapq import merge
from itertools import groupby

import msgspec

from alphapanda.core.clock import ist_text
from alphapanda.core.money import ZERO
from alphapanda.engine.backtest import Run
from alphapanda.engine.statistics import EquityPoint, Performance, statistics_of
from alphapanda.engine.trades import charges_of

PERCENT = 100
MONTH = len("2019-07")


class Month(msgspec.Struct, frozen=True):
    """A month in India: what the portfolio earned, and on what it had at its beginning."""

    month: str
    net_pnl: Decimal
    return_percent: float | None


class Fall(msgspec.Struct, frozen=True):
    """A fall of equity from a peak until that is reached again (None: not by the end)."""

    since_ms: int
    deepest_ms: int
    until_ms: int | None
    depth: Decimal
    depth_percent: float | None


def combined(runs: Sequence[Run]) -> Performance:
    """Trades, equity and figures of all deployments together, on the one starting cash that each was given."""
    cash = runs[0].starting_cash
    parts = [run.performance() for run in runs]
    if len(parts) == 1:
        return parts[0]
    trades = sorted(
        (trade for part in parts for trade in part.trades),
        key=lambda trade: (trade.exited_at_ms, trade.instrument),
    )
    curve = added_up(cash, [part.curve for part in parts])
    charges = sum((charges_of(row.fill) for run in runs for row in run.account.journal.fills), ZERO)
    return Performance(trades, curve, statistics_of(cash, trades, curve, charges))


def added_up(cash: Decimal, curves: Sequence[Sequence[EquityPoint]]) -> list[EquityPoint]:
    """One curve from several that each start at the same cash."""
    latest = [EquityPoint(0, cash, ZERO) for _ in curves]
    marked = ([(point.at_ms, place, point) for point in curve] for place, curve in enumerate(curves))
    points = []
    for at_ms, together in groupby(merge(*marked, key=lambda one: one[:2]), key=lambda one: one[0]):
        for _, place, point in together:
            latest[place] = point
        equity = cash + sum((point.equity - cash for point in latest), ZERO)
        points.append(EquityPoint(at_ms, equity, sum((point.exposure for point in latest), ZERO)))
    return points


def months(cash: Decimal, curve: Sequence[EquityPoint]) -> list[Month]:
    """Every month in which there is a point of equity."""
    last_of_month = {ist_text(point.at_ms)[:MONTH]: point.equity for point in curve}
    found, before = [], cash
    for month, equity in last_of_month.items():
        gained = float((equity - before) / before) * PERCENT if before > 0 else None
        found.append(Month(month, equity - before, gained))
        before = equity
    return found


def falls(cash: Decimal, curve: Sequence[EquityPoint], *, most: int) -> list[Fall]:
    """The deepest falls, the deepest one first."""
    found: list[Fall] = []
    peak, since_ms = cash, curve[0].at_ms if curve else 0
    deepest: EquityPoint | None = None
    for point in curve:
        if point.equity >= peak:
            if deepest is not None:
                found.append(_fall(peak, since_ms, deepest, point.at_ms))
                deepest = None
            peak, since_ms = point.equity, point.at_ms
        elif deepest is None or point.equity < deepest.equity:
            deepest = point
    if deepest is not None:
        found.append(_fall(peak, since_ms, deepest, None))
    return sorted(found, key=lambda fall: -fall.depth)[:most]


def _fall(peak: Decimal, since_ms: int, deepest: EquityPoint, until_ms: int | None) -> Fall:
    depth = peak - deepest.equity
    return Fall(
        since_ms=since_ms,
        deepest_ms=deepest.at_ms,
        until_ms=until_ms,
        depth=depth,
        depth_percent=PERCENT * float(depth / peak) if peak > 0 else None,
    )
