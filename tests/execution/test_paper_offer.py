"""What a tick offers: stale ones nothing, taken depth nothing again, a queue what passes those ahead."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from alphapanda.core.vocabulary import (
    FillSource,
    Side,
)
from execution.domain.models import LATENCIES, REJECTIONS, SLIPPAGES, Luck
from execution.domain.paper import (
    Liquidity,
    Memory,
    PaperOrder,
    PaperSettings,
    Queue,
    match,
)
from marketdata.domain.ticks import Item
from strategies.domain.signals import Mark
from tests.builders import (
    DAY,
    DEPLOYMENT,
    a_mark,
    a_tick,
    a_venue,
    an_instrument,
    an_order,
    at,
    e4,
)
from tests.execution.paper_exchange import EXACT, LATER, NEXT_DAY, after, seen


@pytest.mark.parametrize(
    ("more", "clock_ms", "is_filled"),
    [
        ({}, 0, True),
        ({}, LATER + 30_000, True),
        ({}, LATER + 30_001, False),  # a tick from before: the feed's cached last one
        ({"traded_at_ms": LATER - 30_000}, 0, True),
        ({"traded_at_ms": LATER - 30_001}, 0, False),  # the last trade is too long ago
        ({"flags": 4}, 0, False),
        ({"flags": 8}, 0, False),
        ({"flags": 2, "bids": ((999_500, 10),), "asks": ((1_000_000, 10),)}, 0, True),
        ({"flags": 2, "bids": ((1_000_500, 10),), "asks": ((1_000_000, 10),)}, 0, False),  # a torn snapshot
        ({"at_ms": at("09:14:59.999", NEXT_DAY)}, 0, False),
    ],
)
def test_no_fill_on_a_stale_faulty_or_early_tick(
    more: dict[str, Any], clock_ms: int, *, is_filled: bool
) -> None:
    order = msgspec.structs.replace(an_order(), expires_at_ms=at("15:30", NEXT_DAY))
    tick = a_tick(**({"at_ms": LATER} | more))

    outcome = seen(order, tick, clock_ms=clock_ms)

    assert bool(outcome.executions) == is_filled


def test_depth_that_was_taken_stays_taken_until_the_level_changes() -> None:
    first = seen(an_order(quantity=10), a_tick(asks=[("100", 6)]))
    order = first.orders.popitem()[1]
    assert order.filled_quantity == 6

    again = seen(order, a_tick(asks=[("100", 6)], at_ms=LATER), memory=first.memory)
    other = seen(order, a_tick(asks=[("100", 7)], at_ms=LATER), memory=first.memory)
    tomorrow = msgspec.structs.replace(order, expires_at_ms=at("15:30", NEXT_DAY))
    anew = seen(tomorrow, a_tick(asks=[("100", 6)], at_ms=at("09:15", NEXT_DAY)), memory=first.memory)

    assert not again.executions
    assert [one.quantity for one in other.executions] == [4]
    assert [one.quantity for one in anew.executions] == [4]


def test_a_last_trade_that_is_told_twice_is_one_offer() -> None:
    first = seen(an_order(quantity=10), a_tick(size=6, volume=50))
    order = first.orders.popitem()[1]

    again = seen(order, a_tick(size=6, volume=50, at_ms=LATER), memory=first.memory)
    more = seen(order, a_tick(size=6, volume=56, at_ms=LATER), memory=first.memory)

    assert (again.executions, [one.quantity for one in more.executions]) == ([], [4])


BANDED = msgspec.structs.replace(an_instrument(7), lower_circuit_e4=e4("90"), upper_circuit_e4=e4("100"))


@pytest.mark.parametrize(
    ("side", "last", "slippage_ticks", "price"),
    [
        (Side.BUY, "99.90", 50, "100"),  # no further than the limit
        (Side.BUY, "99.90", 1, "99.95"),
        (Side.BUY, "100", 0, None),  # at it nobody sells
        (Side.SELL, "100", 1, "99.95"),
        (Side.SELL, "90.05", 50, "90"),
        (Side.SELL, "90", 0, None),
        (Side.BUY, "90", 1, "90.05"),
        (Side.BUY, "101", 1, "101.05"),  # traded beyond: the limit has been moved
        (Side.SELL, "89", 1, "88.95"),
    ],
)
def test_slippage_ends_at_the_circuit_limit_and_a_side_that_is_locked_has_no_offer(
    side: Side, last: str, slippage_ticks: int, price: str | None
) -> None:
    how = PaperSettings(latency_ms=0, slippage_ticks=slippage_ticks)
    order = an_order(side, settings=how, instrument=BANDED)

    outcome = match([order], a_tick(last), venue=a_venue(how, instruments=[BANDED]), memory=Memory())

    assert [one.price_e4 for one in outcome.executions] == ([] if price is None else [e4(price)])


BEFORE = at("15:29", DAY - timedelta(days=1))


@pytest.mark.parametrize("mark", [a_mark(95, close_before=100), a_mark(100, at_ms=BEFORE, close_before=50)])
@pytest.mark.parametrize(
    ("side", "last", "price"),
    [
        (Side.BUY, "104.90", "105"),
        (Side.SELL, "95.05", "95"),
        (Side.BUY, "105", None),
        (Side.SELL, "95", None),
        (Side.BUY, "95", "97.50"),
    ],
)
def test_so_it_does_at_a_band_around_the_last_close(
    mark: Mark, side: Side, last: str, price: str | None
) -> None:
    """Whether the mark is of the day itself, or of the session before, whose close it is then."""
    how = PaperSettings(latency_ms=0, slippage_ticks=50, circuit_percent=Decimal(5))

    outcome = match(
        [an_order(side, settings=how)], a_tick(last), venue=a_venue(how), memory=Memory(), marks={7: mark}
    )

    assert [one.price_e4 for one in outcome.executions] == ([] if price is None else [e4(price)])


def test_a_fill_says_on_what_it_stands() -> None:
    def sources(tick: Item, how: PaperSettings = EXACT) -> list[FillSource]:
        return [one.source for one in seen(an_order(quantity=10), tick, how).executions]

    unlimited = PaperSettings(latency_ms=0, liquidity=Liquidity.UNLIMITED)
    assert sources(a_tick()) == [FillSource.LAST_PRICE]
    assert sources(a_tick(asks=[("100", 10)])) == [FillSource.DEPTH]
    assert sources(a_tick(asks=[("100", 10)]), unlimited) == [FillSource.DEPTH]
    assert sources(a_tick(asks=[("100", 9)]), unlimited) == [FillSource.UNLIMITED]
    pair = [an_order(quantity=6, ordinal=number) for number in range(2)]
    both = match(pair, a_tick(asks=[("100", 10)]), venue=a_venue(unlimited), memory=Memory())
    assert [one.source for one in both.executions] == [FillSource.DEPTH, FillSource.UNLIMITED]
    assert FillSource.UNLIMITED.is_assumed
    assert not FillSource.DEPTH.is_assumed


class TestQueue:
    """A buy of 10 at 99 behind 40; the day's volume stands at 100."""

    def rested(self, queue: Queue) -> tuple[PaperOrder, PaperSettings]:
        how = msgspec.structs.replace(EXACT, queue=queue)
        order = an_order(quantity=10, limit="99", settings=how)
        return after(order, self.tick("100", 40, 100), how), how

    def tick(self, last: str, size: int, volume: int, **more: Any) -> Item:
        return a_tick(last, bids=[("99", size)], asks=[("100", 5)], volume=volume, at_ms=LATER, **more)

    @pytest.mark.parametrize("queue", [Queue.PRO_RATA, Queue.CAUTIOUS])
    @pytest.mark.parametrize(
        ("last", "size", "volume", "filled", "ahead"),
        [
            ("99", 15, 125, 0, 15),  # 25 traded at the price
            ("99", 1, 140, 0, 0),  # just those ahead
            ("99", 50, 145, 5, 0),  # and five of ours; new ones came in behind
            ("98.95", 0, 103, 3, 0),  # through the price: whatever traded
            ("98.95", 0, 150, 10, 0),
            ("100", 40, 160, 0, 40),  # elsewhere
        ],
    )
    def test_trades_move_it(
        self, queue: Queue, last: str, size: int, volume: int, filled: int, ahead: int
    ) -> None:
        order, how = self.rested(queue)

        outcome = seen(order, self.tick(last, size, volume), how)

        order = outcome.orders[order.id]
        assert order.filled_quantity == filled
        assert {one.source for one in outcome.executions} <= {FillSource.QUEUE}
        assert {one.price_e4 for one in outcome.executions} <= {e4("99")}
        if order.unfilled:
            assert order.place.ahead == ahead

    def test_two_orders_of_ours_share_what_passes_those_ahead(self) -> None:
        first, how = self.rested(Queue.PRO_RATA)
        second = msgspec.structs.replace(first, id=an_order(step=9).id, step=9)

        tick = self.tick("99", 0, 155)  # 55 traded: 40 ahead, 15 for both
        outcome = match([first, second], tick, venue=a_venue(how), memory=Memory())

        assert [one.quantity for one in outcome.executions] == [10, 5]

    @pytest.mark.parametrize(("queue", "ahead"), [(Queue.PRO_RATA, 20), (Queue.CAUTIOUS, 20)])
    def test_cancellations_of_half_of_those_ahead(self, queue: Queue, ahead: int) -> None:
        order, how = self.rested(queue)
        assert after(order, self.tick("100", 20, 100), how).place.ahead == ahead

    @pytest.mark.parametrize(("queue", "ahead"), [(Queue.PRO_RATA, 30), (Queue.CAUTIOUS, 40)])
    def test_cancellations_where_others_stand_behind(self, queue: Queue, ahead: int) -> None:
        """40 ahead and 40 behind; 20 of the 80 are cancelled."""
        order, how = self.rested(queue)
        grown = after(order, self.tick("100", 80, 100), how)

        assert after(grown, self.tick("100", 60, 100), how).place.ahead == ahead

    def test_the_touch_of_the_last_price_is_no_trade_of_ours_without_depth(self) -> None:
        order, how = self.rested(Queue.CAUTIOUS)

        assert not seen(order, a_tick("99", at_ms=LATER), how).executions
        assert seen(order, a_tick("98.95", at_ms=LATER), how).executions

    def test_cautious_counts_the_last_trade_alone(self) -> None:
        order, how = self.rested(Queue.CAUTIOUS)

        assert after(order, self.tick("99", 40, 150, quantity=45), how).filled_quantity == 5
        assert after(order, self.tick("99", 40, 150, quantity=4), how).place.ahead == 36


