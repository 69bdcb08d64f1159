"""What the platform does for a deployment by itself: brackets, timers, the square-off, warm-up, commands."""

from __future__ import annotations

from dataclasses import replace
from datetime import time
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.vocabulary import Broker, CommandKind, OrderStatus, Side, SignalKind, SignalOrigin
from alphapanda.engine.account import Account
from execution.domain.paper import PaperSettings
from execution.reference import charge_cards
from marketdata.domain.ticks import Item
from strategies.domain.base import Bracket, Intent, Strategy
from strategies.domain.machine import Machine
from strategies.domain.protection import Protection, armed, covering
from strategies.domain.signals import CommandRow, SignalRow
from tests.builders import NSE, a_clock, a_deployment, a_tick, an_instrument, at, e4

AT_ONCE = {"latency_ms": 0, "slippage_ticks": 0}
TOKEN = 7


class Told(Strategy):
    """Does as a test says, and writes down what it was told."""

    def __init__(self, **scripts: Any) -> None:
        super().__init__(self.Params())
        self.scripts = scripts
        self.heard: list[str] = []

    class State(msgspec.Struct):
        count: int = 0

    def timers(self) -> tuple[time, ...]:
        return self.scripts.get("times", ())

    def warm_up(self) -> int:
        return self.scripts.get("warm_up", 0)

    def bar_minutes(self) -> tuple[int, ...]:
        return (1,) if "on_bar" in self.scripts else ()

    def on_start(self, state: Any, view: Any) -> Any:
        return self._do("on_start", view)

    def on_fill(self, state: Any, fill: Any, view: Any) -> Any:
        return self._do("on_fill", view, fill, f"{fill.side} {fill.quantity} at {fill.price:.2f}")

    def on_timer(self, state: Any, at: time, view: Any) -> Any:
        return self._do("on_timer", view, at, f"{at:%H:%M}")

    def on_bar(self, state: Any, bar: Any, view: Any) -> Any:
        return self._do("on_bar", view, bar)

    def on_tick(self, state: Any, tick: Any, view: Any) -> Any:
        return self._do("on_tick", view, tick)

    def _do(self, name: str, view: Any, event: Any = None, words: str = "") -> Any:
        if words or name == "on_start":
            self.heard.append(f"{name} {words}".strip())
        script = self.scripts.get(name)
        return () if script is None else list(script(view) if event is None else script(view, event))


def an_account(strategy: Strategy, commands: Any = None, **deployment: Any) -> Account:
    spec = a_deployment(**({"execution": AT_ONCE} | deployment))
    account = Account(spec, calendar=NSE, cards=charge_cards(), commands=commands)
    account.machine = Machine(spec, strategy, NSE)
    return account


def fed(account: Account, *items: Item) -> Account:
    for seq, item in enumerate(items, start=1):
        account.take(item, source=1, seq=seq)
    return account


def exits(account: Account) -> list[tuple[str, int, str]]:
    return [
        (row.origin.value, row.quantity, row.reason)
        for row in account.journal.signals
        if row.origin is not SignalOrigin.STRATEGY
    ]


def once(quantity: int = 10, **bracket: Any) -> Any:
    """Buys (or sells, below nought) at the first tick, with a bracket."""

    def on_start(view: Any) -> Any:
        protected = Bracket(**bracket) if bracket else None
        act = view.buy if quantity > 0 else view.sell
        yield act(abs(quantity), bracket=protected)

    return on_start


def ticks(*prices: object, start: str = "10:00", apart_ms: int = 1000, token: int = TOKEN) -> list[Item]:
    return [
        a_tick(price, at_ms=at(start) + number * apart_ms, token=token) for number, price in enumerate(prices)
    ]


# brackets


