"""Reads of portfolios, positions and the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count, Q, Sum

from alphapanda.core.money import ZERO
from portfolio.models import Book, LedgerEntry, Portfolio, Position

if TYPE_CHECKING:
    from decimal import Decimal

    from django.db.models import QuerySet


@dataclass(frozen=True, slots=True)
class BookedTotals:
    """What is booked on a portfolio, in rupees; marks play no part."""

    cash: Decimal
    cost: Decimal
    realised: Decimal
    charges: Decimal
    open_positions: int


def portfolios_recorded() -> QuerySet[Portfolio]:
    return Portfolio.objects.order_by("name")


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
