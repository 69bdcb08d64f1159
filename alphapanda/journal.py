"""The journal as a whole: trades with who made them, what they cost and slipped, and what people note on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from django import forms

from alphapanda.core.clock import ist_date
from alphapanda.core.money import ZERO, value
from alphapanda.core.vocabulary import Side
from execution import selectors as orders
from portfolio import journal
from portfolio.domain.trips import Leg, Trip
from portfolio.models import Book, TradeNote
from strategies.models import Deployment

UNTAGGED = "no tag"
BOOKS_REMEMBERED = 128
SIDES = (("", "any"), (Side.BUY.value, "long"), (Side.SELL.value, "short"))


class Narrowed(forms.Form):
    """Which trades, for the page and the API alike. A trade is of the day on which it was closed, an open one of the
    day on which it was opened."""

    tag = forms.CharField(required=False, max_length=30)
    symbol = forms.CharField(required=False, max_length=80, label="Instrument")
    deployment = forms.ModelChoiceField(
        Deployment.objects.order_by("name"), required=False, empty_label="any"
    )
    side = forms.ChoiceField(required=False, choices=SIDES)
    first = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    last = forms.DateField(required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}))


@dataclass(frozen=True, slots=True)
class Entry:
    """A trade. `slipped`: rupees that its fills were better than the last prices that the signals saw, where known;
    a cost is negative."""

    trip: Trip
    book: str
    strategy: str
    note: TradeNote | None
    slipped: Decimal | None

    @property
    def day(self) -> date:
        return ist_date(self.trip.closed_at_ms or self.trip.opened_at_ms)

    @property
    def tags(self) -> list[str]:
        return list(self.note.tags) if self.note else []


@dataclass(slots=True)
class Sums:
    """Trades that are over, taken together, in rupees."""

    count: int = 0
    wins: int = 0
    gross: Decimal = ZERO
    charges: Decimal = ZERO
    slipped: Decimal = ZERO
    held_ms: int = 0
    lines: dict[str, Decimal] = field(default_factory=dict)

    @property
    def net(self) -> Decimal:
        return self.gross - self.charges

    @property
    def held_on_average_ms(self) -> int:
        return self.held_ms // self.count if self.count else 0

    def add(self, entry: Entry) -> None:
        trip = entry.trip
        self.count += 1
        self.wins += trip.net > 0
        self.gross += trip.gross
        self.charges += trip.charged
        self.slipped += entry.slipped or ZERO
        self.held_ms += trip.held_ms or 0
        for line, amount in trip.charges.items():
            self.lines[line] = self.lines.get(line, ZERO) + amount


def entries(broker: str, given: dict[str, Any], until: datetime | None = None) -> list[Entry]:
    """The trades of a broker namespace that a form narrows down, the one opened last first, as they stood at a moment
    (None: now)."""
    books = Book.objects.filter(broker=broker)
    if given["deployment"]:
        books = books.filter(pk=given["deployment"].pk)
    found = [entry for entry in _entries(list(books), until) if _is_wanted(entry, given)]
    return sorted(found, key=lambda entry: (entry.trip.opened_at_ms, entry.trip.trip_id), reverse=True)


def entry_of(trade_id: UUID, until: datetime | None = None) -> tuple[Entry, Book]:
    """One trade and its book. Raises UnknownTrade."""
    book = Book.objects.get(pk=journal.trade_of(trade_id, until).deployment_id)
    return next(entry for entry in _entries([book], until) if entry.trip.trip_id == trade_id), book


def _entries(books: list[Book], until: datetime | None) -> Iterable[Entry]:
    trades, notes = journal.trades_by_book(books, until), journal.notes_of(books, until)
    rows = Deployment.objects.filter(pk__in=trades).values_list("pk", "strategy_version__strategy__name")
    strategies, names = dict(rows), {book.pk: book.name for book in books}
    for book_id, traded in trades.items():
        marks = marks_of(book_id, traded.newest)
        for trip in traded.trips:
            note = notes.get(trip.trip_id)
            yield Entry(trip, names[book_id], strategies.get(book_id, ""), note, _slipped(trip, marks))


def _is_wanted(entry: Entry, given: dict[str, Any]) -> bool:
    trip, symbol, tag = entry.trip, given["symbol"].rpartition(":")[2].lower(), given["tag"].strip().lower()
    return (
        symbol in trip.instrument.partition(":")[2].lower()
        and given["side"] in ("", trip.side)
        and (not tag or tag in entry.tags or (tag == UNTAGGED and not entry.tags))
        and (not given["first"] or entry.day >= given["first"])
        and (not given["last"] or entry.day <= given["last"])
    )


# ---- sums ----------------------------------------------------------------------------------------------------


def sums_by(found: Iterable[Entry], keys: Callable[[Entry], Iterable[Any]]) -> dict[Any, Sums]:
    """Sums of the trades that are over by what `keys` says of each; one with several tags counts in each."""
    sums: dict[Any, Sums] = defaultdict(Sums)
    for entry in found:
        if entry.trip.closed_at_ms is not None:
            for key in keys(entry):
                sums[key].add(entry)
    return dict(sums)


def total(found: Iterable[Entry]) -> Sums:
    return sums_by(found, lambda _entry: [""]).get("", Sums())


def by_tag(found: Iterable[Entry]) -> dict[str, Sums]:
    return _ranked(sums_by(found, lambda entry: entry.tags or [UNTAGGED]))


def by_strategy(found: Iterable[Entry]) -> dict[str, Sums]:
    return _ranked(sums_by(found, lambda entry: [entry.strategy]))


def by_day(found: Iterable[Entry]) -> dict[date, Sums]:
    return sums_by(found, lambda entry: [entry.day])


def _ranked(sums: dict[str, Sums]) -> dict[str, Sums]:
    return dict(sorted(sums.items(), key=lambda pair: (-pair[1].net, pair[0])))


# ---- slippage ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=BOOKS_REMEMBERED)
def marks_of(deployment_id: UUID, _newest_fill: int) -> dict[UUID, int]:
    """The last price that the signal of each order of a deployment saw, which never changes."""
    return orders.marks_of_orders(deployment_id)


def marks_known(book: Book) -> dict[UUID, int]:
    """The same of a book with trades, as they are now."""
    return marks_of(book.pk, journal.trades_by_book([book])[book.pk].newest)


def slipped_of(leg: Leg, marks: dict[UUID, int]) -> Decimal | None:
    """Rupees that a fill was better than the last price that its signal saw; a cost is negative."""
    seen_e4 = marks.get(leg.order_id)
    return None if seen_e4 is None else value(seen_e4 - leg.price_e4, leg.side.sign * leg.quantity)


def _slipped(trip: Trip, marks: dict[UUID, int]) -> Decimal | None:
    known = [one for leg in trip.legs if (one := slipped_of(leg, marks)) is not None]
    return sum(known, ZERO) if known else None
