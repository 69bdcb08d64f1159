"""The kill sweep as a plan: which order to cancel next, when to look at the book again, and what will not die.

It ends only when a whole read of the book, begun after the kill, shows none of our orders open, and nothing of ours may
still come to light. Orders that are not ours are left alone. A read that failed is no information."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from alphapanda.core.money import value
from execution.domain.kite.orders import LiveOrder

LOOK_MS = 5_000  # between reads of the book, and before an order is cancelled again
STUBBORN_AFTER = 3  # cancellations that did not end an order


class Target(msgspec.Struct, frozen=True):
    """One of the broker's orders to be cancelled; `exposure` is what it may still come to, None where it has no
    price."""

    broker_order_id: str
    variety: str
    exposure: Decimal | None = None

    @property
    def rank(self) -> tuple[bool, Decimal, str]:
        """The largest exposure first; one that is not known may be the largest."""
        return self.exposure is not None, -(self.exposure or Decimal(0)), self.broker_order_id


class Tried(msgspec.Struct, frozen=True):
    """How often an order was told to go, when last, and what the broker said to it."""

    times: int
    last_ms: int
    words: str = ""


class Sweep(msgspec.Struct, frozen=True):
    """How far a sweep is. `book` is what the last whole read showed of ours at work, begun at `read_ms`."""

    killed_ms: int
    book: tuple[Target, ...] = ()
    read_ms: int = -1  # -1: the book has not been read since the kill; what it is told here is ours
    tried: dict[str, Tried] = {}
    looked_ms: int = -1  # of any read, also a failed one


class Plan(msgspec.Struct, frozen=True):
    """What to do: cancel these now, in this order, and read the book at that time. `stubborn` are orders that will not
    die, with words; `hidden` are orders of ours that may be at the broker and that nobody has seen there."""

    cancel: tuple[Target, ...] = ()
    look_ms: int | None = None  # None: it is over
    stubborn: tuple[tuple[Target, Tried], ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        return self.look_ms is None


def targets(orders: Iterable[LiveOrder], marks_e4: Mapping[str, int]) -> tuple[Target, ...]:
    """What works of our orders, as far as is known, the largest exposure first."""
    found = [
        Target(broker_id, order.variety.value, exposure(order, marks_e4.get(order.instrument, 0)))
        for order in orders
        if not order.status.is_final
        for broker_id, part in order.parts.items()
        if part.ended is None and part.end is None
    ]
    return tuple(sorted(found, key=lambda target: target.rank))


def hidden(orders: Iterable[LiveOrder]) -> tuple[str, ...]:
    """Orders of ours that are being sent or looked up, and that nobody has seen at the broker yet."""
    return tuple(str(order.id) for order in orders if not order.parts and not order.status.is_final)


def seen_ms(order: LiveOrder) -> int:
    """When the order was last shown at work; 0: never."""
    return max((part.latest.received_ms for part in order.parts.values() if part.latest), default=0)


def exposure(order: LiveOrder, mark_e4: int) -> Decimal | None:
    """Rupees that an order may still come to, at the dearest price that is known."""
    terms = order.now
    price_e4 = max(terms.limit_price_e4 or 0, terms.trigger_price_e4 or 0, mark_e4)
    return value(price_e4, order.worst_open) if price_e4 else None


def begun(killed_ms: int, ours: Sequence[Target]) -> Sweep:
    """A sweep at its start: it cancels what we know of before it has read anything."""
    return Sweep(killed_ms, book=tuple(ours))


def read(sweep: Sweep, began_ms: int, at_work: Sequence[Target] | None) -> Sweep:
    """After a read of the book: what of ours works there; None where it failed or was not whole."""
    looked_ms = max(sweep.looked_ms, began_ms)
    if at_work is None or began_ms < sweep.read_ms:
        return msgspec.structs.replace(sweep, looked_ms=looked_ms)
    return msgspec.structs.replace(sweep, book=tuple(at_work), read_ms=began_ms, looked_ms=looked_ms)


def told(sweep: Sweep, broker_order_id: str, at_ms: int, words: str = "") -> Sweep:
    """After a cancellation was sent; `words` are what the broker said against it."""
    before = sweep.tried.get(broker_order_id, Tried(0, at_ms))
    now = Tried(before.times + 1, max(before.last_ms, at_ms), words or before.words)
    return msgspec.structs.replace(sweep, tried={**sweep.tried, broker_order_id: now})


def plan(sweep: Sweep, now_ms: int, *, unseen: Sequence[str]) -> Plan:
    """What to do now. `unseen` are our hidden orders: they are resolved, then cancelled."""
    ranked = sorted(sweep.book, key=lambda target: target.rank)
    is_empty = not ranked and not unseen and sweep.read_ms > sweep.killed_ms
    stubborn = [
        (target, tried)
        for target in ranked
        if (tried := sweep.tried.get(target.broker_order_id)) and tried.times >= STUBBORN_AFTER
    ]
    due = tuple(target for target in ranked if _is_due(sweep, target, now_ms))
    look_ms = now_ms if sweep.looked_ms < 0 else max(now_ms, sweep.looked_ms + LOOK_MS)
    return Plan(due, None if is_empty else look_ms, tuple(stubborn), tuple(unseen))


def _is_due(sweep: Sweep, target: Target, now_ms: int) -> bool:
    """Never tried, or tried some time ago and shown at work by a read that began after that."""
    tried = sweep.tried.get(target.broker_order_id)
    if tried is None:
        return True
    return now_ms - tried.last_ms >= LOOK_MS and sweep.read_ms > tried.last_ms
