"""Charges against published examples; E numbers are those of the worked examples of our charges notes."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.money import quantized
from alphapanda.core.vocabulary import Product, Side
from execution.domain.charges import (
    as_kite_states,
    exercise_charges,
    fill_charges,
    order_charges,
    physical_delivery_charges,
    rate_group,
)
from execution.reference import charge_cards
from marketdata.domain.instruments import Segment
from tests.shared_data import SHARED, needs_shared_data

TODAY = date(2026, 4, 1)
JULY_2023 = date(2023, 7, 10)
PAISA = Decimal("0.01")
EXCHANGES = {
    Segment.EQUITY: "NSE",
    Segment.FUTURES: "NFO",
    Segment.OPTIONS: "NFO",
    Segment.COMMODITY_FUTURES: "MCX",
    Segment.COMMODITY_OPTIONS: "MCX",
    Segment.CURRENCY_FUTURES: "CDS",
    Segment.CURRENCY_OPTIONS: "CDS",
}


def lines(
    day: date,
    side: Side,
    turnover: object,
    product: Product = Product.NRML,
    exchange: str = "",
    segment: Segment = Segment.EQUITY,
    **more: Any,
) -> dict[str, Decimal]:
    return order_charges(
        charge_cards().on(day),
        side=side,
        turnover=Decimal(str(turnover)),
        product=product,
        exchange=exchange or EXCHANGES[segment],
        segment=segment,
        **more,
    )


def round_trip(
    day: date, bought: int, sold: int, product: Product, segment: Segment = Segment.EQUITY
) -> dict[str, Decimal]:
    buy = lines(day, Side.BUY, bought, product, segment=segment)
    sell = lines(day, Side.SELL, sold, product, segment=segment)
    return {line: buy[line] + sell[line] for line in buy}


def test_e1_delivery_round_trip_of_2026_is_exact() -> None:
    both = round_trip(TODAY, 5_000_000, 5_000_000, Product.CNC)
    expected = {"brokerage": 0, "stt": 10_000, "exchange": 307, "sebi": 10, "stamp": 750, "gst": "57.06"}
    assert both == {line: Decimal(amount) for line, amount in expected.items()}
    assert sum(both.values()) == Decimal("11124.06")


def test_e2_intraday_round_trip_of_2021_matches_the_calculator() -> None:
    both = round_trip(date(2022, 6, 1), 400_000, 440_000, Product.MIS)
    assert both["brokerage"] == 40
    assert both["stt"] == 110
    assert both["exchange"] == Decimal("28.98")
    assert both["stamp"] == 12
    # the calculator shows the GST on the SEBI fee inside the SEBI line: 0.84 + 0.1512
    sebi_gst = both["sebi"] * Decimal("0.18")
    assert (both["sebi"] + sebi_gst).quantize(PAISA) == Decimal("0.99")
    assert (both["gst"] - sebi_gst).quantize(PAISA) == Decimal("12.42")
    assert sum(both.values()).quantize(PAISA) == Decimal("204.39")


# what Kite's samples name, and what it is
SAMPLES = {
    "SBIN": Segment.EQUITY,
    "GOLDPETAL23JULFUT": Segment.COMMODITY_FUTURES,
    "NIFTY2371317900PE": Segment.OPTIONS,
}


def kite_samples() -> list[dict[str, Any]]:
    """E3, E4, E5: Kite's virtual contract note."""
    path = SHARED / "kite" / "rest" / "virtual_contract_note.json"
    return json.loads(path.read_text(), parse_float=Decimal)["data"] if path.is_file() else []


