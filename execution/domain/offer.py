"""What one tick offers, used up by the orders that take from it, and what is gone of it when the next one comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from alphapanda.core.clock import ist_day
from alphapanda.core.money import round_to_tick_e4
from alphapanda.core.vocabulary import FillSource, Side
from execution.domain import models
from execution.domain.bands import circuit_limits_e4
from execution.domain.orders import PaperOrder
from execution.domain.settings import Liquidity, Queue
from execution.domain.venue import Trace, Venue
from marketdata.domain.ticks import HAS_DEPTH, Tick
from strategies.domain.signals import Mark

Level = tuple[int, int | None, FillSource]  # price, size (None: not bounded), on what a trade there stands


class Offer:
    """The offer of a tick. Trades are in whole lots. What was taken from a level at an earlier tick stays taken until
    the level's size or price changes on record: a snapshot that is repeated is no new offer."""

    def __init__(self, tick: Tick, venue: Venue, before: Trace | None, *, mark: Mark | None = None) -> None:
        """`mark` is the last price before the tick, where circuit limits follow from the last close."""
        self.tick = tick
        self._mark = mark
        self.has_depth = bool(tick.flags & HAS_DEPTH)
        self.passed: dict[tuple[Side, int], int] = {}  # traded from queues, see execution.domain.queue
        self._venue = venue
        self._sizes = {Side.BUY: _levels(tick.asks), Side.SELL: _levels(tick.bids)}
        self._before = before if before is not None and before.day == ist_day(tick.at_ms) else None
        self._taken: dict[tuple[Side, int], int] = {}
        self._bulk = {Side.BUY: 0, Side.SELL: 0}  # taken without depth
        if self._before is not None:
            self._recall(self._before)

    def _recall(self, before: Trace) -> None:
        if not self.has_depth:
            if self.tick.volume >= 0 and before.volume == self.tick.volume:
                self._bulk = {Side.BUY: before.bought, Side.SELL: before.sold}
            return
        for side, gone in ((Side.BUY, before.asks), (Side.SELL, before.bids)):
            for price_e4, (size, taken) in gone.items():
                if self._sizes[side].get(price_e4) == size:
                    self._taken[side, price_e4] = taken

    def take(self, order: PaperOrder, wanted: int) -> Iterator[tuple[int, int, FillSource]]:
        """Quantity, price and source for up to so many units of an order, best first."""
        lot = order.lot(self._venue.instruments[order.token].lot_size)
        for price_e4, size, source in self._levels(order):
            if wanted == 0 or not is_within(order, price_e4):
                return
            left = wanted if size is None else size - self._gone(order.side, price_e4)
            quantity = min(wanted, left) // lot * lot
            if quantity > 0:
                if self.has_depth or size is not None:
                    self._use(order.side, price_e4, quantity)
                wanted -= quantity
                yield quantity, price_e4, source

    def _gone(self, side: Side, price_e4: int) -> int:
        return self._taken.get((side, price_e4), 0) if self.has_depth else self._bulk[side]

    def _use(self, side: Side, price_e4: int, quantity: int) -> None:
        if self.has_depth:
            self._taken[side, price_e4] = self._taken.get((side, price_e4), 0) + quantity
        else:
            self._bulk[side] += quantity

    def _levels(self, order: PaperOrder) -> list[Level]:
        is_unlimited = self._venue.settings.liquidity is Liquidity.UNLIMITED
        if self.has_depth:  # with depth on record, an empty side offers nothing
            return self._depth(order, is_unlimited=is_unlimited)
        is_locked = self._edge_e4(order) == self.tick.price_e4
        if is_locked or self._is_old() or not self._is_reached(order):
            return []
        size = None if is_unlimited or self.tick.quantity <= 0 else self.tick.quantity
        return [(self._slipped(order), size, FillSource.LAST_PRICE)]

    def _depth(self, order: PaperOrder, *, is_unlimited: bool) -> list[Level]:
        """Levels best first; with unlimited liquidity the best one has no end, and what goes beyond it says so."""
        found: list[Level] = [
            (price_e4, size, FillSource.DEPTH) for price_e4, size in self._sizes[order.side].items()
        ]
        if not is_unlimited or not found:
            return found
        best_e4, size, _ = found[0]
        is_beyond = order.unfilled > (size or 0) - self._gone(order.side, best_e4)
        return [(best_e4, None, FillSource.UNLIMITED if is_beyond else FillSource.DEPTH)]

    def _is_old(self) -> bool:
        """Whether the last trade is too long ago for its price to be one at which anything trades now."""
        traded_ms = self.tick.traded_at_ms
        return traded_ms > 0 and self.tick.at_ms - traded_ms > self._venue.settings.stale_after_ms

    def _is_reached(self, order: PaperOrder) -> bool:
        """At the touch of its price a resting order trades only where no queue is modelled."""
        limit_e4 = order.limit_price_e4
        if self._venue.settings.queue is Queue.NONE or limit_e4 is None:
            return is_within(order, self.tick.price_e4)
        return (limit_e4 - self.tick.price_e4) * order.side.sign > 0

    def _slipped(self, order: PaperOrder) -> int:
        """The last price, moved against the order and onto the tick grid, not past the order's or a circuit limit."""
        settings = self._venue.settings
        tick_e4 = self._venue.instruments[order.token].tick_size_e4
        luck = models.Luck(order.id, "slippage", order.fills_count)
        slippage_e4 = models.SLIPPAGES[settings.slippage](settings, luck, self.tick.price_e4, tick_e4)
        moved_e4 = self.tick.price_e4 + order.side.sign * slippage_e4
        price_e4 = max(round_to_tick_e4(moved_e4, tick_e4, up=order.side is Side.BUY), tick_e4, 1)
        ends_e4 = [one for one in (order.limit_price_e4, self._edge_e4(order)) if one is not None]
        return min([price_e4, *ends_e4]) if order.side is Side.BUY else max([price_e4, *ends_e4])

    def _edge_e4(self, order: PaperOrder) -> int | None:
        """The circuit limit of the day that an order's price ends at, and at which its other side has gone; None where
        it is not known, or where the last price is past it: then it has been moved."""
        instrument, last_e4 = self._venue.instruments[order.token], self.tick.price_e4
        percent = self._venue.settings.circuit_percent
        lower_e4, upper_e4 = circuit_limits_e4(instrument, self._close_before_e4(), percent)
        if order.side is Side.BUY:
            return upper_e4 if last_e4 <= upper_e4 else None
        return lower_e4 if last_e4 >= lower_e4 > 0 else None

    def _close_before_e4(self) -> int:
        """The last price of the session before; 0 where it is not known. A mark of an earlier day is that itself."""
        mark = self._mark
        if mark is None:
            return 0
        return mark.close_before_e4 if ist_day(mark.at_ms) == ist_day(self.tick.at_ms) else mark.price_e4

    def trace(self) -> Trace | None:
        """What is gone of this tick's offer; None where nothing is."""
        day = ist_day(self.tick.at_ms)
        if self.has_depth:
            asks, bids = (self._gone_levels(side) for side in (Side.BUY, Side.SELL))
            return Trace(day, asks=asks, bids=bids) if asks or bids else None
        bought, sold = self._bulk[Side.BUY], self._bulk[Side.SELL]
        if self.tick.volume < 0 or not (bought or sold):
            return None
        return Trace(day, volume=self.tick.volume, bought=bought, sold=sold)

    def _gone_levels(self, side: Side) -> dict[int, tuple[int, int]]:
        return {
            price_e4: (self._sizes[side][price_e4], taken)
            for (one, price_e4), taken in self._taken.items()
            if one is side and taken
        }


def _levels(levels: tuple[tuple[int, int], ...]) -> Mapping[int, int]:
    """Size by price, best first. Kite fills up depth with empty levels."""
    sizes: dict[int, int] = {}
    for price_e4, size in levels:
        if price_e4 > 0 and size > 0:
            sizes[price_e4] = sizes.get(price_e4, 0) + size
    return sizes


def is_within(order: PaperOrder, price_e4: int) -> bool:
    """Whether a price is the limit or better."""
    if order.limit_price_e4 is None:
        return True
    return (order.limit_price_e4 - price_e4) * order.side.sign >= 0
