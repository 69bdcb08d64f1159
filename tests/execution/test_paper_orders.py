"""Stops, icebergs, orders of the night, protection, refusals: case by case, with prices worked out by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from alphapanda.core.vocabulary import (
    OrderStatus,
    OrderType,
    Product,
    Side,
    Validity,
    Variety,
)
from execution.domain.bands import protected_price_e4, protection_percent
from execution.domain.paper import (
    History,
    PaperSettings,
    carry_out,
    place,
    watch,
)
from marketdata.reference import load_calendar
from tests.builders import (
    a_clock,
    a_holding,
    a_signal,
    a_standing,
    a_tick,
    a_venue,
    an_instrument,
    an_order,
    at,
    e4,
)
from tests.execution.paper_exchange import EXACT, LATER, NEXT_DAY, after, seen, words


@pytest.mark.parametrize(
    ("side", "trigger", "below", "reached"),
    [(Side.BUY, "100.50", "100.45", "100.50"), (Side.SELL, "99.50", "99.55", "99.50")],
)
def test_a_stop_waits_for_the_last_price_and_trades_on_that_very_tick(
    side: Side, trigger: str, below: str, reached: str
) -> None:
    order = an_order(side, trigger=trigger, settings=EXACT)
    assert (order.order_type, order.status) == (OrderType.SL_M, OrderStatus.TRIGGER_PENDING)
    assert not watch(order).is_triggered(a_tick(below))
    assert after(order, a_tick(below)) is order

    outcome = seen(order, a_tick(reached, at_ms=LATER))

    assert watch(order).is_triggered(a_tick(reached, at_ms=LATER))
    done = outcome.orders[order.id]
    assert (done.status, done.triggered_at_ms) == (OrderStatus.COMPLETE, LATER)
    assert outcome.executions[0].price_e4 == e4(reached)
    assert words(outcome) == ["OPEN", "COMPLETE"]


def test_a_triggered_stop_limit_rests_at_its_limit() -> None:
    order = an_order(trigger="100.50", limit="100.60", settings=EXACT)

    assert watch(order).is_triggered(a_tick("100.70")), "also where its limit is not reached"
    assert not watch(order).is_triggered(a_tick("100.40"))
    jumped = after(order, a_tick("100.70"))

    assert (jumped.status, jumped.filled_quantity) == (OrderStatus.OPEN, 0)
    assert after(jumped, a_tick("100.60", at_ms=LATER)).status is OrderStatus.COMPLETE


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"side": Side.BUY, "trigger": "100"}, "should be higher than the last traded price (100.00)"),
        ({"side": Side.SELL, "trigger": "100"}, "should be lower than the last traded price (100.00)"),
        ({"side": Side.BUY, "trigger": "101", "limit": "100.95"}, "cannot be above the limit price"),
        ({"side": Side.SELL, "trigger": "99", "limit": "99.05"}, "cannot be below the limit price"),
        ({"trigger": "101.01"}, "Tick size for this script is 0.05. Kindly enter price in the multiple"),
        ({"quantity": 100_001}, "above 100000"),
        ({"limit": "100.03"}, "Tick size for this script is 0.05"),
        ({"product": Product.NRML}, "product NRML is not for NSE:STOCK7: use CNC or MIS"),
        ({"product": Product.CNC, "side": Side.SELL}, "RMS:Rule: Check holdings: 10 to be sold, 0 held"),
        ({"at_ms": at("15:20")}, "RMS:Auto Square Off Block: no new intraday (MIS) position from 15:20 on"),
        ({"variety": Variety.AMO}, "Your order could not be converted to a After Market Order (AMO)."),
        ({"at_ms": at("15:30")}, "The market is closed."),
        ({"variety": Variety.ICEBERG, "iceberg_legs": 1}, "2 to 50 legs"),
        ({"variety": Variety.ICEBERG, "iceberg_legs": 51, "quantity": 99}, "2 to 50 legs"),
        ({"variety": Variety.ICEBERG, "iceberg_legs": 11}, "does not fill 11 legs"),
        ({"variety": Variety.ICEBERG, "iceberg_legs": 2, "validity": Validity.IOC}, "iceberg"),
        (
            {"validity": Validity.TTL, "validity_minutes": 376},
            "time to live is from 1 to 375 minutes, not 376",
        ),
        ({"validity": Validity.TTL}, "time to live is from 1 to 375 minutes, not 0"),
        ({"disclosed_quantity": 11}, "disclosed quantity 11"),
        ({"disclosed_quantity": 9, "quantity": 91}, "disclosed quantity 9"),
    ],
)
def test_what_kite_would_not_take_is_rejected_in_its_words(wish: dict[str, Any], words: str) -> None:
    wish = dict(wish)
    side, quantity = wish.pop("side", Side.BUY), wish.pop("quantity", 10)

    order = an_order(side, quantity, **wish)

    assert order.status is OrderStatus.REJECTED
    assert words in order.reason


def test_freeze_quantity_counts_whole_lots_and_each_leg() -> None:
    listed = msgspec.structs.replace(an_instrument(lot=65), freeze_quantity=1_800)
    iceberg = {"variety": Variety.ICEBERG, "iceberg_legs": 2}

    assert an_order(quantity=1_755, instrument=listed).status is OrderStatus.OPEN
    refused = an_order(quantity=1_820, instrument=listed)
    assert "freeze quantity of 1800: at most 1755" in refused.reason
    assert an_order(quantity=3_510, instrument=listed, **iceberg).status is OrderStatus.OPEN
    assert an_order(quantity=3_575, instrument=listed, **iceberg).status is OrderStatus.REJECTED


@pytest.mark.parametrize(
    ("limit", "is_taken"), [("90", True), ("89.95", False), ("110", True), ("110.05", False)]
)
def test_circuit_limits(limit: str, *, is_taken: bool) -> None:
    listed = msgspec.structs.replace(an_instrument(), lower_circuit_e4=e4("90"), upper_circuit_e4=e4("110"))

    order = an_order(limit=limit, instrument=listed)

    assert (order.status is OrderStatus.OPEN) == is_taken
    if not is_taken:
        assert "circuit limit of" in order.reason
        assert order.reason.endswith("Place an order within the daily range.")


def test_intraday_exits_pass_after_the_cut_off_and_entries_do_not() -> None:
    long = a_standing(holdings={7: a_holding(10)})
    late = at("15:20")

    assert an_order(Side.SELL, 10, at_ms=late, standing=long).status is OrderStatus.OPEN
    assert an_order(Side.SELL, 11, at_ms=late, standing=long).status is OrderStatus.REJECTED
    assert an_order(Side.BUY, 1, at_ms=late - 1).status is OrderStatus.OPEN


def test_the_ladder_of_placing_is_kites() -> None:
    outcome = carry_out(
        [a_signal(limit="99", at_ms=at())], a_standing(), a_venue(PaperSettings(latency_ms=70)), ended={}
    )

    assert [(row.status.value, row.at_ms - at()) for row in outcome.history] == [
        ("PUT ORDER REQ RECEIVED", 0),
        ("VALIDATION PENDING", 0),
        ("OPEN PENDING", 0),
        ("OPEN", 70),
    ]


@pytest.mark.parametrize(
    ("last", "percent"),
    [(99, "2"), (100, "1"), (499, "1"), (500, "0.5"), (2000, "0.5")],
)
def test_kites_bands_of_equity(last: int, percent: str) -> None:
    assert protection_percent(an_instrument(), e4(last)) == Decimal(percent)


@pytest.mark.parametrize(("last", "percent"), [(9, "5"), (10, "3"), (99, "3"), (100, "2"), (500, "1")])
def test_kites_bands_of_options(last: int, percent: str) -> None:
    option = msgspec.structs.replace(an_instrument(), instrument_type="CE")
    assert protection_percent(option, e4(last)) == Decimal(percent)


def test_kites_published_sample_of_protection() -> None:
    """orders.json of Zerodha's mocks: tags mktp:2.00, price 159.82, average 156.70: two percent above 156.69."""
    fine = an_instrument(tick_e4=100)
    assert protected_price_e4(fine, Side.BUY, e4("156.69"), Decimal(2)) == e4("159.82")


