"""Backtest: the engine folded over a recorded stream in this process, without Celery, Kafka or a database."""

from __future__ import annotations

import gc
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from uuid import UUID

from alphapanda.core.money import ZERO
from alphapanda.core.vocabulary import Phase, SignalOrigin
from alphapanda.engine.account import Account
from alphapanda.engine.curve import Curve
from alphapanda.engine.desk import Desk
from alphapanda.engine.live_account import LiveReport
from alphapanda.engine.statistics import Performance, statistics_of, trades_of
from execution.domain.charges import Cards
from marketdata.domain.calendar import MarketHours
from marketdata.domain.stretch import Stretch
from marketdata.domain.ticks import Clock, Item
from portfolio.domain.books import cash_of
from risk.domain.limits import Level
from risk.domain.oversight import Changes
from strategies.domain.base import DeploymentSpec
from strategies.domain.machine import CheckpointDoesNotFit, StrategyFailed
from strategies.domain.memory import NotStorable
from strategies.domain.outlook import Minutes
from strategies.domain.passage import Passage
from strategies.domain.signals import CommandRow, DueItem, Raised
from strategies.services.limit import StrategyHung, TimeLimit

Commands = Mapping[UUID, Mapping[int, CommandRow]]


class Run:
    """What came of one deployment: its account, its equity by minute of the session, and why it stopped, if it
    did."""

    def __init__(self, account: Account, starting_cash: Decimal, limit: TimeLimit | None = None) -> None:
        self.account = account
        self._limit = limit
        self.starting_cash = starting_cash
        self.curve = Curve()
        self.error = ""
        self._cash_after = 0, starting_cash  # so many fills of the journal

    def take(self, item: Item, source: int, seq: int) -> None:
        """One item of the log, also of others; nothing after the strategy has raised or was stopped."""
        if not self.error:
            try:
                self.account.take(item, source=source, seq=seq)
            except (StrategyFailed, StrategyHung) as error:
                self.error = _said(error)
        if isinstance(item, Clock) and self._is_trading(item.at_ms - 1):
            self._mark([item.at_ms])

    def read(self, stretch: Stretch, source: int) -> None:
        """Many items of the log, with the results of `take` of one after the other."""
        account = self.account
        is_overlap = stretch.first_seq <= account.machine.state.sources.get(source, -1)
        if self.error or account.is_acted_on or is_overlap:
            _read_together([self], stretch, source, self._limit)
            return
        passage = Passage(account.machine, stretch, source=source)
        minutes, marked = passage.outlook.minutes, 0
        try:
            with limited(self._limit, account.spec.id, lambda: passage.progress):
                while (stop := passage.read()) is not None:
                    if _moves_cash(stop):
                        marked = self._mark_until(passage.number, minutes, marked)
                    account.settle(stop, passage.item)
                    if isinstance(stop, Raised):
                        passage.pass_on()
        except (StrategyFailed, StrategyHung) as error:
            self.error = _said(error)
            marked = self._mark_until(passage.number, minutes, marked)
            self._mark(minutes.at_ms[marked:])
        else:
            self._mark_until(passage.number, minutes, marked)

    def take_up_again(self) -> None:
        """Go on with nothing but what is stored, as a process that begins anew does."""
        if self.error:
            return
        try:
            self.account.take_up_again()
        except (NotStorable, CheckpointDoesNotFit) as error:
            self.error = str(error)

    def end(self) -> None:
        """The last point, where something has changed since the last minute that was marked."""
        if not self.error:
            self.account.obey()  # what came after the last item
        before = self.curve[-1].equity if self.curve else self.starting_cash
        points = Curve()
        self._mark([self.account.machine.state.at_ms], points)
        if points[0].equity != before:
            self._mark([points[0].at_ms])

    def performance(self) -> Performance:
        """Trades, equity and figures."""
        trades = trades_of(row.fill for row in self.account.journal.fills)
        charges = sum((holding.charges for holding in self.account.holdings.values()), ZERO)
        figures = statistics_of(self.starting_cash, trades, self.curve, charges)
        return Performance(trades, self.curve, figures)

    def _is_trading(self, at_ms: int) -> bool:
        """Whether any market of the deployment trades."""
        return any(hours.phase_at(at_ms) is Phase.CONTINUOUS for hours in self.account.machine.hours)

    def _mark(self, at_ms: Sequence[int], curve: Curve | None = None) -> None:
        """Points of the equity curve at minutes that end now, or after nothing happens any more."""
        machine = self.account.machine
        marks = machine.state.marks
        held = [(units, marks[token].price_e4) for token, units in machine.consequences.positions.items()]
        value_e4 = sum(units * price_e4 for units, price_e4 in held)
        exposure_e4 = sum(abs(units) * price_e4 for units, price_e4 in held)
        times = len(at_ms)
        (self.curve if curve is None else curve).add(
            at_ms, self._cash(), [value_e4] * times, [exposure_e4] * times
        )

    def _mark_until(self, number: int, minutes: Minutes, marked: int) -> int:
        """Points at the minutes before an own item, the first `marked` of which are told; now so many are."""
        end = bisect_left(minutes.numbers, number, lo=marked)
        if end == marked:
            return end
        held = self.account.machine.consequences.positions
        of_each = [
            [units * e4 for e4 in minutes.prices_e4[token][marked:end]] for token, units in held.items()
        ]
        if len(of_each) == 1:
            values_e4 = of_each[0]
        else:
            values_e4 = list(map(sum, zip(*of_each, strict=True))) or [0] * (end - marked)
        if all(units > 0 for units in held.values()):
            exposures_e4 = values_e4
        else:
            exposures_e4 = [sum(map(abs, values)) for values in zip(*of_each, strict=True)]
        self.curve.add(minutes.at_ms[marked:end], self._cash(), values_e4, exposures_e4)
        return end

    def _cash(self) -> Decimal:
        """Rupees after all fills so far."""
        fills = len(self.account.journal.fills)
        if self._cash_after[0] != fills:
            cash = sum(map(cash_of, self.account.holdings.values()), self.starting_cash)
            self._cash_after = fills, cash
        return self._cash_after[1]


