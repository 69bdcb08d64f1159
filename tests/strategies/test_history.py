"""Warm-up from past bars: the same in backtest and pipeline, without a look ahead; and a memory begun anew."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.test import override_settings

from alphapanda.deploying import Definition
from alphapanda.engine.recorded import Recording
from alphapanda.proof import parity
from alphapanda.warming import NoPast, from_stream, from_table
from marketdata import selectors
from marketdata.bars import bars_store
from marketdata.domain.ticks import Clock, Tick
from marketdata.reference import YESBANK_FILES
from strategies.domain.base import build
from strategies.domain.history import bars_of, renewed
from strategies.domain.library.ema_cross import EmaCross
from strategies.domain.machine import CheckpointDoesNotFit, Machine, StrategyFailed
from tests import rows
from tests.builders import NSE, a_clock, a_deployment, a_tick, an_instrument, at
from tests.pipeline.hand import Hand, packed, seeded
from tests.strategies.bars import a_bar
from tests.strategies.samples import Scripted, a_machine
from tests.walks import a_walk

TREND = Definition(
    name="Trend",
    strategy="ema_cross",
    instruments=("NSE:YESBANK",),
    params={"fast": 20, "slow": 120, "bar_minutes": 1, "quantity": 10},
)


def an_ema_cross() -> Machine:
    strategy = build(EmaCross, {"fast": 2, "slow": 5, "bar_minutes": 3})
    return Machine(a_deployment(instruments=[an_instrument(7), an_instrument(8)]), strategy, NSE)


def test_the_bars_of_a_past_are_those_that_a_machine_makes_of_it() -> None:
    items, seen = a_walk(5, days=2, minutes=90), []
    machine = a_machine(
        Scripted(on_bar=lambda _view, bar: seen.append(bar) or (), minutes=(1, 5)),
        instruments=[an_instrument(7), an_instrument(8)],
    )
    for seq, item in enumerate(items):
        machine.advance(item, source=1, seq=seq)

    bars = list(bars_of(items, machine.spec.instruments, (1, 5), NSE))

    assert bars == seen
    assert len(bars) > 100


def test_a_strategy_remembers_a_past_as_if_it_had_lived_through_it() -> None:
    items = a_walk(5, days=2, minutes=90)
    lived, told = an_ema_cross(), an_ema_cross()
    for seq, item in enumerate(items):
        lived.advance(item, source=1, seq=seq)

    told.take_history(bars_of(items, told.spec.instruments, (3,), NSE))

    assert told.state.strategy == lived.state.strategy
    assert told.state.bars_seen == lived.state.bars_seen
    assert (told.state.step, told.state.marks) == (0, {})


def test_what_a_strategy_wishes_for_in_the_past_is_dropped_and_afterwards_it_is_warm() -> None:
    strategy = Scripted(on_bar=lambda view, bar: [view.buy(1)], minutes=(1,))
    strategy.warm_up = lambda: 3  # type: ignore[method-assign]
    machine = a_machine(strategy)

    machine.take_history([a_bar(100, number=n, clock="09:30") for n in range(3)])

    assert machine.advance(a_tick(at_ms=at("10:00")), source=1, seq=0) is None
    stop = machine.advance(a_clock("10:01"), source=1, seq=1)
    assert [signal.quantity for signal in stop.signals] == [1]  # type: ignore[union-attr]


def test_bars_of_other_instruments_and_lengths_are_passed_over() -> None:
    seen: list[Any] = []
    machine = a_machine(Scripted(on_bar=lambda _view, bar: seen.append(bar) or (), minutes=(5,)))

    machine.take_history([a_bar(100), a_bar(100, minutes=5, instrument="NSE:STOCK8"), a_bar(7, minutes=5)])

    assert [bar.close_e4 for bar in seen] == [70_000]


@pytest.mark.parametrize("first", [a_clock("10:00"), a_tick(at_ms=at("10:00"))])
def test_a_past_that_reaches_into_the_log_is_refused(first: Tick | Clock) -> None:
    machine = a_machine(Scripted(minutes=(1,)))
    machine.take_history([a_bar(100, clock="10:00")])

    with pytest.raises(StrategyFailed, match=r"reaches to 2019-07-09T10:01.*log begins before, at .*T10:00"):
        machine.advance(first, source=1, seq=0)


def test_a_strategy_that_raises_in_the_past_fails() -> None:
    machine = a_machine(Scripted(on_bar=lambda _view, _bar: 1 / 0, minutes=(1,)))

    with pytest.raises(StrategyFailed, match="ZeroDivisionError"):
        machine.take_history([a_bar(100)])


def test_a_memory_begun_anew_keeps_its_place_in_the_log() -> None:
    machine = an_ema_cross()
    for seq, item in enumerate(a_walk(5, days=1, minutes=30)):
        machine.advance(item, source=1, seq=seq)
    again = an_ema_cross()

    again.restore(renewed(machine.checkpoint(), again.strategy, is_flat=True))

    assert again.state.strategy == EmaCross.State()
    assert (again.state.bars_seen, again.state.is_started) == ({}, False)
    kept = ("step", "sources", "gates", "builders", "marks", "clock_ms", "day")
    assert [getattr(again.state, name) for name in kept] == [getattr(machine.state, name) for name in kept]
    assert renewed(b"", again.strategy, is_flat=False) == b""
    with pytest.raises(CheckpointDoesNotFit):
        renewed(b"\xc1", again.strategy, is_flat=False)


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The first day of the recording, and the rest of it."""
    folder = tmp_path_factory.mktemp("days")
    header, *rows = gzip.decompress(Path(YESBANK_FILES[0]).read_bytes()).decode().splitlines()
    first = [row for row in rows if row[:10] == rows[0][:10]]
    paths = folder / "first_YESBANK.csv", folder / "rest_YESBANK.csv"
    for path, part in zip(paths, (first, rows[len(first) :]), strict=True):
        path.write_text("\n".join([header, *part]) + "\n")
    return str(paths[0]), str(paths[1])


