"""Laws of the paper exchange that hold for any orders, acts and items; above all: a watch never misses."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.money import is_on_tick, to_rupees
from alphapanda.core.vocabulary import (
    FillSource,
    OrderStatus,
    Phase,
    Side,
    SignalKind,
    Validity,
    Variety,
)
from execution.domain.ladder import FIRST
from execution.domain.paper import (
    LADDER,
    Execution,
    Liquidity,
    Memory,
    OrderEventRow,
    Outcome,
    PaperOrder,
    PaperSettings,
    Queue,
    Venue,
    carry_out,
    match,
    watch,
)
from marketdata.domain.ticks import Clock, Item, Tick
from strategies.domain.signals import SignalRow
from tests.builders import DAY, NSE, TICK_E4, a_signal, a_standing, a_tick, a_venue, an_instrument, at

# Few times and few prices, so that orders and items meet: in the morning, at the session's end, on the next day.
MORNING, EVENING, TOMORROW = at("09:15"), at("15:30") - 10, at("09:15", DAY + timedelta(days=1))
TIMES = st.one_of(
    st.integers(MORNING, MORNING + 30),
    st.integers(MORNING + 60_000, MORNING + 60_010),
    st.integers(EVENING, EVENING + 20),
    st.sampled_from([at("16:30"), TOMORROW - 15 * 60_000, TOMORROW, TOMORROW + 5]),
)
PRICES = st.sampled_from([None, Decimal("0.05"), Decimal("0.45"), Decimal("0.50"), Decimal("0.55")])
TICK_PRICES_E4 = st.sampled_from([100, 500, 4_500, 4_900, 5_000, 5_100, 5_500])  # also off the grid
LEVELS = st.lists(
    st.tuples(st.sampled_from([0, 4_500, 5_000, 5_500]), st.sampled_from([0, 1, 9, 20])), max_size=3
)
SETTINGS = st.builds(
    PaperSettings,
    latency_ms=st.integers(0, 10),
    latency_spread_ms=st.integers(0, 5),
    latency=st.sampled_from(["fixed", "spread"]),
    slippage_ticks=st.integers(0, 3),
    slippage=st.sampled_from(["ticks", "random", "bps"]),
    slippage_bps=st.sampled_from([Decimal(0), Decimal(30)]),
    rejection=st.sampled_from(["none", "none", "random"]),
    rejection_percent=st.sampled_from([Decimal(0), Decimal(30)]),
    liquidity=st.sampled_from(Liquidity),
    may_queue=st.booleans(),
    square_off=st.booleans(),
    market_protection=st.sampled_from([None, Decimal(-1), Decimal(5)]),
    queue=st.sampled_from(Queue),
)


@st.composite
def ticks(draw: st.DrawFn) -> Tick:
    depth = {}
    if draw(st.sampled_from([True, True, False])):
        levels = [[(to_rupees(price), size) for price, size in draw(LEVELS)] for _ in range(2)]
        depth = {"bids": levels[0], "asks": levels[1]}
    return a_tick(
        to_rupees(draw(TICK_PRICES_E4)),
        at_ms=draw(TIMES),
        token=draw(st.sampled_from([7, 7, 7, 8])),
        size=draw(st.integers(0, 20)),
        volume=draw(st.integers(-1, 60)),
        **depth,
    )


@st.composite
def wants(draw: st.DrawFn) -> dict[str, object]:
    """A signal for a new order."""
    legs = draw(st.sampled_from([0, 0, 0, 2, 3]))
    return {
        "side": draw(st.sampled_from(Side)),
        "quantity": draw(st.integers(1, 30)),
        "limit": draw(PRICES),
        "trigger": draw(st.sampled_from([None, None]) | PRICES),
        "token": draw(st.sampled_from([7, 7, 7, 8])),
        "validity": draw(st.sampled_from(Validity)),
        "validity_minutes": draw(st.sampled_from([1, 1, 0])),
        "variety": Variety.ICEBERG if legs else draw(st.sampled_from([Variety.REGULAR] * 3 + [Variety.AMO])),
        "iceberg_legs": legs,
        "disclosed_quantity": draw(st.sampled_from([0, 0, 5])),
    }


@st.composite
def acts(draw: st.DrawFn) -> dict[str, object]:
    """A cancellation or modification of one of the orders there are, by number."""
    return {
        "kind": draw(st.sampled_from([SignalKind.CANCEL, SignalKind.MODIFY])),
        "number": draw(st.integers(0, 9)),
        "quantity": draw(st.integers(1, 40)),
        "limit": draw(PRICES),
        "trigger": draw(PRICES),
    }


ITEMS: st.SearchStrategy[Item] = st.one_of(ticks(), st.builds(Clock, TIMES, st.just(0)))
STEPS = st.one_of(
    ITEMS, ITEMS, st.tuples(TIMES, st.lists(st.one_of(wants(), acts()), min_size=1, max_size=3))
)
SCRIPTS = st.lists(STEPS, min_size=2, max_size=14)


def time_of(step: Item | tuple[int, list[dict[str, object]]]) -> int:
    return step.at_ms if isinstance(step, Tick | Clock) else step[0]


class World:
    """An exchange fed a script, with every law of it checked on the way."""

    def __init__(self, how: PaperSettings) -> None:
        self.venue: Venue = a_venue(how, instruments=[an_instrument(7), an_instrument(8)])
        self.orders: dict[UUID, PaperOrder] = {}
        self.memory = Memory()
        self.history: list[OrderEventRow] = []
        self.executions: list[Execution] = []
        self.step = 0

    def play(self, script: list[object]) -> None:
        for step in sorted(script, key=time_of):
            if isinstance(step, Tick | Clock):
                self.see(step)
            else:
                self.ask(*step)

    @property
    def working(self) -> list[PaperOrder]:
        return [order for order in self.orders.values() if not order.status.is_final]

    def see(self, item: Item) -> None:
        working = self.working
        awake = {order.id for order in working if watch(order).is_triggered(item)}
        outcome = match(working, item, venue=self.venue, memory=self.memory)
        assert outcome.orders.keys() <= awake, "a watch missed"
        check_trades(outcome, item, self.venue)
        self._keep(outcome)

    def ask(self, at_ms: int, wishes: list[dict[str, object]]) -> None:
        self.step += 1
        self.see(Clock(at_ms, 0))  # signals are raised at items of the log, after these were matched
        signals = [
            row for number, wish in enumerate(wishes) if (row := self._signal(at_ms, number, dict(wish)))
        ]
        standing = a_standing(self.working, memory=self.memory)
        self._keep(carry_out(signals, standing, self.venue, ended=dict(self.orders)))

    def _signal(self, at_ms: int, ordinal: int, wish: dict[str, object]) -> SignalRow | None:
        if "number" in wish:
            orders = list(self.orders.values())
            if not orders:
                return None
            order = orders[int(wish.pop("number")) % len(orders)]
            wish |= {"target": order.id, "token": order.token, "side": order.side, "replaces": order.unfilled}
            if order.iceberg_legs:
                wish["quantity"] = max(order.unfilled, 1)
        side, quantity = wish.pop("side"), wish.pop("quantity")
        return a_signal(side, quantity, at_ms=at_ms, step=self.step, ordinal=ordinal, marks={}, **wish)

    def _keep(self, outcome: Outcome) -> None:
        for order in outcome.orders.values():
            check_order(order)
        self.orders |= outcome.orders
        self.history += outcome.history
        self.executions += outcome.executions
        self.memory = outcome.memory


def check_order(order: PaperOrder) -> None:
    assert 0 <= order.filled_quantity <= order.quantity
    assert (order.status is OrderStatus.COMPLETE) == (order.unfilled == 0)
    assert (order.fills_count == 0) == (order.filled_quantity == 0)
    assert order.pending is None or not order.status.is_final
    assert order.leg <= max(order.iceberg_legs, 1)


def check_trades(outcome: Outcome, item: Item, venue: Venue) -> None:
    for one in outcome.executions:
        order = one.order
        assert isinstance(item, Tick)
        assert item.token == order.token
        assert order.eligible_from_ms <= item.at_ms < order.expires_at_ms
        assert NSE.phase_at(item.at_ms) is Phase.CONTINUOUS
        assert one.quantity > 0
        assert one.price_e4 > 0
        assert is_on_tick(one.price_e4, TICK_E4) or one.source is FillSource.DEPTH
        assert not order.is_waiting_for_trigger
        assert not order.is_waiting_for_release
        if order.limit_price_e4 is not None:
            assert order.side.sign * (one.price_e4 - order.limit_price_e4) <= 0
    if isinstance(item, Tick) and item.flags:
        check_depth(outcome, item)


def check_depth(outcome: Outcome, tick: Tick) -> None:
    """With depth on record nothing trades at the last price, nothing off the levels, and no more of a level than it
    has without saying so; the best level goes first."""
    for side, levels in ((Side.BUY, tick.asks), (Side.SELL, tick.bids)):
        sizes: dict[int, int] = {}
        for price_e4, size in levels:
            if price_e4 and size:
                sizes[price_e4] = sizes.get(price_e4, 0) + size
        own = [one for one in outcome.executions if one.order.side is side]
        assert all(one.source is not FillSource.LAST_PRICE for one in own)
        assert all(one.price_e4 in sizes or one.source is FillSource.QUEUE for one in own)
        for price_e4, size in sizes.items():
            walked = [one for one in own if one.price_e4 == price_e4 and one.source is FillSource.DEPTH]
            assert sum(one.quantity for one in walked) <= size


@settings(max_examples=400, deadline=None)
@given(SETTINGS, SCRIPTS)
def test_no_watch_misses_and_every_trade_keeps_the_rules(how: PaperSettings, script: list[object]) -> None:
    world = World(how)
    world.play(script)

    for order in world.orders.values():
        own = [one for one in world.executions if one.order.id == order.id]
        assert sum(one.quantity for one in own) == order.filled_quantity
        assert sum((one.turnover for one in own), Decimal(0)) == order.turnover
        assert [one.number for one in own] == list(range(1, order.fills_count + 1))


@settings(max_examples=300, deadline=None)
@given(SETTINGS, SCRIPTS)
def test_histories_are_whole_legal_and_in_order_of_time(how: PaperSettings, script: list[object]) -> None:
    world = World(how)
    world.play(script)

    for order in world.orders.values():
        rows = [row for row in world.history if row.order_id == order.id]
        assert [row.number for row in rows] == list(range(1, order.events_count + 1))
        assert rows[0].status in FIRST
        assert rows[-1].status is order.status
        assert [row.at_ms for row in rows] == sorted(row.at_ms for row in rows)
        for before, after in pairwise(rows):
            is_remark = before.status is after.status and after.decision_id is not None
            assert is_remark or after.status in LADDER[before.status]
        decisions = [row.decision_id for row in world.history if row.decision_id is not None]
        assert len(set(decisions)) == len(decisions), "an act is carried out once"


@settings(max_examples=200, deadline=None)
@given(SETTINGS, SCRIPTS)
def test_the_same_script_gives_the_same_rows(how: PaperSettings, script: list[object]) -> None:
    one, other = World(how), World(how)
    one.play(script)
    other.play(list(script))

    assert (one.orders, one.history, one.executions) == (other.orders, other.history, other.executions)


@settings(max_examples=200, deadline=None)
@given(SETTINGS, SCRIPTS, st.randoms(use_true_random=False))
def test_the_order_in_which_orders_are_handed_in_does_not_matter(
    how: PaperSettings, script: list[object], random: Random
) -> None:
    world = World(how)
    world.play(script[:-1])
    shuffled = random.sample(world.working, len(world.working))
    item = a_tick("0.50", at_ms=TOMORROW - 17 * 3_600_000, asks=[("0.50", 9)], bids=[("0.50", 9)])

    one = match(shuffled, item, venue=world.venue, memory=world.memory)
    other = match(world.working, item, venue=world.venue, memory=world.memory)

    assert (one.orders, one.executions, one.memory) == (other.orders, other.executions, other.memory)


@settings(max_examples=200, deadline=None)
@given(SETTINGS, SCRIPTS, st.integers(1, 4))
def test_a_snapshot_that_is_repeated_is_no_new_offer(
    how: PaperSettings, script: list[object], times: int
) -> None:
    """Over all repetitions no more is walked than the depth on record had."""
    world = World(how)
    world.play([step for step in script if not isinstance(step, Tick | Clock)])
    world.memory = Memory()
    start_ms = max([MORNING + 100_000, *(time_of(step) for step in script)])
    if NSE.phase_at(start_ms + times) is not Phase.CONTINUOUS:
        start_ms = TOMORROW + 100
    for again in range(times):
        world.see(
            a_tick(
                "0.50", at_ms=start_ms + again, asks=[("0.50", 9), ("0.55", 4)], bids=[("0.45", 7)], volume=5
            )
        )

    walked = [one for one in world.executions if one.source is FillSource.DEPTH and one.order.token == 7]
    if how.liquidity is Liquidity.OFFERED:
        assert sum(one.quantity for one in walked if one.order.side is Side.BUY) <= 13
        assert sum(one.quantity for one in walked if one.order.side is Side.SELL) <= 7
    assert NSE.phase_at(start_ms) is Phase.CONTINUOUS
