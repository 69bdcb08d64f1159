"""Closed lots as Kite's console reports them for the tax year.

Equity that was bought and sold on one day is intraday, whatever was held before: those trades are matched with
each other, first in first out, and only the rest of the day with lots of earlier days. A lot that was held for
more than twelve months, from date to date, is long term, else short term. Futures and options are business,
matched first in first out with no regard to days. Gains are split at 2024-07-23, when the rates of both terms
changed. Not here: what a share was worth on 2018-01-31, and which taxes follow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from itertools import groupby

import msgspec

from alphapanda.core.clock import ist_date, ist_day
from alphapanda.core.money import ZERO, quantized
from alphapanda.core.vocabulary import Side
from portfolio.domain.books import BookedFill
from portfolio.domain.corporate import BookedAction, act_on_lots
from portfolio.domain.history import Event
from portfolio.domain.lots import ClosedLot, Lots, match

RATES_CHANGED = date(2024, 7, 23)
YEAR_STARTS = (4, 1)  # month and day


class Term(StrEnum):
    INTRADAY = "INTRADAY"
    SHORT = "SHORT"
    LONG = "LONG"
    BUSINESS = "BUSINESS"


class TaxLot(msgspec.Struct, frozen=True):
    """A closed lot with what the tax year asks of it."""

    lot: ClosedLot
    term: Term

    @property
    def days_held(self) -> int:
        return ist_day(self.lot.closed_at_ms) - ist_day(self.lot.opened_at_ms)

    @property
    def period(self) -> tuple[str, Term, bool]:
        """Financial year, term, and whether it was closed under the rates of 2024-07-23."""
        closed_on = ist_date(self.lot.closed_at_ms)
        return financial_year(closed_on), self.term, closed_on >= RATES_CHANGED


def financial_year(day: date) -> str:
    """2026-27 for the twelve months from 2026-04-01."""
    first = day.year if (day.month, day.day) >= YEAR_STARTS else day.year - 1
    return f"{first}-{(first + 1) % 100:02d}"


def term_of(opened_on: date, closed_on: date) -> Term:
    """Long where more than twelve months lie between: the anniversary itself is still short. Bought on 29
    February it ends on 28 February."""
    try:
        anniversary = opened_on.replace(year=opened_on.year + 1)
    except ValueError:
        anniversary = date(opened_on.year + 1, 2, 28)
    return Term.LONG if closed_on > anniversary else Term.SHORT


def tax_lots(events: Sequence[Event], *, is_equity: bool) -> tuple[list[TaxLot], Lots]:
    """Closed lots of one instrument in the order in which they closed, and what is open, oldest first.

    `events` are of all books that belong to one taxpayer, by time.
    """
    closed: list[TaxLot] = []
    lots: Lots = ()
    for _, of_day in groupby(events, key=lambda event: ist_day(event.at_ms)):
        todays = list(of_day)
        for action in todays:
            if isinstance(action, BookedAction):
                lots = act_on_lots(lots, action)
        fills = [event for event in todays if isinstance(event, BookedFill)]
        intraday, rest = netted(fills) if is_equity else ([], fills)
        closed += [TaxLot(lot, Term.INTRADAY) for lot in _folded((), intraday)[1]]
        lots, ended = _folded(lots, rest)
        closed += [TaxLot(lot, _term(lot) if is_equity else Term.BUSINESS) for lot in ended]
    return closed, lots


def _term(lot: ClosedLot) -> Term:
    return term_of(ist_date(lot.opened_at_ms), ist_date(lot.closed_at_ms))


def _folded(lots: Lots, fills: Iterable[BookedFill]) -> tuple[Lots, list[ClosedLot]]:
    closed: list[ClosedLot] = []
    for fill in fills:
        lots, ended = match(lots, fill)
        closed += ended
    return lots, closed


def netted(fills: Sequence[BookedFill]) -> tuple[list[BookedFill], list[BookedFill]]:
    """The fills of one instrument and day as intraday and delivery: of each side the first units are intraday,
    as many as the smaller side has. A fill that is both is divided, its charges with it."""
    bought, sold = (sum(fill.quantity for fill in fills if fill.side is side) for side in Side)
    left = dict.fromkeys(Side, min(bought, sold))
    intraday: list[BookedFill] = []
    delivery: list[BookedFill] = []
    for fill in fills:
        units = min(left[fill.side], fill.quantity)
        left[fill.side] -= units
        for part, into in zip(_divided(fill, units), (intraday, delivery), strict=True):
            into.extend(part)
    return intraday, delivery


def _divided(fill: BookedFill, units: int) -> Iterator[list[BookedFill]]:
    share = {
        line: quantized(Decimal(amount) * units / fill.quantity) for line, amount in fill.charges.items()
    }
    rest = {line: Decimal(amount) - share[line] for line, amount in fill.charges.items()}
    for size, charges in ((units, share), (fill.quantity - units, rest)):
        yield [msgspec.structs.replace(fill, quantity=size, charges=charges)] if size else []


class TaxSum(msgspec.Struct, frozen=True):
    """Gains in rupees of one financial year and term, before and after charges."""

    financial_year: str
    term: Term
    is_after_change: bool  # of the rates on 2024-07-23
    profit: Decimal
    charges: Decimal


def tax_sums(closed: Iterable[TaxLot]) -> list[TaxSum]:
    """Closed lots added up by year, term and rates."""
    sums: Mapping[tuple[str, Term, bool], list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
    for one in closed:
        of_period = sums[one.period]
        of_period[0] += one.lot.profit
        of_period[1] += one.lot.charges
    return [TaxSum(*period, *sums[period]) for period in sorted(sums)]
