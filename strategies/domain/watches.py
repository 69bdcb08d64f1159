"""A watch wakes execution: it says which item of the log may touch a working order. Never misses, may wake idly."""

from __future__ import annotations

import msgspec

from alphapanda.core.vocabulary import Side
from marketdata.domain.ticks import HAS_DEPTH, Clock, Tick


class Watch(msgspec.Struct, frozen=True):
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

    def _is_reached(self, tick: Tick, limit_e4: int) -> bool:
        levels = tick.asks if self.side is Side.BUY else tick.bids
        prices = [tick.price_e4]
        if tick.flags & HAS_DEPTH:
            prices = [price_e4 for price_e4, size in levels if price_e4 > 0 and size > 0]
        if self.side is Side.BUY:
            return any(price_e4 <= limit_e4 for price_e4 in prices)
        return any(price_e4 >= limit_e4 for price_e4 in prices)
