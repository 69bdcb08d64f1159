"""What is left of each limit: the smallest order refused is refused, and one lot less is not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.vocabulary import Side
from risk.domain.context import Context
from risk.domain.headroom import OF_ORDERS, OF_SUMS, Headroom, headroom
from risk.domain.limits import LADDER, RATES, Limits
from risk.domain.review import review
from strategies.domain.consequences import Working
from tests.builders import a_holding, a_mark, a_signal, an_index, an_instrument, at
from tests.risk.test_order_rules import entered
from tests.risk.test_rules import STARTED, a_context
from tests.risk.test_sums import other, shared

MARKS = {7: a_mark(), 8: a_mark(200)}
LOT = 5


def rows(context: Context) -> list[Headroom]:
    return headroom(context, MARKS, at_ms=at())


def the(context: Context, name: str, side: Side = Side.BUY) -> Headroom:
    (found,) = [row for row in rows(context) if row.limit_name == name and row.side in ("", side.value)]
    return found


def limited(limits: dict[str, Any], **facts: Any) -> Context:
    return a_context(limits=Limits(**limits), instruments={7: an_instrument(7, lot=LOT)}, **facts)


@pytest.mark.parametrize(
    ("limits", "facts", "used", "left", "smallest"),
    [
        ({"order_quantity": 20}, {}, 0, 20, 25),
        ({"order_value": Decimal(2_000)}, {}, 0, 2_000, 25),
        ({"position_quantity": 20}, {"holdings": {7: a_holding(5)}, "working": {7: Working(buy=5)}}, 10, 10, 15),
        ({"gross_exposure": Decimal(2_000)}, {"holdings": {7: a_holding(-5)}}, 500, 1_500, 30),
        ({"net_exposure": Decimal(2_000)}, {"working": {7: Working(buy=10)}}, 1_000, 1_000, 15),
        ({"margin": Decimal(2_000)}, {}, 0, 2_000, 105),
        ({"underlying_exposure": Decimal(999)}, {}, 0, 999, 10),
        ({"daily_orders": 5}, {"day": msgspec.structs.replace(STARTED, orders=3)}, 3, 2, None),
        ({"daily_orders": 5, "exit_lane": 2}, {"day": msgspec.structs.replace(STARTED, orders=3)}, 3, 0, LOT),
        ({"orders_per_minute": 1}, {"day": msgspec.structs.replace(STARTED, recent_ms=(at() - 9,))}, 1, 0, LOT),
        ({"daily_loss": Decimal(50)}, {"day": msgspec.structs.replace(STARTED, equity=Decimal(20))}, 20, 30, None),
        ({"daily_loss": Decimal(20)}, {"day": msgspec.structs.replace(STARTED, equity=Decimal(20))}, 20, 0, LOT),
        ({"repeated_entries": 2, "repeated_ms": 9_000}, {"day": entered(1)}, 1, 1, None),
        ({"repeated_entries": 2, "repeated_ms": 9_000}, {"day": entered(2)}, 2, 0, LOT),
        ({"loss_flatten": Decimal(50)}, {"day": msgspec.structs.replace(STARTED, equity=Decimal(20))}, 20, 30, None),
        ({"drawdown": Decimal(30)}, {"day": msgspec.structs.replace(STARTED, peaks={"DEPLOYMENT": Decimal(10)})},
         10, 20, None),
    ],
)  # fmt: skip
def test_used_left_and_the_smallest_order_refused(
    limits: dict[str, Any], facts: dict[str, Any], used: int, left: int, smallest: int | None
) -> None:
    row = the(limited(limits, **facts), next(iter(limits)))

    assert (row.used, row.left, row.smallest_refused) == (used, left, smallest)


def test_a_sum_that_others_use_up() -> None:
    context = shared({"gross_exposure": Decimal(3_000)}, other(10))
    row = next(row for row in rows(context) if (row.instrument, row.side) == ("NSE:STOCK7", "BUY"))

    assert (row.level, row.used, row.left, row.smallest_refused) == ("PORTFOLIO desk", 2_000, 1_000, 11)


def test_an_order_that_only_reduces_is_never_the_smallest() -> None:
    context = limited({"position_quantity": 10}, holdings={7: a_holding(40)})

    assert (
        the(context, "position_quantity", Side.SELL).smallest_refused == 55
    )  # 40 to flat, 10 short are allowed
    assert the(context, "position_quantity", Side.BUY).smallest_refused == LOT


def test_what_cannot_be_had_is_said_and_any_order_is_refused() -> None:
    row = the(limited({"daily_loss": Decimal(50)}, holdings={9: a_holding(5)}), "daily_loss")
    assert (row.used, row.left, row.smallest_refused) == (None, None, LOT)


def test_what_is_not_limited_or_cannot_be_traded_has_no_row() -> None:
    assert rows(limited({})) == []
    index = a_context(limits=Limits(order_quantity=5), instruments={9: an_index(9)})
    assert rows(index) == []


SIZED = sorted({name: 0 for name, kind in (OF_ORDERS | OF_SUMS).items() if kind.sized})


@given(
    st.sampled_from(SIZED),
    st.integers(1, 200),
    st.integers(-20, 20),
    st.integers(0, 10),
    st.integers(0, 10),
    st.sampled_from(Side),
)
def test_the_rules_agree(name: str, limit: int, held: int, buy: int, sell: int, side: Side) -> None:
    """One lot less than the smallest order refused passes the rules; that order does not."""
    amount: Any = limit if name.endswith("quantity") else Decimal(limit * 100)
    context = limited(
        {name: amount},
        holdings={7: a_holding(held * LOT)},
        working={7: Working(buy * LOT, sell * LOT)},
        day=STARTED,
    )
    smallest = the(context, name, side).smallest_refused
    assert smallest is not None

    def approved(quantity: int) -> bool:
        (verdict,), _ = review([a_signal(side, quantity, marks=MARKS)], context)
        return verdict.is_approved

    assert not approved(smallest)
    assert smallest == LOT or approved(smallest - LOT)


def test_every_number_that_can_be_limited_has_headroom() -> None:
    orders = {"order_quantity", "order_value", "position_quantity", "repeated_entries"}
    exposures = {"gross_exposure", "net_exposure", "underlying_exposure", "margin", "drawdown"}

    assert {*orders, *exposures, *LADDER, *RATES} == {*OF_ORDERS, *OF_SUMS}
