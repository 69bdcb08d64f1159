"""Writes of the books: portfolios, books, postings received and booked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec
from django.db import transaction

from alphapanda import failpoints
from alphapanda.core import ids
from alphapanda.core.money import ZERO
from alphapanda.core.refusals import Conflict
from alphapanda.core.vocabulary import Broker
from alphapanda.prepared import ANYBODY, Prepared
from portfolio import selectors
from portfolio.booking import Booking, book_postings
from portfolio.domain.books import BookedFill
from portfolio.models import Book, Portfolio, Posting


class BrokerConflict(Conflict):
    """A portfolio or book exists already with another broker or portfolio; books never change sides."""


class PostingRequest(msgspec.Struct, frozen=True):
    """A fill to book, with the id of its order.filled event and the correlation id of all it belongs to."""

    fill: BookedFill
    event_id: UUID
    correlation_id: UUID


def portfolio_create(*, name: str, broker: Broker, starting_cash: Decimal = ZERO) -> Portfolio:
    """The portfolio of a name, created once with cash in rupees. Raises BrokerConflict."""
    portfolio, _ = Portfolio.objects.get_or_create(
        id=ids.derived("portfolio", name),
        defaults={"name": name, "broker": broker, "starting_cash": starting_cash},
    )
    if portfolio.broker != broker:
        raise BrokerConflict(f"portfolio {name} belongs to {portfolio.broker}, not {broker}")
    return portfolio


def book_open(*, deployment_id: UUID, portfolio_id: UUID, broker: Broker, name: str) -> Book:
    """The book of a deployment, opened once. Raises BrokerConflict, Portfolio.DoesNotExist."""
    portfolio = Portfolio.objects.get(id=portfolio_id)
    book, _ = Book.objects.get_or_create(
        deployment_id=deployment_id, defaults={"portfolio": portfolio, "broker": broker, "name": name}
    )
    if (book.broker, book.portfolio_id) != (broker, portfolio_id) or portfolio.broker != broker:
        raise BrokerConflict(
            f"book {name} cannot be of {broker} in portfolio {portfolio} ({portfolio.broker})"
        )
    return book


@transaction.atomic(savepoint=False)
def postings_receive(fills: Sequence[PostingRequest]) -> None:
    """Hand fills over to their books, inside the caller's transaction; a known fill is skipped.

    Locks the books until the caller commits: the order of sequence numbers is then the order of commits, so
    that a rebuild by sequence meets the fills as they were booked. Raises Book.DoesNotExist.
    """
    for deployment_id in sorted({request.fill.deployment_id for request in fills}):
        _book_locked(deployment_id)
    Posting.objects.bulk_create([_posting(request) for request in fills], ignore_conflicts=True)


def _posting(request: PostingRequest) -> Posting:
    return Posting(
        fill_id=request.fill.fill_id,
        book_id=request.fill.deployment_id,
        fill=msgspec.to_builtins(request.fill),
        event_id=request.event_id,
        correlation_id=request.correlation_id,
    )


_locked = Prepared(lambda one: Book.objects.select_for_update(no_key=True).filter(pk=one), ANYBODY)
_unbooked = Prepared(lambda one: selectors.unbooked(one).order_by("sequence"), ANYBODY)


def _book_locked(deployment_id: UUID) -> Book:
    """The book of a deployment, locked. Raises Book.DoesNotExist."""
    if not (found := _locked(deployment_id)):
        raise Book.DoesNotExist(f"no book of deployment {deployment_id}")
    return found[0]


def postings_book(*, deployment_id: UUID, now: datetime) -> int:
    """Book all new postings of a deployment in sequence; how many there were.

    One transaction under the lock of the book, so that any number of runs, two at once too, book each fill
    once. Raises Book.DoesNotExist.
    """
    with transaction.atomic():
        book = _book_locked(deployment_id)
        postings = _unbooked(deployment_id)
        if not postings:
            return 0
        book_postings(Booking.load(book, postings), postings, now=now)
        failpoints.hit("portfolio.before_commit")
    failpoints.hit("portfolio.after_commit")
    return len(postings)