def test_models_follow_from_the_order_alone() -> None:
    how = PaperSettings(
        latency="spread", latency_ms=5, latency_spread_ms=3, slippage="random", rejection_percent=Decimal(50)
    )
    lucks = [Luck(an_order(step=step).id, "latency") for step in range(60)]

    assert {LATENCIES["spread"](how, luck) for luck in lucks} == {5, 6, 7, 8}
    assert {SLIPPAGES["random"](how, luck, e4(100), 500) for luck in lucks} == {0, 500}
    assert {REJECTIONS["random"](how, luck) for luck in lucks} == {True, False}
    assert SLIPPAGES["bps"](PaperSettings(slippage_bps=Decimal(3)), lucks[0], e4(100), 500) == 300
    assert an_order(step=3).id == an_order(step=3).id
    assert an_order().deployment_id == DEPLOYMENT


@pytest.mark.parametrize(
    "given",
    [
        {"latency": "quantum"}, {"queue": "FRONT"}, {"market_protection": 0}, {"market_protection": 101},
        {"capital": -1}, {"rejection_percent": 101}, {"stale_after_ms": 0}, {"slippage_bps": -1},
        {"circuit_percent": 0},
    ],
)  # fmt: skip
def test_settings_say_what_is_accepted(given: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, PaperSettings)