@pytest.mark.parametrize(
    ("quantity", "bracket", "prices", "reason"),
    [
        (10, {"stop": Decimal(2)}, (100, 100, 98.05, 98), "stop 98.00"),
        (10, {"target": Decimal(3)}, (100, 100, 102.95, 103), "target 103.00"),
        (-10, {"stop": Decimal(2)}, (100, 100, 101.95, 102), "stop 102.00"),
        (-10, {"target": Decimal(3)}, (100, 100, 97.05, 97), "target 97.00"),
        (10, {"trail": Decimal(2)}, (100, 100, 105, 104, 103.05, 103), "stop 103.00"),
        (-10, {"trail": Decimal(2)}, (100, 100, 95, 96.95, 97), "stop 97.00"),
        (10, {"stop": Decimal(1), "trail": Decimal(5)}, (100, 100, 99), "stop 99.00"),
    ],
)
def test_a_bracket_closes_at_its_level_and_not_before(quantity, bracket, prices, reason):
    account = fed(an_account(Told(on_start=once(quantity, **bracket))), *ticks(*prices[:-1]))
    assert exits(account) == []

    account.take(ticks(prices[-1], start="10:05")[0], source=1, seq=90)
    assert exits(account) == [("BRACKET", 10, reason)]
    account.take(ticks(prices[-1], start="10:06")[0], source=1, seq=91)
    account.take(ticks(prices[-1], start="10:07")[0], source=1, seq=92)

    assert account.holdings[TOKEN].quantity == 0
    assert account.machine.state.guards.protections == {}
    assert len(exits(account)) == 1


def test_a_stay_ends_by_the_clock_even_without_ticks():
    account = fed(an_account(Told(on_start=once(10, minutes=3))), *ticks(100, 100), a_clock("10:03"))
    assert exits(account) == []  # filled at 10:00:01

    account.take(a_clock("10:04"), source=1, seq=50)

    assert exits(account) == [("BRACKET", 10, "time exit")]


def test_each_fill_has_its_own_levels_and_the_oldest_are_closed_first():
    def on_tick(view: Any, tick: Any) -> Any:
        if view.position() + view.working() < 20:
            yield view.buy(10, bracket=Bracket(stop=Decimal(2)))

    account = fed(an_account(Told(on_tick=on_tick)), *ticks(100, 100, 110, 110))
    levels = [(one.quantity, one.stop_e4) for one in account.machine.state.guards.protections[TOKEN]]
    assert levels == [(10, e4(98)), (10, e4(108))]

    fed_more = [ticks(107.5, start="10:01")[0], ticks(107.5, start="10:02")[0]]
    for seq, tick in enumerate(fed_more, start=50):
        account.machine.strategy.scripts.pop("on_tick", None)
        account.take(tick, source=1, seq=seq)

    assert exits(account) == [("BRACKET", 10, "stop 108.00")]
    assert account.holdings[TOKEN].quantity == 10


def test_what_the_strategy_closes_itself_is_not_closed_again():
    def on_tick(view: Any, tick: Any) -> Any:
        if tick.price_e4 == e4(98):
            yield from view.target(0, reason="mine")

    account = fed(
        an_account(Told(on_start=once(10, stop=Decimal(1)), on_tick=on_tick)), *ticks(100, 100, 98, 98, 98)
    )
    assert account.holdings[TOKEN].quantity == 0
    assert [row.quantity for row in account.journal.signals if row.side is Side.SELL] == [10]


def test_an_exit_that_found_no_offer_is_asked_for_again_after_a_minute_and_not_before():
    halted = fed(an_account(Told(on_start=once(10, stop=Decimal(1)))), *ticks(100, 100))
    never = PaperSettings(latency_ms=3_600_000)  # orders no longer reach the exchange
    halted.venue = replace(halted.venue, settings=never)

    for number, tick in enumerate(ticks(*[98] * 130, start="10:01"), start=10):
        halted.take(tick, source=1, seq=number)
        halted.open.clear()
        halted._settle(matched_step=halted.machine.consequences.matched_step, at_ms=tick.at_ms)

    assert [row.at_ms - at("10:01") for row in halted.journal.signals[1:]] == [0, 60_000, 120_000]