def test_the_rest_of_a_protected_market_order_stays_at_its_price() -> None:
    how = msgspec.structs.replace(EXACT, market_protection=Decimal(-1))
    order = an_order(quantity=10, settings=how)
    assert (order.order_type, order.limit_price_e4) == (OrderType.MARKET, e4("101"))

    partly = after(order, a_tick(asks=[("101", 4), ("101.05", 50)]), how)

    assert (partly.status, partly.filled_quantity) == (OrderStatus.OPEN, 4)
    assert after(partly, a_tick(asks=[("100.95", 6)], at_ms=LATER), how).status is OrderStatus.COMPLETE


def test_a_stop_at_the_market_is_protected_from_its_trigger_on() -> None:
    how = msgspec.structs.replace(EXACT, market_protection=Decimal(-1))
    order = an_order(trigger="105", settings=how)
    assert order.limit_price_e4 is None

    triggered = after(order, a_tick("110", asks=[("120", 50)]), how)

    assert (triggered.status, triggered.limit_price_e4) == (OrderStatus.OPEN, e4("111.10"))


def test_an_iceberg_sends_the_next_leg_when_the_one_before_has_traded() -> None:
    how = PaperSettings(latency_ms=50, slippage_ticks=0)
    order = an_order(quantity=100, limit="100", settings=how, variety=Variety.ICEBERG, iceberg_legs=3)
    asks = [("100", 1_000)]

    first = after(order, a_tick(asks=asks, at_ms=at() + 50), how)
    assert (first.filled_quantity, first.leg, first.eligible_from_ms) == (34, 2, at() + 100)
    assert after(first, a_tick(asks=[("100", 999)], at_ms=at() + 99), how) is first
    second = after(first, a_tick(asks=[("100", 998)], at_ms=at() + 100), how)
    assert (second.filled_quantity, second.leg) == (68, 3)
    assert second.leg_turnover == 0  # brokerage is charged by leg
    third = after(second, a_tick(asks=[("100", 997)], at_ms=at() + 150), how)
    assert (third.status, third.filled_quantity) == (OrderStatus.COMPLETE, 100)


