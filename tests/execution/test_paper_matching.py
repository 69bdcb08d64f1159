"""Matching at the paper exchange, case by case with prices worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from alphapanda.core.vocabulary import OrderStatus, Product, Side, Validity
from execution.domain.paper import Liquidity, Memory, PaperOrder, PaperSettings, match, watch
from marketdata.domain.ticks import Clock, Item
from tests.builders import (
    DAY,
    a_clock,
    a_holding,
    a_standing,
    a_tick,
    a_venue,
    an_instrument,
    an_order,
    at,
    e4,
)

EXACT = PaperSettings(latency_ms=0, slippage_ticks=0)
ONE_TICK = PaperSettings(latency_ms=0, slippage_ticks=1)
UNLIMITED = PaperSettings(latency_ms=0, slippage_ticks=1, liquidity=Liquidity.UNLIMITED)
ASKS = [("100.10", 30), ("100.15", 20), ("100.20", 50)]
BIDS = [("100.05", 30), ("100.00", 20), ("99.95", 50)]


def matched(
    orders: PaperOrder | Sequence[PaperOrder], item: Item, settings: PaperSettings = EXACT, *, lot: int = 1
) -> tuple[list[PaperOrder], list[tuple[int, int]]]:
    """The changed orders and the trades as (quantity, price)."""
    orders = [orders] if isinstance(orders, PaperOrder) else orders
    venue = a_venue(settings, instruments=[an_instrument(lot=lot), an_instrument(8)])
    outcome = match(orders, item, venue=venue, memory=Memory())
    return list(outcome.orders.values()), [(one.quantity, one.price_e4) for one in outcome.executions]


def trades(*pairs: tuple[int, str]) -> list[tuple[int, int]]:
    return [(quantity, e4(price)) for quantity, price in pairs]


@pytest.mark.parametrize(
    ("side", "price", "slippage", "expected"),
    [
        (Side.BUY, "100", 0, "100"),
        (Side.BUY, "100", 1, "100.05"),
        (Side.BUY, "100", 3, "100.15"),
        (Side.SELL, "100", 1, "99.95"),
        (Side.BUY, "100.03", 0, "100.05"),  # off the grid: onto it, against the order
        (Side.SELL, "100.03", 0, "100"),
        (Side.SELL, "100.03", 1, "99.95"),
        (Side.SELL, "0.05", 5, "0.05"),  # no sale below one tick
    ],
)
def test_a_market_order_without_depth_trades_at_the_last_price_and_slippage(
    side: Side, price: str, slippage: int, expected: str
) -> None:
    settings = PaperSettings(latency_ms=0, slippage_ticks=slippage)

    (order,), done = matched(an_order(side, 10), a_tick(price), settings)

    assert done == trades((10, expected))
    assert (order.status, order.filled_quantity, order.fills_count) == (OrderStatus.COMPLETE, 10, 1)
    assert order.turnover == 10 * Decimal(expected)


@pytest.mark.parametrize(
    ("side", "limit", "price", "expected"),
    [
        (Side.BUY, "100", "100", "100"),  # slippage never passes the limit
        (Side.BUY, "100", "99.95", "100"),
        (Side.BUY, "100", "99.90", "99.95"),
        (Side.BUY, "100", "100.05", None),
        (Side.SELL, "100", "100", "100"),
        (Side.SELL, "100", "100.10", "100.05"),
        (Side.SELL, "100", "99.95", None),
        (Side.SELL, "0.05", "0.01", None),  # below one tick is still below the limit
    ],
)
def test_a_limit_order_without_depth(side: Side, limit: str, price: str, expected: str | None) -> None:
    changed, done = matched(an_order(side, 10, limit=limit), a_tick(price), ONE_TICK)

    assert done == (trades((10, expected)) if expected else [])
    assert len(changed) == len(done)


def test_a_market_order_walks_the_depth_of_its_side_and_no_further() -> None:
    tick = a_tick("90", bids=BIDS, asks=ASKS)

    (bought,), buys = matched(an_order(Side.BUY, 120), tick, ONE_TICK)
    (sold,), sells = matched(an_order(Side.SELL, 60), tick, ONE_TICK)

    assert buys == trades((30, "100.10"), (20, "100.15"), (50, "100.20"))
    assert (bought.status, bought.unfilled, bought.fills_count) == (OrderStatus.OPEN, 20, 3)
    assert sells == trades((30, "100.05"), (20, "100"), (10, "99.95"))
    assert sold.status is OrderStatus.COMPLETE


def test_a_limit_order_takes_only_levels_within_its_limit() -> None:
    (order,), done = matched(an_order(Side.BUY, 120, limit="100.15"), a_tick("90", asks=ASKS))

    assert done == trades((30, "100.10"), (20, "100.15"))
    assert order.unfilled == 70
    assert matched(an_order(Side.SELL, 10, limit="100.10"), a_tick("200", bids=BIDS)) == ([], [])


def test_orders_of_one_tick_share_its_depth_oldest_first() -> None:
    old, middle, young = (an_order(Side.BUY, 40, step=1, ordinal=ordinal) for ordinal in (0, 1, 2))
    tick = a_tick(asks=ASKS)

    changed, done = matched([young, old, middle], tick)

    assert [order.id for order in changed] == [old.id, middle.id, young.id]
    assert [order.filled_quantity for order in changed] == [40, 40, 20]
    assert done == trades((30, "100.10"), (10, "100.15"), (10, "100.15"), (30, "100.20"), (20, "100.20"))


def test_buyers_and_sellers_do_not_take_from_each_other() -> None:
    _, done = matched(
        [an_order(Side.BUY, 30, ordinal=0), an_order(Side.SELL, 30, ordinal=1)], a_tick(bids=BIDS, asks=ASKS)
    )

    assert done == trades((30, "100.10"), (30, "100.05"))


@pytest.mark.parametrize("asks", [[], [("0", 0)] * 5, [("100.10", 0)]])
@pytest.mark.parametrize("settings", [EXACT, UNLIMITED])
def test_an_empty_side_offers_nothing_whatever_the_last_price(
    asks: list[tuple[str, int]], settings: PaperSettings
) -> None:
    """At the upper circuit nobody sells; Kite sends such a side as levels of zeros."""
    tick = a_tick("100", size=500, bids=BIDS, asks=asks)

    assert matched(an_order(Side.BUY, 10), tick, settings) == ([], [])
    assert matched(an_order(Side.SELL, 10), tick, settings)[1] == trades((10, "100.05"))


def test_the_size_on_offer_without_depth_is_shared() -> None:
    orders = [an_order(Side.BUY, 40, ordinal=0), an_order(Side.BUY, 40, ordinal=1)]

    changed, done = matched(orders, a_tick(size=50))

    assert done == trades((40, "100"), (10, "100"))
    assert [order.unfilled for order in changed] == [0, 30]


def test_a_tick_that_states_no_size_and_unlimited_liquidity_fill_all() -> None:
    assert matched(an_order(quantity=10**5), a_tick(size=0))[1] == trades((10**5, "100"))
    assert matched(an_order(quantity=10**5), a_tick(size=5), UNLIMITED)[1] == trades((10**5, "100.05"))
    assert matched(an_order(quantity=10**5), a_tick(asks=ASKS), UNLIMITED)[1] == trades((10**5, "100.10"))


def test_trades_are_in_whole_lots() -> None:
    """A recorded size of an older lot must not leave a position that can never be sold again."""
    order = an_order(quantity=150, instrument=an_instrument(lot=75))

    assert matched(order, a_tick(size=25), lot=75) == ([], [])
    assert matched(order, a_tick(size=100), lot=75)[1] == trades((75, "100"))


@pytest.mark.parametrize(
    ("position", "side", "quantity", "words"),
    [
        (75, Side.SELL, 75, ""),
        (75, Side.SELL, 10, ""),
        (-75, Side.BUY, 75, ""),
        (75, Side.SELL, 76, "no multiple of the lot of 65"),
        (75, Side.BUY, 75, "no multiple of the lot of 65"),
        (130, Side.SELL, 75, "no multiple of the lot of 65"),
        (0, Side.SELL, 75, "no multiple of the lot of 65"),
    ],
)
def test_a_lot_that_changed_under_a_position_refuses_entries_and_lets_it_be_closed(
    position: int, side: Side, quantity: int, words: str
) -> None:
    standing = a_standing(holdings={7: a_holding(position)})
    order = an_order(side, quantity, instrument=an_instrument(lot=65), standing=standing)

    assert words in order.reason
    assert (order.status is OrderStatus.REJECTED) == bool(words)
    if not words:
        assert sum(units for units, _ in matched(order, a_tick(size=500), lot=65)[1]) == quantity


@pytest.mark.parametrize(("position", "side", "is_taken"), [(100, Side.SELL, True), (0, Side.BUY, False)])
def test_a_lot_that_is_told_no_more_refuses_entries_alone(position: int, side: Side, is_taken: bool) -> None:
    crude = replace(an_instrument(), exchange="MCX", instrument_type="FUT", segment="MCX-FUT")
    standing = a_standing(holdings={7: a_holding(position)})
    order = an_order(side, 100, instrument=crude, standing=standing, product=Product.NRML)

    assert (order.status is not OrderStatus.REJECTED) == is_taken
    assert is_taken or "a lot of 1 does not say" in order.reason


def test_an_order_fills_over_several_ticks() -> None:
    order = an_order(Side.BUY, 100)
    numbers = []
    for second in range(3):
        tick = a_tick(100 + second, at_ms=at() + 1000 * second, size=40)
        outcome = match([order], tick, venue=a_venue(EXACT), memory=Memory())
        (order,) = outcome.orders.values()
        numbers += [one.number for one in outcome.executions]

    assert numbers == [1, 2, 3]
    assert (order.status, order.filled_quantity, order.fills_count) == (OrderStatus.COMPLETE, 100, 3)
    assert order.turnover == 40 * 100 + 40 * 101 + 20 * 102
    assert order.updated_at_ms == at() + 2000


def test_an_order_is_eligible_when_its_latency_is_over() -> None:
    order = an_order(settings=PaperSettings(latency_ms=50))

    assert matched(order, a_tick(at_ms=at() + 49)) == ([], [])
    assert matched(order, a_tick(at_ms=at() + 50))[1] == trades((10, "100"))


def test_ticks_of_others_and_the_clock_offer_nothing() -> None:
    assert matched(an_order(), a_tick(token=8)) == ([], [])
    assert matched(an_order(), a_clock("15:29:59.999")) == ([], [])


NEXT_DAY = DAY + timedelta(days=1)


@pytest.mark.parametrize(
    "item",
    [
        a_clock("15:30"),
        a_clock("09:00", NEXT_DAY),
        a_tick(at_ms=at("09:15", NEXT_DAY)),
        a_tick(at_ms=at("09:15", NEXT_DAY), token=8),
    ],
)
def test_a_day_order_expires_with_the_session(item: Item) -> None:
    partly, _ = matched(an_order(quantity=10), a_tick(size=4))

    (order,), done = matched(partly, item)

    assert done == []
    assert (order.status, order.filled_quantity) == (OrderStatus.EXPIRED, 4)
    assert order.updated_at_ms == at("15:30")


def test_a_queued_order_fills_in_the_next_session() -> None:
    settings = PaperSettings(latency_ms=0, slippage_ticks=0, may_queue=True)
    order = an_order(at_ms=at("18:00"), settings=settings)

    assert matched(order, a_clock("00:00", NEXT_DAY), settings) == ([], [])
    assert matched(order, a_tick(at_ms=at("09:15", NEXT_DAY)), settings)[1] == trades((10, "100"))


@pytest.mark.parametrize(
    ("limit", "size", "status", "filled"),
    [
        (None, 0, OrderStatus.COMPLETE, 10),
        (None, 4, OrderStatus.CANCELLED, 4),
        ("100", 4, OrderStatus.CANCELLED, 4),
        ("99.95", 0, OrderStatus.CANCELLED, 0),
    ],
)
def test_an_ioc_order_ends_at_its_first_eligible_tick(
    limit: str | None, size: int, status: OrderStatus, filled: int
) -> None:
    order = an_order(limit=limit, validity=Validity.IOC, settings=PaperSettings(latency_ms=50))
    assert matched(order, a_tick(at_ms=at() + 49)) == ([], [])

    (after,), _ = matched(order, a_tick(at_ms=at() + 50, size=size))

    assert (after.status, after.filled_quantity) == (status, filled)
    assert after.updated_at_ms == at() + 50


def test_an_ioc_order_expires_where_no_tick_comes() -> None:
    (order,), _ = matched(an_order(validity=Validity.IOC), Clock(at("15:30"), 0))

    assert order.status is OrderStatus.EXPIRED


@pytest.mark.parametrize("side", Side)
def test_a_watch_looks_past_empty_levels_and_sleeps_where_nothing_is_offered(side: Side) -> None:
    order = an_order(side, 10, limit=100)

    def is_awake(levels: list[tuple[str, int]]) -> bool:
        tick = a_tick(100, bids=levels, asks=levels)
        is_triggered = watch(order).is_triggered(tick)
        assert is_triggered == bool(matched(order, tick)[0])
        return is_triggered

    assert is_awake([("0", 0), ("100", 5)])
    assert is_awake([("100", 0), ("100", 5)])
    assert not is_awake([("0", 0)] * 5)
    assert not is_awake([])
