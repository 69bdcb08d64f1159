"""Tuning: what is held out never reaches the tuner, windows do not overlap, seeds decide, and luck is told as luck."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.clock import ist_midnight_ms
from alphapanda.core.vocabulary import Product
from alphapanda.research import folding, optimising, shuffling
from alphapanda.research.folding import Cancelled, folded
from alphapanda.research.optimising import optimised, parts_of
from alphapanda.research.plan import BadPlan, Opened
from alphapanda.research.search import BOUNDS, Search
from alphapanda.research.space import Knob, grid
from alphapanda.research.tuning import tuned
from alphapanda.research.tuning_sheet import tuning_sheet
from marketdata.domain.ticks import Clock, Tick
from marketdata.feeds.recorded import RecordedSource
from strategies.domain.base import BadParameters
from tests.builders import a_tick
from tests.research.waves import a_definition, read, waves

KNOBS = (Knob("fast", 3, 9, 3), Knob("slow", 12, 24, 6))
SEARCH = Search(knobs=KNOBS, objective="net_pnl", trials=4, walk_forward=2, hold_out=0.25, shuffles=2)
DAYS = 8


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return read(waves(tmp_path_factory.mktemp("waves") / "bars.csv", days=DAYS))


@pytest.fixture(scope="module")
def result(found: Opened) -> dict[str, Any]:
    return optimised(found, SEARCH)


# ---- the hold-out ------------------------------------------------------------------------------------------


@pytest.fixture
def furthest(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """The latest item that anybody read, while the tuner is at work and at any time."""
    seen = {"tuner": 0, "all": 0}
    is_tuning: list[bool] = []
    items, stretches, tune = RecordedSource.iter_from, RecordedSource.stretches, optimising._tune

    def look(at_ms: int) -> None:
        for who in ("all", "tuner") if is_tuning else ("all",):
            seen[who] = max(seen[who], at_ms)

    def iter_from(self: RecordedSource, *given: Any) -> Iterator[Any]:
        for item in items(self, *given):
            look(item.at_ms)
            yield item

    def by_stretch(self: RecordedSource, *given: Any) -> Iterator[Any]:
        for stretch in stretches(self, *given):
            look(int(stretch.at_ms.max()))
            yield stretch

    def watched(*given: Any) -> Any:
        is_tuning.append(True)
        try:
            return tune(*given)
        finally:
            is_tuning.pop()

    monkeypatch.setattr(RecordedSource, "iter_from", iter_from)
    monkeypatch.setattr(RecordedSource, "stretches", by_stretch)
    monkeypatch.setattr(optimising, "_tune", watched)
    return seen


def test_the_tuner_never_reads_an_item_of_the_hold_out(found: Opened, furthest: dict[str, int]) -> None:
    days = found.excerpt.days()
    starts_ms = ist_midnight_ms(days[-2])
    optimised(found, SEARCH)

    assert ist_midnight_ms(days[-3]) < furthest["tuner"] < starts_ms
    assert furthest["all"] > starts_ms


def test_parts_are_whole_days_that_do_not_overlap(found: Opened) -> None:
    parts = parts_of(found.excerpt, SEARCH)
    days = found.excerpt.days()

    assert parts.held_out is not None
    assert (parts.seen.days(), parts.held_out.days()) == (days[:6], days[6:])
    assert parts.seen.stop == parts.held_out.start
    for train, test in parts.windows:
        assert train.days() == days[: len(train.days())]
        assert train.stop == test.start
        assert test.stop <= parts.seen.stop
    assert [test.days() for _, test in parts.windows] == [days[2:4], days[4:6]]
    rolling = parts_of(found.excerpt, Search(knobs=KNOBS, walk_forward=2, hold_out=0.25, rolling=True))
    assert [train.days() for train, _ in rolling.windows] == [days[0:2], days[2:4]]


@pytest.mark.parametrize(
    ("search", "said"),
    [
        (Search(knobs=KNOBS, walk_forward=8, hold_out=0), "8 windows need more than 8 days to see, not 8"),
        (Search(knobs=KNOBS, hold_out=0.01), "leaves nothing on one side"),
    ],
)
def test_too_few_days_are_refused(found: Opened, search: Search, said: str) -> None:
    with pytest.raises(BadPlan, match=said):
        parts_of(found.excerpt, search)


# ---- the tuner ---------------------------------------------------------------------------------------------


class Figures:
    """Figures that know but one."""

    def __init__(self, value: float | None) -> None:
        self.net_pnl, self.trades = value, 1


def hill(params: dict[str, Any]) -> Any:
    """Best at 7 and 40; refuses what ema_cross would."""
    if params["fast"] >= params["slow"]:
        raise BadParameters("`fast` must be below `slow`")
    return Figures(-((params["fast"] - 7) ** 2) - (params["slow"] - 40) ** 2 / 10)


def test_a_small_grid_is_tried_whole() -> None:
    knobs = [Knob("fast", 5, 9), Knob("slow", 30, 50, 10)]
    study = tuned(hill, knobs, objective="net_pnl", trials=100, seed=3)

    assert study.best.params == {"fast": 7, "slow": 40}
    assert sorted(map(str, (trial.params for trial in study.trials))) == sorted(map(str, grid(knobs)))


def test_a_large_space_is_searched_and_the_seed_decides() -> None:
    knobs = [Knob("fast", 1, 60), Knob("slow", 2, 200)]
    one, same, other = (tuned(hill, knobs, objective="net_pnl", trials=60, seed=seed) for seed in (1, 1, 2))

    assert one == same
    assert one.trials != other.trials
    assert len(one.trials) <= 60
    assert one.best.value == max(trial.value for trial in one.trials if trial.value is not None) > -300
    refused = [trial for trial in one.trials if trial.value is None]
    assert refused
    assert {trial.reason for trial in refused} == {"`fast` must be below `slow`"}


def test_floats_and_choices_are_tuned_too() -> None:
    knobs = [Knob("at", 0.5, 2.5), Knob("short", choices=(True, False))]
    study = tuned(
        lambda params: Figures(params["at"] + params["short"]), knobs, objective="net_pnl", trials=30, seed=1
    )

    assert study.best.params["short"] is True
    assert study.best.params["at"] > 2


def test_where_nothing_has_a_value_the_reason_is_said() -> None:
    with pytest.raises(
        BadPlan, match="no set of parameters gave a net_pnl: net_pnl is not defined: 1 trades"
    ):
        tuned(lambda _params: Figures(None), [Knob("fast", 1, 2)], objective="net_pnl", trials=3, seed=1)


# ---- the result --------------------------------------------------------------------------------------------


def test_the_result_is_all_there_and_the_seed_decides(found: Opened, result: dict[str, Any]) -> None:
    assert result == optimised(found, SEARCH)
    assert result["best"]["value"] == max(trial["value"] for trial in result["trials"])
    assert float(result["best"]["statistics"]["net_pnl"]) == result["best"]["value"]
    assert len(result["walk_forward"]) == 2
    assert result["hold_out"]["days"] == result["meta"]["held_out"]
    assert result["significance"]["on"] == "hold_out"
    assert (result["meta"]["seed"], result["significance"]["bars"]["seed"]) == (1, 1)
    json.dumps(result)


def test_the_heat_map_is_made_of_the_trials(result: dict[str, Any]) -> None:
    heat = result["heat_map"]
    values = {
        (trial["params"]["fast"], trial["params"]["slow"]): trial["value"] for trial in result["trials"]
    }

    assert (heat["x"], heat["y"]) == ("fast", "slow")
    assert {(cell["x"], cell["y"]): cell["value"] for cell in heat["cells"]} == pytest.approx(values)


@pytest.mark.parametrize("end", [0, 1])
def test_a_search_at_its_bounds_can_be_run(found: Opened, end: int) -> None:
    knobs = (Knob("fast", 3, 4),)
    seed = BOUNDS["seed"][end]
    search = Search(knobs=knobs, objective="net_pnl", trials=1, seed=seed, walk_forward=1, shuffles=2)

    assert optimised(found, search)["meta"]["seed"] == seed


def test_what_follows_a_wave_is_no_luck_and_what_follows_a_walk_is(found: Opened, tmp_path: Path) -> None:
    search = Search(
        knobs=(Knob("fast", 8, 9),), objective="net_pnl", trials=2, walk_forward=0, hold_out=0.5, shuffles=40
    )
    wave = optimised(found, search)
    random, place = Random(5), [0]

    def walk(minute: int) -> int:
        while len(place) <= minute:
            place.append(place[-1] + random.choice((-15, 15)))
        return place[minute]

    noise = read(waves(tmp_path / "noise.csv", days=DAYS, shape=walk), a_definition(product=Product.CNC))
    luck = optimised(noise, search)

    assert wave["significance"]["bars"]["p_value"] == pytest.approx(1 / 41)
    assert wave["significance"]["trades"]["p_value"] < 0.01
    assert wave["findings"] == []
    assert luck["significance"]["bars"]["p_value"] > 0.05
    assert {"NOTHING_GOOD", "NOT_SIGNIFICANT"} <= {one["code"] for one in luck["findings"]}


def test_the_page_says_which_looks_were_taken_where_nothing_was_found(result: dict[str, Any]) -> None:
    clean = result | {"findings": []}
    luck = {"on": "hold_out", "trades": None, "bars": None, "bars_refused": None}

    assert (
        "None found. Looked at: the hold-out, walk-forward, trades with random signs, shuffled bars.</p>"
        in tuning_sheet(clean)
    )
    page = tuning_sheet(clean | {"significance": luck, "walk_forward": []})
    assert (
        "Looked at: the hold-out. Not run: walk-forward, trades with random signs, shuffled bars.</p>" in page
    )
    assert "<p>Not run.</p>" in page


def test_progress_is_told_in_items_and_comes_to_its_end(
    found: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a set of parameters is tried too: nobody takes a long trial for silence."""
    monkeypatch.setattr(folding, "TOLD_EVERY", 500)
    told: list[tuple[int, int]] = []
    optimised(found, SEARCH, lambda done, total: told.append((done, total)))
    [total] = {total for _, total in told}
    steps = [after[0] - before[0] for before, after in pairwise(told)]

    assert told[-1] == (total, total)
    assert min(steps) >= 0
    assert sum(step > 0 for step in steps) > 2 * (SEARCH.trials * 3 + SEARCH.shuffles)
    assert sum(step == 0 for step in steps) >= 3 * optimising.TRADE_SHUFFLES  # and while trades are shuffled
    assert sum(step == 500 for step in steps) > 2 * SEARCH.shuffles  # also on shuffled bars