def test_an_order_lives_for_its_minutes() -> None:
    order = an_order(limit="99", validity=Validity.TTL, validity_minutes=2)

    assert order.expires_at_ms == at("10:02")
    assert after(order, a_clock("10:01:59.999")) is order
    ended = after(order, a_clock("10:02"))
    assert (ended.status, ended.reason) == (OrderStatus.EXPIRED, "its time to live is over")


@pytest.mark.parametrize(
    ("wish", "release"), [({}, "09:00"), ({"limit": "99"}, "09:00"), ({"trigger": "101"}, "09:15")]
)
def test_an_order_of_the_night_is_released_in_the_morning(wish: dict[str, Any], release: str) -> None:
    order = an_order(at_ms=at("16:00"), variety=Variety.AMO, settings=EXACT, **wish)
    assert (order.status, order.release_ms) == (OrderStatus.AMO_RECEIVED, at(release, NEXT_DAY))
    assert order.expires_at_ms == at("15:30", NEXT_DAY)

    outcome = seen(order, a_clock(release, NEXT_DAY))

    assert outcome.orders[order.id].status in (OrderStatus.OPEN, OrderStatus.TRIGGER_PENDING)
    assert words(outcome)[0] == "OPEN PENDING"
    assert not outcome.executions


@pytest.mark.parametrize(
    ("clock", "is_taken"),
    [("08:57", True), ("08:58", False), ("12:00", False), ("15:59", False), ("16:00", True)],
)
def test_orders_for_the_next_session_are_taken_after_hours(clock: str, *, is_taken: bool) -> None:
    order = an_order(at_ms=at(clock), variety=Variety.AMO)
    assert (order.status is OrderStatus.AMO_RECEIVED) == is_taken


@pytest.mark.parametrize(
    ("clock", "day", "is_taken"),
    [
        ("23:29", date(2026, 6, 10), False),
        ("23:30", date(2026, 6, 10), True),  # New York keeps summer time: the close
        ("23:30", date(2026, 12, 2), False),
        ("23:54", date(2026, 12, 2), False),
        ("23:55", date(2026, 12, 2), True),
    ],
)
def test_commodities_are_taken_for_the_next_session_from_their_close(
    clock: str, day: date, *, is_taken: bool
) -> None:
    gold = msgspec.structs.replace(
        an_instrument(lot=100), key="MCX:GOLD26DECFUT", exchange="MCX", instrument_type="FUT"
    )
    wish = {"variety": Variety.AMO, "product": Product.NRML, "instrument": gold.key}
    row = a_signal(quantity=100, at_ms=at(clock, day), **wish)
    venue = a_venue(instruments=[gold], hours=load_calendar("MCX"))
    order = place(row, a_standing(), venue, History())

    assert (order.status is OrderStatus.AMO_RECEIVED) == is_taken
