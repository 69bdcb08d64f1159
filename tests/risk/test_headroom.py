"""What is left of each limit: the smallest order refused is refused, and one lot less is not."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.vocabulary import Side
from risk.domain.context import Context, Resting
from risk.domain.headroom import OF_ORDERS, OF_SUMS, PARTS, Headroom, headroom
from risk.domain.limits import LADDER, RATES, Limits
from risk.domain.memory import Sent
from risk.domain.review import review
from strategies.domain.consequences import Working
from strategies.domain.signals import Mark
from tests.builders import DAY, a_holding, a_mark, a_signal, an_index, an_instrument, at, e4
from tests.risk.test_order_rules import entered
from tests.risk.test_rules import STARTED, a_context
from tests.risk.test_sums import OTHER, other, shared

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


DESCRIBED = [*OF_ORDERS, *OF_SUMS]
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("order_quantity", "position_quantity"), st.integers(0, 100)),
    **dict.fromkeys(("collar_ticks", "repeated_entries", *RATES), st.integers(0, 3)),
    **dict.fromkeys(("price_age_ms", "duplicate_ms"), st.sampled_from([0, 900, 1_000, 5_000])),
    **dict.fromkeys(
        ("collar_percent", "price_jump_percent"), st.sampled_from([Decimal(0), Decimal("0.5"), Decimal(5)])
    ),
    **dict.fromkeys(("drawdown", *LADDER), st.integers(0, 60).map(Decimal)),
    **dict.fromkeys(
        ("entries_from", "entries_until", "expiry_until"), st.sampled_from([time(9), time(10), time(11)])
    ),
    "restricted": st.sampled_from([("NSE:STOCK7",), ("NSE:STOCK8",)]),
    "allowed": st.sampled_from([("NSE:STOCK7",), ()]),
    "products": st.sampled_from([("MIS",), ("CNC",)]),
    "self_trade": st.booleans(),
}
RUPEES = st.integers(0, 10_000).map(Decimal)
MARK = st.sampled_from(
    [
        a_mark(),
        a_mark(at_ms=at() - 1_000),
        a_mark(before=99),
        a_mark(bid=99, ask=102),
        a_mark(bid="99.5", ask="100.5"),
    ]
)
SENT = st.lists(
    st.builds(
        Sent,
        at_ms=st.integers(at() - 5_000, at()),
        token=st.sampled_from([7, 7, 8]),
        side=st.sampled_from(Side),
        quantity=st.integers(1, 6).map(lambda lots: lots * LOT),
        limit_price_e4=st.sampled_from([None, None, e4(100)]),
    ),
    max_size=3,
).map(lambda sent: tuple(sorted(sent, key=lambda one: one.at_ms)))


@st.composite
def limited_contexts(draw: st.DrawFn, name: str) -> Context:
    """A deployment with one limit, at some place of its day."""
    chosen: dict[str, Any] = {name: draw(VALUES.get(name, RUPEES))}
    if name in OF_ORDERS:
        chosen |= dict.fromkeys(OF_ORDERS[name].beside, 3_000)
    day = msgspec.structs.replace(
        STARTED,
        orders=draw(st.integers(0, 3)),
        recent_ms=(at() - 500,) * draw(st.integers(0, 3)),
        sent=draw(SENT),
        equity=Decimal(draw(st.sampled_from([0, 20, 50]))),
        peaks={"DEPLOYMENT": Decimal(draw(st.sampled_from([0, 20, 50])))},
    )
    meets = Resting(OTHER, 7, draw(st.sampled_from(Side)), None)
    instrument = msgspec.structs.replace(an_instrument(7, lot=LOT), expiry=draw(st.sampled_from([None, DAY])))
    return a_context(
        limits=Limits(**chosen),
        instruments={7: instrument},
        holdings={7: a_holding(draw(st.integers(-5, 5)) * LOT)},
        working={7: Working(draw(st.integers(0, 3)) * LOT, draw(st.integers(0, 3)) * LOT)},
        day=day,
        orders=draw(st.sampled_from([(), (meets,)])),
    )


@pytest.mark.parametrize("name", DESCRIBED)
@settings(max_examples=40, deadline=None)
@given(st.data(), MARK, st.sampled_from(Side))
def test_of_every_limit_the_smallest_order_is_the_first_that_the_rules_refuse(
    name: str, data: st.DataObject, mark: Mark, side: Side
) -> None:
    """Every smaller order passes, that one does not."""
    context, marks = data.draw(limited_contexts(name)), {7: mark}
    found = [row for row in headroom(context, marks, at_ms=at()) if row.limit_name == name]
    sizes = [row.smallest_refused for row in found if row.side in ("", side.value)]
    both = Side if not found[0].side else (side,)

    def refused(lots: int) -> bool:
        return any(
            not review([a_signal(one, lots * LOT, marks=marks)], context)[0][0].is_approved for one in both
        )

    first = next((lots * LOT for lots in range(1, 40) if refused(lots)), None)
    (smallest,) = sizes
    assert first == (smallest if smallest is None or smallest < 40 * LOT else None)


def test_every_limit_has_headroom() -> None:
    assert {*DESCRIBED, *PARTS} == set(Limits.__struct_fields__)


@pytest.mark.parametrize(
    ("limits", "mark", "used", "left", "smallest"),
    [
        ({"collar_percent": Decimal(5)}, a_mark(ask=102), 2, 3, None),
        ({"collar_ticks": 40}, a_mark(ask="102.05"), 41, 0, LOT),
        ({"price_age_ms": 1_500}, a_mark(at_ms=at() - 1_000), 1_000, 500, None),
        ({"price_jump_percent": Decimal(1)}, a_mark(before=98), Decimal("2.0409"), 0, LOT),
        ({"restricted": ("NSE:STOCK7",)}, a_mark(), None, None, LOT),
        ({"entries_until": time(11)}, a_mark(), None, None, None),
        ({"collar_percent": Decimal(5)}, msgspec.structs.replace(a_mark(), price_e4=0), None, None, LOT),
    ],
)  # fmt: skip
def test_limits_of_prices_lists_and_hours(
    limits: dict[str, Any], mark: Mark, used: object, left: object, smallest: int | None
) -> None:
    found = headroom(limited(limits), {7: mark}, at_ms=at())
    row = next(row for row in found if row.side in ("", "BUY"))
    assert (row.used, row.left, row.smallest_refused) == (used, left, smallest)


def test_of_a_limit_of_all_instruments_the_smallest_order_of_any_is_told() -> None:
    """To buy 20 would only close; to sell 5 would not."""
    context = limited({"daily_orders": 0}, holdings={7: a_holding(-20)})
    assert the(context, "daily_orders").smallest_refused == LOT
