"""One step of a deployment: what is consumed, what is skipped, and where it stops."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from alphapanda.core import ids
from alphapanda.core.vocabulary import OrderType, Side, TickFault, Validity
from execution.domain.paper import watch
from marketdata.domain.bars import Bar
from marketdata.domain.ticks import Tick
from strategies.domain.base import Bracket, View
from strategies.domain.consequences import Consequences
from strategies.domain.machine import StrategyFailed
from strategies.domain.signals import DueItem, Mark, Raised
from tests.builders import DAY, DEPLOYMENT, a_clock, a_tick, an_instrument, an_order, at, e4
from tests.strategies.samples import Scripted, a_machine

TWO = [an_instrument(7), an_instrument(8)]


def ticks(*prices: object) -> list[Tick]:
    return [a_tick(price, at_ms=at() + 1000 * n) for n, price in enumerate(prices)]


def test_every_relevant_item_is_a_step() -> None:
    machine = a_machine()

    for seq, item in enumerate([a_clock("09:59"), *ticks(100, 101), a_clock("10:01")]):
        assert machine.advance(item, source=1, seq=seq) is None
    assert machine.state.step == 4
    assert machine.state.at_ms == at("10:01")


def test_an_overlap_of_a_source_is_skipped_and_other_sources_go_on() -> None:
    machine = a_machine()
    first, second, third = ticks(100, 101, 102)

    machine.advance(first, source=1, seq=5)
    for seq in (5, 4, 0):
        machine.advance(second, source=1, seq=seq)
    assert machine.state.step == 1
    machine.advance(second, source=1, seq=6)
    machine.advance(third, source=2, seq=0)
    assert machine.state.step == 3
    assert machine.state.sources == {1: 6, 2: 0}


def test_redriven_items_are_never_skipped_as_overlap() -> None:
    machine = a_machine()

    for tick in ticks(100, 101, 102):
        machine.advance(tick, source=0, seq=0)
    assert machine.state.step == 3
    assert machine.state.sources == {}


def test_foreign_tokens_leave_no_trace() -> None:
    machine = a_machine()
    before = machine.checkpoint()

    assert machine.advance(a_tick(token=99), source=1, seq=1) is None
    assert machine.checkpoint() == before


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (a_tick(0, at_ms=at() + 1), TickFault.NON_POSITIVE_PRICE),
        (a_tick(100, at_ms=at()), TickFault.DUPLICATE),
        (a_tick(99, at_ms=at() - 1), TickFault.BACKWARD_TIME),
        (a_tick(99, at_ms=at("15:30")), TickFault.OUT_OF_SESSION),
    ],
)
def test_faulty_ticks_are_counted_and_not_consumed(bad: Tick, fault: TickFault) -> None:
    machine = a_machine(Scripted(lambda view, tick: [view.buy(1)]))
    machine.advance(a_tick(), source=1, seq=0)
    marks = dict(machine.state.marks)

    assert machine.advance(bad, source=1, seq=1) is None
    assert machine.advance(bad, source=1, seq=1) is None  # overlap: not counted twice
    assert (machine.state.step, machine.state.faults) == (1, {fault: 1})
    assert machine.state.marks == marks
    assert isinstance(machine.advance(a_tick(101, at_ms=at() + 1), source=1, seq=2), Raised)


def test_an_item_that_is_due_is_consumed_once_after_its_match() -> None:
    seen: list[int] = []
    machine = a_machine(Scripted(lambda view, tick: seen.append(tick.price_e4) or ()))
    order = an_order(limit=100)
    working = Consequences(watches=(watch(order),))
    machine.consequences = working
    first, second, third = ticks(101, 100, 100)

    assert machine.advance(first, source=1, seq=0) is None
    before = machine.checkpoint()
    assert machine.advance(second, source=1, seq=1) == DueItem(2)
    assert machine.advance(second, source=1, seq=1) == DueItem(2)
    assert machine.checkpoint() == before
    assert seen == [e4(101)]

    machine.consequences = Consequences(watches=working.watches, matched_step=2)
    assert machine.advance(second, source=1, seq=1) is None
    assert machine.advance(second, source=1, seq=1) is None
    assert (seen, machine.state.step) == ([e4(101), e4(100)], 2)
    assert machine.advance(third._replace(volume=5), source=1, seq=2) == DueItem(3)


def test_the_end_of_the_session_is_due_by_the_clock() -> None:
    machine = a_machine()
    machine.consequences = Consequences(watches=(watch(an_order(limit=1)),))

    assert machine.advance(a_clock("15:29"), source=1, seq=0) is None
    assert machine.advance(a_clock("15:30"), source=1, seq=1) == DueItem(2, clock_ms=at("15:29"))


def test_a_faulty_tick_is_never_due() -> None:
    machine = a_machine()
    machine.consequences = Consequences(watches=(watch(an_order(limit=100)),))

    assert machine.advance(a_tick(0), source=1, seq=0) is None
    assert machine.state.faults == {TickFault.NON_POSITIVE_PRICE: 1}


def test_a_signal_holds_its_moment() -> None:
    machine = a_machine(Scripted(lambda view, tick: [view.buy(5, reason="why"), view.sell(2)]))

    stop = machine.advance(a_tick(100), source=3, seq=44)

    assert isinstance(stop, Raised)
    buy, sell = stop.signals
    assert [buy.id, sell.id] == [ids.signal_id(DEPLOYMENT, 1, ordinal) for ordinal in (0, 1)]
    assert (buy.step, buy.ordinal, sell.ordinal) == (1, 0, 1)
    assert (buy.side, buy.quantity, buy.reason) == (Side.BUY, 5, "why")
    assert (buy.order_type, buy.limit_price_e4, buy.validity) == (OrderType.MARKET, None, Validity.DAY)
    assert (buy.instrument, buy.token, buy.at_ms, buy.received_at_ms) == ("NSE:STOCK7", 7, at(), at() + 3)
    assert buy.marks == {7: Mark(e4(100), at(), 0)}
    assert buy.correlation_id == sell.correlation_id == ids.derived("item", 3, 44)


@pytest.mark.parametrize(
    ("side", "asked", "expected"),
    [
        ("buy", "100.05", "100.05"),
        ("buy", "100.09", "100.05"),
        ("buy", "100.049999", "100"),  # not through 100.05, the nearest four places
        ("sell", "100.01", "100.05"),
        ("sell", "100.050001", "100.10"),
        ("sell", "100.05", "100.05"),
        ("buy", "0.04", "0"),  # the exchange will refuse it
    ],
)
def test_a_limit_is_rounded_to_the_grid_never_worse(side: str, asked: str, expected: str) -> None:
    limit = Decimal(asked)
    machine = a_machine(Scripted(lambda view, tick: [getattr(view, side)(1, limit_price=limit)]))

    stop = machine.advance(a_tick(), source=1, seq=0)

    assert isinstance(stop, Raised)
    assert stop.signals[0].limit_price_e4 == e4(expected)
    assert stop.signals[0].order_type is OrderType.LIMIT


def raises(view: View, tick: Tick) -> Any:
    raise ZeroDivisionError("oops")


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (raises, "oops"),
        (lambda view, tick: [view.buy(0)], "whole number"),
        (lambda view, tick: [view.buy(-1)], "whole number"),
        (lambda view, tick: [view.buy(1.0)], "whole number"),
        (lambda view, tick: [view.buy(True)], "whole number"),
        (lambda view, tick: [view.buy(2**63)], "whole number"),
        (lambda view, tick: [view.buy(1, instrument="NSE:OTHER")], "no instrument 'NSE:OTHER', but NSE:"),
        (lambda view, tick: [View(0, "", {}).buy(1)], "at a start or a timer name an `instrument`"),
        (
            lambda view, tick: [view.buy(1, limit_price=100.05)],
            "`limit_price` is a Decimal of rupees, not the float",
        ),
        (
            lambda view, tick: [view.buy(1, bracket=Bracket(stop=1.5))],
            "`stop` is a Decimal of rupees, not the float",
        ),
        (lambda view, tick: [view.buy(1, limit_price=Decimal("NaN"))], "NaN"),
        (lambda view, tick: [view.buy(1, limit_price=Decimal(10) ** 15)], "beyond"),
        (lambda view, tick: [view.buy(1, colour="red")], "colour"),
        (lambda view, tick: [view.buy(1, validity="GTC")], "GTC"),
        (lambda view, tick: None, "NoneType"),
        (lambda view, tick: [None], "NoneType"),
    ],
)
def test_what_cannot_become_a_signal_fails_the_strategy(script: Any, text: str) -> None:
    machine = a_machine(Scripted(script))

    with pytest.raises(StrategyFailed) as failed:
        machine.advance(a_tick(), source=1, seq=0)
    assert text in str(failed.value) or text in repr(failed.value.__cause__)


def test_a_reason_is_what_the_database_can_hold() -> None:
    machine = a_machine(Scripted(lambda view, tick: [view.buy(1, reason="a\0b" * 100)]))

    stop = machine.advance(a_tick(), source=1, seq=0)

    assert isinstance(stop, Raised)
    assert stop.signals[0].reason == ("ab" * 100)[:200]


def test_marks_remember_the_close_of_the_day_before() -> None:
    machine = a_machine(instruments=TWO)
    tomorrow, day_after = DAY + timedelta(days=1), DAY + timedelta(days=2)
    items = [
        a_tick(100),
        a_tick(102, at_ms=at("15:29")),
        a_tick(50, token=8),
        a_clock("00:00", tomorrow),
        a_clock("09:15", tomorrow),
        a_tick(110, at_ms=at("09:16", tomorrow)),
        a_clock("09:15", day_after),
        a_tick(120, at_ms=at("09:16", day_after)),
    ]
    closes = []
    for seq, item in enumerate(items):
        machine.advance(item, source=1, seq=seq)
        closes.append({token: mark.close_before_e4 // 10_000 for token, mark in machine.state.marks.items()})

    assert closes[2] == {7: 0, 8: 0}
    assert closes[3] == closes[4] == closes[5] == {7: 102, 8: 50}
    assert closes[6] == closes[7] == {7: 110, 8: 50}
    assert machine.state.marks[7] == Mark(e4(120), at("09:16", day_after), e4(110), e4(110))
    assert machine.state.marks[8].at_ms == at()


def test_a_tick_alone_begins_a_day() -> None:
    machine = a_machine()

    machine.advance(a_tick(100), source=1, seq=0)
    machine.advance(a_tick(90, at_ms=at("09:15", DAY + timedelta(days=1))), source=1, seq=1)
    assert machine.state.marks[7].close_before_e4 == e4(100)


def test_bars_close_by_tick_or_clock_and_come_before_the_tick() -> None:
    told: list[tuple[str, int]] = []

    def on_bar(view: View, bar: Bar) -> Any:
        told.append(("bar", bar.close_e4))
        return ()

    def on_tick(view: View, tick: Tick) -> Any:
        told.append(("tick", tick.price_e4))
        return ()

    machine = a_machine(Scripted(on_tick, on_bar, minutes=(1,)))
    items = [a_tick(100), a_tick(101, at_ms=at("10:01")), a_clock("10:02"), a_clock("10:03")]
    for seq, item in enumerate(items):
        machine.advance(item, source=1, seq=seq)

    assert told == [("tick", e4(100)), ("bar", e4(100)), ("tick", e4(101)), ("bar", e4(101))]


def test_intents_of_earlier_callbacks_of_a_step_count_as_working() -> None:
    """Two bar lengths that close together and both want ten ask for ten, not for twenty."""
    machine = a_machine(
        Scripted(
            on_tick=lambda view, tick: view.target(10) if tick.at_ms > at("10:04") else (),
            on_bar=lambda view, bar: view.target(10),
            minutes=(1, 5),
        )
    )
    machine.advance(a_tick(at_ms=at("10:04") - 10), source=1, seq=0)

    stop = machine.advance(a_tick(at_ms=at("10:05")), source=1, seq=1)

    assert isinstance(stop, Raised)
    assert [(signal.side, signal.quantity) for signal in stop.signals] == [(Side.BUY, 10)]
