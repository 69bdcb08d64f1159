"""The last price of the session before, as far as it is stored: what a day's change is counted from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from django.db.models import QuerySet

from marketdata.domain.calendar import Session
from marketdata.domain.markets import UnknownMarket
from marketdata.models import Bar
from marketdata.selectors import calendar, primary_keys
from portfolio.models import CorporateAction

LOOK_BACK_DAYS = 15  # longer than any run of holidays
LAST_MS = 15 * 60_000  # a bar that ended earlier is a session that we saw a part of


def closes_of(keys: Iterable[str], day: date, *, stored: QuerySet[Bar] | None = None) -> dict[str, Any]:
    """`closes_before` with the day for which they hold, as the read model keeps it."""
    return {"day": day.isoformat(), "prices_e4": closes_before(keys, day, stored=stored)}


def closes_before(keys: Iterable[str], day: date, *, stored: QuerySet[Bar] | None = None) -> dict[str, int]:
    """By EXCHANGE:TRADINGSYMBOL, out of all bars or these. Absent where the end of that session was not stored, and on
    the ex-date of a corporate action, where the two prices are not of the same share."""
    known = Bar.objects.all() if stored is None else stored
    by_exchange: dict[str, list[str]] = {}
    for key in keys:
        by_exchange.setdefault(key.partition(":")[0], []).append(key)
    found: dict[str, int] = {}
    for exchange, names in by_exchange.items():
        if session := _session_before(exchange, day):
            found |= _last_prices(names, known, session, day)
    return found


def _session_before(exchange: str, day: date) -> Session | None:
    try:
        hours = calendar(exchange)
    except UnknownMarket:
        return None
    days = (day - timedelta(days=back) for back in range(1, LOOK_BACK_DAYS + 1))
    return next((session for one in days if (session := hours.session(one))), None)


def _last_prices(keys: Iterable[str], known: QuerySet[Bar], session: Session, day: date) -> dict[str, int]:
    names = {pk: key for key, pk in primary_keys(keys).items()}
    changed = CorporateAction.objects.filter(ex_date=day).values("instrument_id")
    bars = known.filter(
        instrument_id__in=names,
        minutes=1,
        starts_ms__gte=session.closes_ms - LAST_MS,
        starts_ms__lt=session.closes_ms,
    )
    last = bars.exclude(instrument_id__in=changed).order_by("instrument_id", "-starts_ms")
    rows = last.distinct("instrument_id").values_list("instrument_id", "close_e4")
    return {names[pk]: close_e4 for pk, close_e4 in rows}
