"""The calendar and the instruments from the database."""

from __future__ import annotations

from datetime import date, time

import pytest
from django.db import IntegrityError, transaction

from alphapanda.core.vocabulary import Phase
from marketdata import selectors
from marketdata.domain.markets import UnknownMarket
from marketdata.models import Holiday, Instrument, SpecialSession
from marketdata.reference import load_calendar, load_calendars
from marketdata.services.calendar import calendars_load_shipped
from marketdata.services.rules import load_shipped
from tests.marketdata.helpers import at

pytestmark = pytest.mark.django_db


def instrument(symbol: str, token: int, **more: object) -> Instrument:
    values = {
        "exchange_token": 1,
        "tick_size": "0.05",
        "lot_size": 1,
        "instrument_type": "EQ",
        "segment": "NSE",
    }
    return Instrument.objects.create(
        exchange="NSE", tradingsymbol=symbol, instrument_token=token, **(values | more)
    )


def test_the_stored_calendar_is_the_shipped_one_until_an_operator_changes_it() -> None:
    assert calendars_load_shipped() > 0
    assert calendars_load_shipped() == 0
    load_shipped()
    assert selectors.calendar("NSE") == load_calendar("NSE")
    assert selectors.calendar("NFO") == load_calendar("NFO")
    Holiday.objects.create(exchange="NSE", date=date(2026, 12, 1))
    SpecialSession.objects.create(exchange="NSE", date=date(2026, 11, 8), opens=time(18), closes=time(19))
    selectors.calendars_forget()
    changed = selectors.calendar("NSE")
    assert not changed.is_trading_day(date(2026, 12, 1))
    assert changed.phase_at(at("2026-11-08", "18:30")) is Phase.CONTINUOUS


def test_special_hours_of_a_market_count_instead_of_its_exchanges() -> None:
    calendars_load_shipped()
    day = date(2026, 11, 8)
    for owner, closes in (("NSE", time(19)), ("NSE_FNO", time(18, 45))):
        SpecialSession.objects.create(exchange=owner, date=day, opens=time(18), closes=closes)
    selectors.calendars_forget()
    assert selectors.calendar("NSE").closes_ms(at("2026-11-08", "10:00")) == at("2026-11-08", "19:00")
    assert selectors.calendar("NSE_FNO").closes_ms(at("2026-11-08", "10:00")) == at("2026-11-08", "18:45")
    assert selectors.calendar("NSE_FNO").is_trading_day(date(2025, 2, 1)), (
        "on other days its exchange's count"
    )


def test_every_market_that_ships_is_stored_as_it_ships() -> None:
    calendars_load_shipped()
    assert not any(one.permissions for one in selectors.calendars().by_market.values())
    load_shipped()
    selectors.calendars_forget()
    assert selectors.calendars() == load_calendars()


def test_a_calendar_is_read_anew_after_some_seconds_and_kept_where_nothing_changed() -> None:
    calendars_load_shipped()
    first = selectors.calendar("NSE", monotonic=lambda: 0.0)
    same = selectors.calendar("NSE", monotonic=lambda: 6.0)
    Holiday.objects.create(exchange="NSE", date=date(2026, 12, 1))

    kept = selectors.calendar("NSE", monotonic=lambda: 10.9)
    changed = selectors.calendar("NSE", monotonic=lambda: 11.0)

    assert first is same is kept
    assert not changed.is_trading_day(date(2026, 12, 1))


def test_an_exchange_without_hours_has_no_calendar() -> None:
    with pytest.raises(UnknownMarket):
        selectors.calendar("NSE")


def test_specs_are_found_by_key() -> None:
    instrument("SBIN", 779521, partition=2)
    found = selectors.specs_by_key(["NSE:SBIN", "NSE:NOBODY"])
    assert found.keys() == {"NSE:SBIN"}
    assert (found["NSE:SBIN"].tick_size_e4, found["NSE:SBIN"].token, found["NSE:SBIN"].partition) == (
        500,
        779521,
        2,
    )
    assert not found["NSE:SBIN"].is_index


def test_no_token_is_of_two_instruments() -> None:
    instrument("NEW", 5)
    with pytest.raises(IntegrityError), transaction.atomic():
        instrument("OLD", 5, is_listed=False)
    assert selectors.instruments_by_token([5])[5].tradingsymbol == "NEW"
    assert selectors.partitions_by_token([5, 6]) == {5: 0}
