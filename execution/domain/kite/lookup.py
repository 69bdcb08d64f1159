"""What became of a write whose outcome is not known: looked for in the broker's book, with patience, never repeated.

A read that failed, or that had faults in it, is no information. A read counts as of when it began. The book is that of
the broker's day: in a later one it says nothing of a write of the day before."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from alphapanda.core.vocabulary import OrderStatus
from execution.domain.kite.account import day_of
from execution.domain.kite.orders import LiveOrder
from execution.domain.kite.rows import OrderSnapshot
from execution.domain.orders import AT_MARKET, Terms

READS_MS = (500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000)  # after the outcome was found to be unknown
LATER_MS = 30_000  # between reads after those
ABSENT_MIN = 5
PATIENCE_MS = 120_000  # after sending; orders have appeared as late as 90 s


class Finding(StrEnum):
    """What one whole read of the book says of a write."""

    DONE = "DONE"
    TOO_LATE = "TOO_LATE"  # of an act: the order ended without it
    ON_ITS_WAY = "ON_ITS_WAY"  # the broker has it, and has not decided yet
    ABSENT = "ABSENT"


class Wish(StrEnum):
    READ = "READ"  # at `at_ms` of the answer
    DONE = "DONE"
    TOO_LATE = "TOO_LATE"
    NOT_DONE = "NOT_DONE"  # of an order: not placed
    ASK = "ASK"  # the book cannot tell any more: a person, positions and the day's statement must


class Lookup(msgspec.Struct, frozen=True):
    """The search for one write. `sent_ms` is when its request began, `unknown_ms` when its outcome was found to be
    unknown: at once, or by whoever started after a death in between."""

    sent_ms: int
    unknown_ms: int
    absent: int = 0  # whole reads that did not show it
    last_absent_ms: int = 0
    last_read_ms: int = -1  # of any read, also a failed one
    outlives_day: bool = False  # what is looked in shows the next day what it showed the day before
    verdict: Wish = Wish.READ

    @property
    def is_over(self) -> bool:
        return self.verdict is not Wish.READ


class Read(msgspec.Struct, frozen=True):
    """A read of the book that began at a time; without a finding it failed, or was not whole."""

    began_ms: int
    finding: Finding | None


class Answer(msgspec.Struct, frozen=True):
    """What to do next: read at a time, or what it came to."""

    wish: Wish
    at_ms: int = 0


def advance(lookup: Lookup, read: Read) -> tuple[Lookup, Answer]:
    """After a read. What has been decided stays so."""
    if lookup.is_over:
        return lookup, _answer(lookup)
    lookup = msgspec.structs.replace(lookup, last_read_ms=max(lookup.last_read_ms, read.began_ms))
    if read.finding in (Finding.DONE, Finding.TOO_LATE):
        lookup = msgspec.structs.replace(lookup, verdict=Wish(read.finding.value))
    elif not lookup.outlives_day and day_of(read.began_ms) != day_of(lookup.sent_ms):
        lookup = msgspec.structs.replace(lookup, verdict=Wish.ASK)
    elif read.finding is Finding.ABSENT and read.began_ms >= lookup.unknown_ms:
        lookup = _absent(lookup, read.began_ms)
    return lookup, _answer(lookup)


def _absent(lookup: Lookup, began_ms: int) -> Lookup:
    absent, last_ms = lookup.absent + 1, max(lookup.last_absent_ms, began_ms)
    is_enough = absent >= ABSENT_MIN and last_ms - lookup.sent_ms >= PATIENCE_MS
    return msgspec.structs.replace(
        lookup,
        absent=absent,
        last_absent_ms=last_ms,
        verdict=Wish.NOT_DONE if is_enough else Wish.READ,
    )


def _answer(lookup: Lookup) -> Answer:
    return Answer(lookup.verdict, 0 if lookup.is_over else next_read_ms(lookup))


def next_read_ms(lookup: Lookup) -> int:
    """The first time of the schedule after the last read."""
    since_ms = lookup.last_read_ms - lookup.unknown_ms
    for read_ms in READS_MS:
        if read_ms > since_ms:
            return lookup.unknown_ms + read_ms
    later = (since_ms - READS_MS[-1]) // LATER_MS + 1
    return lookup.unknown_ms + READS_MS[-1] + later * LATER_MS


def is_without_leg(order: LiveOrder, compared_ms: int) -> bool:
    """Of an iceberg order between its legs: whether a whole read of the book shows none so long after the last one has
    traded that none is waited for. `compared_ms`: when the last whole read was compared."""
    ends = [part.end.received_ms for part in order.parts.values() if part.end]
    return bool(ends) and compared_ms - max(ends) > PATIENCE_MS


def found(order: LiveOrder, rows: Iterable[OrderSnapshot]) -> tuple[OrderSnapshot, ...]:
    """The orders in the book that carry a tag of ours; more than one is a fault that the reducer tells."""
    return tuple(row for row in rows if not order.tags.isdisjoint(row.tags))


def of_cancelling(row: OrderSnapshot) -> Finding:
    """What an order in the book says of its cancellation."""
    if row.status is OrderStatus.CANCELLED:
        return Finding.DONE
    if row.is_final:
        return Finding.TOO_LATE
    return Finding.ON_ITS_WAY if row.status is OrderStatus.CANCEL_PENDING else Finding.ABSENT


_CHANGING = (OrderStatus.MODIFY_VALIDATION_PENDING, OrderStatus.MODIFY_PENDING)


def of_modifying(row: OrderSnapshot, before: Terms, after: Terms) -> Finding:
    """What an order in the book says of its change from some terms to others."""
    if row.status in _CHANGING:
        return Finding.ON_ITS_WAY
    if _has(row, before, after):
        return Finding.DONE
    return Finding.TOO_LATE if row.is_final else Finding.ABSENT


def _has(row: OrderSnapshot, before: Terms, after: Terms) -> bool:
    """Whether an order has the terms to which it was to be changed, in all that was to change, and the limit price,
    which is always said: a new leg of an iceberg may stand at another one than we last changed it to. What goes to
    the market is shown as a limit order with the price that protects it, and a tag."""
    shown = {
        "quantity": row.quantity,
        "trigger_price_e4": row.trigger_price_e4,
        "disclosed_quantity": row.disclosed_quantity,
        "validity": row.validity,
        "order_type": row.order_type,
        "limit_price_e4": row.limit_price_e4,
    }
    if after.order_type in AT_MARKET:
        del shown["limit_price_e4"]
        shown["order_type"] = after.order_type if row.is_protected else row.order_type
    said = [
        name for name in shown if name == "limit_price_e4" or getattr(before, name) != getattr(after, name)
    ]
    return all(shown[name] == getattr(after, name) for name in said)
