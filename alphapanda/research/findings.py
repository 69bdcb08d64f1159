"""Reasons to doubt a result, found by themselves on every backtest. Each has a stable code.

Thresholds are conventions, said here once: thirty trades are the least of which a mean says anything, ten trades a
parameter the least against fitting by chance, half of the profit in one trade or in charges is too much, and a fifth
of the broker's rate card is the least that can be called its costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec
import msgspec.inspect

from alphapanda.core.clock import ist_date, ist_day
from alphapanda.core.money import ZERO, quantized
from alphapanda.core.vocabulary import Product, SignalOrigin
from alphapanda.deploying import Definition
from alphapanda.engine.backtest import Run
from alphapanda.engine.statistics import Performance
from alphapanda.web.formats import counted, rupees, rupees_signed
from execution.domain.charges import Cards, NoChargeCard, order_charges, rate_group
from execution.domain.paper import PaperOrder
from execution.reference import charge_cards
from marketdata.domain.instruments import segment_of
from marketdata.feeds.files import FileReport
from portfolio.domain.trips import trips_of
from strategies.registry import find

TRADES_MIN = 30
TRADES_PER_PARAMETER = 10
SHARE_MAX = Decimal("0.5")
COSTS_SHARE_MIN = Decimal("0.2")
REFUSED_SHARE_MAX = 0.05
NOT_TUNED = {"quantity", "bar_minutes"}  # a size and a clock, no knobs of the idea
PERCENT = 100


class Doubt(StrEnum):
    """Codes of findings; they never change their meaning."""

    LOOK_AHEAD = "LOOK_AHEAD"
    FORGETS = "FORGETS"
    WARM_UP = "WARM_UP"
    IMPOSSIBLE_PRICE = "IMPOSSIBLE_PRICE"
    BEYOND_DEPTH = "BEYOND_DEPTH"
    STALE_FILL = "STALE_FILL"
    CLOSED_SESSION = "CLOSED_SESSION"
    TOO_FEW_TRADES = "TOO_FEW_TRADES"
    TOO_MANY_PARAMETERS = "TOO_MANY_PARAMETERS"
    ONE_TRADE = "ONE_TRADE"
    COSTS_FORGOTTEN = "COSTS_FORGOTTEN"
    COSTS_EAT_PROFIT = "COSTS_EAT_PROFIT"
    FREE_FILLS = "FREE_FILLS"
    HELD_OVERNIGHT = "HELD_OVERNIGHT"
    ASSUMED_RATES = "ASSUMED_RATES"
    COARSE_BARS = "COARSE_BARS"
    UNREADABLE_ROWS = "UNREADABLE_ROWS"
    REFUSED_TICKS = "REFUSED_TICKS"
    STRATEGY_RAISED = "STRATEGY_RAISED"


class Weight(StrEnum):
    FAULT = "fault"  # the result is wrong
    DOUBT = "doubt"  # the result may mean less than it says


FAULTS = {
    Doubt.LOOK_AHEAD,
    Doubt.FORGETS,
    Doubt.IMPOSSIBLE_PRICE,
    Doubt.CLOSED_SESSION,
    Doubt.STRATEGY_RAISED,
}


class Finding(msgspec.Struct, frozen=True):
    """One reason to doubt; `deployment` is empty where it concerns all of them."""

    code: Doubt
    text: str
    deployment: str = ""
    numbers: dict[str, Any] = {}

    @property
    def weight(self) -> Weight:
        return Weight.FAULT if self.code in FAULTS else Weight.DOUBT


def of_trades(performance: Performance, definitions: Sequence[Definition]) -> Iterator[Finding]:
    """Too few trades, too many parameters for them, and one trade that carries the profit."""
    figures = performance.statistics
    if figures.trades < TRADES_MIN:
        yield Finding(
            Doubt.TOO_FEW_TRADES,
            f"{counted(figures.trades, 'closed trade')}; fewer than {TRADES_MIN} say little about the next ones",
            numbers={"trades": figures.trades, "least": TRADES_MIN},
        )
    knobs = max((parameters_of(definition) for definition in definitions), default=0)
    if knobs and figures.trades < knobs * TRADES_PER_PARAMETER:
        yield Finding(
            Doubt.TOO_MANY_PARAMETERS,
            f"{counted(knobs, 'parameter')} for {counted(figures.trades, 'trade')}; below "
            f"{TRADES_PER_PARAMETER} trades a parameter a good result is easily found by chance",
            numbers={"parameters": knobs, "trades": figures.trades},
        )
    yield from _carried_by_one(performance)


def _carried_by_one(performance: Performance) -> Iterator[Finding]:
    """One trade, or what is still open at the last prices, that makes most of the profit: of the trades that were
    closed, or of all that the result claims."""
    closed, figures = sum((trade.net for trade in performance.trades), ZERO), performance.statistics
    best, claimed = figures.best or ZERO, figures.net_pnl if performance.curve else closed
    for words, part, net in (
        ("one trade made", best, closed),
        ("what is still open at the end makes", claimed - closed, claimed),
    ):
        if net > 0 and part > net * SHARE_MAX:
            yield Finding(
                Doubt.ONE_TRADE,
                f"{words} {PERCENT * part / net:.0f} % of the profit; without it the rest made "
                f"{rupees_signed(net - part)}",
                numbers={"best": str(part), "net": str(net)},
            )


def parameters_of(definition: Definition) -> int:
    """How many numbers and switches of a strategy could be tuned."""
    described = msgspec.inspect.type_info(find(definition.strategy).Params)
    tunable = msgspec.inspect.IntType | msgspec.inspect.FloatType | msgspec.inspect.BoolType
    fields = getattr(described, "fields", ())
    return sum(isinstance(_bare(field.type), tunable) and field.name not in NOT_TUNED for field in fields)


def _bare(described: msgspec.inspect.Type) -> msgspec.inspect.Type:
    """A type without what a schema says beside it."""
    return described.type if isinstance(described, msgspec.inspect.Metadata) else described


def of_costs(performance: Performance, runs: Sequence[Run], cards: Cards) -> Iterator[Finding]:
    """Costs that were forgotten, that were guessed, or that eat the profit."""
    figures = performance.statistics
    fills = [row.fill for run in runs for row in run.account.journal.fills]
    due = ZERO if cards is charge_cards() else sum(map(_due, runs), ZERO)
    if fills and (not figures.charges or figures.charges < due * COSTS_SHARE_MIN):
        cost = rupees(figures.charges) if figures.charges else "nothing"
        by_card = f", by the rate card {rupees(due)}" if due else ""
        yield Finding(
            Doubt.COSTS_FORGOTTEN,
            f"{counted(len(fills), 'fill')} cost {cost}; a broker and an exchange charge for each{by_card}",
            numbers={"fills": len(fills), "charges": str(figures.charges), "due": str(quantized(due))},
        )
    elif figures.gross_pnl > 0 and figures.charges > figures.gross_pnl * SHARE_MAX:
        yield Finding(
            Doubt.COSTS_EAT_PROFIT,
            f"charges take {PERCENT * figures.charges / figures.gross_pnl:.0f} % of a profit of "
            f"{rupees(figures.gross_pnl)}",
            numbers={"charges": str(figures.charges), "gross_pnl": str(figures.gross_pnl)},
        )
    guessed = sorted({day for fill in fills if _is_assumed(cards, day := ist_date(fill.at_ms))})
    if guessed and figures.charges:
        yield Finding(
            Doubt.ASSUMED_RATES,
            f"charges of {counted(len(guessed), 'day')} to {guessed[-1]} are those of a later rate card; "
            "their own are not known",
            numbers={"days": len(guessed)},
        )


def _due(run: Run) -> Decimal:
    """Rupees that the dated rate card of the broker takes for the orders of a run that have traded; of days that have
    none, nothing. Orders in what has no rates, such as an index, were refused."""
    traded = (order for order in run.account.journal.orders.values() if order.turnover)
    return sum((_charge(run, order) for order in traded if order.origin is not SignalOrigin.EXPIRY), ZERO)


def _charge(run: Run, order: PaperOrder) -> Decimal:
    instrument = run.account.machine.instruments[order.token]
    segment = segment_of(instrument.exchange, instrument.instrument_type)
    try:
        lines = order_charges(
            charge_cards().on(ist_date(order.updated_at_ms)),
            side=order.side,
            turnover=order.turnover,
            product=order.product,
            exchange=instrument.exchange,
            segment=segment,
            group=rate_group(instrument.exchange, segment, instrument.tradingsymbol),
        )
    except NoChargeCard:
        return ZERO
    return sum(lines.values(), ZERO)


def _is_assumed(cards: Cards, day: Any) -> bool:
    try:
        return cards.on(day).is_assumed_on(day)
    except NoChargeCard:
        return False


def of_product(runs: Sequence[Run], definitions: Sequence[Definition]) -> Iterator[Finding]:
    """Intraday positions that were carried to another day: a broker squares them off, and the charges differ."""
    for run, definition in zip(runs, definitions, strict=True):
        stays = _stays(run) if definition.product is Product.MIS else []
        carried = sum(ist_day(entered_ms) != ist_day(left_ms) for entered_ms, left_ms in stays)
        if carried:
            yield Finding(
                Doubt.HELD_OVERNIGHT,
                f"{carried} of {counted(len(stays), 'trade')} of the intraday product MIS, those still open too, were "
                "held overnight; a broker squares them off, and to hold them costs the charges of delivery "
                "(--product CNC)",
                definition.name,
                {"trades": carried, "of": len(stays)},
            )


def _stays(run: Run) -> list[tuple[int, int]]:
    """From when to when each trade was held; what is still open, to the last item."""
    closed = [(trade.entered_at_ms, trade.exited_at_ms) for trade in run.performance().trades]
    held = {token for token, holding in run.account.holdings.items() if holding.quantity}
    trips = trips_of(row.fill for row in run.account.journal.fills if row.fill.token in held)
    still = [trip.opened_at_ms for trip in trips if trip.closed_at_ms is None]
    return [*closed, *((opened_ms, run.account.machine.state.at_ms) for opened_ms in still)]


def of_data(
    runs: Sequence[Run], definitions: Sequence[Definition], reports: Sequence[tuple[str, FileReport]]
) -> Iterator[Finding]:
    """Rows that could not be read, ticks that were refused, bars finer than the data, a strategy that raised."""
    for key, report in reports:
        if report.faulty:
            line, reason = report.examples[0]
            yield Finding(
                Doubt.UNREADABLE_ROWS,
                f"{report.path.name}: {report.faulty} of {report.rows} rows of {key} are no tick; the first is "
                f"line {line}: {reason}",
                numbers={"rows": report.rows, "unreadable": report.faulty},
            )
    minutes = {key: report.minutes for key, report in reports}
    for run, definition in zip(runs, definitions, strict=True):
        yield from _of_run(run, definition, minutes)


def _of_run(run: Run, definition: Definition, minutes: dict[str, int]) -> Iterator[Finding]:
    name, machine = definition.name, run.account.machine
    refused = sum(machine.state.faults.values())
    if refused > REFUSED_SHARE_MAX * max(machine.state.step, 1):
        yield Finding(
            Doubt.REFUSED_TICKS,
            f"the quality gate refused {refused} ticks beside {machine.state.step} items that were taken",
            name,
            {"refused": refused, "taken": machine.state.step},
        )
    coarsest = max((minutes.get(key, 0) for key in definition.instruments), default=0)
    finest = min(machine.strategy.bar_minutes(), default=0)
    if coarsest > 1 and finest < coarsest:
        acts = f"bars of {finest} min" if finest else "ticks"
        yield Finding(
            Doubt.COARSE_BARS,
            f"the strategy acts on {acts}, but the data are bars of {coarsest} min: what lies between is made up",
            name,
            {"data_minutes": coarsest, "strategy_minutes": finest},
        )
    if run.error:
        last = run.error.strip().splitlines()[-1]
        yield Finding(
            Doubt.STRATEGY_RAISED, f"the strategy raised or hung, and the result ends there: {last}", name
        )