@given(
    quantities=st.lists(st.integers(1, 50), max_size=6),
    position=st.integers(-200, 200),
    side=st.sampled_from(Side),
)
def test_protections_never_cover_more_than_the_position(quantities, position, side):
    kept = covering([Protection(TOKEN, side, quantity) for quantity in quantities], position)

    total = sum(protection.quantity for protection in kept)
    assert total == (min(abs(position), sum(quantities)) if position * side.sign > 0 else 0)
    assert all(protection.quantity > 0 for protection in kept)


@given(
    side=st.sampled_from(Side),
    trail=st.integers(1, 500),
    prices=st.lists(st.integers(10_000, 20_000), min_size=1, max_size=30),
)
def test_a_trailing_stop_never_moves_away_from_the_profit(side, trail, prices):
    protection = armed(
        Bracket(trail=Decimal(trail)),
        token=TOKEN,
        side=side,
        quantity=1,
        price_e4=prices[0] * 10_000,
        at_ms=1,
    )
    before = protection.stop_e4
    for price in prices:
        protection.follow(price * 10_000)
        assert (protection.stop_e4 - before) * side.sign >= 0
        before = protection.stop_e4


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "needs a stop"),
        ({"stop": Decimal(0)}, "above 0"),
        ({"trail": Decimal("NaN")}, "above 0"),
        ({"target": Decimal("-1")}, "above 0"),
        ({"minutes": 0}, "from 1 to 1440"),
    ],
)
def test_a_bracket_that_makes_no_sense_is_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        Bracket(**fields)


# callbacks


def test_callbacks_come_in_their_order_and_each_sees_the_wishes_before_it():
    seen: list[tuple[str, int]] = []

    def noted(name: str, quantity: int) -> Any:
        def script(view: Any, *_event: Any) -> Any:
            seen.append((name, view.working()))
            if quantity:
                yield view.buy(quantity)

        return script

    strategy = Told(
        on_start=noted("start", 1),
        on_timer=noted("timer", 2),
        on_tick=noted("tick", 0),
        times=(time(10, 0),),
    )
    fed(an_account(strategy), *ticks(100))

    assert seen == [("start", 0), ("timer", 1), ("tick", 3)]


def test_a_fill_is_told_once_in_the_step_that_made_it():
    strategy = Told(on_start=once(10))
    account = fed(an_account(strategy), *ticks(100, 101, 102, 103))

    assert strategy.heard == ["on_start", "on_fill BUY 10 at 101.00"]
    assert account.machine.consequences.matched_step == 2


@pytest.mark.parametrize(
    ("items", "fired"),
    [
        ([a_clock("09:19"), a_clock("09:20"), a_clock("09:21"), a_clock("15:00")], ["09:20", "15:00"]),
        ([a_clock("09:24"), a_clock("09:30")], ["09:20"]),  # late by less than five minutes
        ([a_clock("09:26"), a_clock("14:59"), a_clock("15:06")], []),  # too late to mean it
    ],
)
def test_timers_fire_in_event_time(items, fired):
    strategy = Told(times=(time(9, 20), time(15, 0)))
    fed(an_account(strategy), *items)

    assert strategy.heard == ["on_start", *(f"on_timer {clock}" for clock in fired)]


def test_wishes_count_once_the_strategy_is_warm():
    def on_bar(view: Any, bar: Any) -> Any:
        yield view.buy(1)

    account = an_account(Told(on_bar=on_bar, warm_up=3))
    fed(account, *[a_tick(100, at_ms=at("10:00") + minute * 60_000) for minute in range(7)])

    made = [row.at_ms for row in account.journal.signals]
    assert made == [at("10:00") + minute * 60_000 for minute in (4, 5, 6)]  # bars 4, 5 and 6


# the square-off


@pytest.mark.parametrize(("is_on", "expected"), [(True, [("SQUARE_OFF", 10)]), (False, [])])
def test_intraday_positions_are_closed_before_the_end(is_on, expected):
    account = fed(
        an_account(Told(on_start=once(10)), execution=AT_ONCE | {"square_off": is_on}),
        *ticks(100, 100),
        a_clock("15:19"),
        a_clock("15:20"),
        a_clock("15:21"),
    )
    assert [(origin, quantity) for origin, quantity, _ in exits(account)] == expected


