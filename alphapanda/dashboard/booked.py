"""The tear sheet of what was booked, paper or live: the figures and the page are those of a backtest's."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from alphapanda import journal
from alphapanda.core.clock import ist_date, ist_midnight_ms, ist_text
from alphapanda.core.money import ZERO, value
from alphapanda.core.vocabulary import Broker
from alphapanda.dashboard import moment
from alphapanda.dashboard.access import broker_of, page_view
from alphapanda.dashboard.performance import (
    DAYS_MIN,
    EPOCH,
    Period,
    Sums,
    charges_by_line,
    entries_of,
    sums_by,
)
from alphapanda.engine.combined import falls, months
from alphapanda.engine.report import (
    FALLS_MAX,
    costs_object,
    drawdown_object,
    figures_object,
    month_object,
    trade_object,
)
from alphapanda.engine.rows import amount
from alphapanda.engine.statistics import EquityPoint, statistics_of
from alphapanda.engine.trades import Trade
from alphapanda.journal import Entry
from marketdata.domain.markets import UnknownMarket
from marketdata.selectors import calendar
from portfolio.domain.trips import Trip
from portfolio.models import Portfolio

EXCHANGE = "NSE"
OPEN_MS, CLOSE_MS = (9 * 60 + 15) * 60_000, (15 * 60 + 30) * 60_000
EVERY = {"symbol": "", "tag": "", "side": "", "first": None, "last": None}
NOT_FOUND = 404
Given = dict[str, Any]
Object = dict[str, Any]


@csp_update({"style-src": [UNSAFE_INLINE], "img-src": ["data:"]})
@page_view
def sheet(request: HttpRequest) -> HttpResponse:
    """Of the days and the portfolio or deployment that the page of performance shows: one file that needs nothing else,
    to keep or to send. It has styles of its own, and no script."""
    from alphapanda.research.tear_sheet import booked_sheet

    broker, form = broker_of(request.GET.get("broker", "")), Period(request.GET)
    entries = entries_of(broker, form.cleaned_data) if form.is_valid() else []
    days = {EPOCH + timedelta(days=day): sums for day, sums in sums_by(entries, "day").items()}
    if len(days) < DAYS_MIN:
        return render(
            request, "dashboard/no_sheet.html", {"days": len(days), "most": DAYS_MIN}, status=NOT_FOUND
        )
    mode = "LIVE" if broker == Broker.ZERODHA else "PAPER"
    result = booked(broker, form.cleaned_data, entries, days)
    return HttpResponse(booked_sheet(result, name=_name(form.cleaned_data), mode=mode))


def _name(given: Given) -> str:
    return str(given["deployment"] or given["portfolio"] or "All portfolios")


def booked(broker: str, given: Given, entries: list[Object], days: dict[date, Sums]) -> Object:
    """What the ledger and the journal say, as the object of a backtest has it."""
    cash = _cash(broker, given)
    curve = curve_of(cash, days)
    begun = EquityPoint(ist_midnight_ms(min(days)) + OPEN_MS, cash, ZERO)
    found = _trades(broker, given)
    closed = [one for one in found if _is_within(one.trip.closed_at_ms, given)]
    charges = dict(charges_by_line(entries))
    figures = statistics_of(cash, [_trade(one.trip) for one in closed], curve, sum(charges.values(), ZERO))
    return {
        "meta": {
            "starting_cash": amount(cash),
            "instruments": sorted({entry["instrument__tradingsymbol"] for entry in entries}),
            "starts": ist_text(begun.at_ms),
            "ends": ist_text(curve[-1].at_ms),
        },
        "deployments": [],
        "statistics": figures_object(figures),
        "costs": costs_object(figures, charges, _turnover(found, given)),
        "monthly": [month_object(one) for one in months(cash, curve)],
        "drawdowns": [drawdown_object(one) for one in falls(cash, curve, most=FALLS_MAX)],
        "findings": [],
        "denied": [],
        "unfilled": [],
        "trades": [trade_object(one.book, _trade(one.trip)) for one in closed],
        "equity": [_point(one) for one in (begun, *curve)],
    }


def _point(one: EquityPoint) -> Object:
    return {"time": ist_text(one.at_ms), "equity": amount(one.equity), "exposure": "0"}


def _cash(broker: str, given: Given) -> Decimal:
    """What the portfolios began with, and what was realised before the first day."""
    portfolios = Portfolio.objects.filter(broker=broker)
    if given["portfolio"] or given["deployment"]:
        portfolios = portfolios.filter(pk=(given["portfolio"] or given["deployment"].portfolio).pk)
    before = ZERO
    if given["first"]:
        until = given | {"first": None, "last": given["first"] - timedelta(days=1)}
        before = sums_by(entries_of(broker, until), None).get("", Sums()).net
    return sum((one.starting_cash for one in moment.known(portfolios)), ZERO) + before


def curve_of(cash: Decimal, days: dict[date, Sums]) -> list[EquityPoint]:
    """Equity at the close of each trading day from the first to the last on which something was booked; a day without
    a booking earned nothing, and counts in every ratio."""
    equity, found = cash, []
    for day in _trading_days(days):
        equity += days[day].net if day in days else ZERO
        found.append(EquityPoint(ist_midnight_ms(day) + CLOSE_MS, equity, ZERO))
    return found


def _trading_days(days: Iterable[date]) -> list[date]:
    known = sorted(days)
    span = (known[0] + timedelta(days=ahead) for ahead in range((known[-1] - known[0]).days + 1))
    try:
        hours = calendar(EXCHANGE)
    except UnknownMarket:
        return known
    booked_on = set(known)
    return [day for day in span if day in booked_on or hours.session(day)]


def _trades(broker: str, given: Given) -> list[Entry]:
    """The journal's, in the order of their exits."""
    book = given["deployment"]
    found = journal.entries(broker, EVERY | {"deployment": book}, moment.until())
    if given["portfolio"]:
        own = set(given["portfolio"].books.values_list("pk", flat=True))
        found = [one for one in found if one.trip.deployment_id in own]
    return sorted(found, key=lambda one: (one.trip.closed_at_ms or 0, one.trip.trip_id))


def _is_within(at_ms: int | None, given: Given) -> bool:
    if at_ms is None:
        return False
    day, first, last = ist_date(at_ms), given["first"], given["last"]
    return (not first or day >= first) and (not last or day <= last)


def _trade(trip: Trip) -> Trade:
    return Trade(
        instrument=trip.instrument,
        size=trip.side.sign * sum(leg.quantity for leg in trip.legs if leg.side is trip.side),
        entry_price=trip.average(is_entry=True) or ZERO,
        exit_price=trip.average(is_entry=False) or ZERO,
        gross=trip.gross,
        charges=trip.charged,
        entered_at_ms=trip.opened_at_ms,
        exited_at_ms=trip.closed_at_ms or 0,
    )


def _turnover(found: Iterable[Entry], given: Given) -> Decimal:
    legs = (leg for one in found for leg in one.trip.legs if _is_within(leg.at_ms, given))
    return sum((value(leg.price_e4, leg.quantity) for leg in legs), ZERO)
