"""An order as it stood: its last row, and what had traded since."""

from __future__ import annotations

import msgspec
import pytest

from alphapanda.core.money import value
from alphapanda.core.vocabulary import OrderStatus, Side
from execution.domain.orders import OrderEventRow, PaperOrder
from execution.domain.past import Traded, stood
from tests.builders import an_order, at, e4


def row(order: PaperOrder, number: int, status: OrderStatus, **more: object) -> OrderEventRow:
    facts = {
        "order_id": order.id, "number": number, "status": status, "at_ms": at("10:00") + number, "quantity": 10,
        "filled_quantity": 0, "limit_price_e4": e4(99), "trigger_price_e4": None,
    }  # fmt: skip
    return OrderEventRow(**facts | more)


@pytest.fixture
def order() -> PaperOrder:
    """As it is now: changed, traded in full."""
    first = an_order(Side.BUY, 10, limit=99)
    changes = {
        "status": OrderStatus.COMPLETE,
        "quantity": 15,
        "filled_quantity": 15,
        "limit_price_e4": e4(101),
    }
    return msgspec.structs.replace(first, **changes, reason="of now")


def test_terms_are_those_of_the_last_row_and_what_has_traded_since_is_counted(order: PaperOrder) -> None:
    rows = [row(order, 1, OrderStatus.PUT_RECEIVED), row(order, 4, OrderStatus.OPEN)]
    trades = [Traded(4, value(e4(98), 4), at("10:05")), Traded(2, value(e4(99), 2), at("10:06"))]
    then = stood(order, rows, trades)
    assert (then.status, then.quantity, then.limit_price_e4) == (OrderStatus.OPEN, 10, e4(99))
    assert (then.filled_quantity, then.fills_count, str(then.turnover)) == (6, 2, "590.00000000")
    assert (then.reason, then.events_count, then.updated_at_ms) == ("", 4, at("10:06"))


def test_what_has_traded_beyond_its_terms_has_traded(order: PaperOrder) -> None:
    then = stood(order, [row(order, 4, OrderStatus.OPEN)], [Traded(12, value(e4(98), 12), at("10:05"))])
    assert (then.quantity, then.unfilled) == (12, 0)


def test_only_its_own_end_has_its_reason(order: PaperOrder) -> None:
    assert stood(order, [row(order, 5, OrderStatus.COMPLETE)], []).reason == "of now"
    assert stood(order, [row(order, 5, OrderStatus.CANCELLED)], []).reason == ""
