"""A strategy that does not come back ends its own backtest, in words, and nothing else."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from alphapanda.core.vocabulary import LimitLevel
from alphapanda.engine.backtest import Run, fold
from alphapanda.research import stored
from alphapanda.research.plan import Opened, Plan, definition_of, opened, time_limit
from marketdata.reference import YESBANK_FILES
from risk.domain.limits import Level, Limits
from strategies.models import BacktestRun
from tests.engine import libraries

YESBANK = str(YESBANK_FILES[0])
SAID = "StrategyHung: did not come back within 0.2 s of computing"
HANGS = """
import msgspec
from strategies.domain.base import Strategy


class Hangs(Strategy):
    name = "hangs_on"

    class Params(msgspec.Struct, frozen=True):
        where: str = "bar"

    class State(msgspec.Struct):
        bars: int = 0

    def __init__(self, params):
        super().__init__(params)
        while params.where == "init":
            pass

    def bar_minutes(self):
        return (1,)

    def on_bar(self, state, bar, view):
        state.bars += 1
        if state.bars == 100:
            yield from view.target(5)
        while state.bars == 200 and self.params.where == "bar":
            pass

    def on_fill(self, state, fill, view):
        while self.params.where == "fill":
            pass
        return ()
"""


@pytest.fixture(autouse=True)
def strategy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(time_limit(), "seconds", 0.2)
    path = libraries.drop("hangs_on", HANGS)
    yield
    libraries.taken_away(path)


def plan(strategy: str = "hangs_on", *, where: str = "bar", **facts: Any) -> Plan:
    params = {"where": where} if strategy == "hangs_on" else {}
    definition = definition_of(strategy, files=[YESBANK], params=params, execution={}, limits={})
    return Plan(files=(YESBANK,), definitions=(definition,), **facts)


@pytest.mark.parametrize("where", ["bar", "fill"])
def test_the_result_ends_where_it_was(where: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    words = ["hangs_on", "--data", YESBANK, "--params", json.dumps({"where": where}), "--json"]
    with pytest.raises(SystemExit) as end:
        call_command("backtest", *words, stdout=out, stderr=err)

    found = json.loads(out.getvalue())
    assert end.value.code == 1
    assert SAID in err.getvalue()
    assert ("while state.bars" if where == "bar" else "while self.params.where") in err.getvalue()
    [told] = [one["text"] for one in found["findings"] if one["code"] == "STRATEGY_RAISED"]
    assert told.endswith(SAID)
    assert [fill["quantity"] for fill in found["fills"]] == [5]


def test_others_of_the_same_fold_go_on() -> None:
    found = opened(plan())
    hanging = found.plan.definitions[0]
    other = plan("ema_cross").definitions[0]
    both = opened(Plan(files=(YESBANK,), definitions=(hanging, msgspec.structs.replace(other, name="other"))))
    shared = Level(LimitLevel.GLOBAL, Limits(gross_exposure=10**9))
    for levels in ((), (shared,)):
        one, two = _folded(both, levels)
        assert (one.error.endswith(SAID), two.error) == (True, "")
        assert two.account.machine.state.step > one.account.machine.state.step
        assert two.account.journal.fills


def _folded(found: Opened, levels: tuple[Level, ...]) -> list[Run]:
    return fold(
        found.excerpt.stretches(), found.specs, source=found.excerpt.source.source, calendar=found.calendar,
        cards=found.cards, levels=levels, limit=time_limit(),
    )  # fmt: skip


def test_one_that_hangs_as_it_is_made_or_warmed_is_refused() -> None:
    with pytest.raises(CommandError, match="the strategy hung as it was made: it did not come back"):
        call_command("backtest", "hangs_on", "--data", YESBANK, "--params", '{"where": "init"}')
    with pytest.raises(CommandError, match="the strategy hung in its warm-up: it did not come back"):
        call_command("backtest", "hangs_on", "--data", YESBANK, "--from", "2019-07-11")


@pytest.mark.django_db
def test_the_research_worker_goes_on_with_the_next() -> None:
    asked = [("hangs", plan()), ("waits", plan("ema_cross"))]
    for name, one in asked:
        stored.backtest_create(one, name=name, actor="alice", now=timezone.now())

    assert [stored.run_next() for _ in range(3)] == [True, True, False]

    hung, done = (BacktestRun.objects.get(name=name) for name, _ in asked)
    assert SAID in hung.error
    assert (done.state, done.error, done.summary["trades"] > 0) == (BacktestRun.State.DONE, "", True)


def test_slow_steps_are_no_hang() -> None:
    """Much computing in all, little in each step: the limit is of one step."""
    slow = HANGS.replace("state.bars == 200 and", "False and").replace(
        "state.bars += 1", "state.bars += 1; sum(range(100_000))"
    )
    libraries.drop("hangs_on", slow)
    found = opened(plan())
    [run] = _folded(found, ())
    assert run.error == ""


ENDS = """
import django
django.setup()
from django.core.management import call_command
from alphapanda.research.plan import time_limit
time_limit().ends_after_s = 1.5
call_command("backtest", "hangs_on", "--data", {data!r}, "--json")
"""


def test_code_of_c_that_never_comes_back_ends_the_process(tmp_path: Path) -> None:
    """No signal reaches it: only the clock can tell, and the words of the process say where it was."""
    text = HANGS.replace(
        "while state.bars == 200 and", "if state.bars == 200: sum(range(10**13))\n        while"
    )
    (tmp_path / "hangs_on.py").write_text(text)
    env = os.environ | {"ALPHAPANDA_STRATEGIES": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", ENDS.format(data=YESBANK)],
        env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Timeout" in done.stderr
    assert "in on_bar" in done.stderr