def _said(error: StrategyFailed | StrategyHung) -> str:
    """What ended a run, its reason last."""
    if isinstance(error, StrategyFailed):
        return str(error)
    reason, _, where = str(error).partition("; it was at\n")
    return f"{where.rstrip()}\nStrategyHung: {reason}"


@contextmanager
def limited(limit: TimeLimit | None, deployment_id: UUID, step_of: Callable[[], int]) -> Iterator[None]:
    """Within, where a limit is given, a strategy that does not come back from a step is stopped. Raises
    StrategyHung."""
    if limit is None:
        yield
        return
    with limit.throughout(deployment_id, step_of):
        yield


def _read_together(
    runs: Sequence[Run], stretch: Stretch, source: int, limit: TimeLimit | None = None
) -> None:
    """Item by item, at each in the order given: so each sees the books of the others as they stand there."""
    calls = 0
    with limited(limit, runs[0].account.spec.id, lambda: calls):
        for seq, item in enumerate(stretch.items(), stretch.first_seq):
            for run in runs:
                calls += 1
                run.take(item, source, seq)


def _moves_cash(stop: Raised | DueItem) -> bool:
    """Whether cash and positions may change at a stop: by trades, or by a settlement at expiry."""
    if isinstance(stop, DueItem):
        return True
    return any(signal.origin is SignalOrigin.EXPIRY for signal in stop.signals)


def fold(
    stream: Iterable[Stretch],
    specs: Sequence[DeploymentSpec],
    *,
    source: int,
    calendar: MarketHours,
    cards: Cards,
    starting_cash: Decimal = ZERO,
    commands: Commands | None = None,
    oversights: Mapping[UUID, Changes] | None = None,
    reports: Mapping[UUID, Mapping[int, LiveReport]] | None = None,
    levels: Sequence[Level] = (),
    on_progress: Callable[[int], None] = lambda _items: None,
    limit: TimeLimit | None = None,
    is_restarted: bool = False,
) -> list[Run]:
    """Fold a stream through deployments; `on_progress` is told the number of items now and then. `commands`
    are what operators did, by deployment and step, `oversights` under what signals were judged, `reports`
    what a broker outside told; `levels` are limits besides those of the specs; `limit` stops a strategy that does not
    come back; `is_restarted`: before each stretch all is taken up again from what is stored."""
    desk = Desk(
        specs,
        calendar=calendar,
        cards=cards,
        levels=levels,
        commands=commands,
        oversights=oversights,
        reports=reports,
    )
    runs = [Run(account, starting_cash, limit) for account in desk.accounts]
    together = sorted((run for run in runs if run.account.is_coupled), key=lambda run: run.account.spec.id)
    items = 0
    on_progress(items)
    try:
        for stretch in stream:
            for run in runs if is_restarted else ():
                run.take_up_again()
            for run in runs:
                if not run.account.is_coupled:
                    run.read(stretch, source)
            if together:
                _read_together(together, stretch, source, limit)
            items += len(stretch)
            on_progress(items)
            _spare_the_journals()
    finally:
        gc.unfreeze()
    for run in runs:
        run.end()
    return runs


def _spare_the_journals() -> None:
    """What is there now stays to the end: the collector need not look through it again and again, for else the
    time of an order would grow with the orders before it."""
    gc.collect(1)
    gc.freeze()
