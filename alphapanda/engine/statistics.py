"""Trades, equity and performance figures, from fills and marks alone. Pure; floats are for ratios only.

What is not defined is None, never zero: a profit factor without a loss, a ratio of returns that do not vary,
any figure of no trades. A trade is an episode of a position: it opens when the position leaves zero, closes
when it returns to zero, and a fill through zero closes one and opens the next. Winners, losers, best, worst
and profit factor count closed trades after charges; profit, charges and equity count everything, open
positions at their mark.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from decimal import Decimal
from heapq import merge
from itertools import groupby, pairwise

import msgspec

from alphapanda.core.clock import ist_date
from alphapanda.core.money import ZERO, quantized, to_rupees, value
from portfolio.domain.books import BookedFill

TRADING_DAYS_PER_YEAR = 252  # the convention of empyrical, quantstats and backtesting.py
PERCENT = 100


class Trade(msgspec.Struct, frozen=True):
    """A closed episode of a position in rupees; `size` is the quantity entered, negative when short."""

    instrument: str
    size: int
    entry_price: Decimal
    exit_price: Decimal
    gross: Decimal
    charges: Decimal
    entered_at_ms: int
    exited_at_ms: int

    @property
    def net(self) -> Decimal:
        return self.gross - self.charges


class Mark(msgspec.Struct, frozen=True):
    """The price at which an instrument is valued from a time on."""

    at_ms: int
    instrument: str
    price_e4: int


class EquityPoint(msgspec.Struct, frozen=True, gc=False):
    """What the books are worth at a time, and the market value of long and short positions, in rupees."""

    at_ms: int
    equity: Decimal
    exposure: Decimal


class Statistics(msgspec.Struct, frozen=True):
    """Figures of a run, money in rupees.

    Drawdowns are positive numbers, from the highest equity before. Sharpe and Sortino are of daily returns
    (last equity of each IST date), annualised by the root of 252, at a riskless rate of zero.
    """

    trades: int
    winners: int
    losers: int
    gross_pnl: Decimal
    charges: Decimal
    net_pnl: Decimal
    profit_factor: float | None
    best: Decimal | None
    worst: Decimal | None
    win_rate_percent: float | None
    max_drawdown: Decimal | None
    max_drawdown_percent: float | None
    sharpe: float | None
    sortino: float | None
    exposure_percent: float | None  # share of the points at which a position was held


class Performance(msgspec.Struct, frozen=True):
    """All that a page about a run shows."""

    trades: list[Trade]
    curve: list[EquityPoint]
    statistics: Statistics


class _Episode:
    """A trade while it is open."""

    def __init__(self, fill: BookedFill) -> None:
        self.first = fill
        self.position = 0
        self.entered = self.exited = 0
        self.entry_value = self.exit_value = self.charges = ZERO

    def add(self, fill: BookedFill, quantity: int, charges: Decimal) -> None:
        signed = fill.side.sign * quantity
        if fill.side is self.first.side:
            self.entered += quantity
            self.entry_value += value(fill.price_e4, quantity)
        else:
            self.exited += quantity
            self.exit_value += value(fill.price_e4, quantity)
        self.position += signed
        self.charges += charges

    def close(self, at_ms: int) -> Trade:
        direction = self.first.side.sign
        return Trade(
            instrument=self.first.instrument,
            size=direction * self.entered,
            entry_price=self.entry_value / self.entered,
            exit_price=self.exit_value / self.exited,
            gross=direction * (self.exit_value - self.entry_value),
            charges=self.charges,
            entered_at_ms=self.first.at_ms,
            exited_at_ms=at_ms,
        )


def trades_of(fills: Iterable[BookedFill]) -> list[Trade]:
    """Closed trades in the order of their exits; a fill through zero shares its charges by quantity."""
    episodes: dict[str, _Episode] = {}
    trades = []
    for fill in fills:
        episode = episodes.setdefault(fill.instrument, _Episode(fill))
        charges = _charges_of(fill)
        is_against = episode.position * fill.side.sign < 0
        closing = min(abs(episode.position), fill.quantity) if is_against else fill.quantity
        share = charges if closing == fill.quantity else quantized(charges * closing / fill.quantity)
        episode.add(fill, closing, share)
        if episode.position == 0:
            trades.append(episodes.pop(fill.instrument).close(fill.at_ms))
        if rest := fill.quantity - closing:
            episodes[fill.instrument] = _Episode(fill)
            episodes[fill.instrument].add(fill, rest, charges - share)
    return trades


def _charges_of(fill: BookedFill) -> Decimal:
    return sum((Decimal(amount) for amount in fill.charges.values()), ZERO)


class EquityMeter:
    """Equity as fills and marks come in; without a mark, an instrument is worth its last fill."""

    def __init__(self, starting_cash: Decimal) -> None:
        self.cash = starting_cash
        self.charges = ZERO
        self._quantities: dict[str, int] = {}
        self._marks_e4: dict[str, int] = {}
        self._marked: set[str] = set()
        self._market_value_e4 = 0
        self._exposure_e4 = 0

    def fill(self, fill: BookedFill) -> None:
        """Take in a fill."""
        charges = _charges_of(fill)
        signed = fill.side.sign * fill.quantity
        self.cash -= value(fill.price_e4, signed) + charges
        self.charges += charges
        quantity = self._quantities.get(fill.instrument, 0) + signed
        is_marked = fill.instrument in self._marked
        mark_e4 = self._marks_e4[fill.instrument] if is_marked else fill.price_e4
        self._revalue(fill.instrument, quantity, mark_e4)

    def mark(self, instrument: str, price_e4: int) -> None:
        """Take in the price of an instrument, held or not."""
        self._marked.add(instrument)
        self._revalue(instrument, self._quantities.get(instrument, 0), price_e4)

    def point(self, at_ms: int) -> EquityPoint:
        """What the books are worth now."""
        equity = self.cash + to_rupees(self._market_value_e4)
        return EquityPoint(at_ms, equity, to_rupees(self._exposure_e4))

    def _revalue(self, instrument: str, quantity: int, mark_e4: int) -> None:
        held = self._quantities.get(instrument, 0)
        old_mark_e4 = self._marks_e4.get(instrument, 0)
        self._market_value_e4 += quantity * mark_e4 - held * old_mark_e4
        self._exposure_e4 += abs(quantity) * mark_e4 - abs(held) * old_mark_e4
        self._quantities[instrument] = quantity
        self._marks_e4[instrument] = mark_e4


def equity_curve(
    *, starting_cash: Decimal, fills: Iterable[BookedFill], marks: Iterable[Mark]
) -> list[EquityPoint]:
    """One point for each time at which anything happened; both inputs are in order of time."""
    meter = EquityMeter(starting_cash)
    points = []
    events: Iterable[BookedFill | Mark] = merge(fills, marks, key=_at_ms)
    for at_ms, together in groupby(events, key=_at_ms):
        for event in together:
            if isinstance(event, BookedFill):
                meter.fill(event)
            else:
                meter.mark(event.instrument, event.price_e4)
        points.append(meter.point(at_ms))
    return points


def _at_ms(event: BookedFill | Mark) -> int:
    return event.at_ms


def performance(*, starting_cash: Decimal, fills: Sequence[BookedFill], marks: Iterable[Mark]) -> Performance:
    """Trades, equity curve and statistics of a run; fills as booked, marks in order of time."""
    trades = trades_of(fills)
    curve = equity_curve(starting_cash=starting_cash, fills=fills, marks=marks)
    charges = sum(map(_charges_of, fills), ZERO)
    return Performance(trades, curve, statistics_of(starting_cash, trades, curve, charges))


def statistics_of(
    starting_cash: Decimal, trades: Sequence[Trade], curve: Sequence[EquityPoint], charges: Decimal
) -> Statistics:
    """The figures of a run from its closed trades, its equity and all charges it paid, in rupees."""
    nets = [trade.net for trade in trades]
    net_pnl = curve[-1].equity - starting_cash if curve else ZERO
    equities = [starting_cash, *(point.equity for point in curve)]
    returns = daily_returns(starting_cash, curve)
    return Statistics(
        trades=len(nets),
        winners=sum(net > 0 for net in nets),
        losers=sum(net < 0 for net in nets),
        gross_pnl=net_pnl + charges,
        charges=charges,
        net_pnl=net_pnl,
        profit_factor=profit_factor(nets),
        best=max(nets, default=None),
        worst=min(nets, default=None),
        win_rate_percent=win_rate_percent(nets),
        max_drawdown=max_drawdown(equities) if curve else None,
        max_drawdown_percent=max_drawdown_percent(equities) if curve else None,
        sharpe=sharpe(returns),
        sortino=sortino(returns),
        exposure_percent=PERCENT * sum(point.exposure > 0 for point in curve) / len(curve) if curve else None,
    )


def profit_factor(nets: Iterable[Decimal]) -> float | None:
    """Sum of profits over sum of losses; None without a loss."""
    nets = list(nets)
    lost = -sum((net for net in nets if net < 0), ZERO)
    return float(sum((net for net in nets if net > 0), ZERO) / lost) if lost else None


def win_rate_percent(nets: Sequence[Decimal]) -> float | None:
    """Share of trades that made money; one that broke even did not."""
    return PERCENT * sum(net > 0 for net in nets) / len(nets) if nets else None


def max_drawdown(equities: Iterable[Decimal]) -> Decimal:
    """The largest fall in rupees from a highest value before; zero when it never fell."""
    peak, deepest = None, ZERO
    for equity in equities:
        peak = equity if peak is None else max(peak, equity)
        deepest = max(deepest, peak - equity)
    return deepest


def max_drawdown_percent(equities: Iterable[Decimal]) -> float | None:
    """The largest fall as a share of the highest value before; None while that was not above zero."""
    peak, deepest = ZERO, None
    for equity in equities:
        peak = max(peak, equity)
        if peak > 0:
            deepest = max(deepest or 0.0, PERCENT * float((peak - equity) / peak))
    return deepest


def daily_returns(starting_cash: Decimal, curve: Iterable[EquityPoint]) -> list[float]:
    """Returns from the last equity of one IST date to that of the next, the first from the starting cash.

    None at all when an equity at the end of a date is not above zero, for a return on it means nothing.
    """
    last_of_day = {ist_date(point.at_ms): point.equity for point in curve}
    equities = [starting_cash, *last_of_day.values()]
    if any(equity <= 0 for equity in equities):
        return []
    return [float(after / before) - 1 for before, after in pairwise(equities)]


def sharpe(returns: Sequence[float], *, periods_per_year: int = TRADING_DAYS_PER_YEAR) -> float | None:
    """Mean over sample deviation (ddof 1), annualised; None for fewer than two returns or no deviation."""
    if len(returns) < 2:
        return None
    deviation = statistics.stdev(returns)
    return statistics.fmean(returns) / deviation * math.sqrt(periods_per_year) if deviation else None


def sortino(returns: Sequence[float], *, periods_per_year: int = TRADING_DAYS_PER_YEAR) -> float | None:
    """Mean over downside deviation (of all periods, target zero), annualised; None without a loss."""
    if not returns:
        return None
    downside = math.sqrt(statistics.fmean(min(value, 0.0) ** 2 for value in returns))
    return statistics.fmean(returns) / downside * math.sqrt(periods_per_year) if downside else None
