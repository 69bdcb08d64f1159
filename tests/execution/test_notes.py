"""Contract notes: published notes to the paisa, and what netting and rounding must keep."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core import ids
from alphapanda.core.money import ZERO
from alphapanda.core.vocabulary import Product, Side
from execution.domain.charges import order_charges
from execution.domain.notes import ContractNote, NoteTrade, contract_notes, depository_charges
from execution.reference import charge_cards
from marketdata.domain.instruments import Segment

TODAY = date(2026, 4, 1)
BUY, SELL = Side.BUY, Side.SELL


def order(number: int) -> UUID:
    return ids.derived("order", number)


def a_trade(side: Side, quantity: int, price: object, *, number: int = 0, **more: Any) -> NoteTrade:
    """A trade of INFY on NSE in an order of its own side."""
    facts = {
        "order_id": order(number or (1 if side is BUY else 2)),
        "exchange": "NSE",
        "segment": Segment.EQUITY,
        "scrip": "INFY",
    } | more
    return NoteTrade(side=side, quantity=quantity, turnover=Decimal(str(price)) * quantity, **facts)


def note(day: date, *trades: NoteTrade) -> ContractNote:
    [one] = contract_notes(charge_cards().on(day), trades)
    return one


def rupees(**lines: object) -> dict[str, Decimal]:
    return {line: Decimal(str(amount)) for line, amount in lines.items()}


def test_e7_option_round_trip_of_2026_with_stt_in_rupees() -> None:
    option = {"exchange": "NFO", "segment": Segment.OPTIONS, "scrip": "NIFTY26APR22000CE"}
    ours = note(TODAY, a_trade(BUY, 65, 146, **option), a_trade(SELL, 65, 146, **option))
    assert ours.lines == rupees(brokerage=40, stt=14, exchange="6.74", sebi="0.02", stamp="0.28", gst="8.42")
    assert ours.charged == Decimal("69.46")


def test_e8_a_real_note_of_june_2024_to_the_paisa() -> None:
    future = {"exchange": "NFO", "segment": Segment.FUTURES, "scrip": "BANKNIFTY24JUNFUT"}
    ours = note(date(2024, 6, 3), a_trade(SELL, 15, 48_480, **future))
    assert ours.lines == rupees(brokerage=20, stt=91, exchange="14.40", sebi="0.73", gst="6.32")
    assert ours.charged == Decimal("132.45")


def test_stt_of_an_intraday_sale_is_rounded_to_the_rupee() -> None:
    assert note(TODAY, a_trade(BUY, 100, 100), a_trade(SELL, 100, 101)).lines["stt"] == 3


def test_e1_e9_a_delivery_costs_the_same_on_the_note() -> None:
    days = [
        note(TODAY, a_trade(BUY, 5_000, 1_000)),
        note(TODAY, a_trade(SELL, 5_000, 1_000)),
    ]
    assert sum(day.charged for day in days) == Decimal("11124.06")
    bought, sold = note(TODAY, a_trade(BUY, 400, 1_000)), note(TODAY, a_trade(SELL, 400, 1_100))
    assert bought.charged + sold.charged == Decimal("931.42")
    depository = depository_charges(charge_cards().on(TODAY), [a_trade(SELL, 400, 1_100)])
    assert bought.charged + sold.charged + sum(depository.values()) == Decimal("946.76")


def test_what_is_bought_and_sold_on_one_day_is_intraday_whatever_the_product() -> None:
    """E9 again: 200.62, though nothing tells the note that the orders were intraday."""
    ours = note(TODAY, a_trade(BUY, 400, 1_000), a_trade(SELL, 400, 1_100))
    assert ours.lines == rupees(brokerage=40, stt=110, exchange="25.79", sebi="0.84", stamp=12, gst="11.99")
    assert ours.charged == Decimal("200.62")
    assert (ours.bought, ours.sold) == (400_000, 440_000)


def test_the_rest_of_a_netted_scrip_is_delivery_at_the_average_price_of_its_side() -> None:
    """100 bought at 10 and 100 at 20, 150 sold at 30: of 3,000 rupees bought 2,250 are intraday."""
    ours = note(
        TODAY,
        a_trade(BUY, 100, 10, number=1),
        a_trade(BUY, 100, 20, number=2),
        a_trade(SELL, 150, 30, number=3),
    )
    # intraday: 0.025 % of 4,500 sold; delivery: 0.1 % of 750 bought; 1.125 + 0.75 = 1.875
    assert ours.lines["stt"] == 2
    # 0.003 % of 2,250 and 0.015 % of 750: 0.0675 + 0.1125
    assert ours.lines["stamp"] == Decimal("0.18")
    # 0.03 % of the intraday part of each order, 750 and 1,500 and 4,500
    assert ours.lines["brokerage"] == Decimal("2.03")


def test_scrips_and_exchanges_are_netted_by_themselves() -> None:
    trades = [
        a_trade(BUY, 10, 100),
        a_trade(SELL, 10, 100, scrip="SBIN"),
        a_trade(SELL, 10, 100, exchange="BSE", number=3),
    ]
    nse, bse = contract_notes(charge_cards().on(TODAY), trades)[::-1]
    assert (nse.exchange, bse.exchange) == ("NSE", "BSE")
    assert nse.lines["stt"] == 2  # two deliveries
    assert "brokerage" not in nse.lines
    assert bse.lines["stt"] == 1


def test_the_depository_charges_once_for_each_scrip_that_left_on_a_day() -> None:
    card = charge_cards().on(TODAY)
    sold_twice = [a_trade(SELL, 10, 100, number=1), a_trade(SELL, 10, 100, number=2)]
    elsewhere = a_trade(SELL, 5, 100, exchange="BSE", number=3)
    assert depository_charges(card, [*sold_twice, elsewhere]) == rupees(depository=13, gst="2.34")
    other = a_trade(SELL, 1, 100, scrip="SBIN", number=4)
    assert depository_charges(card, [*sold_twice, other]) == rupees(depository=26, gst="4.68")
    assert depository_charges(card, [other], is_woman=True) == rupees(depository="12.75", gst="2.30")
    assert depository_charges(card, [a_trade(BUY, 20, 100), *sold_twice]) == {}
    future = a_trade(SELL, 10, 100, exchange="NFO", segment=Segment.FUTURES)
    assert depository_charges(card, [future]) == {}
    before = charge_cards().on(date(2023, 6, 1))
    assert sum(depository_charges(before, sold_twice).values()) == Decimal("15.93")


def test_an_order_that_the_broker_placed_to_close_pays_its_fee_once() -> None:
    fills = [a_trade(SELL, 200, 1_100, is_square_off=True) for _ in range(2)]
    ours = note(TODAY, a_trade(BUY, 400, 1_000), *fills)
    assert ours.lines["square_off"] == 50
    assert ours.charged == Decimal("200.62") + 59


def test_commodities_pay_ctt_in_paise() -> None:
    gold = {"exchange": "MCX", "segment": Segment.COMMODITY_FUTURES, "scrip": "GOLDPETAL"}
    ours = note(TODAY, a_trade(SELL, 1, 5_862, **gold))
    assert ours.lines == rupees(ctt="0.59", brokerage="1.76", exchange="0.12", sebi="0.01", gst="0.34")


PRICES = st.integers(5, 20_000).map(lambda paise: Decimal(paise) / 20)


@st.composite
def equity_days(draw: st.DrawFn) -> list[NoteTrade]:
    numbers = count(1)
    rows = draw(
        st.lists(
            st.tuples(st.sampled_from(Side), st.integers(1, 500), PRICES, st.sampled_from(["INFY", "SBIN"])),
            min_size=1,
            max_size=12,
        )
    )
    return [
        a_trade(side, size, price, scrip=scrip, number=next(numbers)) for side, size, price, scrip in rows
    ]


@given(equity_days())
def test_a_note_costs_no_more_than_all_of_it_as_delivery_and_intraday(trades: list[NoteTrade]) -> None:
    """Every line lies between what the trades would cost by the cheaper and by the dearer product."""
    card = charge_cards().on(TODAY)
    [ours] = contract_notes(card, trades)
    alone = [
        [
            order_charges(
                card,
                side=trade.side,
                turnover=trade.turnover,
                product=product,
                exchange="NSE",
                segment=Segment.EQUITY,
            )
            for trade in trades
        ]
        for product in (Product.CNC, Product.MIS)
    ]
    for line in ("stt", "exchange", "sebi", "stamp", "brokerage", "gst"):
        sums = [sum((one[line] for one in lines), ZERO) for lines in alone]
        slack = Decimal("0.5") if line == "stt" else Decimal("0.005")
        found = ours.lines.get(line, ZERO)
        assert min(sums) - slack <= found <= max(sums) + slack, line


@given(equity_days())
def test_a_note_does_not_depend_on_how_orders_were_filled(trades: list[NoteTrade]) -> None:
    """An order filled unit by unit is the same order."""
    card = charge_cards().on(TODAY)
    split = [
        NoteTrade(
            order_id=trade.order_id,
            exchange=trade.exchange,
            segment=trade.segment,
            scrip=trade.scrip,
            side=trade.side,
            quantity=part,
            turnover=trade.turnover * part / trade.quantity,
        )
        for trade in trades
        for part in (trade.quantity // 2, trade.quantity - trade.quantity // 2)
        if part
    ]
    assert contract_notes(card, split) == contract_notes(card, trades)
