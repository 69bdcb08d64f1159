"""Backtest: the engine folded over a recorded stream in this process, without Celery, Kafka or a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from alphapanda.core.money import ZERO
from alphapanda.core.vocabulary import Phase
from alphapanda.engine.account import Account
from alphapanda.engine.desk import Desk
from alphapanda.engine.statistics import EquityMeter, EquityPoint, Performance, statistics_of, trades_of
from execution.domain.charges import Cards
from marketdata.domain.calendar import Calendar
from marketdata.domain.ticks import Clock, Item
from risk.domain.limits import Level
from strategies.domain.base import DeploymentSpec
from strategies.domain.machine import StrategyFailed
from strategies.domain.signals import CommandRow

PROGRESS_EVERY = 10_000
Commands = Mapping[UUID, Mapping[int, CommandRow]]


class Run:
    """What came of one deployment: its account, its equity by minute of the session, and why it stopped, if it
    did."""

    def __init__(self, account: Account, starting_cash: Decimal) -> None:
        self.account = account
        self.starting_cash = starting_cash
        self.curve: list[EquityPoint] = []
        self.error = ""
        self._meter = EquityMeter(starting_cash)
        self._metered = 0  # fills of the journal that the meter has taken in

    def take(self, item: Item, source: int, seq: int) -> None:
        """One item of the log; nothing after the strategy has raised."""
        if self.error:
            return
        try:
            self.account.take(item, source=source, seq=seq)
        except StrategyFailed as error:
            self.error = str(error)

    def mark(self, at_ms: int) -> None:
        """A point of the equity curve, where the minute that ends at `at_ms` was one of continuous trading."""
        if self.account.calendar.phase_at(at_ms - 1) is Phase.CONTINUOUS:
            self.curve.append(self._point(at_ms))

    def end(self) -> None:
        """The last point, where something has changed since the last minute that was marked."""
        last = self._point(self.account.machine.state.at_ms)
        before = self.curve[-1].equity if self.curve else self.starting_cash
        if last.equity != before:
            self.curve.append(last)

    def performance(self) -> Performance:
        """Trades, equity and figures."""
        trades = trades_of(row.fill for row in self.account.journal.fills)
        figures = statistics_of(self.starting_cash, trades, self.curve, self._meter.charges)
        return Performance(trades, self.curve, figures)

    def _point(self, at_ms: int) -> EquityPoint:
        account, fills = self.account, self.account.journal.fills
        held = account.machine.consequences.positions
        if not held and self._metered == len(fills) and self.curve:
            before = self.curve[-1]
            return EquityPoint(at_ms, before.equity, before.exposure)
        for row in fills[self._metered :]:
            self._meter.fill(row.fill)
        self._metered = len(fills)
        for token in held:
            self._meter.mark(account.names[token], account.machine.state.marks[token].price_e4)
        return self._meter.point(at_ms)


def fold(
    items: Iterable[Item],
    specs: Sequence[DeploymentSpec],
    *,
    source: int,
    first_seq: int,
    calendar: Calendar,
    cards: Cards,
    starting_cash: Decimal = ZERO,
    commands: Commands | None = None,
    levels: Sequence[Level] = (),
    on_progress: Callable[[int], None] = lambda _items: None,
) -> list[Run]:
    """Fold a stream through deployments; `on_progress` is told the number of items now and then. `commands`
    are what operators did, by deployment and step; `levels` are limits besides those of the specs."""
    desk = Desk(specs, calendar=calendar, cards=cards, levels=levels, commands=commands)
    runs = [Run(account, starting_cash) for account in desk.accounts]
    in_order = sorted(runs, key=lambda run: run.account.spec.id)  # those who share limits see each other so
    by_token: dict[int, list[Run]] = {}
    for run in in_order:
        for token in run.account.machine.tokens:
            by_token.setdefault(token, []).append(run)
    seq = first_seq - 1
    for seq, item in enumerate(items, start=first_seq):
        if isinstance(item, Clock):
            for run in in_order:
                run.take(item, source, seq)
                run.mark(item.at_ms)
        else:
            for run in by_token.get(item.token, ()):
                run.take(item, source, seq)
        if (seq - first_seq) % PROGRESS_EVERY == 0:
            on_progress(seq - first_seq)
    for run in runs:
        run.end()
    on_progress(seq - first_seq + 1)
    return runs
