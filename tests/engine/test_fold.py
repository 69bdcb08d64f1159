"""The fold over stretches is the fold of their items one by one: rows, equity, errors and the machine's memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from alphapanda.core.vocabulary import CommandKind, Validity
from alphapanda.engine.backtest import Run, fold
from alphapanda.engine.desk import Desk
from alphapanda.engine.rows import of_account
from execution.reference import charge_cards
from marketdata.domain.bars import Bar
from marketdata.domain.stretch import Stretch, stretch_of
from marketdata.domain.ticks import Clock, Item, Tick
from marketdata.reference import YESBANK_FILES, load_calendar
from strategies.domain.base import Bracket, DeploymentSpec, Intent, Strategy, View
from strategies.domain.library.ema_cross import EmaCross
from strategies.domain.library.mean_reversion import MeanReversion
from strategies.domain.signals import CommandRow
from tests.builders import NSE, a_deployment, an_instrument
from tests.marketdata.helpers import source
from tests.strategies.samples import EveryNth
from tests.walks import a_walk

SOURCE = 5
CASH = Decimal(100_000)
BOTH = [an_instrument(7), an_instrument(8)]


class Protected(Strategy):
    """Every callback there is: brackets of each kind, timers, fills, bars of two lengths, limits far and near."""

    class Params(msgspec.Struct, frozen=True):
        fails_at: int = 0  # the callback that raises

    class State(msgspec.Struct):
        calls: int = 0

    def bar_minutes(self) -> tuple[int, ...]:
        return (2, 5)

    def timers(self) -> tuple[time, ...]:
        return (time(14, 45), time(15, 0))

    def warm_up(self) -> int:
        return 1

    def on_start(self, state: State, view: View) -> Iterable[Intent]:
        return self._called(state)

    def on_fill(self, state: State, fill: Any, view: View) -> Iterable[Intent]:
        return self._called(state)

    def on_timer(self, state: State, at: time, view: View) -> Iterable[Intent]:
        yield from self._called(state)
        yield from view.target(3 * (-1) ** state.calls, instrument="NSE:STOCK8")

    def on_bar(self, state: State, bar: Bar, view: View) -> Iterable[Intent]:
        yield from self._called(state)
        cents = Decimal(bar.close_e4) / 10_000
        if bar.minutes == 5 and not view.position() and not view.working():
            brackets = [Bracket(stop=Decimal("0.4"), target=Decimal("0.6")), Bracket(trail=Decimal("0.3"))]
            yield view.buy(5, bracket=[*brackets, Bracket(minutes=3), None][state.calls % 4])
        elif bar.minutes == 2:
            yield view.sell(2, limit_price=cents + Decimal("0.35"), validity=Validity.DAY)

    def _called(self, state: State) -> tuple[()]:
        state.calls += 1
        if state.calls == self.params.fails_at:
            raise RuntimeError("as it was told to")
        return ()


CLASSES = {
    "ema_cross": EmaCross,
    "mean_reversion": MeanReversion,
    "every_nth": EveryNth,
    "protected": Protected,
}
PROMPT = {"latency_ms": 0, "slippage_ticks": 0, "liquidity": "UNLIMITED", "may_queue": True}
DEPLOYMENTS: dict[str, DeploymentSpec] = {
    "crossing": a_deployment("ema_cross", instruments=BOTH, fast=2, slow=4, quantity=20, bar_minutes=2),
    "crossing by tick": a_deployment("ema_cross", execution=PROMPT, fast=2, slow=3, bar_minutes=0),
    "reverting": a_deployment(
        "mean_reversion",
        instruments=BOTH,
        limits={"position_quantity": 30, "daily_orders": 40, "daily_loss": "500"},
        length=5,
        enter_at=1.2,
        quantity=20,
    ),
    "busy": a_deployment(
        "every_nth", instruments=BOTH, execution={"latency_ms": 20_000, "slippage_ticks": 2}, every=5
    ),
    "protected": a_deployment("protected", instruments=BOTH, execution=PROMPT),
    "protected, kept overnight": a_deployment(
        "protected", instruments=BOTH, execution={"square_off": False, "latency_ms": 61_000}
    ),
    "laddered": a_deployment(
        "every_nth", instruments=BOTH, limits={"loss_cancel": "150", "loss_flatten": "300"}, every=7
    ),
    "failing": a_deployment("protected", instruments=BOTH, fails_at=25),
    "failing at once": a_deployment("protected", instruments=BOTH, fails_at=1),
}
NAMES = st.sampled_from(sorted(DEPLOYMENTS))
SEEDS = st.integers(0, 2**32)
NOT_SHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)  # a smaller seed is no simpler walk


@pytest.fixture(autouse=True, scope="module")
def _samples_are_known() -> Iterable[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("alphapanda.engine.account.find", CLASSES.__getitem__)
        yield


def singly(
    spec: DeploymentSpec,
    items: Sequence[Item],
    *,
    first_seq: int = 1,
    commands: dict[int, CommandRow] | None = None,
) -> Run:
    """One item after the other: the reference."""
    desk = Desk([spec], calendar=NSE, cards=charge_cards(), commands={spec.id: commands or {}})
    [run] = [Run(account, CASH) for account in desk.accounts]
    for seq, item in enumerate(items, first_seq):
        run.take(item, SOURCE, seq)
    run.end()
    return run


def at_once(
    spec: DeploymentSpec, stretches: Iterable[Stretch], commands: dict[int, CommandRow] | None = None
) -> Run:
    [run] = fold(
        stretches,
        [spec],
        source=SOURCE,
        calendar=NSE,
        cards=charge_cards(),
        starting_cash=CASH,
        commands={spec.id: commands or {}},
    )
    return run


def crossed(items: Sequence[Item]) -> list[Item]:
    """Last prices far from the book, so that an order is touched by offers alone."""
    return [
        item._replace(price_e4=item.price_e4 + 4_000)
        if isinstance(item, Tick) and number % 3 and item.asks
        else item
        for number, item in enumerate(items)
    ]


def cut(items: Sequence[Item], size: int, *, overlap: int = 0) -> Iterable[Stretch]:
    for start in range(0, len(items), size):
        first = max(0, start - overlap)
        yield stretch_of(items[first : start + size], first_seq=first + 1)


def same(run: Run, expected: Run) -> None:
    assert of_account(run.account) == of_account(expected.account)
    assert list(run.curve) == list(expected.curve)
    assert run.error.splitlines()[-1:] == expected.error.splitlines()[-1:]
    if not expected.error:  # what a strategy leaves that has raised is spoilt
        assert run.account.machine.state == expected.account.machine.state
        assert run.account.machine.consequences == expected.account.machine.consequences
    else:
        assert run.account.machine.state.faults == expected.account.machine.state.faults
        assert run.account.machine.state.step == expected.account.machine.state.step


@settings(max_examples=60, deadline=None, phases=NOT_SHRUNK)
@given(NAMES, SEEDS, st.sampled_from([1, 7, 100, 10_000]), st.sampled_from([1, 2, 20]))
def test_a_fold_is_what_its_items_are(name: str, seed: int, size: int, per_minute: int) -> None:
    items = crossed(a_walk(seed, minutes=60 if per_minute < 20 else 20, per_minute=per_minute))

    same(at_once(DEPLOYMENTS[name], cut(items, size)), singly(DEPLOYMENTS[name], items))


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_long_sessions_have_something_to_show(name: str) -> None:
    items = crossed(a_walk(3, days=3, per_minute=6))
    expected = singly(DEPLOYMENTS[name], items)

    same(at_once(DEPLOYMENTS[name], cut(items, 1_000)), expected)
    if "failing" in name:
        assert "as it was told to" in expected.error
    else:
        assert len(expected.account.journal.fills) > 50
        assert expected.account.machine.state.faults
    if "protected" in name:
        assert {row.origin.value for row in expected.account.journal.signals} >= {"STRATEGY", "BRACKET"}


@settings(max_examples=20, deadline=None, phases=NOT_SHRUNK)
@given(NAMES, SEEDS, st.integers(1, 60), st.integers(0, 30))
def test_overlap_changes_nothing(name: str, seed: int, size: int, overlap: int) -> None:
    items = a_walk(seed, days=1, minutes=40)
    run = at_once(DEPLOYMENTS[name], cut(items, size, overlap=overlap))

    assert of_account(run.account) == of_account(singly(DEPLOYMENTS[name], items).account)


@pytest.mark.parametrize("size", [50, 10_000])
def test_commands_take_effect_at_their_step(size: int) -> None:
    items = a_walk(4, days=2, minutes=120, per_minute=4)
    for step in (7, 200, 311, 312):
        commands = {step: CommandRow(UUID(int=step), CommandKind.FLATTEN, "a drill")}
        expected = singly(DEPLOYMENTS["crossing by tick"], items, commands=commands)
        same(at_once(DEPLOYMENTS["crossing by tick"], cut(items, size), commands), expected)


def test_several_deployments_of_one_stream_are_as_each_alone() -> None:
    items = a_walk(5, days=1, minutes=100, per_minute=3)
    specs = [DEPLOYMENTS[name] for name in ("crossing", "busy", "failing")]
    runs = fold(cut(items, 130), specs, source=SOURCE, calendar=NSE, cards=charge_cards(), starting_cash=CASH)

    for run, spec in zip(runs, specs, strict=True):
        same(run, singly(spec, items))


@pytest.mark.parametrize("bar_minutes", [0, 1, 5])
def test_a_recording_is_what_its_items_are(bar_minutes: int) -> None:
    stream = source(YESBANK_FILES, load_calendar("NSE"))
    spec = a_deployment(
        "ema_cross", instruments=[an_instrument(1)], execution=PROMPT, fast=3, slow=8, bar_minutes=bar_minutes
    )
    items = list(stream.iter_from())
    expected = singly(spec, items)

    same(at_once(spec, stream.stretches()), expected)
    assert sum(isinstance(item, Tick) for item in items) > sum(isinstance(item, Clock) for item in items)
    assert len(expected.account.journal.fills) > 20
    assert Path(YESBANK_FILES[0]).exists()
