"""What an order blocks, what may be sold when, and what expires: figures worked out by hand."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from alphapanda.core.vocabulary import (
    FillSource,
    OrderStatus,
    Product,
    Side,
    SignalOrigin,
    Variety,
)
from execution.domain.delivery import Delivery, is_btst, traded, unsettled
from execution.domain.paper import Memory, PaperOrder, PaperSettings, carry_out, match
from execution.domain.settlement import charged
from execution.reference import charge_cards
from marketdata.domain.instruments import InstrumentSpec
from risk.domain.margins import BadMarginTables, NoMarginRate, margins_from_json
from risk.reference import margin_tables
from tests.builders import (
    DAY,
    NSE,
    a_holding,
    a_mark,
    a_signal,
    a_standing,
    a_tick,
    a_venue,
    an_index,
    an_instrument,
    an_order,
    at,
)

CAPITAL = PaperSettings(latency_ms=0, capital=Decimal(10_000))
FRIDAY, MONDAY, TUESDAY = date(2019, 7, 12), date(2019, 7, 15), date(2019, 7, 16)


def a_contract(kind: str, *, token: int = 7, strike: int = 0, underlying: str = "NIFTY") -> InstrumentSpec:
    return msgspec.structs.replace(
        an_instrument(token, lot=50, symbol=f"NIFTY19JUL{strike or ''}{kind}"),
        key=f"NFO:NIFTY19JUL{strike or ''}{kind}",
        exchange="NFO",
        instrument_type=kind,
        underlying=underlying,
        expiry=DAY,
        strike_e4=strike * 10_000,
    )


class TestMargin:
    @pytest.mark.parametrize(
        ("product", "quantity", "is_taken"),
        [
            (Product.MIS, 500, True),  # 500 at 100 rupees, a fifth of it: all of the 10,000
            (Product.MIS, 501, False),
            (Product.CNC, 100, True),
            (Product.CNC, 101, False),
        ],
    )
    def test_of_equity(self, product: Product, quantity: int, *, is_taken: bool) -> None:
        order = an_order(quantity=quantity, settings=CAPITAL, product=product)
        assert (order.status is OrderStatus.OPEN) == is_taken

    def test_in_kites_words(self) -> None:
        order = an_order(quantity=501, settings=CAPITAL)
        assert order.reason == (
            "Insufficient funds. Required margin is 10020.00 but available margin is 10000.00."
            " Check the orderbook for open orders."
        )

    def test_positions_and_working_orders_block_theirs(self) -> None:
        resting = an_order(quantity=200, limit="100", settings=CAPITAL, step=2)  # 4,000
        held = {8: a_holding(150, realised="-1000")}  # 3,000, and 1,000 lost: 2,000 are left

        def taken(quantity: int) -> bool:
            venue = a_venue(CAPITAL)
            standing = a_standing([resting], holdings=held)
            outcome = carry_out([a_signal(quantity=quantity)], standing, venue, ended={})
            return outcome.orders.popitem()[1].status is OrderStatus.OPEN

        assert taken(100)
        assert not taken(101)

    def test_an_exit_needs_none_and_a_flip_only_for_what_it_opens(self) -> None:
        poor = msgspec.structs.replace(CAPITAL, capital=Decimal(2_000))
        held = a_standing(holdings={7: a_holding(100)})  # blocks all of it

        assert an_order(Side.SELL, 100, settings=poor, standing=held).status is OrderStatus.OPEN
        assert an_order(Side.SELL, 101, settings=poor, standing=held).status is OrderStatus.REJECTED

    @pytest.mark.parametrize(
        ("first", "left"),
        [
            ({}, 400),  # a market order at work: 100 units at the last price of 100, 20 percent
            ({"trigger": "120"}, 380),
            ({"limit": "90"}, 410),
            ({"side": Side.SELL, "limit": "110"}, 390),
            ({"side": Side.SELL, "limit": "90"}, 400),  # may bring more than it asks for
        ],
    )
    def test_orders_of_one_step_block_each_others_margin(self, first: dict[str, Any], left: int) -> None:
        """10,000 rupees: beside the first order there is room for so many units more, bought at 100."""

        def taken(quantity: int) -> bool:
            one = {"side": Side.BUY} | first
            rows = [
                a_signal(one.pop("side"), 100, **one),
                a_signal(quantity=quantity, limit="100", ordinal=1),
            ]
            outcome = carry_out(rows, a_standing(), a_venue(CAPITAL), ended={})
            statuses = [order.status for order in outcome.orders.values()]
            assert statuses[0] is not OrderStatus.REJECTED
            return statuses[1] is OrderStatus.OPEN

        assert taken(left)
        assert not taken(left + 1)

    def test_a_margin_that_cannot_be_told_is_a_rejection_of_entries_alone(self) -> None:
        odd = msgspec.structs.replace(an_instrument(7), instrument_type="BOND")
        how: dict[str, Any] = {"settings": CAPITAL, "instrument": odd}
        priceless = an_order(marks={}, settings=CAPITAL)

        assert an_order(**how).reason.startswith("the margin is not known: no margin rate for")
        assert priceless.reason == "the margin of NSE:STOCK7 is not known: it has no price"
        held = a_standing(holdings={7: a_holding(100)})
        assert an_order(Side.SELL, 100, standing=held, **how).status is OrderStatus.OPEN

    def test_not_checked_without_capital(self) -> None:
        assert an_order(quantity=99_000, limit="100").status is OrderStatus.OPEN

    @pytest.mark.parametrize(
        ("contract", "side", "rate"),
        [
            (a_contract("FUT"), Side.BUY, "0.12"),
            (a_contract("FUT", underlying="SBIN"), Side.SELL, "0.20"),
            (a_contract("CE", strike=12_000), Side.BUY, "1"),
            (a_contract("CE", strike=12_000), Side.SELL, "0.12"),
        ],
    )
    def test_of_contracts(self, contract: InstrumentSpec, side: Side, rate: str) -> None:
        assert margin_tables().rate(DAY, contract, Product.NRML, side) == Decimal(rate)

    def test_a_sold_option_blocks_a_share_of_its_strike(self) -> None:
        contract = a_contract("PE", strike=12_000)
        rich = PaperSettings(latency_ms=0, capital=Decimal(72_000))  # 50 x 12,000 x 0.12
        poor = PaperSettings(latency_ms=0, capital=Decimal(71_999))
        wish: dict[str, Any] = {"instrument": contract, "product": Product.NRML}

        assert an_order(Side.SELL, 50, settings=rich, **wish).status is OrderStatus.OPEN
        assert an_order(Side.SELL, 50, settings=poor, **wish).status is OrderStatus.REJECTED

    @pytest.mark.parametrize(
        "raw", [b"{", b'{"tables": [{"valid_from": "2020-01-01", "source": "", "rates": [{"types": ["EQ"],'
        b' "products": ["MIS"], "rate": "-1"}]}]}']
    )  # fmt: skip
    def test_faulty_tables_are_refused(self, raw: bytes) -> None:
        with pytest.raises(BadMarginTables):
            margins_from_json(raw)

    def test_a_rate_that_nobody_stated_is_an_error(self) -> None:
        with pytest.raises(NoMarginRate):
            margin_tables().rate(DAY, an_index(), Product.NRML, Side.BUY)


class TestDelivery:
    def bought(self) -> Delivery:
        return traded(Delivery(), Side.BUY, 10, at("10:00", FRIDAY), NSE)

    @pytest.mark.parametrize(
        ("day", "waiting"), [(FRIDAY, 0), (MONDAY, 10), (TUESDAY, 0)], ids=["same", "next", "settled"]
    )
    def test_shares_are_on_their_way_on_the_next_trading_day(self, day: date, waiting: int) -> None:
        assert unsettled(self.bought(), at("10:00", day), NSE) == waiting

    def test_what_is_bought_and_sold_on_a_day_is_not_on_its_way(self) -> None:
        rest = traded(self.bought(), Side.SELL, 4, at("11:00", FRIDAY), NSE)
        assert unsettled(rest, at("10:00", MONDAY), NSE) == 6

    @pytest.mark.parametrize(("quantity", "flag"), [(5, False), (6, True)])
    def test_a_sale_takes_what_is_delivered_first(self, quantity: int, *, flag: bool) -> None:
        sold = is_btst(self.bought(), position=15, quantity=quantity, at_ms=at("10:00", MONDAY), calendar=NSE)
        assert sold == flag

    def test_the_order_says_so(self) -> None:
        held = a_standing(
            holdings={7: a_holding(10)}, memory=Memory(deliveries={"NSE:STOCK7": self.bought()})
        )

        order = an_order(Side.SELL, 10, product=Product.CNC, at_ms=at("10:00", MONDAY), standing=held)

        assert (order.status, order.is_btst) == (OrderStatus.OPEN, True)

    def test_shares_that_a_working_order_sells_are_not_sold_twice(self) -> None:
        first = an_order(
            Side.SELL, 6, product=Product.CNC, limit="101", standing=a_standing(holdings={7: a_holding(10)})
        )
        held = a_standing([first], holdings={7: a_holding(10)})

        assert an_order(Side.SELL, 4, product=Product.CNC, step=2, standing=held).status is OrderStatus.OPEN
        held = a_standing([first], holdings={7: a_holding(10)})
        refused = an_order(Side.SELL, 5, product=Product.CNC, step=2, standing=held)
        assert refused.reason == "RMS:Rule: Check holdings: 5 to be sold, 4 held and free"


class TestExpiry:
    INDEX = msgspec.structs.replace(an_index(9), key="NSE:NIFTY 50")

    def settled(self, contract: InstrumentSpec, *, with_index: bool = True) -> tuple[PaperOrder, Any]:
        marks = {contract.token: a_mark("42.5")} | ({9: a_mark("12130.30")} if with_index else {})
        row = a_signal(
            Side.SELL, 50, instrument=contract.key, product=Product.NRML, at_ms=at("15:30"),
            origin=SignalOrigin.EXPIRY, marks=marks,
        )  # fmt: skip
        venue = a_venue(instruments=[contract, self.INDEX])
        outcome = carry_out([row], a_standing(holdings={7: a_holding(50)}), venue, ended={})
        return outcome.orders.popitem()[1], outcome

    @pytest.mark.parametrize(
        ("kind", "strike", "price"),
        [("CE", 12_100, 303_000), ("CE", 12_200, 0), ("PE", 12_200, 697_000), ("FUT", 0, 121_303_000)],
    )
    def test_contracts_are_settled_on_the_underlying(self, kind: str, strike: int, price: int) -> None:
        order, outcome = self.settled(a_contract(kind, strike=strike))

        (execution,) = outcome.executions
        assert (execution.price_e4, execution.source) == (price, FillSource.SETTLEMENT)
        assert order.status is OrderStatus.COMPLETE
        assert order.reason == "settled at expiry, NSE:NIFTY 50 at 12130.30"

    def test_without_the_underlying_at_the_contracts_own_last_price(self) -> None:
        order, outcome = self.settled(a_contract("CE", strike=12_100), with_index=False)

        assert outcome.executions[0].price_e4 == 425_000
        assert order.reason == "settled at expiry, its own last price"

    def test_nothing_is_sold_after_it(self) -> None:
        contract = a_contract("CE", strike=12_100)
        tomorrow = at("10:00", DAY + timedelta(days=1))

        order = an_order(Side.BUY, 50, instrument=contract, product=Product.NRML, at_ms=tomorrow)

        assert (order.status, "expired on 2019-07-09" in order.reason) == (OrderStatus.REJECTED, True)


def test_brokerage_is_charged_by_leg() -> None:
    """Two legs of 500 at 1,000 rupees reach the cap of 20 each; one order of 1,000 would reach it once."""
    how = PaperSettings(latency_ms=0, slippage_ticks=0)
    venue = a_venue(how)
    order = an_order(
        quantity=1_000, limit="1000", settings=how, variety=Variety.ICEBERG, iceberg_legs=2,
        marks={7: a_mark(1000)},
    )  # fmt: skip
    rows = []
    for number in range(2):
        tick = a_tick("1000", asks=[("1000", 5_000 + number)], at_ms=at() + number)
        outcome = match([order], tick, venue=venue, memory=Memory())
        rows += charged(
            outcome.executions,
            outcome.orders.values(),
            step=1,
            cards=charge_cards(),
            instruments=venue.instruments,
        )
        order = outcome.orders[order.id]

    assert [row.fill.charges["brokerage"] for row in rows] == [Decimal(20), Decimal(20)]
