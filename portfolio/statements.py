"""Statements from rows: of a portfolio, or of all portfolios of a broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

import msgspec
from django.db.models import QuerySet, Sum

from alphapanda.core.clock import ist_midnight_ms
from alphapanda.core.money import ZERO
from alphapanda.core.refusals import BadRequest, NotThere
from marketdata.marks import marks_before
from portfolio.audit import one_snapshot
from portfolio.domain.books import BookedFill
from portfolio.domain.statement import BookHistory, DayMark, LedgerSums, Statement, statement
from portfolio.models import TRADING_BROKERS, Book, LedgerEntry, Portfolio, Posting
from portfolio.selectors import events_booked

FIRST_DAY, LAST_DAY = date(1875, 7, 9), date(2199, 12, 31)  # the Bombay exchange opened on the first


class UnknownPortfolio(NotThere):
    """There is no portfolio of a name, or none of a broker."""


class NoSubject(BadRequest):
    """A statement is of one portfolio or of one broker."""


def portfolios_of(*, portfolio: str = "", broker: str = "") -> QuerySet[Portfolio]:
    """The portfolio of a name, or all of a broker. Raises NoSubject, UnknownPortfolio."""
    if bool(portfolio) == bool(broker):
        raise NoSubject("Name one portfolio, or one broker.")
    if broker and broker not in dict(TRADING_BROKERS):
        raise NoSubject(f"{broker!r} is no broker; there are {', '.join(dict(TRADING_BROKERS))}.")
    found = Portfolio.objects.filter(**({"name": portfolio} if portfolio else {"broker": broker}))
    if not found:
        names = ", ".join(Portfolio.objects.order_by("name").values_list("name", flat=True)) or "none"
        raise UnknownPortfolio(f"There is no portfolio {portfolio or 'of ' + broker}; there are: {names}.")
    return found.order_by("name")


def day_of(text: str) -> date:
    """A date as people write it in a request. Raises NoSubject."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise NoSubject(f"{text[:40]!r} is no day; write YYYY-MM-DD.") from None
    if not FIRST_DAY <= day <= LAST_DAY:
        raise NoSubject(f"{text} is no trading day; accepted are days from {FIRST_DAY} to {LAST_DAY}.")
    return day


def statement_named(*, portfolio: str = "", broker: str = "", day: str) -> Statement:
    """The statement of a portfolio's name, or of a broker, as requests name them. Raises NoSubject,
    UnknownPortfolio."""
    when = day_of(day)
    found = list(portfolios_of(portfolio=portfolio, broker=broker))
    return statement_of(found, when, subject=portfolio or f"account {broker}, all portfolios")


def statement_of(portfolios: Sequence[Portfolio], day: date, *, subject: str = "") -> Statement:
    """The statement of portfolios of one broker, taken together, on an IST date."""
    with one_snapshot():
        return _statement(portfolios, day, subject or portfolios[0].name)


def _statement(portfolios: Sequence[Portfolio], day: date, subject: str) -> Statement:
    books = Book.objects.filter(portfolio__in=portfolios).order_by("name")
    histories = [BookHistory(book.name, events_booked(book)) for book in books]
    starts_ms, ends_ms = ist_midnight_ms(day), ist_midnight_ms(day + timedelta(days=1))
    names = {event.instrument for history in histories for event in history.events}
    return statement(
        subject=subject,
        broker=portfolios[0].broker,
        day=day,
        starting_cash=sum((one.starting_cash for one in portfolios), ZERO),
        books=histories,
        ledger=LedgerSums(
            before=_sums(LedgerEntry.objects.filter(book__in=books, at_ms__lt=starts_ms)),
            today=_sums(LedgerEntry.objects.filter(book__in=books, at_ms__gte=starts_ms, at_ms__lt=ends_ms)),
        ),
        opening_marks=_marks(names, starts_ms),
        closing_marks=_marks(names, ends_ms),
        unbooked=_unbooked(books, ends_ms),
    )


def _sums(entries: QuerySet[LedgerEntry]) -> dict[str, Decimal]:
    rows = entries.values("account").annotate(total=Sum("amount")).order_by("account")
    return dict(rows.values_list("account", "total"))


def _marks(names: set[str], before_ms: int) -> Mapping[str, DayMark]:
    found = marks_before(names, before_ms)
    return {name: DayMark(price_e4, at_ms) for name, (price_e4, at_ms) in found.items()}


def _unbooked(books: QuerySet[Book], ends_ms: int) -> list[BookedFill]:
    waiting = Posting.objects.filter(book__in=books, state=Posting.State.NEW).values_list("fill", flat=True)
    fills = [msgspec.convert(fill, BookedFill) for fill in waiting]
    return [fill for fill in fills if fill.at_ms < ends_ms]
