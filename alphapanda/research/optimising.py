"""An optimisation: windows of walk-forward, a last study on all that may be seen, and one look at what was held out.

The hold-out is cut off before anything else happens. `_tune` and all that it calls get excerpts of the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import msgspec

from alphapanda.engine.combined import combined
from alphapanda.engine.excerpt import Excerpt
from alphapanda.engine.report import file_object
from alphapanda.engine.statistics import Performance, Statistics
from alphapanda.research import shuffling
from alphapanda.research.findings import Weight
from alphapanda.research.folding import Progress, folded_items
from alphapanda.research.plan import BadPlan, Opened
from alphapanda.research.search import Search, as_asked, check
from alphapanda.research.space import Knob, grid_size
from alphapanda.research.tuning import (
    Params,
    Study,
    judged,
    objective_of,
    specs_with,
    tuned,
    value_text,
)
from alphapanda.version import engine_sha256, product_version
from alphapanda.web.formats import number
from strategies.registry import find, source_hash

FORMAT = 1
SIGNIFICANT = 0.05
TRADE_SHUFFLES = 10_000
KEPT_MIN = 0.5  # of the value that was tuned to, out of sample
FIGURES = (
    "trades",
    "net_pnl",
    "max_drawdown",
    "max_drawdown_percent",
    "sharpe",
    "sortino",
    "profit_factor",
    "charges",
)
Object = dict[str, Any]
Tell = Callable[[int, int], None]


class Parts(msgspec.Struct, frozen=True):
    """The data of a search: what may be seen, its windows as pairs of train and test, and what is held out."""

    seen: Excerpt
    windows: list[tuple[Excerpt, Excerpt]]
    held_out: Excerpt | None


def parts_of(excerpt: Excerpt, search: Search) -> Parts:
    """Cut by whole days. Raises BadPlan where there are too few."""
    days = excerpt.days()
    held = round(len(days) * search.hold_out) if search.hold_out else 0
    if search.hold_out and not 0 < held < len(days):
        raise BadPlan(
            f"a hold-out of {search.hold_out} of {len(days)} days leaves nothing on one side; give more days"
        )
    first_held = days[len(days) - held] if held else None
    seen_days = days[: len(days) - held]
    seen = _of(excerpt, seen_days)
    if len(seen_days) <= search.walk_forward:
        raise BadPlan(
            f"{search.walk_forward} windows need more than {search.walk_forward} days to see, not {len(seen_days)}"
        )
    return Parts(
        seen=seen,
        windows=_windows(seen, seen_days, search),
        held_out=_of(excerpt, days[-held:]) if first_held else None,
    )


def _of(excerpt: Excerpt, days: Sequence[date]) -> Excerpt:
    return excerpt.of_days(days[0], days[-1])


def _windows(seen: Excerpt, days: Sequence[date], search: Search) -> list[tuple[Excerpt, Excerpt]]:
    """The days in as many blocks and one more: window n trains on the first n and is tested on the next."""
    if not search.walk_forward:
        return []
    edges = [round(place * len(days) / (search.walk_forward + 1)) for place in range(search.walk_forward + 2)]
    windows = []
    for place in range(search.walk_forward):
        first = edges[place] if search.rolling else 0
        train, test = days[first : edges[place + 1]], days[edges[place + 1] : edges[place + 2]]
        windows.append((_of(seen, train), _of(seen, test)))
    return windows


def items_of(parts: Parts, search: Search) -> int:
    """How many items will be folded, at most."""
    trials = min(search.trials, grid_size(search.knobs) or search.trials)
    tuned_on = [train for train, _ in parts.windows] + [parts.seen]
    looked_at = (
        [test for _, test in parts.windows]
        + [parts.seen]
        + ([parts.held_out] if parts.held_out else [])
        + [parts.held_out or parts.seen] * search.shuffles
    )
    return trials * sum(map(len, tuned_on)) + sum(map(len, looked_at))


def optimised(opened: Opened, search: Search, tell: Tell = lambda _done, _total: None) -> Object:
    """The whole object of docs/research.md. `tell` is told items done and to do and may raise to end it.
    Raises BadPlan."""
    check(search)
    parts = parts_of(opened.excerpt, search)
    progress = Progress(items_of(parts, search), tell)
    walked = [_walked(opened, search, place, progress, *window) for place, window in enumerate(parts.windows)]
    study = _tune(opened, parts.seen, search, search.seed, progress)
    best = study.best.params
    inside = _looked(opened, parts.seen, best, progress)
    outside = _looked(opened, parts.held_out, best, progress) if parts.held_out else None
    judged_on = parts.held_out or parts.seen
    significance = _significance(opened, judged_on, best, outside or inside, search, progress)
    result = {
        "format": FORMAT,
        "meta": _meta(opened, search, parts),
        "best": {"params": best, "value": study.best.value, "statistics": _figures(inside.statistics)},
        "walk_forward": walked,
        "walk_forward_efficiency": _efficiency(walked),
        "hold_out": _excerpt_object(judged_on, outside.statistics, search) if outside else None,
        "significance": significance,
        "heat_map": heat_map(study, search.knobs),
        "trials": [msgspec.to_builtins(trial) for trial in study.trials],
    }
    return result | {"findings": list(_findings(result))}


def _tune(opened: Opened, excerpt: Excerpt, search: Search, seed: int, progress: Progress) -> Study:
    return tuned(
        lambda params: judged(opened, excerpt, params, progress.told).statistics,
        search.knobs,
        objective=search.objective,
        trials=search.trials,
        seed=seed,
        on_trial=lambda: progress.over(len(excerpt)),
    )


def _looked(opened: Opened, excerpt: Excerpt, params: Params, progress: Progress) -> Performance:
    found = judged(opened, excerpt, params, progress.told)
    progress.over(len(excerpt))
    return found


def _walked(
    opened: Opened, search: Search, place: int, progress: Progress, train: Excerpt, test: Excerpt
) -> Object:
    study = _tune(opened, train, search, search.seed + 1 + place, progress)
    tested = _looked(opened, test, study.best.params, progress)
    return {
        "train": _days(train),
        "params": study.best.params,
        "train_value": study.best.value,
        "test": _excerpt_object(test, tested.statistics, search),
    }


def _excerpt_object(excerpt: Excerpt, figures: Statistics, search: Search) -> Object:
    return {
        "days": _days(excerpt),
        "value": objective_of(figures, search.objective),
        "statistics": _figures(figures),
    }


def _days(excerpt: Excerpt) -> list[str]:
    days = excerpt.days()
    return [days[0].isoformat(), days[-1].isoformat()]


def _figures(figures: Statistics) -> Object:
    values = {name: getattr(figures, name) for name in FIGURES}
    return {
        name: value if value is None or isinstance(value, int | float) else str(value)
        for name, value in values.items()
    }


def _efficiency(walked: Sequence[Object]) -> float | None:
    """The mean value of the tests over that of the trainings; None where that is not above nought."""
    pairs = [(one["train_value"], one["test"]["value"]) for one in walked if one["test"]["value"] is not None]
    trained = sum(train for train, _ in pairs)
    return sum(test for _, test in pairs) / trained if trained > 0 else None


def _meta(opened: Opened, search: Search, parts: Parts) -> Object:
    return {
        "strategy": opened.plan.definitions[0].strategy,
        "deployments": [definition.name for definition in opened.plan.definitions],
        "files": [file_object(file, report) for file, report in opened.files],
        **opened.sources(),
        "product_version": product_version(),
        "engine_sha256": engine_sha256(),
        "version": find(opened.plan.definitions[0].strategy).version,
        "source_sha256": source_hash(opened.plan.definitions[0].strategy),
        "costs": {"model": opened.plan.costs.model.value, "amount": str(opened.plan.costs.amount)},
        "starting_cash": str(opened.plan.cash),
        **as_asked(search),
        "seen": _days(parts.seen),
        "held_out": _days(parts.held_out) if parts.held_out else None,
    }


def _significance(
    opened: Opened,
    excerpt: Excerpt,
    params: Params,
    performance: Performance,
    search: Search,
    progress: Progress,
) -> Object:
    """Of the best parameters and what they gave, on the hold-out where there is one: elsewhere they were chosen to
    look good."""
    specs = specs_with(opened, excerpt, params)
    observed = float(performance.statistics.net_pnl)
    nets = [trade.net for trade in performance.trades]
    draws = TRADE_SHUFFLES if search.shuffles else 0
    trades = shuffling.of_trades(nets, runs=draws, seed=search.seed, on_draw=lambda: progress.told(0))
    found, refusal = [], None
    first = excerpt.days()[0]
    ticks_e4 = {one.token: one.on(first).tick_size_e4 for spec in specs for one in spec.instruments}
    try:
        for place in range(search.shuffles):
            items = shuffling.shuffled(excerpt.items(), ticks_e4=ticks_e4, seed=search.seed + place)
            runs = folded_items(opened, items, excerpt, specs=specs, told=progress.told)
            found.append(float(combined(runs).statistics.net_pnl))
            progress.over(len(excerpt))
    except shuffling.CannotShuffle as error:
        refusal = str(error)
    return {
        "on": "hold_out" if search.hold_out else "seen",
        "trades": msgspec.to_builtins(trades),
        "bars": msgspec.to_builtins(shuffling.of_bars(observed, found, seed=search.seed)),
        "bars_refused": refusal,
    }


def heat_map(study: Study, knobs: Sequence[Knob]) -> Object | None:
    """The two first knobs against each other: of all trials in a cell the mean value; None for a single knob."""
    if len(knobs) < 2:
        return None
    across, down = knobs[0].name, knobs[1].name
    cells: dict[tuple[Any, Any], list[float]] = {}
    for trial in study.trials:
        if trial.value is not None:
            cells.setdefault((trial.params[across], trial.params[down]), []).append(trial.value)
    return {
        "x": across,
        "y": down,
        "columns": sorted({column for column, _ in cells}),
        "rows": sorted({row for _, row in cells}),
        "cells": [
            {"x": column, "y": row, "value": sum(values) / len(values), "trials": len(values)}
            for (column, row), values in sorted(cells.items())
        ],
    }


def _findings(result: Object) -> Any:
    """Reasons to doubt the chosen parameters."""
    held, best = result["hold_out"], result["best"]
    if best["value"] <= 0:
        yield _finding(
            "NOTHING_GOOD", f"the best {result['meta']['objective']} of all trials is not above nought"
        )
    if held is None:
        yield _finding("NO_HOLD_OUT", "nothing was held out: every figure here was chosen to look good")
    elif held["value"] is None or held["value"] < KEPT_MIN * abs(best["value"]):
        yield _finding(
            "HOLD_OUT_FAILS",
            f"on the hold-out the {result['meta']['objective']} is {_text(held['value'])}, "
            f"{_text(best['value'])} where it was tuned",
        )
    lost = [one for one in result["walk_forward"] if float(one["test"]["statistics"]["net_pnl"]) <= 0]
    if result["walk_forward"] and 2 * len(lost) >= len(result["walk_forward"]):
        yield _finding(
            "WALK_FORWARD_FAILS",
            f"{len(lost)} of {len(result['walk_forward'])} windows made no profit on the days after their training",
        )
    for name, words in (("trades", "trades with random signs"), ("bars", "shuffled bars")):
        found = result["significance"][name]
        if found is not None and found["p_value"] > SIGNIFICANT:
            yield _finding(
                "NOT_SIGNIFICANT",
                f"{words} earn as much in {100 * found['p_value']:.1f} % of {number(found['runs'])} draws",
            )


def _text(value: float | None) -> str:
    return "not defined" if value is None else value_text(value)


def _finding(code: str, text: str) -> Object:
    return {"code": code, "weight": Weight.DOUBT.value, "text": text}