@pytest.mark.parametrize(("broker", "minute"), [(Broker.PAPER, "15:20"), (Broker.ZERODHA, "15:15")])
def test_a_broker_outside_is_not_left_to_close_by_itself(broker, minute):
    """The signal comes while the broker still takes orders for the day: from its own cutoff on it takes none."""
    account = an_account(Told(on_start=once(10)), execution=AT_ONCE)
    account.machine.spec = msgspec.structs.replace(account.machine.spec, broker=broker)
    fed(account, *ticks(100, 100), *(a_clock(f"15:{number}") for number in range(13, 22)))

    signals = [row for row in account.journal.signals if row.origin is SignalOrigin.SQUARE_OFF]
    assert signals[0].at_ms == at(minute)


def resting_at_the_square_off(latency_ms: int) -> Account:
    """A limit order of 15:10 that still rests when positions are closed."""

    def on_timer(view: Any, at: Any) -> Any:
        yield view.buy(5, limit_price=Decimal(90))

    strategy = Told(on_timer=on_timer, times=(time(15, 10),))
    account = an_account(strategy, execution=AT_ONCE | {"latency_ms": latency_ms})
    return fed(account, *ticks(100, start="15:09"), a_clock("15:10"), a_clock("15:20"))


def test_the_square_off_cancels_what_rests():
    account = resting_at_the_square_off(latency_ms=0)

    assert [row.kind for row in account.journal.signals] == [SignalKind.ORDER, SignalKind.CANCEL]
    assert [order.status for order in account.journal.orders.values()] == [OrderStatus.CANCELLED]


def test_what_fills_before_its_cancellation_arrives_is_closed_too():
    account = resting_at_the_square_off(latency_ms=1_000)
    late = [a_tick(89, at_ms=at("15:20") + 500), a_clock("15:25"), *ticks(89, 89, start="15:25")]
    for seq, tick in enumerate(late, start=40):
        account.take(tick, source=1, seq=seq)

    closing = [row for row in account.journal.signals if row.kind is SignalKind.ORDER][1:]
    assert [(row.origin, row.side, row.quantity) for row in closing] == [
        (SignalOrigin.SQUARE_OFF, Side.SELL, 5)
    ]
    account.take(a_tick(89, at_ms=at("15:26")), source=1, seq=50)
    assert account.holdings[TOKEN].quantity == 0


# commands


def flatten(step: int) -> dict[int, CommandRow]:
    return {step: CommandRow(UUID(int=9), CommandKind.FLATTEN, "drill")}


def test_a_command_closes_all_positions_at_its_step():
    two = [an_instrument(7), an_instrument(8)]

    def on_timer(view: Any, at: Any) -> Any:
        yield Intent("NSE:STOCK7", Side.BUY, 3)
        yield Intent("NSE:STOCK8", Side.SELL, 4)

    strategy = Told(on_timer=on_timer, times=(time(10, 1),))
    account = an_account(strategy, flatten(6), instruments=tuple(two))
    first = [*ticks(100), *ticks(100, token=8, start="10:00:01"), a_clock("10:01")]
    then = [*ticks(100, start="10:01:01"), *ticks(100, token=8, start="10:01:02"), a_clock("10:02")]
    fed(account, *first, *then)

    made: list[SignalRow] = account.journal.signals[2:]
    assert [(row.step, row.side, row.quantity, row.origin) for row in made] == [
        (6, Side.SELL, 3, SignalOrigin.OPERATOR),
        (6, Side.BUY, 4, SignalOrigin.OPERATOR),
    ]
    assert account.machine.state.step == 7


def test_a_command_without_positions_takes_its_step_and_raises_nothing():
    account = fed(an_account(Told(), flatten(2)), *ticks(100, 100))

    assert account.machine.state.step == 3
    assert account.journal.signals == []
