"""Charges against published examples; E numbers are those of the worked examples of our charges notes."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.money import quantized
from alphapanda.core.vocabulary import Product, Side
from execution.domain.charges import (
    BadChargeCards,
    NoChargeCard,
    cards_from_json,
    fill_charges,
    order_charges,
)
from execution.reference import CHARGES_FILE, charge_cards
from tests.shared_data import SHARED, needs_shared_data

TODAY = date(2026, 4, 1)
PAISA = Decimal("0.01")


def lines(
    day: date, side: Side, turnover: object, product: Product, exchange: str = "NSE"
) -> dict[str, Decimal]:
    card = charge_cards().on(day)
    amount = Decimal(str(turnover))
    return order_charges(card, side=side, turnover=amount, product=product, exchange=exchange)


def round_trip(day: date, bought: int, sold: int, product: Product) -> dict[str, Decimal]:
    buy = lines(day, Side.BUY, bought, product)
    sell = lines(day, Side.SELL, sold, product)
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


def test_e3_gst_leaves_the_investor_protection_fund_out() -> None:
    buy = lines(date(2023, 7, 10), Side.BUY, 560, Product.CNC)
    assert buy["stt"] == Decimal("0.56")
    assert buy["exchange"] + buy["ipft"] == Decimal("0.01876")
    assert buy["sebi"] == Decimal("0.00056")
    assert buy["gst"] == Decimal("0.0033768")
    # Kite reports no stamp duty here, though the rate gives 8.4 paise
    assert buy["stamp"] == Decimal("0.084")
    assert sum(buy.values()) - buy["stamp"] == Decimal("0.5826968")


@pytest.mark.parametrize(("product", "total"), [(Product.MIS, "200.62"), (Product.CNC, "931.42")])
def test_e9_round_trip_of_2026(product: Product, total: str) -> None:
    both = round_trip(TODAY, 400_000, 440_000, product)
    assert sum(both.values()).quantize(PAISA) == Decimal(total)


@needs_shared_data
def test_published_equity_examples() -> None:
    examples = json.loads((SHARED / "charges" / "examples.json").read_text(), parse_float=Decimal)["examples"]
    by_id = {example["id"]: example for example in examples}
    sbin = by_id["vcn_1_SBIN"]
    turnover = sbin["quantity"] * Decimal(sbin["price"])
    ours = lines(
        date(2023, 7, 10),
        Side(sbin["transaction_type"]),
        turnover,
        Product(sbin["product"]),
        sbin["exchange"],
    )
    expect = sbin["expect"]
    assert ours["stt"] == expect["transaction_tax"]
    assert ours["exchange"] + ours["ipft"] == expect["exchange_turnover_charge"]
    assert ours["sebi"] == expect["sebi_turnover_charge"]
    assert ours["brokerage"] == expect["brokerage"]
    assert quantized(ours["gst"]) == quantized(expect["gst"])  # the source prints a binary float
    assert sum(ours.values()) - ours["stamp"] == expect["total"]

    rounded = by_id["stt_round_1"]
    sold = rounded["trade"]["sell"] * rounded["trade"]["qty"]
    assert lines(TODAY, Side.SELL, sold, Product.MIS)["stt"] == rounded["unrounded"]


def test_brokerage_is_capped_per_order() -> None:
    assert lines(TODAY, Side.BUY, 10_000, Product.MIS)["brokerage"] == 3
    assert lines(TODAY, Side.BUY, 66_666, Product.MIS)["brokerage"] == Decimal("19.9998")
    assert lines(TODAY, Side.BUY, 10_000_000, Product.MIS)["brokerage"] == 20


def test_bse_has_its_own_exchange_fee_and_no_protection_fund() -> None:
    bse = lines(date(2024, 10, 1), Side.SELL, 1_000_000, Product.MIS, "BSE")
    assert bse["exchange"] == Decimal("37.5")
    assert "ipft" not in bse


@pytest.mark.parametrize(
    ("day", "valid_from", "nse"),
    [
        (date(2000, 1, 1), date(2021, 1, 1), "0.0000345"),
        (date(2019, 7, 9), date(2021, 1, 1), "0.0000345"),
        (date(2021, 1, 1), date(2021, 1, 1), "0.0000345"),
        (date(2023, 3, 31), date(2021, 1, 1), "0.0000345"),
        (date(2023, 4, 1), date(2023, 4, 1), "0.0000325"),
        (date(2024, 9, 30), date(2023, 4, 1), "0.0000325"),
        (date(2024, 10, 1), date(2024, 10, 1), "0.0000297"),
        (date(2026, 2, 28), date(2024, 10, 1), "0.0000297"),
        (date(2026, 3, 1), date(2026, 3, 1), "0.0000307"),
        (date(2026, 3, 31), date(2026, 3, 1), "0.0000307"),
        (date(2026, 4, 1), date(2026, 4, 1), "0.0000307"),
    ],
)
def test_the_card_of_a_day(day: date, valid_from: date, nse: str) -> None:
    card = charge_cards().on(day)
    assert card.valid_from == valid_from
    assert card.rates_for(exchange="NSE", product=Product.MIS).exchange_fee == Decimal(nse)
    assert card.is_assumed_on(day) == (day < date(2021, 1, 1))


def test_what_no_card_covers_is_refused() -> None:
    with pytest.raises(NoChargeCard, match="1999-12-31"):
        charge_cards().on(date(1999, 12, 31))
    with pytest.raises(NoChargeCard, match="MCX"):
        lines(TODAY, Side.BUY, 1, Product.MIS, "MCX")


def edited(change: str) -> bytes:
    cards = json.loads(CHARGES_FILE.read_bytes())
    first = cards["cards"][0]
    match change:
        case "order":
            cards["cards"].reverse()
        case "twice":
            first["rates"].append(first["rates"][0])
        case "negative":
            first["rates"][0]["gst"] = "-0.18"
        case "late":
            first["assumed_from"] = "2022-01-01"
        case "unknown":
            first["rates"][0]["cess"] = "0.01"
        case "nan":
            first["rates"][0]["gst"] = "NaN"
    return json.dumps(cards).encode()


@pytest.mark.parametrize("change", ["order", "twice", "negative", "late", "unknown", "nan"])
def test_faulty_cards_are_refused(change: str) -> None:
    with pytest.raises(BadChargeCards):
        cards_from_json(edited(change))


def test_cards_survive_a_round_trip() -> None:
    assert cards_from_json(msgspec.json.encode(charge_cards())) == charge_cards()


DAYS = st.dates(date(2000, 1, 1), date(2030, 1, 1))
TURNOVERS = st.decimals(Decimal("0.05"), Decimal("50000000"), places=4)


@given(
    day=DAYS,
    side=st.sampled_from(Side),
    product=st.sampled_from([Product.CNC, Product.MIS]),
    exchange=st.sampled_from(["NSE", "BSE"]),
    parts=st.lists(TURNOVERS, min_size=1, max_size=12),
)
def test_fills_add_up_to_their_order_and_are_never_negative(
    day: date, side: Side, product: Product, exchange: str, parts: list[Decimal]
) -> None:
    card = charge_cards().on(day)
    whole = order_charges(
        card, side=side, turnover=sum(parts, Decimal(0)), product=product, exchange=exchange
    )
    added = dict.fromkeys(whole, Decimal(0))
    before = Decimal(0)
    for part in parts:
        increments = fill_charges(
            card,
            side=side,
            product=product,
            exchange=exchange,
            turnover_before=before,
            turnover_after=before + part,
        )
        before += part
        assert all(amount >= 0 for amount in increments.values())
        added = {line: added[line] + increments[line] for line in added}
    assert added == {line: quantized(amount) for line, amount in whole.items()}
