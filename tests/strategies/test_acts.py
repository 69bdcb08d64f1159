"""Wishes on working orders: what a strategy sees, what becomes of its cancellations and modifications."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from alphapanda.core.vocabulary import (
    OrderStatus,
    OrderType,
    Product,
    Side,
    SignalKind,
    SignalOrigin,
    Validity,
    Variety,
)
from marketdata.domain.dated import Freeze, dated
from marketdata.domain.instruments import InstrumentSpec
from strategies.domain.base import TAKEN_ON_PAPER, Cancel, Intent, Modify, View, WorkingOrder
from strategies.domain.consequences import Consequences, Working
from strategies.domain.signals import Moment, SignalRow, signal
from strategies.domain.turn import Turn
from tests.builders import DAY, DEPLOYMENT, NSE, a_mark, an_instrument, at, e4

SEVEN, EIGHT = an_instrument(7), an_instrument(8)


def a_working_order(number: int = 1, side: Side = Side.SELL, **more: Any) -> WorkingOrder:
    facts: dict[str, Any] = {
        "id": UUID(int=number), "token": 7, "instrument": SEVEN.key, "side": side, "quantity": 100,
        "unfilled": 60, "order_type": OrderType.SL, "product": Product.MIS, "validity": Validity.DAY,
        "validity_minutes": 0, "limit_price_e4": e4("98"), "trigger_price_e4": e4("99"),
        "disclosed_quantity": 0, "status": OrderStatus.TRIGGER_PENDING, "tag": "stop",
    }  # fmt: skip
    return WorkingOrder(**(facts | more))


def a_turn(
    *orders: WorkingOrder, position: int = 0, instrument: InstrumentSpec = SEVEN, price: object = 100
) -> Turn:
    working = Working(
        buy=sum(order.unfilled for order in orders if order.side is Side.BUY),
        sell=sum(order.unfilled for order in orders if order.side is Side.SELL),
    )
    consequences = Consequences(
        positions={7: position} if position else {}, working={7: working}, orders=orders
    )
    return Turn(
        {7: instrument, 8: EIGHT},
        consequences,
        at_ms=at(),
        is_warm=lambda _name: True,
        marks={7: a_mark(price)},
        calendars={7: NSE, 8: NSE},
        taking=TAKEN_ON_PAPER,
    )


def as_signal(wish: Any, lot: int = 1) -> SignalRow:
    moment = Moment(
        deployment_id=DEPLOYMENT, step=5, at_ms=at(), received_at_ms=0, product=Product.MIS,
        correlation_id=None, marks={},
    )  # fmt: skip
    return signal(wish, SignalOrigin.STRATEGY, 0, an_instrument(7, lot=lot), moment)


def test_a_view_has_the_working_orders_of_its_instrument() -> None:
    mine, other = a_working_order(1), a_working_order(2, token=8, instrument=EIGHT.key)

    view = a_turn(mine, other).view(SEVEN.key)

    assert view.orders() == (mine,)
    assert view.orders(EIGHT.key) == (other,)
    assert (mine.limit_price, mine.trigger_price) == (Decimal(98), Decimal(99))
    assert View(at_ms=0, instrument="", holdings={}).orders() == ()


def test_a_cancellation_names_its_order_and_counts_as_working_until_it_is_gone() -> None:
    order, turn = a_working_order(), a_turn(a_working_order())
    turn.hear([turn.view(SEVEN.key).cancel(order, reason="over")])

    assert turn.view(SEVEN.key).working() == -60
    row = as_signal(turn.wishes[0][0])
    assert (row.kind, row.target, row.side) == (SignalKind.CANCEL, order.id, Side.SELL)
    assert (row.quantity, row.replaces, row.reason, row.tag) == (60, 60, "over", "stop")
    assert (row.limit_price_e4, row.trigger_price_e4) == (e4("98"), e4("99"))


def test_a_modification_keeps_what_it_does_not_change() -> None:
    order, turn = a_working_order(), a_turn(a_working_order())
    turn.hear([turn.view(SEVEN.key).modify(order, quantity=70, trigger_price=Decimal("99.50"))])

    assert turn.view(SEVEN.key).working() == -30  # 40 have traded: 30 are left of 70
    row = as_signal(turn.wishes[0][0])
    assert (row.kind, row.quantity, row.replaces) == (SignalKind.MODIFY, 30, 60)
    assert (row.order_type, row.limit_price_e4, row.trigger_price_e4) == (
        OrderType.SL,
        e4("98"),
        e4("99.50"),
    )


@pytest.mark.parametrize(
    ("order_type", "changes", "expected"),
    [
        (OrderType.SL, {"order_type": OrderType.MARKET}, (OrderType.MARKET, None, None)),
        (OrderType.SL, {"order_type": OrderType.LIMIT}, (OrderType.LIMIT, "98", None)),
        (OrderType.SL, {"order_type": OrderType.SL_M}, (OrderType.SL_M, None, "99")),
        (OrderType.MARKET, {"limit_price": Decimal(97)}, (OrderType.LIMIT, "97", None)),
        (OrderType.SL_M, {"limit_price": Decimal(97)}, (OrderType.SL, "97", "99")),
    ],
)
def test_what_becomes_of_the_order_type(
    order_type: OrderType, changes: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    row = as_signal(Modify(a_working_order(order_type=order_type), **changes))

    limit, trigger = (None if price is None else e4(price) for price in expected[1:])
    assert (row.order_type, row.limit_price_e4, row.trigger_price_e4) == (expected[0], limit, trigger)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Modify(a_working_order(), quantity=40), "left to trade"),
        (Modify(a_working_order(), order_type=OrderType.MARKET, limit_price=Decimal(1)), "no limit price"),
        (Modify(a_working_order(), order_type=OrderType.LIMIT, trigger_price=Decimal(1)), "no trigger price"),
        (Intent(SEVEN.key, Side.BUY, 1, tag="no spaces"), "letters and digits"),
        (Intent(SEVEN.key, Side.BUY, 1, tag="x" * 21), "at most 20"),
        (Intent(SEVEN.key, Side.BUY, 1, trigger_price=Decimal("NaN")), "trigger price"),
        (Intent(SEVEN.key, Side.BUY, 1, iceberg_legs=-1), "iceberg_legs"),
        (Intent(SEVEN.key, Side.BUY, 1, disclosed_quantity=-1), "disclosed_quantity"),
    ],
)
def test_what_can_be_no_order_is_an_error_that_says_why(wish: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        as_signal(wish)


def test_wishes_on_orders_that_work_no_longer_are_dropped() -> None:
    turn = a_turn(a_working_order(1))
    gone = a_working_order(2)

    turn.hear([Cancel(gone), Modify(gone, quantity=90)])

    assert turn.wishes == []


@pytest.mark.parametrize(
    ("limit", "trigger", "order_type"),
    [
        (None, None, OrderType.MARKET), ("98", None, OrderType.LIMIT), (None, "99", OrderType.SL_M),
        ("98", "99", OrderType.SL),
    ],
)  # fmt: skip
def test_the_order_type_follows_from_the_prices(
    limit: str | None, trigger: str | None, order_type: OrderType
) -> None:
    def price(text: str | None) -> Decimal | None:
        return None if text is None else Decimal(text)

    row = as_signal(Intent(SEVEN.key, Side.SELL, 1, limit_price=price(limit), trigger_price=price(trigger)))
    assert (row.order_type, row.kind, row.target) == (order_type, SignalKind.ORDER, None)
    assert as_signal(Intent(SEVEN.key, Side.BUY, 9, iceberg_legs=3)).variety is Variety.ICEBERG


@pytest.mark.parametrize(("side", "expected"), [(Side.BUY, "99.10"), (Side.SELL, "99.05")])
def test_a_trigger_is_never_reached_before_the_price_asked_for(side: Side, expected: str) -> None:
    row = as_signal(Intent(SEVEN.key, side, 1, trigger_price=Decimal("99.07")))
    assert row.trigger_price_e4 == e4(expected)


def test_to_be_out_of_an_instrument_is_to_cancel_what_rests_and_to_close() -> None:
    stop = a_working_order(1)
    exit_ = a_working_order(2, order_type=OrderType.MARKET, unfilled=30, status=OrderStatus.OPEN)
    entry = a_working_order(3, Side.BUY, order_type=OrderType.MARKET, unfilled=5, status=OrderStatus.OPEN)
    turn = a_turn(stop, exit_, entry, position=100)

    assert turn.clear(7, "square-off", SignalOrigin.SQUARE_OFF)

    cancelled = [wish.order.id for wish, _ in turn.wishes if isinstance(wish, Cancel)]
    assert cancelled == [stop.id, entry.id]
    (last, origin) = turn.wishes[-1]
    assert (last.side, last.quantity, origin) == (Side.SELL, 70, SignalOrigin.SQUARE_OFF)
    assert not a_turn().clear(7, "nothing", SignalOrigin.SQUARE_OFF)


def test_what_is_being_cancelled_is_not_cancelled_again() -> None:
    turn = a_turn(a_working_order(status=OrderStatus.CANCEL_PENDING))
    assert not turn.clear(7, "square-off", SignalOrigin.SQUARE_OFF)


OPTION = msgspec.structs.replace(
    an_instrument(7, lot=65), exchange="NFO", instrument_type="CE", freeze_quantity=1_800
)


FROZEN_TODAY = msgspec.structs.replace(
    SEVEN, dated=dated((), [Freeze(DAY, 30), Freeze(DAY + timedelta(1), 50)], ())
)


@pytest.mark.parametrize(
    ("instrument", "price", "position", "parts"),
    [
        (FROZEN_TODAY, 100, 75, [30, 30, 15]),
        (SEVEN, 100, 100_000, [100_000]),
        (SEVEN, 100, -250_000, [100_000, 100_000, 50_000]),
        (SEVEN, 3_000, 40_000, [33_333, 6_667]),  # ten crore rupees in one order
        (OPTION, 100, 1_755, [1_755]),
        (OPTION, 100, -3_900, [1_755, 1_755, 390]),
    ],
)
def test_an_exit_larger_than_one_order_may_be_goes_out_in_several(
    instrument: InstrumentSpec, price: object, position: int, parts: list[int]
) -> None:
    turn = a_turn(position=position, instrument=instrument, price=price)

    assert turn.clear(7, "flatten", SignalOrigin.OPERATOR)
    assert not turn.exit(7, abs(position), "again", SignalOrigin.OPERATOR), "all of it is under way"

    wishes = [wish for wish, _ in turn.wishes]
    assert [wish.quantity for wish in wishes] == parts
    assert {wish.side for wish in wishes} == {Side.SELL if position > 0 else Side.BUY}


def test_a_settlement_is_one() -> None:
    turn = a_turn(position=3_900, instrument=OPTION)
    turn.exit(7, 3_900, "settlement at expiry", SignalOrigin.EXPIRY)
    assert [wish.quantity for wish, _ in turn.wishes] == [3_900]


@pytest.mark.parametrize(
    ("position", "side", "unfilled", "is_cancelled"),
    [
        (60, Side.SELL, 60, False),
        (60, Side.SELL, 61, True),  # it would turn the position
        (60, Side.BUY, 1, True),
        (-60, Side.BUY, 60, False),
        (0, Side.SELL, 1, True),
    ],
)
def test_the_end_of_entries_leaves_exits_at_work(
    position: int, side: Side, unfilled: int, *, is_cancelled: bool
) -> None:
    turn = a_turn(a_working_order(1, side, unfilled=unfilled), position=position)

    turn.cancel_entries(7, "loss ladder: cancel", SignalOrigin.LADDER)

    assert bool(turn.wishes) == is_cancelled


def test_one_order_is_cancelled_or_all_are() -> None:
    one, other = a_working_order(1, Side.BUY), a_working_order(2, Side.SELL)
    for only, expected in ((other.id, [other]), (UUID(int=9), []), (None, [one, other])):
        turn = a_turn(one, other)
        turn.cancel_orders("cancel: drill", SignalOrigin.OPERATOR, only)
        assert [wish.order for wish, _ in turn.wishes] == expected