@pytest.mark.django_db(transaction=True)
def test_a_warm_start_does_the_same_in_backtest_and_pipeline(monkeypatch, two_days: tuple[str, str]) -> None:
    first, rest = two_days
    cold, warm = Recording([rest], [TREND], []), Recording([rest], [TREND], [], warm_up=[first])
    source = warm.source()
    with override_settings(SHARDS=1):
        seeded([TREND], history=from_stream(warm.past))
    hand = Hand(packed(source.iter_from(), source=source.source, batch=173))
    hand.attach(monkeypatch)

    hand.run()

    expected = parity.of_accounts([run.account for run in warm.backtest(source)])
    assert parity.compare(expected, parity.of_database()) == (0, [])
    before = parity.of_accounts([run.account for run in cold.backtest(source)])
    at_first = [rows["Trend"]["signals"][0]["at_ms"] for rows in (expected, before)]
    assert at_first[0] < at_first[1]


@pytest.mark.django_db
def test_bars_of_the_table_that_had_closed_by_a_time_are_a_past_too() -> None:
    row = rows.an_instrument()
    stored = [a_bar(100 + n, number=n, clock="09:15") for n in range(600)]
    token = row.instrument_token
    own = [msgspec.structs.replace(bar, instrument=str(row), token=token) for bar in stored]
    bars_store(own, {token: row})
    spec = a_deployment(instruments=[selectors.spec(row)])
    strategy = build(EmaCross, {"fast": 2, "slow": 5, "bar_minutes": 1})

    past = from_table(at("11:00"))(spec, strategy)

    assert [bar.close_e4 for bar in past] == [(100 + n) * 10_000 for n in range(105)]
    assert past[-1].ends_ms == at("11:00")
    later = from_table(at("19:00"))(spec, strategy)
    assert (len(later), later[-1].ends_ms) == (500, at("19:00"))
    with pytest.raises(
        NoPast, match="no bars of 1 minutes of NSE:INFY are stored before 2019-07-09T09:15:30"
    ):
        from_table(at("09:15:30"))(spec, strategy)
