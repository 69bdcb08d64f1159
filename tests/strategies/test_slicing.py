"""Entries larger than one order may be, and the legs of icebergs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alphapanda.core.vocabulary import OrderStatus, Side, Variety
from execution.domain.paper import Memory, match
from marketdata.domain.instruments import InstrumentSpec
from risk.domain.memory import DayState, counted
from strategies.domain.base import Bracket, Intent
from strategies.domain.slicing import PARTS_MAX, legs, parts
from tests.builders import a_tick, a_venue, an_instrument, an_order, at, e4
from tests.strategies.test_acts import OPTION, SEVEN, a_turn, as_signal

BRACKET = Bracket(stop=Decimal(5))
SIXTY_FIVES = an_instrument(7, lot=65)


def quantities(quantity: int, instrument: InstrumentSpec, **more: Any) -> list[int]:
    intent = Intent(instrument.key, Side.BUY, quantity, "in", **more)
    return [part.quantity for part in parts(intent, instrument, e4(100))]


@pytest.mark.parametrize(
    ("instrument", "quantity", "found"),
    [
        (SEVEN, 100_000, [100_000]),
        (SEVEN, 250_000, [83_334, 83_334, 83_332]),
        (OPTION, 1_755, [1_755]),
        (OPTION, 1_820, [910, 910]),
        (OPTION, 3_900, [1_300, 1_300, 1_300]),
        (OPTION, 1_800, [1_800]),  # no whole lots: risk and broker refuse it
        (OPTION, 1_755 * PARTS_MAX, [1_755] * PARTS_MAX),
        (OPTION, 1_755 * PARTS_MAX + 65, [1_755 * PARTS_MAX + 65]),  # a slip
        (an_instrument(8, lot=75), 10**9 // 75 * 75, [10**9 // 75 * 75]),
    ],
)
def test_it_goes_out_in_parts_as_equal_as_lots_allow(
    instrument: InstrumentSpec, quantity: int, found: list[int]
) -> None:
    assert quantities(quantity, instrument) == found


def test_the_largest_order_depends_on_the_price_at_which_it_may_trade() -> None:
    assert quantities(40_000, SEVEN) == [40_000]
    assert quantities(40_000, SEVEN, limit_price=Decimal(3_000)) == [20_000, 20_000]
    assert quantities(40_000, SEVEN, trigger_price=Decimal(3_000)) == [20_000, 20_000]
    assert quantities(40_000, SEVEN, limit_price=Decimal("NaN")) == [40_000]


@pytest.mark.parametrize("more", [{"iceberg_legs": 3}, {"variety": Variety.ICEBERG}])
def test_legs_are_small_already(more: dict[str, Any]) -> None:
    assert quantities(3_900, OPTION, **more) == [3_900]


@pytest.mark.parametrize(
    ("lots", "wanted", "sent"),
    [(5, 4, 3), (4, 4, 4), (8, 4, 4), (9, 4, 3), (10, 6, 5), (99, 51, 50), (3, 4, 4)],
)
def test_an_iceberg_says_the_legs_that_whole_lots_make(lots: int, wanted: int, sent: int) -> None:
    row = as_signal(Intent(SEVEN.key, Side.BUY, 65 * lots, iceberg_legs=wanted), lot=65)

    assert row.iceberg_legs == sent
    assert counted(DayState(), row, is_kept=False).orders == max(sent, 1)


@given(lots=st.integers(2, 60), wanted=st.integers(2, 20))
def test_the_legs_that_are_said_are_those_that_go_out(lots: int, wanted: int) -> None:
    assume(lots >= wanted)
    said = legs(65 * lots, wanted, SIXTY_FIVES)
    order = an_order(
        quantity=65 * lots,
        instrument=SIXTY_FIVES,
        variety=Variety.ICEBERG,
        iceberg_legs=said,
    )
    venue, rows = a_venue(instruments=[SIXTY_FIVES]), []
    for number in range(wanted + 1):
        tick = a_tick(100, at_ms=at() + 1_000 * number, size=65 * lots, volume=number)
        outcome = match([order], tick, venue=venue, memory=Memory())
        order = outcome.orders.get(order.id, order)
        rows += [row.reason for row in outcome.history if row.reason]

    assert order.status is OrderStatus.COMPLETE
    assert order.leg == said <= wanted
    assert rows == [f"leg {number} of {said}" for number in range(2, said + 1)]


@pytest.mark.parametrize("quantity", [0, -65, 65.5, True, "65"])
def test_what_is_no_quantity_is_left_to_be_refused(quantity: Any) -> None:
    intent = Intent(OPTION.key, Side.BUY, quantity)

    assert parts(intent, OPTION, e4(100)) == (intent,)


@given(st.integers(1, 60_000), st.integers(1, 200), st.integers(0, 5_000))
def test_no_unit_is_lost_and_no_part_is_too_large(lots: int, lot: int, freeze: int) -> None:
    instrument = msgspec.structs.replace(OPTION, lot_size=lot, freeze_quantity=freeze)
    found = quantities(lots * lot, instrument)

    assert sum(found) == lots * lot
    assert all(part > 0 and part % lot == 0 for part in found)
    if len(found) > 1:
        assert max(found) <= instrument.units_max(e4(100))
        assert max(found) - min(found) <= len(found) * lot


def test_a_turn_hears_parts_with_the_bracket_and_prices_of_the_whole() -> None:
    turn = a_turn(instrument=OPTION)
    wish = Intent(OPTION.key, Side.BUY, 3_900, "in", Decimal(90), bracket=BRACKET, disclosed_quantity=1_500)
    turn.hear([wish])

    found = [part for part, _ in turn.wishes]
    assert [part.quantity for part in found] == [1_300] * 3
    assert {(part.limit_price, part.bracket, part.disclosed_quantity) for part in found} == {
        (90, BRACKET, 1_300)
    }
    assert turn.view(OPTION.key).working() == 3_900
