"""A watch wakes execution: it says which item of the log may touch a working order. Never misses, may wake idly."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import msgspec

from alphapanda.core.vocabulary import Side
from marketdata.domain.ticks import HAS_DEPTH, Clock, Tick

if TYPE_CHECKING:
    from strategies.domain.outlook import Outlook


class Watch(msgspec.Struct, frozen=True, gc=False):
    """Wakes at a tick of `token` from `from_ms` on that offers the limit or better, or whose last price reaches the
    trigger where there is one, and at any item from `until_ms`."""

    token: int
    side: Side
    from_ms: int
    until_ms: int
    limit_price_e4: int | None
    trigger_price_e4: int | None = None

    def is_triggered(self, item: Tick | Clock) -> bool:
        if item.at_ms >= self.until_ms:
            return True
        if isinstance(item, Clock) or item.token != self.token or item.at_ms < self.from_ms:
            return False
        if self.trigger_price_e4 is not None:
            return (item.price_e4 - self.trigger_price_e4) * self.side.sign >= 0
        return self.limit_price_e4 is None or self._is_reached(item, self.limit_price_e4)

    def first_ahead(self, outlook: Outlook, number: int) -> int:
        """The number of the first item from `number` on that may trigger it; it may name one too early, never
        one too late."""
        ends = bisect_left(outlook.latest_ms, self.until_ms, lo=number)
        ahead = outlook.ticks[self.token]
        at = max(bisect_left(ahead.numbers, number), bisect_left(ahead.at_ms, self.from_ms))
        is_buy = self.side is Side.BUY
        prices_e4 = ahead.prices_e4[at : bisect_left(ahead.at_ms, self.until_ms)]  # no longer than it lasts
        if self.trigger_price_e4 is not None:
            reached = prices_e4 >= self.trigger_price_e4 if is_buy else prices_e4 <= self.trigger_price_e4
            at += int(reached.argmax()) if reached.any() else len(reached)
        elif self.limit_price_e4 is not None and not ahead.has_depth:
            reached = prices_e4 <= self.limit_price_e4 if is_buy else prices_e4 >= self.limit_price_e4
            at += int(reached.argmax()) if reached.any() else len(reached)
        return min(ends, ahead.numbers[at]) if at < len(ahead.numbers) else ends

    def _is_reached(self, tick: Tick, limit_e4: int) -> bool:
        levels = tick.asks if self.side is Side.BUY else tick.bids
        prices = [tick.price_e4]
        if tick.flags & HAS_DEPTH:
            prices = [price_e4 for price_e4, size in levels if price_e4 > 0 and size > 0]
        if self.side is Side.BUY:
            return any(price_e4 <= limit_e4 for price_e4 in prices)
        return any(price_e4 >= limit_e4 for price_e4 in prices)