def same(ours: object, theirs: object) -> bool:
    """Equal, or as near as the binary floats are that the source prints."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(theirs, str):
        return ours == theirs
    return quantized(Decimal(str(ours))) == quantized(Decimal(str(theirs)))


def kite_sample(order: dict[str, Any]) -> dict[str, object]:
    ours = lines(
        JULY_2023,
        Side(order["transaction_type"]),
        order["quantity"] * Decimal(order["price"]),
        Product(order["product"]),
        order["exchange"],
        SAMPLES[order["tradingsymbol"]],
    )
    return as_kite_states(ours)


@needs_shared_data
@pytest.mark.parametrize("order", kite_samples(), ids=lambda order: str(order["tradingsymbol"]))
def test_e3_e4_e5_what_kite_states_is_what_we_state_line_by_line(order: dict[str, Any]) -> None:
    assert same(kite_sample(order), order["charges"])


@needs_shared_data
def test_every_shared_example_is_reproduced() -> None:
    text = (SHARED / "charges" / "examples.json").read_text()
    examples = {one["id"]: one for one in json.loads(text, parse_float=Decimal)["examples"]}
    for name in ("vcn_1_SBIN", "vcn_2_GOLDPETAL23JULFUT", "vcn_3_NIFTY2371317900PE"):
        one = examples.pop(name)
        ours = kite_sample(one)
        assert same(ours | {"gst": ours["gst"]["total"]}, one["expect"]), name  # type: ignore[index]

    rounded = examples.pop("stt_round_1")  # the note's 3 rupees: test_notes.py
    sold = rounded["trade"]["sell"] * rounded["trade"]["qty"]
    assert lines(TODAY, Side.SELL, sold, Product.MIS)["stt"] == rounded["unrounded"]

    for name, day in (("nifty_future_stt_old", date(2026, 3, 31)), ("nifty_future_stt_new", TODAY)):
        one = examples.pop(name)
        turnover = one["trade"]["price"] * one["trade"]["qty"]
        ours = lines(day, Side(one["trade"]["side"]), turnover, segment=Segment.FUTURES)
        assert ours["stt"] == one["expect"]["stt"], name
    assert not examples


@pytest.mark.parametrize(
    ("side", "premium", "total"),
    [(Side.SELL, "2673.75", "26.851761275"), (Side.BUY, "521.25", "23.908152575")],
)
def test_e6_the_basket_sample_leaves_the_protection_fund_out(side: Side, premium: str, total: str) -> None:
    """Kite's basket sample has neither stamp duty nor the fund; its note of the same rates has the fund (E5)."""
    ours = lines(JULY_2023, side, premium, segment=Segment.OPTIONS)
    assert sum(ours.values()) - ours["ipft"] - ours["stamp"] == Decimal(total)
    assert ours["stt"] == (Decimal("1.67109375") if side is Side.SELL else 0)


def test_e7_option_round_trip_of_2026_is_exact_before_rounding() -> None:
    both = round_trip(TODAY, 65 * 146, 65 * 146, Product.NRML, Segment.OPTIONS)
    assert both["brokerage"] == 40
    assert both["stt"] == Decimal("14.235")
    assert both["exchange"].quantize(PAISA) == Decimal("6.74")
    assert both["sebi"].quantize(PAISA) == Decimal("0.02")
    assert both["stamp"].quantize(PAISA) == Decimal("0.28")
    assert both["gst"].quantize(PAISA) == Decimal("8.42")
    assert sum(both.values()).quantize(PAISA) == Decimal("69.70")


@pytest.mark.parametrize(
    ("bought", "sold", "product", "segment", "total"),
    [
        (400_000, 440_000, Product.MIS, Segment.EQUITY, "200.62"),  # E9
        (400_000, 440_000, Product.CNC, Segment.EQUITY, "931.42"),
        (400_000, 440_000, Product.NRML, Segment.FUTURES, "294.33"),
        (65 * 24_500, 65 * 24_600, Product.NRML, Segment.FUTURES, "951.23"),  # E10
        (400 * 100, 400 * 110, Product.MIS, Segment.OPTIONS, "149.72"),
    ],
)
def test_e9_e10_round_trips_of_2026(
    bought: int, sold: int, product: Product, segment: Segment, total: str
) -> None:
    both = round_trip(TODAY, bought, sold, product, segment)
    assert sum(both.values()).quantize(PAISA) == Decimal(total)


