"""What a market took on a day decides at the paper exchange, in the pipeline's venue and in a backtest's alike."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from alphapanda.core.vocabulary import OrderStatus, Product, Validity
from alphapanda.engine.account import Account
from execution.reference import charge_cards
from marketdata.domain.instruments import InstrumentSpec
from marketdata.reference import load_calendars
from tests.builders import a_deployment, an_instrument, an_order, at

BEFORE, SINCE = date(2021, 9, 24), date(2026, 11, 27)
CALL = replace(an_instrument(), exchange="NFO", segment="NFO-OPT", instrument_type="CE")
GOLD = replace(an_instrument(lot=10), exchange="MCX", segment="MCX-FUT", instrument_type="FUT")


def ruled(one: InstrumentSpec, day: date) -> InstrumentSpec:
    return load_calendars().of(one).ruled(one, day)


@pytest.mark.parametrize(
    ("one", "day", "order", "reason"),
    [
        (CALL, BEFORE, {"trigger": 105}, ""),
        (CALL, SINCE, {"trigger": 105}, f"order type SL-M is not allowed for {CALL.key}"),
        (CALL, SINCE, {"trigger": 105, "limit": 106}, ""),
        (GOLD, date(2026, 3, 30), {"validity": Validity.IOC}, ""),
        (GOLD, SINCE, {"validity": Validity.IOC}, f"validity IOC is not allowed for {GOLD.key}"),
    ],
)
def test_the_exchange_rejects_what_it_did_not_take(
    one: InstrumentSpec, day: date, order: dict[str, Any], reason: str
) -> None:
    found = an_order(
        instrument=ruled(one, day),
        hours=load_calendars().of(one),
        at_ms=at("10:00", day),
        product=Product.NRML,
        **order,
    )
    assert found.reason == reason
    assert (found.status is OrderStatus.REJECTED) == bool(reason)


def test_a_backtest_judges_by_what_was_taken_on_each_day() -> None:
    account = Account(a_deployment(instruments=[CALL]), calendar=load_calendars(), cards=charge_cards())
    taken = [
        account.venue_at(at("10:00", day)).instruments[CALL.token].order_types for day in (BEFORE, SINCE)
    ]
    assert taken == [("MARKET", "LIMIT", "SL", "SL-M"), ("MARKET", "LIMIT", "SL")]
    assert account.venue_at(at("10:00", SINCE)).instruments == {CALL.token: ruled(CALL, SINCE)}
