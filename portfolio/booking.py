"""The inside of `postings_book`, under the lock of the book: rows in, the pure fold, rows and events out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import reduce
from operator import or_
from uuid import UUID

import msgspec
from django.db.models import Q

from alphapanda.core import ids
from alphapanda.core.envelope import Envelope, EventType, PnlSnapshot, seal
from alphapanda.core.money import ZERO, quantized
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import outbox
from alphapanda.prepared import ANYBODY, Prepared
from marketdata.models import Instrument
from portfolio.domain.books import FLAT, BookedFill, Entry, Holding, book, cash_moved
from portfolio.models import Book, LedgerEntry, Position, Posting, Snapshot

SOURCE = "portfolio"


class UnknownInstrument(LookupError):
    """A fill names an instrument that is not in the instrument list."""


@dataclass
class Booking:
    """The holdings of a book while postings are folded into them, and the rows that this gives."""

    book: Book
    instruments: dict[str, Instrument]
    holdings: dict[str, Holding]
    total: Holding  # over all positions of the book; its quantity has no meaning
    touched_at_ms: dict[str, int] = field(default_factory=dict)
    entries: list[LedgerEntry] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    events: list[Envelope] = field(default_factory=list)

    @classmethod
    def load(cls, book_row: Book, postings: Iterable[Posting]) -> Booking:
        """The instruments of the postings with what the book holds of them. Raises UnknownInstrument."""
        names = {posting.fill["instrument"] for posting in postings}
        rows = {str(row.instrument): row for row in positions_of(book_row.pk)}
        holdings = {name: holding_of(row) for name, row in rows.items()}
        return cls(
            book=book_row,
            instruments={name: row.instrument for name, row in rows.items()}
            | instruments_named(names - rows.keys()),
            holdings=holdings,
            total=total_of(holdings.values()),
        )

    def add(self, posting: Posting) -> None:
        """Fold one posting."""
        fill = msgspec.convert(posting.fill, BookedFill)
        before = self.holdings.get(fill.instrument, FLAT)
        after, entries = book(before, fill)
        self.holdings[fill.instrument] = after
        self.touched_at_ms[fill.instrument] = fill.at_ms
        self.total = Holding(
            cost=self.total.cost + after.cost - before.cost,
            realised=self.total.realised + after.realised - before.realised,
            charges=self.total.charges + after.charges - before.charges,
        )
        self.book.cash += cash_moved(entries)
        self.entries += [self._ledger_entry(fill, entry) for entry in entries]
        self._snapshot(posting, fill, after)

    def _ledger_entry(self, fill: BookedFill, entry: Entry) -> LedgerEntry:
        return LedgerEntry(
            id=entry.id,
            book=self.book,
            portfolio_id=self.book.portfolio_id,
            instrument=self.instruments[fill.instrument],
            fill_id=entry.fill_id,
            number=entry.number,
            account=entry.account,
            amount=entry.amount,
            at_ms=fill.at_ms,
        )

    def _snapshot(self, posting: Posting, fill: BookedFill, after: Holding) -> None:
        row = Snapshot(
            id=ids.derived("snapshot", fill.fill_id),
            book=self.book,
            portfolio_id=self.book.portfolio_id,
            cash=self.book.cash,
            cost=self.total.cost,
            realised=self.total.realised,
            charges=self.total.charges,
            at_ms=fill.at_ms,
        )
        self.snapshots.append(row)
        self.events.append(
            snapshot_event(
                row,
                instrument=fill.instrument,
                quantity=after.quantity,
                correlation_id=posting.correlation_id,
                causation_id=posting.event_id,
            )
        )

    def positions(self) -> list[Position]:
        """Rows of the positions that were touched."""
        return [
            Position(
                book=self.book,
                instrument=self.instruments[name],
                quantity=self.holdings[name].quantity,
                cost=self.holdings[name].cost,
                realised=self.holdings[name].realised,
                charges=self.holdings[name].charges,
                updated_at_ms=at_ms,
            )
            for name, at_ms in self.touched_at_ms.items()
        ]


def book_postings(booking: Booking, postings: list[Posting], *, now: datetime) -> None:
    """Fold postings in the order given and write all that follows from them."""
    for posting in postings:
        booking.add(posting)
    Position.objects.bulk_create(
        booking.positions(),
        update_conflicts=True,
        unique_fields=["book", "instrument"],
        update_fields=["quantity", "cost", "realised", "charges", "updated_at_ms"],
    )
    LedgerEntry.objects.bulk_create(booking.entries)
    Snapshot.objects.bulk_create(booking.snapshots)
    booking.book.save(update_fields=["cash"])
    Posting.objects.filter(pk__in=[posting.pk for posting in postings]).update(
        state=Posting.State.BOOKED, booked_at=now
    )
    outbox.publish(booking.events)


def holding_of(row: Position) -> Holding:
    """The holding that a position row stores."""
    return Holding(row.quantity, row.cost, row.realised, row.charges)


positions_of = Prepared(
    lambda one: Position.objects.filter(book_id=one).select_related("instrument"), ANYBODY
)


def total_of(holdings: Iterable[Holding]) -> Holding:
    """Cost, realised profit and charges of all holdings of a book, in rupees; the quantity has no meaning."""
    held = list(holdings)
    return Holding(
        cost=sum((one.cost for one in held), ZERO),
        realised=sum((one.realised for one in held), ZERO),
        charges=sum((one.charges for one in held), ZERO),
    )


def instruments_named(names: set[str]) -> dict[str, Instrument]:
    """Instruments by EXCHANGE:TRADINGSYMBOL. Raises UnknownInstrument."""
    if not names:
        return {}
    found = {str(instrument): instrument for instrument in Instrument.objects.filter(_named(names))}
    if missing := names - found.keys():
        raise UnknownInstrument(f"no instrument {sorted(missing)}")
    return found


def _named(names: set[str]) -> Q:
    pairs = [name.split(":", 1) for name in sorted(names)]
    return reduce(or_, (Q(exchange=exchange, tradingsymbol=symbol) for exchange, symbol in pairs))


def snapshot_event(
    row: Snapshot, *, instrument: str, quantity: int, correlation_id: UUID, causation_id: UUID
) -> Envelope:
    """`quantity` is of the instrument; the amounts are of the whole book, as in the row."""
    payload = PnlSnapshot(
        snapshot_id=row.id,
        deployment_id=row.book_id,
        portfolio_id=row.portfolio_id,
        instrument=instrument,
        quantity=quantity,
        cost=_text(row.cost),
        realised=_text(row.realised),
        charges=_text(row.charges),
        cash=_text(row.cash),
        at_ms=row.at_ms,
    )
    return seal(
        payload,
        event_type=EventType.PNL_SNAPSHOT,
        event_id=ids.event_id(EventType.PNL_SNAPSHOT, row.id),
        ts=row.at_ms,
        source=SOURCE,
        broker=Broker(row.book.broker),
        key=str(row.portfolio_id),
        correlation_id=correlation_id,
        causation_id=causation_id,
    )


def _text(amount: Decimal) -> str:
    return format(quantized(amount), "f")
