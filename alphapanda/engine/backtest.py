"""Backtest: the engine folded over a recorded stream in this process, without Celery, Kafka or a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import msgspec

from alphapanda.core.money import ZERO
from alphapanda.engine.account import Account
from execution.domain.charges import Cards
from marketdata.domain.calendar import Calendar
from marketdata.domain.ticks import Clock, Item, Tick
from portfolio.domain.books import net, unrealised
from strategies.domain.base import DeploymentSpec
from strategies.domain.machine import StrategyFailed

PROGRESS_EVERY = 10_000


class Point(msgspec.Struct, frozen=True):
    """Profit of a deployment so far, after charges, open positions marked at the last price; rupees."""

    at_ms: int
    pnl: Decimal


class Run(msgspec.Struct):
    """What came of one deployment: its account, its equity by minute, and why it stopped, if it did."""

    account: Account
    equity: list[Point] = msgspec.field(default_factory=list)
    error: str = ""


def fold(
    items: Iterable[Item],
    specs: Sequence[DeploymentSpec],
    *,
    source: int,
    first_seq: int,
    calendar: Calendar,
    cards: Cards,
    on_progress: Callable[[int], None] = lambda _items: None,
) -> list[Run]:
    """Fold a stream through deployments; `on_progress` is told the number of items now and then."""
    runs = [Run(Account(spec, calendar=calendar, cards=cards)) for spec in specs]
    by_token: dict[int, list[Run]] = {}
    for run in runs:
        for token in run.account.machine.tokens:
            by_token.setdefault(token, []).append(run)
    seq = first_seq - 1
    for seq, item in enumerate(items, start=first_seq):
        for run in by_token.get(item.token, ()) if isinstance(item, Tick) else runs:
            if not run.error:
                _take(run, item, source, seq)
        if (seq - first_seq) % PROGRESS_EVERY == 0:
            on_progress(seq - first_seq)
    on_progress(seq - first_seq + 1)
    return runs


def _take(run: Run, item: Item, source: int, seq: int) -> None:
    try:
        run.account.take(item, source=source, seq=seq)
    except StrategyFailed as error:
        run.error = str(error)
    if isinstance(item, Clock):
        _mark(run, item.at_ms)


def _mark(run: Run, at_ms: int) -> None:
    """A point of the equity curve, where it has changed."""
    pnl = pnl_of(run.account)
    if not run.equity or run.equity[-1].pnl != pnl:
        run.equity.append(Point(at_ms, pnl))


def pnl_of(account: Account) -> Decimal:
    """Profit after charges at the last prices, in rupees."""
    total = ZERO
    for token, holding in account.holdings.items():
        total += net(holding)
        mark = account.machine.state.marks.get(token)
        if holding.quantity and mark:
            total += unrealised(holding, mark.price_e4)
    return total
