"""A machine that was stored and restored goes on as if nothing had happened, wherever it stood."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.domain.ticks import Item
from strategies.domain.base import Strategy, build
from strategies.domain.library.donchian import Donchian
from strategies.domain.library.ema_cross import EmaCross
from strategies.domain.library.mean_reversion import MeanReversion
from strategies.domain.library.momentum import Momentum
from strategies.domain.library.opening_range import OpeningRange
from strategies.domain.library.pairs import Pairs
from strategies.domain.library.resting_breakout import RestingBreakout
from strategies.domain.library.rsi_reversion import RsiReversion
from strategies.domain.library.supertrend import SuperTrendFollower
from strategies.domain.library.vwap_reversion import VwapReversion
from strategies.domain.machine import CheckpointDoesNotFit, Machine
from strategies.domain.signals import Raised
from strategies.registry import names
from tests.builders import NSE, a_deployment, a_tick, an_instrument, at
from tests.strategies.samples import EveryNth, Scripted, a_machine
from tests.walks import a_walk

BOTH = [an_instrument(7), an_instrument(8)]
LEGS = {"first": "NSE:STOCK7", "second": "NSE:STOCK8"}
STRATEGIES: dict[str, Strategy] = {
    "donchian": build(Donchian, {"length": 4, "exit_length": 2, "bar_minutes": 2}),
    "ema_cross": build(EmaCross, {"fast": 2, "slow": 4, "bar_minutes": 3}),
    "every_nth": build(EveryNth, {"every": 5}),
    "mean_reversion": build(MeanReversion, {"length": 6, "enter_at": 1.2}),
    "momentum": build(
        Momentum,
        {
            "length": 5,
            "hold": 1,
            "bar_minutes": 2,
            "rebalance_at": [f"{hour}:{minute:02}" for hour in (14, 15) for minute in range(1, 30, 3)],
            "short": True,
        },
    ),
    "opening_range": build(
        OpeningRange, {"opens": "13:30", "range_minutes": 2, "bar_minutes": 1, "entries_daily": 50}
    ),
    "pairs": build(Pairs, {**LEGS, "length": 5, "enter_at": 1.0, "bar_minutes": 2}),
    "resting_breakout": build(RestingBreakout, {"length": 2, "bar_minutes": 1}),
    "rsi_reversion": build(RsiReversion, {"length": 3, "bar_minutes": 2}),
    "supertrend": build(SuperTrendFollower, {"length": 2, "multiple": 0.5, "bar_minutes": 2}),
    "vwap_reversion": build(VwapReversion, {"enter_at": 1.0, "enter_from": "13:30", "bar_minutes": 1}),
}


def fresh(name: str) -> Machine:
    return Machine(a_deployment(instruments=BOTH), STRATEGIES[name], NSE)


def signals_of(machine: Machine, items: list[Item], first: int = 0) -> list[object]:
    raised = []
    for seq, item in enumerate(items, start=first):
        stop = machine.advance(item, source=1, seq=seq)
        raised.extend(stop.signals if isinstance(stop, Raised) else [])
    return raised


@pytest.mark.parametrize("name", STRATEGIES)
def test_restoring_before_every_single_item_changes_nothing(name: str) -> None:
    through, hopping = fresh(name), fresh(name)
    signals = 0
    for seq, item in enumerate(a_walk(1, minutes=120)):
        stored = hopping.checkpoint()
        hopping = fresh(name)
        hopping.restore(stored)
        assert hopping.checkpoint() == stored
        stop = through.advance(item, source=1, seq=seq)
        assert hopping.advance(item, source=1, seq=seq) == stop
        assert hopping.state == through.state
        signals += len(stop.signals) if isinstance(stop, Raised) else 0
    assert signals > 10
    assert through.state.faults


@settings(max_examples=30)
@given(st.sampled_from(sorted(STRATEGIES)), st.integers(0, 2**32), st.data())
def test_reading_again_from_an_older_checkpoint_gives_the_same_signals(
    name: str, seed: int, data: st.DataObject
) -> None:
    """Also when the log is read again from further back: the overlap is skipped."""
    items = a_walk(seed, days=1, minutes=60)
    cut = data.draw(st.integers(0, len(items)), label="cut")
    back = data.draw(st.integers(0, cut), label="back")
    whole = signals_of(fresh(name), items)

    machine = fresh(name)
    before = signals_of(machine, items[:cut])
    restored = fresh(name)
    restored.restore(machine.checkpoint())

    assert before + signals_of(restored, items[back:], first=back) == whole


def test_every_strategy_of_the_library_is_tried_here() -> None:
    assert STRATEGIES.keys() >= set(names())


@settings(max_examples=30)
@given(st.sampled_from(sorted(STRATEGIES)), st.integers(0, 2**32), st.data())
def test_the_future_changes_no_signal(name: str, seed: int, data: st.DataObject) -> None:
    """Whatever comes after an item, the signals up to it are the same."""
    items = a_walk(seed, days=1, minutes=60)
    cut = data.draw(st.integers(0, len(items)), label="cut")
    other = a_walk(seed + 1, days=1, minutes=60)

    before = signals_of(fresh(name), items[:cut])

    assert signals_of(fresh(name), items[:cut] + other[cut:])[: len(before)] == before


def test_empty_bytes_are_a_fresh_start() -> None:
    machine = fresh("every_nth")
    signals_of(machine, a_walk(1, days=1, minutes=5))
    machine.restore(b"")

    assert machine.state == fresh("every_nth").state


def test_a_deployment_that_gained_and_lost_instruments_and_bars_goes_on() -> None:
    """Instruments change at a session boundary; what is new starts afresh, what stays keeps its memory."""
    before = a_machine(Scripted(minutes=(1, 5)), instruments=[an_instrument(7), an_instrument(8)])
    before.advance(a_tick(token=7), source=1, seq=0)
    before.advance(a_tick(token=8), source=1, seq=1)
    after = a_machine(Scripted(minutes=(5, 15)), instruments=[an_instrument(8), an_instrument(9)])
    after.restore(before.checkpoint())

    assert [(one.token, one.minutes, one.ticks) for one in after.state.builders] == [
        (8, 5, 1),
        (8, 15, 0),
        (9, 5, 0),
        (9, 15, 0),
    ]
    assert {token: gate.at_ms for token, gate in after.state.gates.items()} == {8: at(), 9: 0}
    assert set(after.state.marks) == {7, 8}  # the last price of what may still be held
    for seq, token in enumerate([7, 8, 9], start=2):
        after.advance(a_tick(101, token=token, at_ms=at() + 10), source=1, seq=seq)
    assert after.state.step == 4


def test_bytes_that_are_no_checkpoint_are_refused_and_change_nothing() -> None:
    machine = fresh("every_nth")

    with pytest.raises(CheckpointDoesNotFit):
        machine.restore(b"\xc1")
    with pytest.raises(CheckpointDoesNotFit):
        machine.restore(msgspec.msgpack.encode({"step": 3, "strategy": {"seen": "many"}}))
    assert machine.state == fresh("every_nth").state
