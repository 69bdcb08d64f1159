"""Tax lots from rows: all books of portfolios taken together, as one taxpayer's account."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from alphapanda.core.clock import ist_date
from alphapanda.core.money import quantized
from alphapanda.web.formats import plain
from marketdata.domain.instruments import Segment, segment_of
from marketdata.selectors import specs_by_key
from portfolio.audit import one_snapshot
from portfolio.domain.corporate import BookedAction, together
from portfolio.domain.history import Event
from portfolio.domain.lots import Lot
from portfolio.domain.tax import TaxLot, TaxSum, tax_lots, tax_sums
from portfolio.models import Book, Portfolio
from portfolio.selectors import events_booked


class OpenLot(msgspec.Struct, frozen=True):
    """A lot that is still held."""

    instrument: str
    lot: Lot


class TaxReport(msgspec.Struct, frozen=True):
    """Closed lots by time, the lots that are left, and the gains by financial year and term."""

    closed: list[TaxLot]
    left: list[OpenLot]
    sums: list[TaxSum]


def tax_report(portfolios: Sequence[Portfolio], *, financial_year: str = "") -> TaxReport:
    """Of all years, or of one (2026-27): what was closed in it, and what is left today. Raises NoSegment."""
    with one_snapshot():
        books = Book.objects.filter(portfolio__in=portfolios).order_by("pk")
        events = [event for book in books for event in events_booked(book)]
    closed: list[TaxLot] = []
    left: list[OpenLot] = []
    by_instrument = _by_instrument(events)
    specs = specs_by_key(by_instrument)
    for name, own in sorted(by_instrument.items()):
        segment = segment_of(specs[name].exchange, specs[name].instrument_type)
        ended, lots = tax_lots(own, is_equity=segment is Segment.EQUITY)
        closed += [one for one in ended if financial_year in ("", one.period[0])]
        left += [OpenLot(name, lot) for lot in lots]
    closed.sort(key=lambda one: one.lot.closed_at_ms)
    return TaxReport(closed, left, tax_sums(closed))


def _by_instrument(events: Sequence[Event]) -> dict[str, list[Event]]:
    """Events by time; an action that several books booked is one of them `together`."""
    found: dict[str, list[Event]] = defaultdict(list)
    actions: dict[UUID, list[BookedAction]] = defaultdict(list)
    for event in events:
        if isinstance(event, BookedAction):
            actions[event.action.action_id].append(event)
    once = [event for event in events if not isinstance(event, BookedAction)]
    for one in sorted([*once, *map(together, actions.values())], key=lambda event: event.at_ms):
        found[one.instrument].append(one)
    return dict(found)


def closed_row(one: TaxLot) -> dict[str, Any]:
    """A closed lot as Kite's console lays it out."""
    lot = one.lot
    return {
        "instrument": lot.instrument,
        "term": one.term.value,
        "quantity": lot.quantity,
        "opened": ist_date(lot.opened_at_ms).isoformat(),
        "closed": ist_date(lot.closed_at_ms).isoformat(),
        "days_held": one.days_held,
        "buy_value" if lot.quantity > 0 else "sell_value": _amount(abs(lot.cost)),
        "sell_value" if lot.quantity > 0 else "buy_value": _amount(abs(lot.proceeds)),
        "profit": _amount(lot.profit),
        "charges": _amount(lot.charges),
    }


def open_row(one: OpenLot) -> dict[str, Any]:
    return {
        "instrument": one.instrument,
        "quantity": one.lot.quantity,
        "opened": ist_date(one.lot.opened_at_ms).isoformat(),
        "cost": _amount(one.lot.cost),
    }


def sum_row(one: TaxSum) -> dict[str, Any]:
    return {
        "financial_year": one.financial_year,
        "term": one.term.value,
        "rates": "from 2024-07-23" if one.is_after_change else "before 2024-07-23",
        "profit": _amount(one.profit),
        "charges": _amount(one.charges),
    }


def _amount(amount: Decimal) -> str:
    return plain(quantized(amount))