def test_whoever_is_told_can_end_it(found: Opened) -> None:
    def tell(done: int, total: int) -> None:
        if done > total / 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        optimised(found, SEARCH, tell)


# ---- shuffles ----------------------------------------------------------------------------------------------


def test_ticks_are_not_shuffled_as_bars() -> None:
    with pytest.raises(shuffling.CannotShuffle, match="only bars"):
        list(shuffling.shuffled([a_tick()], ticks_e4={}, seed=1))


def test_shuffled_bars_are_bars_of_the_same_making(found: Opened) -> None:
    items = list(found.excerpt.items())
    [spec] = found.specs
    [instrument] = spec.instruments
    made = list(shuffling.shuffled(items, ticks_e4={instrument.token: instrument.tick_size_e4}, seed=4))
    again = list(shuffling.shuffled(items, ticks_e4={instrument.token: instrument.tick_size_e4}, seed=4))
    other = list(shuffling.shuffled(items, ticks_e4={instrument.token: instrument.tick_size_e4}, seed=5))

    assert made == again != other != items
    assert [item.at_ms for item in made] == [item.at_ms for item in items]
    assert [item for item in made if isinstance(item, Clock)] == [i for i in items if isinstance(i, Clock)]
    before, after = (
        np.array([t.price_e4 for t in of if isinstance(t, Tick)]).reshape(-1, 4) for of in (items, made)
    )
    assert after[0, 0] == before[0, 0]
    assert after[-1, 3] == pytest.approx(before[-1, 3], rel=1e-4)
    for bars in (before, after):
        assert (bars.max(1) >= np.maximum(bars[:, 0], bars[:, 3])).all()
    assert not (after % instrument.tick_size_e4).any()
    moves = [np.sort(np.log(bars[:, 3] / bars[:, 0])) for bars in (before, after)]
    assert np.allclose(*moves, atol=1e-4)
    assert folded(found, found.excerpt)[0].account.journal.fills


