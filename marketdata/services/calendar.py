"""Put the shipped holidays, special sessions and hours into the database, where operators change them."""

from __future__ import annotations

from django.db import transaction

from marketdata import reference, selectors
from marketdata.models import Holiday, SessionRule, SpecialSession


@transaction.atomic
def calendars_load_shipped() -> int:
    """Add the shipped rows that are missing, change none; returns how many were added."""
    before = _rows()
    for exchange in reference.CALENDAR_EXCHANGES:
        Holiday.objects.bulk_create(
            [Holiday(exchange=exchange, date=day) for day in reference.holidays()], ignore_conflicts=True
        )
        SpecialSession.objects.bulk_create(
            [
                SpecialSession(
                    exchange=exchange, date=hours.day, opens=hours.opens, closes=hours.closes, name=name
                )
                for hours, name in reference.special_sessions(exchange).items()
            ],
            ignore_conflicts=True,
        )
        SessionRule.objects.bulk_create(
            [SessionRule(exchange=exchange, **rule._asdict()) for rule in reference.session_rules(exchange)],
            ignore_conflicts=True,
        )
    transaction.on_commit(selectors.calendars_forget)
    return _rows() - before


def _rows() -> int:
    return Holiday.objects.count() + SpecialSession.objects.count() + SessionRule.objects.count()
