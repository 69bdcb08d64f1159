"""Laws of the paper exchange that hold for any orders and any items; above all: a watch never misses."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.money import is_on_tick, to_rupees
from alphapanda.core.vocabulary import OrderStatus, OrderType, Side, Validity
from execution.domain.paper import Liquidity, Memory, PaperOrder, PaperSettings, match, watch
from marketdata.domain.ticks import Clock, Item, Tick
from tests.builders import DAY, NSE, TICK_E4, a_tick, an_instrument, an_order, at

INSTRUMENTS = {token: an_instrument(token) for token in (7, 8)}
# Few times and few prices, so that orders and items meet: in the morning, at the session's end, on the next day.
MORNING, EVENING, TOMORROW = at("09:15"), at("15:30") - 10, at("09:15", DAY + timedelta(days=1))
PLACED = st.sampled_from([MORNING, MORNING, MORNING + 1, MORNING + 5, EVENING])
LATER = st.one_of(st.integers(MORNING, MORNING + 20), st.integers(EVENING, EVENING + 20), st.just(TOMORROW))
LIMITS_E4 = st.sampled_from([500, 4_500, 5_000, 5_500])
PRICES_E4 = st.sampled_from([100, 500, 4_500, 4_900, 5_000, 5_100, 5_500])  # also off the grid
LEVELS = st.lists(
    st.tuples(st.sampled_from([0, 4_500, 5_000, 5_500]), st.sampled_from([0, 1, 9, 20])), max_size=3
)
SETTINGS = st.builds(
    PaperSettings,
    latency_ms=st.integers(0, 10),
    slippage_ticks=st.integers(0, 3),
    liquidity=st.sampled_from(Liquidity),
    may_queue=st.booleans(),
)


def rupees(price_e4: int) -> Decimal:
    return to_rupees(price_e4)


@st.composite
def ticks(draw: st.DrawFn, times: st.SearchStrategy[int] = LATER) -> Tick:
    depth = {}
    if draw(st.sampled_from([True, True, False])):
        levels = [[(rupees(price), size) for price, size in draw(LEVELS)] for _ in range(2)]
        depth = {"bids": levels[0], "asks": levels[1]}
    return a_tick(
        rupees(draw(PRICES_E4)),
        at_ms=draw(times),
        token=draw(st.sampled_from([7, 7, 7, 8])),
        size=draw(st.integers(0, 20)),
        **depth,
    )


ITEMS: st.SearchStrategy[Item] = st.one_of(ticks(), st.builds(Clock, LATER, st.just(0)))
LOGS = st.lists(ITEMS, min_size=1, max_size=12).map(lambda items: sorted(items, key=lambda item: item.at_ms))


@st.composite
def orders(draw: st.DrawFn, how: PaperSettings, ordinal: int = 0) -> PaperOrder:
    limit = draw(st.none() | LIMITS_E4.map(rupees))
    return an_order(
        draw(st.sampled_from(Side)),
        draw(st.integers(1, 30)),
        settings=how,
        limit=limit,
        at_ms=draw(PLACED),
        ordinal=ordinal,
        token=draw(st.sampled_from([7, 7, 7, 8])),
        validity=draw(st.sampled_from(Validity)),
    )


@st.composite
def books(draw: st.DrawFn) -> tuple[PaperSettings, list[PaperOrder]]:
    how = draw(SETTINGS)
    placed = [draw(orders(how, ordinal)) for ordinal in range(draw(st.integers(1, 5)))]
    return how, [order for order in placed if order.status is OrderStatus.OPEN]


@settings(max_examples=500)
@given(books(), LOGS)
def test_whatever_changes_an_order_triggers_its_watch(
    book: tuple[PaperSettings, list[PaperOrder]], items: list[Item]
) -> None:
    """A false negative would let a pipeline pass over a fill that a backtest sees."""
    how, working = book
    for item in items:
        awake = {order.id for order in working if watch(order).is_triggered(item)}
        changed, _ = match(working, item, settings=how, instruments=INSTRUMENTS)
        assert {order.id for order in changed} <= awake
        after = {order.id: order for order in [*working, *changed]}
        working = [order for order in after.values() if order.status is OrderStatus.OPEN]


@given(books(), LOGS)
def test_orders_stay_consistent_and_no_limit_is_passed(
    book: tuple[PaperSettings, list[PaperOrder]], items: list[Item]
) -> None:
    how, working = book
    after = {order.id: order for order in working}
    filled = dict.fromkeys(after, 0)
    turnover = dict.fromkeys(after, Decimal(0))
    for item in items:
        open_orders = [order for order in after.values() if order.status is OrderStatus.OPEN]
        changed, executions = match(open_orders, item, settings=how, instruments=INSTRUMENTS)
        for one in executions:
            assert isinstance(item, Tick)
            assert item.token == one.order.token
            assert one.order.eligible_from_ms <= item.at_ms < one.order.expires_at_ms
            assert NSE.closes_ms(item.at_ms) > item.at_ms
            assert one.quantity > 0
            assert one.price_e4 > 0
            assert is_on_tick(one.price_e4, TICK_E4)
            if one.order.order_type is OrderType.LIMIT:
                assert one.order.limit_price_e4 is not None
                assert one.order.side.sign * (one.price_e4 - one.order.limit_price_e4) <= 0
            filled[one.order.id] += one.quantity
            turnover[one.order.id] += one.turnover
        after |= {order.id: order for order in changed}
        for order in after.values():
            assert order.filled_quantity == filled[order.id] <= order.quantity
            assert order.turnover == turnover[order.id]
            assert (order.status is OrderStatus.COMPLETE) == (order.unfilled == 0)
            assert (order.fills_count == 0) == (order.filled_quantity == 0)


@given(books(), ticks(st.integers(at("09:15"), at("15:30") - 1)))
def test_no_more_than_the_depth_on_record_is_traded_and_never_better(
    book: tuple[PaperSettings, list[PaperOrder]], tick: Tick
) -> None:
    how, working = book
    _, executions = match(working, tick, settings=how, instruments=INSTRUMENTS)
    for side, levels in ((Side.BUY, tick.asks), (Side.SELL, tick.bids)):
        own = [one for one in executions if one.order.side is side]
        if not own or not tick.flags:
            continue
        sizes: dict[int, int] = {}
        for price_e4, size in levels:
            sizes[price_e4] = sizes.get(price_e4, 0) + size
        for price_e4 in {one.price_e4 for one in own}:
            traded = sum(one.quantity for one in own if one.price_e4 == price_e4)
            assert sizes[price_e4] > 0
            assert how.liquidity is Liquidity.UNLIMITED or traded <= sizes[price_e4]


@given(books(), ITEMS, st.randoms(use_true_random=False))
def test_the_order_in_which_orders_are_handed_in_does_not_matter(
    book: tuple[PaperSettings, list[PaperOrder]], item: Item, random: Random
) -> None:
    how, working = book
    shuffled = random.sample(working, len(working))

    assert match(shuffled, item, settings=how, instruments=INSTRUMENTS) == match(
        working, item, settings=how, instruments=INSTRUMENTS
    )
