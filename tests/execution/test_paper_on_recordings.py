"""Laws of the paper exchange over the recorded depth: what it fills stands on what was on record."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.vocabulary import FillSource, Phase, Side, Validity
from alphapanda.deploying import Definition
from alphapanda.engine.recorded import Recording
from execution.domain.paper import (
    Execution,
    Liquidity,
    Memory,
    PaperOrder,
    PaperSettings,
    Queue,
    Venue,
    match,
)
from marketdata.domain.calendar import Calendar
from marketdata.domain.quality import GateBook
from marketdata.domain.ticks import INDEX, NOT_FINITE, Clock, Tick
from marketdata.reference import load_calendar
from tests.builders import a_standing, a_venue, an_instrument, an_order, at
from tests.marketdata.helpers import source
from tests.shared_data import SHARED, needs_shared_data

pytestmark = needs_shared_data
FILES = {
    "NSE_BHARATFORG": ("NSE", 1),
    "NSE_BSE": ("NSE", 1),
    "NFO_BANKNIFTY25DEC59400CE": ("NFO", 35),
    "NFO_BANKNIFTY25DEC59400PE": ("NFO", 35),
}
TOKEN, FOLLOWED = 1, 120  # so many ticks are shown to the orders of an example


@cache
def recorded(name: str) -> tuple[Tick, ...]:
    """The ticks of a file as they were recorded, those before the opening and after the close among them."""
    path = SHARED / "ticks" / f"nse_depth5_2025-12-15_{name}.csv.gz"
    hours = load_calendar(FILES[name][0])
    return tuple(item for item in source([path], hours).iter_from() if isinstance(item, Tick))


SETTINGS = st.builds(
    PaperSettings,
    latency_ms=st.sampled_from([0, 50, 3_000]),
    slippage_ticks=st.integers(0, 3),
    liquidity=st.sampled_from(Liquidity),
    queue=st.sampled_from(Queue),
    market_protection=st.sampled_from([None, Decimal(-1), Decimal("0.1")]),
    stale_after_ms=st.sampled_from([1_000, 30_000]),
)
WISHES = st.lists(
    st.fixed_dictionaries(
        {
            "side": st.sampled_from(Side),
            "lots": st.sampled_from([1, 10, 200, 1_000]),
            "away": st.sampled_from(
                [None, None, -20, -1, 0, 1, 20]
            ),  # ticks from the last price, none: market
            "validity": st.sampled_from([Validity.DAY, Validity.DAY, Validity.IOC]),
        }
    ),
    min_size=1,
    max_size=4,
)
# What becomes of a tick on its way, beside the clock of the log: late, unreadable, without a price, of an index.
FAULTS: dict[str, dict[str, int]] = {
    "NOT_FINITE": {"flags": NOT_FINITE},
    "INDEX": {"flags": INDEX},
    "NO_PRICE": {"price_e4": 0},
    "BELOW_ZERO": {"price_e4": -5},
}
SPOILED = st.lists(st.sampled_from(["", *FAULTS, "LATE"]), min_size=3, max_size=FOLLOWED)


class World:
    """Orders of one moment and the recorded ticks after it, with an account of the depth kept beside the exchange."""

    def __init__(self, name: str, start: int, how: PaperSettings) -> None:
        exchange, self.lot = FILES[name]
        self.hours: Calendar = load_calendar(exchange)
        self.how = how
        instrument = msgspec.structs.replace(
            an_instrument(TOKEN, lot=self.lot), instrument_type="EQ" if exchange == "NSE" else "CE"
        )
        self.venue: Venue = a_venue(how, instruments=[instrument], hours=self.hours)
        self.ticks = recorded(name)[start : start + FOLLOWED]
        self.orders: dict[object, PaperOrder] = {}
        self.memory = Memory()
        self.left: dict[tuple[Side, int], tuple[int, int]] = {}  # size on record, of which still there

    def ask(self, wishes: Iterable[dict[str, object]]) -> None:
        first = self.ticks[0]
        instrument = self.venue.instruments[TOKEN]
        for ordinal, wish in enumerate(wishes):
            away = wish["away"]
            price_e4 = None if away is None else first.price_e4 + away * 500  # type: ignore[operator]
            order = an_order(
                wish["side"],  # type: ignore[arg-type]
                wish["lots"] * self.lot,  # type: ignore[operator]
                ordinal=ordinal,
                token=TOKEN,
                at_ms=first.at_ms,
                limit=None if price_e4 is None else Decimal(price_e4 // 500 * 500) / 10_000,
                validity=wish["validity"],
                settings=self.how,
                instrument=instrument,
                hours=self.hours,
                standing=a_standing(self.orders.values()),  # type: ignore[arg-type]
            )
            if not order.status.is_final:
                self.orders[order.id] = order

    def see(self, tick: Tick, clock_ms: int) -> list[Execution]:
        working = [order for order in self.orders.values() if not order.status.is_final]
        outcome = match(working, tick, venue=self.venue, memory=self.memory, clock_ms=clock_ms)
        self.orders |= outcome.orders
        self.memory = outcome.memory
        return outcome.executions

    def offered(self, tick: Tick) -> None:
        """What can be taken at a tick: a level whose size is the one of before has what was left of it."""
        now: dict[tuple[Side, int], int] = {}
        for side, levels in ((Side.BUY, tick.asks), (Side.SELL, tick.bids)):
            for price_e4, size in levels:
                if price_e4 > 0 and size > 0:
                    now[side, price_e4] = now.get((side, price_e4), 0) + size
        before = self.left
        self.left = {
            level: before[level] if level in before and before[level][0] == size else (size, size)
            for level, size in now.items()
        }

    def best_e4(self, side: Side) -> int | None:
        """The far touch on record."""
        prices = [price_e4 for one, price_e4 in self.left if one is side]
        return None if not prices else min(prices) if side is Side.BUY else max(prices)

    def check(self, one: Execution) -> None:
        side, best_e4 = one.order.side, self.best_e4(one.order.side)
        if one.source is FillSource.QUEUE:
            assert one.order.limit_price_e4 == one.price_e4, "only what rests trades from a queue"
            return
        assert best_e4 is not None, "nothing is on offer"
        assert (one.price_e4 - best_e4) * side.sign >= 0, "better than the best on record"
        if one.source is FillSource.UNLIMITED:
            assert self.how.liquidity is Liquidity.UNLIMITED
            return
        assert one.source is FillSource.DEPTH
        size, left = self.left[side, one.price_e4]
        self.left[side, one.price_e4] = size, left - one.quantity
        if self.how.liquidity is Liquidity.OFFERED:
            assert left >= one.quantity, "more than the depth on record"


PLACES = st.sampled_from(list(FILES)).flatmap(
    lambda name: st.tuples(st.just(name), st.integers(0, len(recorded(name)) - 2))
)


@settings(max_examples=150, deadline=None)
@given(PLACES, SETTINGS, WISHES)
def test_no_trade_is_better_than_the_best_on_record_nor_beyond_its_depth_unsaid(
    place: tuple[str, int], how: PaperSettings, wishes: list[dict[str, object]]
) -> None:
    world = World(*place, how)
    world.ask(wishes)
    for tick in world.ticks:
        world.offered(tick)
        for one in world.see(tick, 0):
            world.check(one)


@settings(max_examples=150, deadline=None)
@given(PLACES, SETTINGS, WISHES, SPOILED)
def test_no_trade_on_a_stale_faulty_early_or_late_tick(
    place: tuple[str, int],
    how: PaperSettings,
    wishes: list[dict[str, object]],
    spoiled: list[str],
) -> None:
    world = World(*place, how)
    world.ask(wishes)
    for tick, fault in zip(world.ticks, spoiled, strict=False):
        clock_ms = tick.at_ms + how.stale_after_ms + (fault == "LATE")
        traded = world.see(tick._replace(**FAULTS.get(fault, {})), clock_ms)
        if fault or world.hours.phase_at(tick.at_ms) is not Phase.CONTINUOUS:
            assert not traded


@pytest.mark.parametrize("edge", ["before the opening", "after the close"])
def test_orders_of_the_session_meet_no_tick_outside_it(edge: str) -> None:
    """Ticks as recorded after the close, and the first of the session as if they had come in the pre-open, at a
    market order that would take any price at any time."""
    ticks, hours = recorded("NSE_BSE"), load_calendar("NSE")
    inside = [tick for tick in ticks if hours.phase_at(tick.at_ms) is Phase.CONTINUOUS]
    ahead_ms = inside[299].at_ms - at("09:14:59.999", date(2025, 12, 15))
    early = [tick._replace(at_ms=tick.at_ms - ahead_ms) for tick in inside[:300]]
    late = [tick for tick in ticks if tick.at_ms > inside[-1].at_ms]
    venue = a_venue(PaperSettings(latency_ms=0), instruments=[an_instrument(TOKEN)], hours=hours)
    order = an_order(
        token=TOKEN, at_ms=inside[0].at_ms, instrument=venue.instruments[TOKEN], hours=hours, marks={}
    )
    waiting = msgspec.structs.replace(order, eligible_from_ms=0, expires_at_ms=inside[-1].at_ms * 2)

    asked = early if edge == "before the opening" else late
    assert len(asked) > 100
    for tick in asked:
        assert not match([waiting], tick, venue=venue, memory=Memory()).executions
    assert match([waiting], inside[0], venue=venue, memory=Memory()).executions


LISTS = [SHARED / "instruments" / "kite_instruments_NSE_2025-07.csv.gz"]


@pytest.mark.parametrize(
    ("file", "instrument"),
    [
        ("nse_depth5_2025-12-15_NSE_BSE", "NSE:BSE"),
        ("nse_ltp_2021-04-30_dirty_RELIANCE", "NSE:RELIANCE"),
        ("nse_ltp_2021-06-02_SBIN", "NSE:SBIN"),
    ],
)
def test_every_trade_of_a_session_stands_on_a_tick_that_passed_the_gate(file: str, instrument: str) -> None:
    definition = Definition(
        "of tests", "ema_cross", (instrument,), {"fast": 2, "slow": 4, "quantity": 10}, limits={}
    )
    opened = Recording([str(SHARED / "ticks" / f"{file}.csv.gz")], [definition], LISTS)
    (run,) = opened.backtest(opened.source())
    passed, faulty = _judged(opened, run.account.spec.instruments[0].token)

    fills = run.account.journal.fills
    assert len(fills) > 10
    assert all((row.fill.at_ms, row.received_at_ms) in passed for row in fills)
    assert faulty > 0, "the recording has faults"


def _judged(opened: Recording, token: int) -> tuple[set[tuple[int, int]], int]:
    """Times of the ticks that a gate of our own lets pass, and how many it does not."""
    book, passed, faulty = GateBook(), set[tuple[int, int]](), 0
    hours = load_calendar("NSE")
    for item in opened.source().iter_from():
        if isinstance(item, Clock):
            book.on_clock(item.at_ms)
        elif item.token == token and book.judge(item, hours) is None:
            passed.add((item.at_ms, item.received_ms))
        else:
            faulty += 1
    return passed, faulty
