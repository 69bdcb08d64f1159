"""Reads of the books."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import msgspec
from django.db.models import Count, Q, QuerySet, Sum

from alphapanda.core.money import ZERO
from portfolio.booking import holding_of, positions_of
from portfolio.domain.books import BookedFill, Holding
from portfolio.domain.corporate import BookedAction
from portfolio.domain.history import Event
from portfolio.models import Book, CorporateAction, LedgerEntry, Portfolio, Position, Posting


class Totals(msgspec.Struct, frozen=True):
    """Sums over books in rupees; `cash` is what moved since the start, without the starting cash."""

    cash: Decimal
    cost: Decimal
    realised: Decimal
    charges: Decimal


def holdings_of(deployment_id: UUID) -> dict[int, Holding]:
    """What a deployment holds or held, by instrument token."""
    return held_of(deployment_id)[0]


def held_of(deployment_id: UUID) -> tuple[dict[int, Holding], dict[int, str]]:
    """What a deployment holds or held, and EXCHANGE:TRADINGSYMBOL of it, by instrument token."""
    rows = {row.instrument.instrument_token: row for row in positions_of(deployment_id)}
    return {token: holding_of(row) for token, row in rows.items()}, {
        token: str(row.instrument) for token, row in rows.items()
    }


class Newest(NamedTuple):
    """How far a book was booked: the numbers of its last fill and its last corporate action."""

    fill: int
    action: int


def events_booked(book: Book, newest: Newest | None = None) -> list[Event]:
    """Everything that was booked on a book up to `newest`, in the order in which it was: fills and corporate
    actions."""
    fills = book.postings.filter(state=Posting.State.BOOKED).order_by("sequence")
    acts = book.actions.order_by("sequence")
    if newest is not None:
        fills, acts = fills.filter(sequence__lte=newest.fill), acts.filter(sequence__lte=newest.action)
    actions = acts.values_list("after_sequence", "sequence", "booked")
    events: list[tuple[int, int, Event]] = [
        (sequence, 0, msgspec.convert(fill, BookedFill))
        for sequence, fill in fills.values_list("sequence", "fill").iterator()
    ]
    events += [(after, number, msgspec.convert(one, BookedAction)) for after, number, one in actions]
    return [event for *_, event in sorted(events, key=lambda row: row[:2])]


def holdings_by_book(deployment_ids: Iterable[UUID]) -> dict[UUID, dict[int, Holding]]:
    """What several deployments hold or held, each by instrument token."""
    rows = Position.objects.filter(book_id__in=list(deployment_ids)).select_related("instrument")
    found: dict[UUID, dict[int, Holding]] = {}
    for row in rows:
        found.setdefault(row.book_id, {})[row.instrument.instrument_token] = holding_of(row)
    return found


def unbooked(deployment_id: UUID) -> QuerySet[Posting]:
    """Fills of a deployment that wait to be booked."""
    return Posting.objects.filter(book_id=deployment_id, state=Posting.State.NEW)


def has_unbooked(deployment_id: UUID) -> bool:
    """Whether a fill of a deployment waits to be booked."""
    return unbooked(deployment_id).exists()


def portfolio_totals(portfolio_id: UUID) -> Totals:
    """The books of a portfolio taken together."""
    cash = Book.objects.filter(portfolio_id=portfolio_id).aggregate(cash=Sum("cash", default=ZERO))
    sums = Position.objects.filter(book__portfolio_id=portfolio_id).aggregate(
        cost=Sum("cost", default=ZERO),
        realised=Sum("realised", default=ZERO),
        charges=Sum("charges", default=ZERO),
    )
    return Totals(**cash, **sums)


def ledger_sums(portfolio_id: UUID) -> dict[str, Decimal]:
    """What each ledger account of a portfolio gained in rupees; the accounts add up to zero."""
    rows = LedgerEntry.objects.filter(portfolio_id=portfolio_id).values("account")
    return dict(rows.annotate(total=Sum("amount")).order_by("account").values_list("account", "total"))


@dataclass(frozen=True, slots=True)
class BookedTotals:
    """What is booked on a portfolio, in rupees; marks play no part."""

    cash: Decimal
    cost: Decimal
    realised: Decimal
    charges: Decimal
    open_positions: int


def cash_claimed(broker: str) -> Decimal:
    """Rupees that all books at a broker may spend at most: their cash, without what short positions brought in."""
    began = Portfolio.objects.filter(broker=broker).aggregate(rupees=Sum("starting_cash"))["rupees"] or ZERO
    moved = Book.objects.filter(broker=broker).aggregate(rupees=Sum("cash"))["rupees"] or ZERO
    shorts = Position.objects.filter(book__broker=broker, quantity__lt=0)
    return began + moved + (shorts.aggregate(rupees=Sum("cost"))["rupees"] or ZERO)


def portfolios_recorded() -> QuerySet[Portfolio]:
    return Portfolio.objects.order_by("name")


def corporate_actions() -> QuerySet[CorporateAction]:
    return CorporateAction.objects.select_related("instrument").order_by("-ex_date", "instrument", "kind")


def ledger_recorded() -> QuerySet[LedgerEntry]:
    return LedgerEntry.objects.select_related("book", "portfolio", "instrument")


def portfolio_booked_totals(portfolio: Portfolio) -> BookedTotals:
    """Cash (the start included), cost, realised profit before charges, and charges of all books."""
    cash = Book.objects.filter(portfolio=portfolio).aggregate(cash=Sum("cash"))["cash"] or ZERO
    sums = Position.objects.filter(book__portfolio=portfolio).aggregate(
        cost=Sum("cost"),
        realised=Sum("realised"),
        charges=Sum("charges"),
        open_positions=Count("pk", filter=~Q(quantity=0)),
    )
    return BookedTotals(
        cash=portfolio.starting_cash + cash,
        cost=sums["cost"] or ZERO,
        realised=sums["realised"] or ZERO,
        charges=sums["charges"] or ZERO,
        open_positions=sums["open_positions"],
    )
