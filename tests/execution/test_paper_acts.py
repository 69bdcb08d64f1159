"""Cancellations and modifications on their way to the exchange, and what overtakes them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from alphapanda.core.vocabulary import (
    OrderStatus,
    OrderType,
    SignalKind,
    Variety,
)
from execution.domain.paper import (
    Memory,
    PaperSettings,
    Queue,
    carry_out,
    match,
    watch,
)
from tests.builders import (
    a_clock,
    a_signal,
    a_standing,
    a_tick,
    a_venue,
    an_instrument,
    an_order,
    at,
    e4,
)
from tests.execution.paper_exchange import EXACT, LATER, acted, after, modified, seen, words


def test_a_cancellation_takes_its_time_and_a_trade_may_come_first() -> None:
    how = PaperSettings(latency_ms=50, slippage_ticks=0)
    order = an_order(limit="100", settings=how)
    late = acted(order, SignalKind.CANCEL, how).orders[order.id]
    assert (late.status, late.pending.effective_ms) == (OrderStatus.CANCEL_PENDING, LATER + 50)
    assert watch(late).until_ms == LATER + 50

    traded = seen(late, a_tick("100", at_ms=LATER + 49), how)
    gone = seen(late, a_tick("100", at_ms=LATER + 50), how)

    assert traded.orders[order.id].status is OrderStatus.COMPLETE
    assert traded.history[-1].reason == "it traded before the cancel arrived"
    assert (gone.orders[order.id].status, gone.executions) == (OrderStatus.CANCELLED, [])
    assert gone.history[-1].at_ms == LATER + 50


def test_a_cancellation_meets_the_next_leg_where_it_arrives() -> None:
    how = PaperSettings(latency_ms=50, slippage_ticks=0)
    order = an_order(limit="100", settings=how, variety=Variety.ICEBERG, iceberg_legs=2)
    late = acted(order, SignalKind.CANCEL, how).orders[order.id]

    first = seen(late, a_tick(asks=[("100", 99)], at_ms=LATER + 30), how)
    second = first.orders[order.id]
    gone = seen(second, a_tick(asks=[("100", 98)], at_ms=LATER + 80), how)

    assert (second.filled_quantity, second.leg, first.history[-1].at_ms) == (5, 2, LATER + 80)
    assert (gone.orders[order.id].status, gone.executions) == (OrderStatus.CANCELLED, [])
    assert gone.history[-1].at_ms == LATER + 80  # not before the leg that it cancels


def test_a_cancellation_without_latency_is_carried_out_at_once_and_once() -> None:
    order = an_order(limit="99")
    outcome = acted(order, SignalKind.CANCEL)
    gone = outcome.orders[order.id]

    assert words(outcome) == ["CANCEL PENDING", "CANCELLED"]
    again = acted(gone, SignalKind.CANCEL)
    assert again.orders[order.id].status is OrderStatus.CANCELLED
    (remark,) = again.history
    assert remark.reason == "Order cannot be cancelled as it is being processed. Try later."
    assert remark.decision_id is not None


def test_a_modification_changes_terms_and_may_lose_the_place() -> None:
    how = msgspec.structs.replace(EXACT, queue=Queue.PRO_RATA)
    order = an_order(quantity=10, limit="99", settings=how)
    book = {"bids": [("99", 40)], "asks": [("100", 5)]}
    resting = after(order, a_tick(at_ms=at(), volume=100, **book), how)
    assert (resting.place.ahead, resting.place.size) == (40, 40)

    less = modified(resting, how, quantity=4)
    more = modified(resting, how, quantity=11)
    dearer = modified(resting, how, limit="99.05")

    assert (less.quantity, less.place, less.modifications) == (4, resting.place, 1)
    assert (more.quantity, more.place.ahead) == (11, -1)
    assert (dearer.limit_price_e4, dearer.place.ahead) == (e4("99.05"), -1)
    assert words(acted(order, SignalKind.MODIFY, how, quantity=4)) == [
        "MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED", "OPEN",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"limit": "99.01"}, "Tick size"),
        ({"quantity": 100_001}, "above 100000"),
        ({}, "changes nothing"),
    ],
)
def test_a_modification_is_judged_as_an_order_is(wish: dict[str, Any], words: str) -> None:
    order = an_order(limit="99")

    outcome = acted(order, SignalKind.MODIFY, **wish)

    assert outcome.orders[order.id].limit_price_e4 == e4("99")
    assert words in outcome.history[-1].reason


def test_a_later_leg_can_be_modified_that_is_as_large_as_the_exchange_takes() -> None:
    listed = msgspec.structs.replace(an_instrument(lot=65), freeze_quantity=1_800)
    iceberg = {"variety": Variety.ICEBERG, "iceberg_legs": 2}
    order = an_order(quantity=3_510, limit="100", instrument=listed, settings=EXACT, **iceberg)
    venue, offer = a_venue(EXACT, instruments=[listed]), a_tick(asks=[("100", 1_755)], at_ms=at())
    second = match([order], offer, venue=venue, memory=Memory()).orders[order.id]
    assert (second.leg, second.unfilled) == (2, 1_755)

    wish = {"kind": SignalKind.MODIFY, "target": order.id, "replaces": 1_755, "limit": "99", "step": 2}
    outcome = carry_out(
        [a_signal(quantity=1_755, at_ms=LATER, **wish)], a_standing([second]), venue, ended={}
    )

    assert outcome.history[-1].reason == ""
    assert outcome.orders[order.id].limit_price_e4 == e4("99")


def test_twenty_five_modifications_and_no_more() -> None:
    order = an_order(limit="99")
    for number in range(25):
        order = modified(order, quantity=11 + number)
    assert order.modifications == 25

    outcome = acted(order, SignalKind.MODIFY, quantity=5)

    assert outcome.history[-1].reason == "Maximum allowed order modifications exceeded."
    assert outcome.orders[order.id].quantity == 35


def test_what_traded_on_the_way_stays_traded() -> None:
    how = PaperSettings(latency_ms=50, slippage_ticks=0)
    order = an_order(quantity=10, limit="100", settings=how)
    asked = acted(order, SignalKind.MODIFY, how, quantity=3).orders[order.id]
    partly = after(asked, a_tick("100", at_ms=LATER + 10, size=6), how)
    assert (partly.filled_quantity, partly.status) == (6, OrderStatus.MODIFY_PENDING)

    outcome = seen(partly, a_clock("10:01"), how)

    assert (outcome.orders[order.id].quantity, words(outcome)) == (10, ["OPEN"])
    assert "6 units had traded" in outcome.history[-1].reason


def test_a_cancellation_overtakes_a_modification() -> None:
    how = PaperSettings(latency_ms=50, slippage_ticks=0)
    asked = acted(an_order(limit="99", settings=how), SignalKind.MODIFY, how, quantity=3).orders.popitem()[1]

    again = acted(asked, SignalKind.MODIFY, how, quantity=4)
    gone = acted(asked, SignalKind.CANCEL, how).orders.popitem()[1]

    assert again.history[-1].reason == "Order cannot be modified as it is being processed. Try later."
    assert after(gone, a_clock("10:01"), how).status is OrderStatus.CANCELLED


def test_a_stop_becomes_a_market_order() -> None:
    order = an_order(trigger="105", limit="106")

    changed = modified(order, trigger=None, limit=None)

    assert (changed.order_type, changed.status) == (OrderType.MARKET, OrderStatus.OPEN)
    assert after(changed, a_tick("100", at_ms=LATER)).status is OrderStatus.COMPLETE
