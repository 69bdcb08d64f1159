"""Books as they stood at a moment of the wall's clock: folded anew from what had been booked by then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q

from alphapanda.core.money import ZERO, quantized
from portfolio.booking import instruments_named
from portfolio.domain.books import Holding, cash_of
from portfolio.domain.history import Event, rebuild
from portfolio.models import Book, Position, Snapshot
from portfolio.selectors import events_booked


def books_then(books: Iterable[Book], moment: datetime) -> tuple[list[Book], list[Position]]:
    """Books with their positions at a moment, flat ones too; not to be saved. A book on which nothing has been booked
    since stands as it did. A snapshot is written of whatever is booked, so that their number says how much was."""
    books = list(books)
    booked = _booked(books, moment)
    stored, positions = [], []
    for book in books:
        known, every = booked.get(book.pk, (0, 0))
        if known == every:
            stored.append(book.pk)
        else:
            positions += _put_back(book, events_booked(book)[:known])
    unchanged = Position.objects.filter(book__in=stored).select_related("book", "instrument")
    return books, [*unchanged, *positions]


def snapshots_newest(books: Iterable[Book], moment: datetime) -> dict[UUID, Snapshot]:
    """The newest snapshot of each book that had been written by a moment."""
    known = Snapshot.objects.filter(book__in=list(books), created_at__lte=moment)
    newest = known.order_by("book_id", "-created_at", "-id").distinct("book_id")
    return {snapshot.book_id: snapshot for snapshot in newest}


def _booked(books: list[Book], moment: datetime) -> Mapping[UUID, tuple[int, int]]:
    """How much had been booked on each book by a moment, and how much has been in all."""
    counted = Snapshot.objects.filter(book__in=books).values("book_id").order_by("book_id")
    sums = counted.annotate(known=Count("pk", filter=Q(created_at__lte=moment)), every=Count("pk"))
    return {row["book_id"]: (row["known"], row["every"]) for row in sums}


def _put_back(book: Book, events: list[Event]) -> list[Position]:
    """The positions of a book after events; its cash is put back to what these have moved."""
    holdings = rebuild(events)
    book.cash = quantized(sum(map(cash_of, holdings.values()), ZERO))
    touched: dict[str, int] = {}
    for event in events:
        touched[event.instrument] = max(touched.get(event.instrument, 0), event.at_ms)
    instruments = instruments_named(set(holdings))
    return [_position(book, instruments[name], holding, touched[name]) for name, holding in holdings.items()]


def _position(book: Book, instrument: object, holding: Holding, at_ms: int) -> Position:
    return Position(
        book=book,
        instrument=instrument,
        quantity=holding.quantity,
        cost=quantized(holding.cost),
        realised=quantized(holding.realised),
        charges=quantized(holding.charges),
        updated_at_ms=at_ms,
    )
