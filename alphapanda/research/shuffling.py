"""How much of a result is luck: the same trades in other orders, and the same strategy on shuffled bars.

Shuffled bars keep what each bar did by itself, how far prices jumped between bars and over nights, and where they
began and ended; what they lose is the order, which is all that a strategy can have foreseen. A strategy that does as
well on most of them has foreseen nothing. Every number follows from the seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from alphapanda.core.clock import ist_day
from alphapanda.core.refusals import BadRequest
from marketdata.domain.ticks import FROM_BAR, Item, Tick

TICKS_OF_A_BAR = 4
LEVELS = (5, 50, 95)
TRADES_MIN = 2
Floats = npt.NDArray[np.float64]


class CannotShuffle(BadRequest):
    """Items that are not made of bars."""


class OfTrades(msgspec.Struct, frozen=True):
    """Money in rupees as floats: these are chances, not accounts.

    `drawdown`: the deepest fall of closed profits as traded; `drawdowns`: its 5th, 50th and 95th percentile over
    random orders; `deeper_share`: how many orders fall deeper. `profits`: percentiles of the profit of as many trades
    drawn with replacement; `loss_share`: how many of those lose. `p_value`: how often trades with random signs earn
    as much."""

    runs: int
    seed: int
    trades: int
    profit: float
    p_value: float
    drawdown: float
    drawdowns: tuple[float, float, float]
    deeper_share: float
    profits: tuple[float, float, float]
    loss_share: float


class OfBars(msgspec.Struct, frozen=True):
    """`p_value`: how often shuffled bars gave as much as the recorded ones, which are counted with them."""

    runs: int
    seed: int
    observed: float
    p_value: float
    levels: tuple[float, float, float]


def of_trades(
    nets: Sequence[Decimal], *, runs: int, seed: int, on_draw: Callable[[], None] = lambda: None
) -> OfTrades | None:
    """None for fewer than two trades, and for no runs. `on_draw` is called at each draw and may raise to end it:
    with very many trades the draws take minutes."""
    if len(nets) < TRADES_MIN or runs < 1:
        return None
    random, values = np.random.default_rng(seed), np.array([float(net) for net in nets])
    profit, drawdown = float(values.sum()), _deepest(values)
    orders = _draws(runs, lambda: _deepest(random.permutation(values)), on_draw)
    drawn = _draws(runs, lambda: np.sum(random.choice(values, len(values))), on_draw)
    signs = _draws(runs, lambda: np.sum(values * random.choice((-1.0, 1.0), len(values))), on_draw)
    return OfTrades(
        runs=runs,
        seed=seed,
        trades=len(values),
        profit=profit,
        p_value=_p_value(signs, profit),
        drawdown=drawdown,
        drawdowns=_levels(orders),
        deeper_share=float((orders > drawdown + 1e-9).mean()),
        profits=_levels(drawn),
        loss_share=float((drawn < 0).mean()),
    )


def _draws(runs: int, draw: Callable[[], float], on_draw: Callable[[], None]) -> Floats:
    found = np.empty(runs)
    for place in range(runs):
        found[place] = draw()
        on_draw()
    return found


def of_bars(observed: float, found: Sequence[float], *, seed: int) -> OfBars | None:
    """From what the strategy made of shuffled bars; None without any."""
    if not found:
        return None
    values = np.array(found)
    return OfBars(len(found), seed, observed, _p_value(values, observed), _levels(values))


def _p_value(found: Floats, observed: float) -> float:
    """The observed one is one of them: never nought."""
    return float((1 + (found >= observed - 1e-9).sum()) / (1 + len(found)))


def _levels(found: Floats) -> tuple[float, float, float]:
    low, middle, high = (float(value) for value in np.percentile(found, LEVELS))
    return low, middle, high


def _deepest(values: Floats) -> float:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return float((np.maximum.accumulate(total) - total).max())


def shuffled(items: Iterable[Item], *, ticks_e4: dict[int, int], seed: int) -> Iterator[Item]:
    """The items with the prices of their bars shuffled; times and volumes stay. Instruments with equally many bars
    are shuffled alike, so that what moved together still does. `ticks_e4`: tick sizes by token.
    Raises CannotShuffle."""
    kept = list(items)
    prices = {
        token: iter(_shuffled(bars, max(ticks_e4.get(token, 1), 1), seed).ravel().tolist())
        for token, bars in _bars(kept).items()
    }
    return (
        item._replace(price_e4=next(prices[item.token])) if isinstance(item, Tick) else item for item in kept
    )


def _bars(items: Iterable[Item]) -> dict[int, list[list[Tick]]]:
    """The bars of each token, as the four ticks that tell them."""
    found: dict[int, list[list[Tick]]] = {}
    for item in items:
        if isinstance(item, Tick):
            if not item.flags & FROM_BAR or item.price_e4 <= 0:
                raise CannotShuffle(
                    "only bars with prices above nought can be shuffled; the files hold other ticks"
                )
            bars = found.setdefault(item.token, [])
            if not bars or len(bars[-1]) == TICKS_OF_A_BAR:
                bars.append([])
            bars[-1].append(item)
    if any(len(bars[-1]) != TICKS_OF_A_BAR for bars in found.values()):
        raise CannotShuffle("a bar is cut off by the days that were chosen")
    return found


def _shuffled(bars: Sequence[Sequence[Tick]], tick_e4: int, seed: int) -> npt.NDArray[np.int64]:
    random = np.random.default_rng(seed)
    prices = np.array([[tick.price_e4 for tick in bar] for bar in bars], np.float64)
    days = np.array([ist_day(bar[0].at_ms) for bar in bars])
    moves = np.log(prices / prices[:, :1])  # of each bar from its open
    gaps = np.log(prices[1:, 0] / prices[:-1, 3])  # from a close to the next open
    is_night = days[1:] != days[:-1]
    moves = random.permutation(moves)
    for which in (is_night, ~is_night):
        gaps[which] = random.permutation(gaps[which])
    steps = np.concatenate([[np.log(prices[0, 0])], moves[:-1, 3] + gaps])
    made = np.exp(np.cumsum(steps)[:, None] + moves)
    grid: Any = np.maximum(np.rint(made / tick_e4), 1) * tick_e4
    return grid.astype(np.int64)