def test_brokerage_is_capped_per_order() -> None:
    assert lines(TODAY, Side.BUY, 10_000, Product.MIS)["brokerage"] == 3
    assert lines(TODAY, Side.BUY, 66_666, Product.MIS)["brokerage"] == Decimal("19.9998")
    assert lines(TODAY, Side.BUY, 10_000_000, Product.MIS)["brokerage"] == 20


@pytest.mark.parametrize(
    "segment", [Segment.OPTIONS, Segment.CURRENCY_OPTIONS, Segment.COMMODITY_OPTIONS], ids=str
)
def test_an_option_order_pays_a_flat_brokerage_once_it_has_traded(segment: Segment) -> None:
    assert lines(TODAY, Side.BUY, 1, segment=segment)["brokerage"] == 20
    assert lines(TODAY, Side.BUY, 10_000_000, segment=segment)["brokerage"] == 20
    assert not any(lines(TODAY, Side.BUY, 0, segment=segment, is_square_off=True).values())


def test_an_order_that_the_broker_places_to_close_costs_fifty_rupees_more_with_gst() -> None:
    own = lines(TODAY, Side.SELL, 440_000, Product.MIS)
    placed = lines(TODAY, Side.SELL, 440_000, Product.MIS, is_square_off=True)
    assert placed.pop("square_off") == 50
    assert placed.pop("gst") - own.pop("gst") == 9
    assert placed == own


def test_bse_has_its_own_exchange_fee_and_no_protection_fund() -> None:
    bse = lines(date(2024, 10, 1), Side.SELL, 1_000_000, Product.MIS, "BSE")
    assert bse["exchange"] == Decimal("37.5")
    assert "ipft" not in bse


@pytest.mark.parametrize(
    ("exchange", "segment", "group", "fee", "tax_line", "tax", "stamp"),
    [
        ("BFO", Segment.FUTURES, "", "0", "stt", "500", "20"),
        ("BFO", Segment.OPTIONS, "", "325", "stt", "1500", "30"),
        ("BFO", Segment.OPTIONS, "OTHERS", "50", "stt", "1500", "30"),
        ("CDS", Segment.CURRENCY_FUTURES, "", "3.5", "stt", "0", "1"),
        ("CDS", Segment.CURRENCY_OPTIONS, "", "311", "stt", "0", "1"),
        ("BCD", Segment.CURRENCY_FUTURES, "", "4.5", "stt", "0", "1"),
        ("BCD", Segment.CURRENCY_OPTIONS, "", "10", "stt", "0", "1"),
        ("MCX", Segment.COMMODITY_FUTURES, "", "21", "ctt", "100", "20"),
        ("MCX", Segment.COMMODITY_OPTIONS, "", "418", "ctt", "500", "30"),
    ],
)
def test_rates_of_2026_for_ten_lakh_rupees(
    exchange: str, segment: Segment, group: str, fee: str, tax_line: str, tax: str, stamp: str
) -> None:
    sold = lines(TODAY, Side.SELL, 1_000_000, Product.NRML, exchange, segment, group=group)
    bought = lines(TODAY, Side.BUY, 1_000_000, Product.NRML, exchange, segment, group=group)
    assert (sold["exchange"], sold[tax_line], sold["sebi"]) == (Decimal(fee), Decimal(tax), 1)
    assert (sold["stamp"], bought["stamp"], bought[tax_line]) == (0, Decimal(stamp), 0)
    assert sold["gst"] == (Decimal(fee) + 1 + 20) * Decimal("0.18")