NETS = st.lists(st.integers(-500, 500).map(Decimal), min_size=2, max_size=40)


@settings(max_examples=25)
@given(NETS, st.integers(0, 99))
def test_laws_of_shuffled_trades(nets: list[Decimal], seed: int) -> None:
    found = shuffling.of_trades(nets, runs=50, seed=seed)

    assert found is not None
    assert found == shuffling.of_trades(nets, runs=50, seed=seed)
    draws: list[int] = []
    shuffling.of_trades(nets, runs=50, seed=seed, on_draw=lambda: draws.append(1))
    assert len(draws) == 3 * 50
    assert found.profit == sum(nets)
    assert 0 < found.p_value <= 1
    assert 0 <= found.deeper_share <= 1
    lows = [found.drawdowns, found.profits]
    assert all(before <= after for levels in lows for before, after in pairwise(levels))
    losses = -sum(float(net) for net in nets if net < 0)
    assert 0 <= found.drawdowns[2] <= losses + 1e-6


def test_steady_winners_are_no_luck_and_a_coin_is() -> None:
    steady = shuffling.of_trades([Decimal(10)] * 20, runs=500, seed=1)
    coin = shuffling.of_trades([Decimal(10), Decimal(-10)] * 20, runs=500, seed=1)

    assert steady is not None
    assert coin is not None
    assert steady.p_value == pytest.approx(1 / 501)
    assert coin.p_value > 0.4
    assert shuffling.of_trades([Decimal(1)], runs=5, seed=1) is None


