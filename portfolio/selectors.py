"""Reads of the books."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from uuid import UUID

import msgspec
from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from alphapanda.core.money import ZERO
from portfolio.booking import holding_of
from portfolio.domain.books import CASH, CHARGES, POSITION, REALISED, Holding
from portfolio.models import Book, LedgerEntry, Portfolio, Position, Posting


class Totals(msgspec.Struct, frozen=True):
    """Sums over books in rupees; `cash` is what moved since the start, without the starting cash."""

    cash: Decimal
    cost: Decimal
    realised: Decimal
    charges: Decimal


class StatementRow(msgspec.Struct, frozen=True):
    """One fill in a statement: what it moved in rupees, and the cash of the portfolio after it."""

    fill_id: UUID
    deployment_id: UUID
    instrument: str
    at_ms: int
    cash: Decimal
    position: Decimal
    realised: Decimal
    charges: Decimal
    balance: Decimal


def holdings_of(deployment_id: UUID) -> dict[int, Holding]:
    """What a deployment holds or held, by instrument token."""
    rows = Position.objects.filter(book_id=deployment_id).select_related("instrument")
    return {row.instrument.instrument_token: holding_of(row) for row in rows}


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


def statement(portfolio_id: UUID) -> list[StatementRow]:
    """Every fill of a portfolio in order of time, with the running balance from the starting cash."""
    rows = list(
        LedgerEntry.objects.filter(portfolio_id=portfolio_id)
        .values("fill_id", "book_id", "at_ms", "instrument__exchange", "instrument__tradingsymbol")
        .annotate(
            cash=_sum(Q(account=CASH)),
            position=_sum(Q(account=POSITION)),
            realised=-_sum(Q(account=REALISED)),
            charges=_sum(Q(account__startswith=f"{CHARGES}:")),
        )
        .order_by("at_ms", "fill_id")
    )
    start = Portfolio.objects.get(pk=portfolio_id).starting_cash
    balances = accumulate((row["cash"] for row in rows), initial=start)
    next(balances)
    return [
        StatementRow(
            fill_id=row["fill_id"],
            deployment_id=row["book_id"],
            instrument=f"{row['instrument__exchange']}:{row['instrument__tradingsymbol']}",
            at_ms=row["at_ms"],
            cash=row["cash"],
            position=row["position"],
            realised=row["realised"],
            charges=row["charges"],
            balance=balance,
        )
        for row, balance in zip(rows, balances, strict=True)
    ]


def _sum(condition: Q) -> Coalesce:
    return Coalesce(Sum("amount", filter=condition), ZERO)


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
