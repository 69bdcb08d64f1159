"""Our orders in Kite's words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.vocabulary import OrderType, Product, Side, Validity, Variety
from execution.domain.kite.wire import CannotBeSaid, Placement, modify, place, rupees, units_a_lot
from execution.domain.orders import Terms
from tests.builders import an_instrument
from tests.kite_builders import TAG, terms

USDINR = msgspec.structs.replace(
    an_instrument(lot=1_000, tick_e4=25, symbol="USDINR21JUNFUT"),
    exchange="CDS", key="CDS:USDINR21JUNFUT", instrument_type="FUT", segment="CDS-FUT",
)  # fmt: skip
NIFTY = msgspec.structs.replace(
    an_instrument(lot=65, symbol="NIFTY26JANFUT"),
    exchange="NFO", key="NFO:NIFTY26JANFUT", instrument_type="FUT", segment="NFO-FUT", freeze_quantity=1_800,
)  # fmt: skip
MARKET = terms(10, OrderType.MARKET, None)


def placement(own: Terms | None = None, **more: Any) -> Placement:
    fields = {
        "instrument": an_instrument(),
        "side": Side.BUY,
        "product": Product.MIS,
        "variety": Variety.REGULAR,
        "terms": own or terms(),
        "tag": TAG,
    }
    return Placement(**(fields | more))


def test_a_limit_order() -> None:
    assert place(placement(terms(10, limit="100.5"))) == {
        "exchange": "NSE", "tradingsymbol": "STOCK7", "transaction_type": "BUY", "quantity": "10", "product": "MIS",
        "order_type": "LIMIT", "validity": "DAY", "tag": TAG, "price": "100.50",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (MARKET, {"market_protection": "-1"}),
        # a market order that works has the price that protects it as a limit: it is none
        (terms(10, OrderType.MARKET, 102), {"market_protection": "-1"}),
        (terms(10, OrderType.SL_M, None, 99), {"trigger_price": "99.00", "market_protection": "-1"}),
        (terms(10, OrderType.SL_M, 98, 99), {"trigger_price": "99.00", "market_protection": "-1"}),
        (terms(10, OrderType.SL, 101, 99), {"price": "101.00", "trigger_price": "99.00"}),
        (terms(10, OrderType.LIMIT, 101, 99), {"price": "101.00"}),
    ],
)
def test_what_goes_to_the_market_is_protected_and_prices_are_those_of_the_type(
    own: Terms, said: dict[str, str]
) -> None:
    names = ("price", "trigger_price", "market_protection")
    form = place(placement(own))

    assert {name: form[name] for name in names if name in form} == said
    form = modify(terms(), own, an_instrument())
    assert {name: form[name] for name in names if name in form} == said


@pytest.mark.parametrize(("percent", "said"), [("2", "2"), ("0.5", "0.5"), ("100", "100"), ("10.0", "10")])
def test_a_protection_of_our_own(percent: str, said: str) -> None:
    assert place(placement(MARKET, protection=Decimal(percent)))["market_protection"] == said


@pytest.mark.parametrize("percent", ["0", "-2", "100.5", "-0.5"])
def test_a_protection_that_kite_refuses_is_not_said(percent: str) -> None:
    with pytest.raises(CannotBeSaid, match="neither -1 nor above 0"):
        place(placement(MARKET, protection=Decimal(percent)))


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (terms(10, OrderType.LIMIT, None), "LIMIT needs a price"),
        (terms(10, OrderType.SL, 100, None), "SL needs a trigger_price"),
        (terms(10, OrderType.SL_M, None, None), "SL-M needs a trigger_price"),
        (terms(0), "0 units of NSE:STOCK7"),
    ],
)
def test_what_lacks_a_price_or_units_cannot_be_said(own: Terms, words: str) -> None:
    with pytest.raises(CannotBeSaid, match=words):
        place(placement(own))


def test_minutes_disclosed_units_algorithm_and_legs() -> None:
    form = place(placement(terms(validity=Validity.TTL, minutes=5, disclosed=2), algo_id="A1"))

    assert (form["validity"], form["validity_ttl"]) == ("TTL", "5")
    assert (form["disclosed_quantity"], form["algo_id"]) == ("2", "A1")
    form = place(placement(terms(650), instrument=NIFTY, variety=Variety.ICEBERG, iceberg_legs=3))
    assert (form["iceberg_legs"], form["iceberg_quantity"], form["quantity"]) == ("3", "260", "650")
    with pytest.raises(CannotBeSaid, match="number of legs"):
        place(placement(variety=Variety.ICEBERG))


def test_kite_counts_lots_of_currency_and_units_of_all_else() -> None:
    assert place(placement(terms(3_000, limit="72.7525"), instrument=USDINR))["quantity"] == "3"
    assert place(placement(terms(3_000, limit="72.7525"), instrument=USDINR))["price"] == "72.7525"
    assert place(placement(terms(130), instrument=NIFTY))["quantity"] == "130"
    with pytest.raises(CannotBeSaid, match="no whole number of lots of 1000"):
        place(placement(terms(1_500), instrument=USDINR))
    untold = msgspec.structs.replace(USDINR, lot_size=1)
    with pytest.raises(CannotBeSaid, match="a lot of 1 does not say"):
        place(placement(terms(3), instrument=untold))
    assert (units_a_lot(USDINR), units_a_lot(NIFTY)) == (1_000, 1)


def test_a_change_says_only_what_changes_but_for_its_type_and_prices() -> None:
    before = terms(10, limit=100, disclosed=5)

    assert modify(before, terms(10, limit=101, disclosed=5), an_instrument()) == {
        "order_type": "LIMIT", "price": "101.00",
    }  # fmt: skip
    assert modify(before, terms(8, limit=100), an_instrument()) == {
        "order_type": "LIMIT", "price": "100.00", "quantity": "8", "disclosed_quantity": "0",
    }  # fmt: skip
    assert modify(before, terms(disclosed=5, validity=Validity.IOC), an_instrument())["validity"] == "IOC"
    assert "validity" not in modify(before, before, an_instrument())


def test_a_change_cannot_give_minutes() -> None:
    timed = terms(validity=Validity.TTL, minutes=5)
    with pytest.raises(CannotBeSaid, match="how many minutes"):
        modify(terms(), timed, an_instrument())
    with pytest.raises(CannotBeSaid, match="how many minutes"):
        modify(timed, terms(validity=Validity.TTL, minutes=6), an_instrument())
    assert "validity" not in modify(
        timed, terms(limit=101, validity=Validity.TTL, minutes=5), an_instrument()
    )


@given(st.integers(1, 10**12))
def test_prices_are_plain_text_and_exact(price_e4: int) -> None:
    text = rupees(price_e4)

    assert Decimal(text) * 10_000 == price_e4
    assert text.replace(".", "").isdigit()