# ---- the command -------------------------------------------------------------------------------------------


def test_the_command_prints_and_writes(found: Opened, tmp_path: Path) -> None:
    page, out = tmp_path / "page.html", io.StringIO()
    words = ["--space", '{"fast": [5, 6], "slow": [12, 18, 6]}', "--trials", "4", "--walk-forward", "1"]
    words += ["--params", '{"short": false}', "--product", "CNC", "--shuffles", "1", "--html", str(page)]
    call_command("optimise", "ema_cross", "--data", *found.plan.files, *words, "--json", stdout=out)
    result = json.loads(out.getvalue())
    text = page.read_text()

    assert len(result["trials"]) == 4
    assert result["meta"]["space"] == {"fast": [5, 6], "slow": [12, 18, 6]}
    assert "<svg" in text
    assert 'class="heat"' in text
    assert "http" not in text.replace("http-equiv", "")
    table = io.StringIO()
    call_command("optimise", "ema_cross", "--data", *found.plan.files, *words, stdout=table)
    assert "seed 1" in table.getvalue()
    assert "held out: fast" in table.getvalue()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--space", "fast"], "--space wants a JSON object"),
        (["--space", '{"fast": [3, 9]}', "--objective", "luck"], "there are: sharpe, sortino"),
        (["--space", '{"fast": [3, 9]}', "--hold-out", "1"], "from 0 to below 1"),
        (["--space", '{"fast": [3, 9]}', "--trials", "0"], "trials is from 1 to 10,000, not 0"),
        (["--space", '{"fast": [3, 9]}', "--seed", "-1"], "seed is from 0 to"),
        (["--space", '{"fast": [3, 9]}', "--walk-forward", "40"], "windows need more than 40 days"),
        (["--space", '{"fast": [90, 99]}', "--shuffles", "0"], "`fast` must be below `slow`"),
    ],
)
def test_the_command_refuses_in_words(found: Opened, words: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("optimise", "ema_cross", "--data", *found.plan.files, *words)


def test_an_unknown_strategy_is_refused_in_words(found: Opened) -> None:
    with pytest.raises(CommandError, match="no strategy is called 'nobody'; there are: "):
        call_command("optimise", "nobody", "--data", *found.plan.files, "--space", '{"fast": [3, 9]}')
