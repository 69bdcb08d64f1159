"""The audit: books rebuilt from fills and corporate actions alone, and from the ledger alone, must equal what is
stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from uuid import UUID

import msgspec
from django.db import connection, transaction
from django.db.models import Case, CharField, F, Sum, Value, When

from alphapanda.core.money import ZERO
from portfolio.booking import holding_of
from portfolio.domain.books import (
    CASH,
    CHARGES,
    FLAT,
    POSITION,
    REALISED,
    BookedFill,
    Holding,
    cash_of,
)
from portfolio.domain.history import rebuild
from portfolio.models import Book, LedgerEntry, Portfolio, Position
from portfolio.selectors import events_booked

NAMES = ("quantity", "cost", "realised", "charges")


class Difference(msgspec.Struct, frozen=True):
    """A stored figure that is not what its origin says."""

    deployment_id: UUID
    instrument: str
    figure: str
    origin: str
    stored: Decimal
    expected: Decimal


class Audit(msgspec.Struct, frozen=True):
    """What was looked at, and what did not add up; `ledger_sums` (rupees by portfolio) must all be zero."""

    books: int
    fills: int
    differences: list[Difference]
    unbalanced_fills: list[UUID]
    ledger_sums: dict[str, Decimal]

    @property
    def adds_up(self) -> bool:
        return not (self.differences or self.unbalanced_fills or any(self.ledger_sums.values()))


def books_differences() -> Audit:
    """Audit every book against one snapshot of the database; writers go on meanwhile."""
    with one_snapshot():
        audits = [_audit_book(book) for book in Book.objects.order_by("name")]
        unbalanced = LedgerEntry.objects.values("fill_id").annotate(total=Sum("amount")).exclude(total=0)
        sums = Portfolio.objects.annotate(total=Sum("entries__amount", default=ZERO)).order_by("name")
        return Audit(
            books=len(audits),
            fills=sum(fills for fills, _ in audits),
            differences=[difference for _, differences in audits for difference in differences],
            unbalanced_fills=[row["fill_id"] for row in unbalanced],
            ledger_sums={portfolio.name: portfolio.total for portfolio in sums},
        )


@contextmanager
def one_snapshot() -> Iterator[None]:
    """All reads inside see one moment of the database; writers go on meanwhile."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def _audit_book(book: Book) -> tuple[int, list[Difference]]:
    events = events_booked(book)
    fills = sum(isinstance(event, BookedFill) for event in events)
    stored = _stored(book)
    from_fills = rebuild(events)
    from_ledger, ledger_cash = _from_ledger(book, from_fills)
    cash = sum(map(cash_of, from_fills.values()), ZERO)
    differences = [
        *_compare(book, "fills", stored, from_fills),
        *_compare(book, "ledger", stored, from_ledger),
        *_compare_figure(book, "", "cash", "fills", book.cash, cash),
        *_compare_figure(book, "", "cash", "ledger", book.cash, ledger_cash),
    ]
    return fills, differences


def _stored(book: Book) -> dict[str, Holding]:
    rows = Position.objects.filter(book=book).select_related("instrument")
    return {str(row.instrument): holding_of(row) for row in rows}


def _from_ledger(book: Book, counted: dict[str, Holding]) -> tuple[dict[str, Holding], Decimal]:
    """Holdings and cash by the ledger's sums; it holds rupees only, so quantities are taken as counted."""
    kind = Case(
        When(account__startswith=f"{CHARGES}:", then=Value(CHARGES)),
        When(account__startswith=REALISED, then=Value(REALISED)),
        default=F("account"),
        output_field=CharField(),
    )
    rows = (
        LedgerEntry.objects.filter(book=book)
        .values("instrument__exchange", "instrument__tradingsymbol", kind=kind)
        .annotate(total=Sum("amount"))
    )
    sums: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for row in rows:
        sums[f"{row['instrument__exchange']}:{row['instrument__tradingsymbol']}"][row["kind"]] = row["total"]
    holdings = {
        name: Holding(
            quantity=counted.get(name, FLAT).quantity,
            cost=by_kind.get(POSITION, ZERO),
            realised=-by_kind.get(REALISED, ZERO),
            charges=by_kind.get(CHARGES, ZERO),
        )
        for name, by_kind in sums.items()
    }
    return holdings, sum((by_kind.get(CASH, ZERO) for by_kind in sums.values()), ZERO)


def _compare(
    book: Book, origin: str, stored: dict[str, Holding], expected: dict[str, Holding]
) -> Iterator[Difference]:
    for instrument in sorted(stored.keys() | expected.keys()):
        ours, theirs = stored.get(instrument, FLAT), expected.get(instrument, FLAT)
        for name in NAMES:
            yield from _compare_figure(
                book, instrument, name, origin, Decimal(getattr(ours, name)), Decimal(getattr(theirs, name))
            )


def _compare_figure(
    book: Book, instrument: str, figure: str, origin: str, stored: Decimal, expected: Decimal
) -> Iterator[Difference]:
    if stored != expected:
        yield Difference(book.pk, instrument, figure, origin, stored, expected)
