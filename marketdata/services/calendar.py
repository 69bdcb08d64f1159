"""Put the shipped holidays, special sessions and hours into the database, where operators change them."""

from __future__ import annotations

from django.db import transaction

from marketdata import reference, selectors
from marketdata.domain.markets import EXCHANGES, Market
from marketdata.models import Holiday, MarketCutoff, SessionRule, SpecialSession


@transaction.atomic
def calendars_load_shipped() -> int:
    """Add the shipped rows that are missing, change none; returns how many were added."""
    before = _rows()
    for exchange in EXCHANGES:
        Holiday.objects.bulk_create(
            [Holiday(exchange=exchange, date=day) for day in reference.holidays(exchange)],
            ignore_conflicts=True,
        )
        SpecialSession.objects.bulk_create(
            [_special(exchange, *found) for found in reference.special_sessions(exchange).items()],
            ignore_conflicts=True,
        )
    for market in Market:
        SessionRule.objects.bulk_create(
            [SessionRule(market=market, **rule._asdict()) for rule in reference.session_rules(market)],
            ignore_conflicts=True,
        )
        MarketCutoff.objects.bulk_create(
            [MarketCutoff(market=market, **cutoff._asdict()) for cutoff in reference.cutoffs(market)],
            ignore_conflicts=True,
        )
    transaction.on_commit(selectors.calendars_forget)
    return _rows() - before


def _special(exchange: str, hours: reference.SpecialHours, name: str) -> SpecialSession:
    day, opens, closes, phase = hours
    return SpecialSession(exchange=exchange, date=day, opens=opens, closes=closes, phase=phase, name=name)


def _rows() -> int:
    tables = (Holiday, SpecialSession, SessionRule, MarketCutoff)
    return sum(table.objects.count() for table in tables)
