"""Equity and performance figures, from fills and marks alone. Floats are for ratios only.

What is not defined is None, never zero: a profit factor without a loss, a ratio of returns that do not vary,
any figure of no trades. Winners, losers, best, worst and profit factor count closed trades after charges; profit,
charges and equity count everything, open positions at their mark.

Money is summed here in Decimal, and so are falls of equity, minute by minute. Ratios of daily returns are
empyrical's (`alphapanda.engine.ratios`); there is no second way to any figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from heapq import merge
from itertools import groupby, pairwise

import msgspec

from alphapanda.core.clock import ist_date
from alphapanda.core.money import ZERO, to_rupees, value
from alphapanda.engine import ratios
from alphapanda.engine.trades import Trade, TradeFigures, charges_of, trade_figures, trades_of
from portfolio.domain.books import BookedFill

PERCENT = 100


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


class Statistics(TradeFigures, frozen=True, kw_only=True):
    """Figures of a run, money in rupees.

    Drawdowns are positive numbers, from the highest equity before. Ratios are of daily returns (last equity of each
    IST date), annualised to 252 days, at a riskless rate of zero; `calmar` divides by the deepest fall of days.
    """

    gross_pnl: Decimal
    charges: Decimal
    net_pnl: Decimal
    cost_share_percent: float | None  # charges as a share of a profit before charges
    max_drawdown: Decimal | None
    max_drawdown_percent: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    annual_return_percent: float | None
    annual_volatility_percent: float | None
    downside_risk_percent: float | None
    value_at_risk_percent: float | None
    tail_ratio: float | None
    exposure_percent: float | None  # share of the points at which a position was held


class Performance(msgspec.Struct, frozen=True):
    """All that a page about a run shows."""

    trades: list[Trade]
    curve: list[EquityPoint]
    statistics: Statistics


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
        charges = charges_of(fill)
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
    charges = sum(map(charges_of, fills), ZERO)
    return Performance(trades, curve, statistics_of(starting_cash, trades, curve, charges))


def statistics_of(
    starting_cash: Decimal, trades: Sequence[Trade], curve: Sequence[EquityPoint], charges: Decimal
) -> Statistics:
    """The figures of a run from its closed trades, its equity and all charges it paid, in rupees."""
    net_pnl = curve[-1].equity - starting_cash if curve else ZERO
    gross_pnl = net_pnl + charges
    equities = [starting_cash, *(point.equity for point in curve)]
    held = sum(point.exposure > 0 for point in curve)
    return Statistics(
        **msgspec.structs.asdict(trade_figures(trades)),
        gross_pnl=gross_pnl,
        charges=charges,
        net_pnl=net_pnl,
        cost_share_percent=PERCENT * float(charges / gross_pnl) if gross_pnl > 0 else None,
        max_drawdown=max_drawdown(equities) if curve else None,
        max_drawdown_percent=max_drawdown_percent(equities) if curve else None,
        **_ratios(daily_returns(starting_cash, curve)),
        exposure_percent=PERCENT * held / len(curve) if curve else None,
    )


def _ratios(returns: Sequence[float]) -> dict[str, float | None]:
    return {
        "sharpe": ratios.sharpe(returns),
        "sortino": ratios.sortino(returns),
        "calmar": ratios.calmar(returns),
        "annual_return_percent": ratios.percent(ratios.annual_return(returns)),
        "annual_volatility_percent": ratios.percent(ratios.annual_volatility(returns)),
        "downside_risk_percent": ratios.percent(ratios.downside_risk(returns)),
        "value_at_risk_percent": ratios.percent(ratios.value_at_risk(returns)),
        "tail_ratio": ratios.tail_ratio(returns),
    }


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
