"""The place of a resting order in the queue of its price, moved by what the log shows of that price.

Ahead of it stands what was on record at its price when it came to rest. A trade at the price takes from the front;
one beyond the price takes all that is there. Of a size that falls without a trade, PRO_RATA takes the share that
stands ahead as cancelled ahead; CAUTIOUS takes it as cancelled behind as long as that can be. Snapshots tell the last
trade only: PRO_RATA counts all that traded since the last look as traded at it, CAUTIOUS its own size."""

from __future__ import annotations

from alphapanda.core.vocabulary import Side
from execution.domain.offer import Offer
from execution.domain.orders import PaperOrder, Place
from execution.domain.settings import Queue
from marketdata.domain.ticks import Tick


def passed(order: PaperOrder, offer: Offer, *, wanted: int, lot: int, queue: Queue) -> tuple[int, Place]:
    """Units of a resting order that the trades on record reach, and its place after the tick."""
    place, limit_e4, tick = order.place, order.limit_price_e4, offer.tick
    assert place is not None, "a queue is modelled"
    if limit_e4 is None or not offer.has_depth:
        return 0, place
    size = _size_at(tick, order.side, limit_e4)
    if place.ahead < 0:  # it comes to rest at this tick, if its price is in sight
        return 0, place if size is None else Place(size, size, tick.volume)
    traded = _traded_since(place, tick, queue)
    is_beyond = (limit_e4 - tick.price_e4) * order.side.sign > 0
    reached = traded if tick.price_e4 == limit_e4 or is_beyond else 0
    ahead = 0 if is_beyond and reached else max(0, place.ahead - reached)
    shared = (order.side, limit_e4)
    free = max(0, reached - (0 if is_beyond else place.ahead) - offer.passed.get(shared, 0))
    quantity = min(wanted, free) // lot * lot
    offer.passed[shared] = offer.passed.get(shared, 0) + quantity
    if size is not None:
        ahead = _after_cancellations(ahead, place.size - reached, size, queue)
    return quantity, Place(ahead, place.size if size is None else size, tick.volume)


def _size_at(tick: Tick, side: Side, limit_e4: int) -> int | None:
    """The size on record at a price of the order's own side; 0 where it would be the best one or lie between levels,
    None where the price is beyond what the depth shows."""
    levels = [(price, size) for price, size in (tick.bids if side is Side.BUY else tick.asks) if size > 0]
    if not levels:
        return None
    found = sum(size for price, size in levels if price == limit_e4)
    if found:
        return found
    is_out_of_sight = all((price - limit_e4) * side.sign > 0 for price, _ in levels)
    return None if is_out_of_sight else 0


def _traded_since(place: Place, tick: Tick, queue: Queue) -> int:
    """Units that traded since the last look, as far as they can be told to have traded at the last price."""
    if tick.volume < 0 or place.volume < 0:
        return 0
    traded = tick.volume - place.volume if tick.volume > place.volume else 0
    return min(traded, tick.quantity) if queue is Queue.CAUTIOUS and tick.quantity else traded


def _after_cancellations(ahead: int, expected: int, size: int, queue: Queue) -> int:
    """Units ahead after a level fell below what trades leave of it."""
    gone = max(0, expected - size)
    if queue is Queue.PRO_RATA and gone and expected > 0:
        ahead -= gone * ahead // expected
    return min(ahead, size)
