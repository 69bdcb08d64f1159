"""The rules of published runs as strategies: moving averages that cross, and buying once."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from marketdata.domain.bars import Bar
from marketdata.domain.ticks import Tick
from strategies.domain.base import Intent, Strategy, View
from tests.engine.told import is_close

DAY = 1_440


class Closes(msgspec.Struct):
    """Closes so far as whole 1/10,000, so that averages tie exactly where they do."""

    e4: list[int] = msgspec.field(default_factory=list)

    def sums(self, fast: int, slow: int) -> tuple[int, int] | None:
        """Both averages times fast times slow; None until the slow one exists."""
        if len(self.e4) < slow:
            return None
        return sum(self.e4[-fast:]) * slow, sum(self.e4[-slow:]) * fast


class Lengths(msgspec.Struct, frozen=True):
    fast: int = 10
    slow: int = 30
    quantity: int = 100


class SmaCrossLong(Strategy):
    """Long from the day on which the fast average rises above the slow one until it falls below."""

    name = "peer_sma_cross_long"
    Params = Lengths

    class State(Closes):
        before: tuple[int, int] | None = None

    def bar_minutes(self) -> tuple[int, ...]:
        return (DAY,)

    def on_bar(self, state: State, bar: Bar, view: View) -> Iterable[Intent]:
        state.e4.append(bar.close_e4)
        before, state.before = state.before, state.sums(self.params.fast, self.params.slow)
        crossed = crossing(before, state.before)
        if crossed:
            yield from view.target(self.params.quantity if crossed > 0 else 0)


def crossing(before: tuple[int, int] | None, now: tuple[int, int] | None) -> int:
    """+1 where the first has risen strictly above the second, -1 where it has fallen below, else 0."""
    if before is None or now is None:
        return 0
    if before[0] < before[1] and now[0] > now[1]:
        return 1
    return -1 if before[0] > before[1] and now[0] < now[1] else 0


class AllIn(Strategy):
    """Decides on a day's close, and turns at the next open with all it has: its size follows from that open."""

    name = "peer_all_in"

    class Params(Lengths):
        cash: int = 10_000

    class State(Closes):
        before: tuple[int, int] | None = None
        side: int = 0  # to turn to at the next open
        cash_e4: int | None = None

    def bar_minutes(self) -> tuple[int, ...]:
        return (DAY,)

    def on_bar(self, state: State, bar: Bar, view: View) -> Iterable[Intent]:
        state.e4.append(bar.close_e4)
        before, state.before = state.before, state.sums(self.params.fast, self.params.slow)
        state.side = crossing(before, state.before)
        return ()

    def on_tick(self, state: State, tick: Tick, view: View) -> Iterable[Intent]:
        if not state.side:
            return
        if state.cash_e4 is None:
            state.cash_e4 = self.params.cash * 10_000
        equity_e4 = state.cash_e4 + view.position() * tick.price_e4
        size = state.side * (equity_e4 // tick.price_e4)
        state.cash_e4, state.side = equity_e4 - size * tick.price_e4, 0
        yield from view.target(size)


class NautilusEmaCross(Strategy):
    """nautilus_trader's example EMACross: averages that begin with the first close, always in the market once
    warm, silent on bars that did not move; it decides on the close itself."""

    name = "peer_nautilus_ema_cross"

    class Params(msgspec.Struct, frozen=True):
        fast: int = 9
        slow: int = 21
        quantity: int = 100

    class State(msgspec.Struct):
        bars: int = 0
        fast: float = 0.0
        slow: float = 0.0
        prices: list[int] = msgspec.field(default_factory=list)

    def on_tick(self, state: State, tick: Tick, view: View) -> Iterable[Intent]:
        if tick.at_ms % 60_000 > 59_998:
            return
        state.prices.append(tick.price_e4)
        if not is_close(tick):
            return
        moved, close = len(set(state.prices)) > 1, float(tick.price)
        state.prices, state.bars = [], state.bars + 1
        first = state.bars == 1
        state.fast = close if first else state.fast + (close - state.fast) * 2 / (self.params.fast + 1)
        state.slow = close if first else state.slow + (close - state.slow) * 2 / (self.params.slow + 1)
        if moved and state.bars >= self.params.slow:
            side = 1 if state.fast >= state.slow else -1
            if view.position() * side <= 0:
                yield from view.target(side * self.params.quantity)


class BuyOnce(Strategy):
    """Buys one on the first close that it sees, and holds."""

    name = "peer_buy_once"

    def on_tick(self, state: Strategy.State, tick: Tick, view: View) -> Iterable[Intent]:
        if is_close(tick) and not view.position():
            yield view.buy(1)


ALL: dict[str, type[Strategy]] = {
    strategy.name: strategy for strategy in (SmaCrossLong, AllIn, NautilusEmaCross, BuyOnce)
}