@pytest.mark.parametrize(
    ("exchange", "segment", "symbol", "group"),
    [
        ("BFO", Segment.OPTIONS, "SENSEX25D0484000CE", ""),
        ("BFO", Segment.OPTIONS, "BANKEX25DEC62000PE", ""),
        ("BFO", Segment.OPTIONS, "SENSEX5025DEC27000CE", "OTHERS"),
        ("BFO", Segment.OPTIONS, "RELIANCE25DEC1400CE", "OTHERS"),
        ("BFO", Segment.FUTURES, "RELIANCE25DECFUT", ""),
        ("NFO", Segment.OPTIONS, "RELIANCE25DEC1400CE", ""),
    ],
)
def test_bse_options_of_other_underlyings_are_a_group(
    exchange: str, segment: Segment, symbol: str, group: str
) -> None:
    assert rate_group(exchange, segment, symbol) == group


def test_an_exercised_option_is_taxed_on_what_it_is_worth() -> None:
    card = charge_cards().on(TODAY)
    bought = exercise_charges(card, exchange="NFO", intrinsic_value=Decimal(10_000), is_buyer=True)
    written = exercise_charges(card, exchange="NFO", intrinsic_value=Decimal(10_000), is_buyer=False)
    assert bought == {"brokerage": 20, "stt": 15, "gst": Decimal("3.6")}
    assert written == {"brokerage": 20, "stt": 0, "gst": Decimal("3.6")}
    before = charge_cards().on(date(2026, 3, 31))
    assert exercise_charges(before, exchange="NFO", intrinsic_value=Decimal(10_000), is_buyer=True)[
        "stt"
    ] == Decimal("12.5")


def test_shares_given_or_taken_for_a_contract_cost_a_quarter_percent() -> None:
    card = charge_cards().on(TODAY)
    delivered = physical_delivery_charges(card, contract_value=Decimal(100_000))
    netted = physical_delivery_charges(card, contract_value=Decimal(100_000), is_netted=True)
    assert delivered == {"brokerage": 250, "stt": 100, "gst": 45}
    assert netted == {"brokerage": 100, "stt": 0, "gst": 18}


DAYS = st.dates(date(2000, 1, 1), date(2030, 1, 1))
TURNOVERS = st.decimals(Decimal("0.05"), Decimal("50000000"), places=4)
KINDS = st.sampled_from(
    [(Segment.EQUITY, exchange, product) for exchange in ("NSE", "BSE") for product in ("CNC", "MIS")]
    + [
        (segment, exchange, product)
        for segment, exchanges in {
            Segment.FUTURES: ("NFO", "BFO"),
            Segment.OPTIONS: ("NFO", "BFO"),
            Segment.CURRENCY_FUTURES: ("CDS", "BCD"),
            Segment.CURRENCY_OPTIONS: ("CDS", "BCD"),
            Segment.COMMODITY_FUTURES: ("MCX",),
            Segment.COMMODITY_OPTIONS: ("MCX",),
        }.items()
        for exchange in exchanges
        for product in ("MIS", "NRML")
    ]
)


@given(
    day=DAYS,
    side=st.sampled_from(Side),
    kind=KINDS,
    is_square_off=st.booleans(),
    parts=st.lists(TURNOVERS, min_size=1, max_size=12),
)
def test_fills_add_up_to_their_order_and_are_never_negative(
    day: date, side: Side, kind: tuple[Segment, str, str], is_square_off: bool, parts: list[Decimal]
) -> None:
    segment, exchange, product = kind
    common: dict[str, Any] = {
        "side": side,
        "product": Product(product),
        "exchange": exchange,
        "segment": segment,
        "is_square_off": is_square_off,
    }
    card = charge_cards().on(day)
    whole = order_charges(card, turnover=sum(parts, Decimal(0)), **common)
    added = dict.fromkeys(whole, Decimal(0))
    before = Decimal(0)
    for part in parts:
        increments = fill_charges(card, turnover_before=before, turnover_after=before + part, **common)
        before += part
        assert all(amount >= 0 for amount in increments.values())
        added = {line: added[line] + increments.get(line, Decimal(0)) for line in added}
    assert added == {line: quantized(amount) for line, amount in whole.items()}
    assert len(increments) == len(whole)
