"""Closed trades from fills, and figures of them. Pure; floats are for ratios only.

A trade is an episode of a position: it opens when the position leaves zero, closes when it returns to zero, and a
fill through zero closes one and opens the next."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby

import msgspec

from alphapanda.core.money import ZERO, quantized, value
from portfolio.domain.books import BookedFill

PERCENT = 100
MINUTE_MS = 60_000


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
        charges = charges_of(fill)
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


def charges_of(fill: BookedFill) -> Decimal:
    return sum((Decimal(amount) for amount in fill.charges.values()), ZERO)


class TradeFigures(msgspec.Struct, frozen=True):
    """Figures of closed trades after charges, money in rupees; None where there is no trade that says it.

    `trade_sharpe` is the mean of their profits over the sample deviation; `closed_drawdown` the deepest fall of the
    sum of profits in the order of their exits."""

    trades: int
    winners: int
    losers: int
    profit_factor: float | None
    best: Decimal | None
    worst: Decimal | None
    win_rate_percent: float | None
    total_profit: Decimal
    total_loss: Decimal
    expectancy: Decimal | None
    average_win: Decimal | None
    average_loss: Decimal | None
    average_minutes: float | None
    longest_wins: int
    longest_losses: int
    trade_deviation: float | None
    trade_sharpe: float | None
    closed_drawdown: Decimal


def trade_figures(trades: Sequence[Trade]) -> TradeFigures:
    """The figures of closed trades, in the order of their exits."""
    nets = [trade.net for trade in trades]
    won, lost = [net for net in nets if net > 0], [net for net in nets if net < 0]
    deviation = statistics.stdev(map(float, nets)) if len(nets) > 1 else None
    return TradeFigures(
        trades=len(nets),
        winners=len(won),
        losers=len(lost),
        profit_factor=profit_factor(nets),
        best=max(nets, default=None),
        worst=min(nets, default=None),
        win_rate_percent=win_rate_percent(nets),
        total_profit=sum(won, ZERO),
        total_loss=sum(lost, ZERO),
        expectancy=_mean(nets),
        average_win=_mean(won),
        average_loss=_mean(lost),
        average_minutes=_average_minutes(trades),
        longest_wins=_longest(net > 0 for net in nets),
        longest_losses=_longest(net < 0 for net in nets),
        trade_deviation=deviation,
        trade_sharpe=statistics.fmean(map(float, nets)) / deviation if deviation else None,
        closed_drawdown=_closed_drawdown(nets),
    )


def _mean(amounts: Sequence[Decimal]) -> Decimal | None:
    return sum(amounts, ZERO) / len(amounts) if amounts else None


def _average_minutes(trades: Sequence[Trade]) -> float | None:
    held_ms = [trade.exited_at_ms - trade.entered_at_ms for trade in trades]
    return statistics.fmean(held_ms) / MINUTE_MS if held_ms else None


def _longest(are: Iterable[bool]) -> int:
    return max((sum(1 for _ in run) for is_so, run in groupby(are) if is_so), default=0)


def _closed_drawdown(nets: Sequence[Decimal]) -> Decimal:
    total = peak = deepest = ZERO
    for net in nets:
        total += net
        peak = max(peak, total)
        deepest = max(deepest, peak - total)
    return deepest


def profit_factor(nets: Iterable[Decimal]) -> float | None:
    """Sum of profits over sum of losses; None without a loss."""
    nets = list(nets)
    lost = -sum((net for net in nets if net < 0), ZERO)
    return float(sum((net for net in nets if net > 0), ZERO) / lost) if lost else None


def win_rate_percent(nets: Sequence[Decimal]) -> float | None:
    """Share of trades that made money; one that broke even did not."""
    return PERCENT * sum(net > 0 for net in nets) / len(nets) if nets else None
