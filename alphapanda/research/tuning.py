"""Parameters tuned on one excerpt of data, by Optuna. The tuner is given an excerpt and cannot leave it: it folds parts
of that excerpt and nothing else, so what is held out never reaches it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from alphapanda.engine.combined import combined
from alphapanda.engine.excerpt import Excerpt
from alphapanda.engine.statistics import Performance, Statistics
from alphapanda.research.folding import Told, folded, untold
from alphapanda.research.plan import BadPlan, Opened
from alphapanda.research.space import Knob, grid_size
from alphapanda.web.formats import average
from strategies.domain.base import BadParameters, DeploymentSpec

OBJECTIVES = (
    "sharpe",
    "sortino",
    "calmar",
    "net_pnl",
    "profit_factor",
    "expectancy",
    "annual_return_percent",
)
Params = dict[str, Any]


class Trial(msgspec.Struct, frozen=True):
    """A set of parameters and what it gave; `value` is None where the strategy refuses it or nothing can be said,
    with the reason."""

    number: int
    params: Params
    value: float | None
    reason: str = ""
    trades: int = 0
    net_pnl: str = "0"


class Study(msgspec.Struct, frozen=True):
    """All trials on an excerpt, and the best of them."""

    trials: list[Trial]
    best: Trial


def specs_with(opened: Opened, excerpt: Excerpt, params: Params) -> list[DeploymentSpec]:
    """The deployments with other parameters, warmed up with all that lies before an excerpt. Raises BadParameters."""
    specs = []
    for spec in opened.specs:
        changed = msgspec.structs.replace(spec, params=spec.params | params)
        specs.append(opened.warmed(changed, excerpt))
    return specs


def judged(opened: Opened, excerpt: Excerpt, params: Params, told: Told = untold) -> Performance:
    """What parameters give on an excerpt. Raises BadParameters, BadPlan where the strategy raises, and what `told`
    raises."""
    runs = folded(opened, excerpt, specs=specs_with(opened, excerpt, params), told=told)
    for run in runs:
        if run.error:
            raise BadPlan(f"{run.account.spec.name} raised with {params}: {run.error.splitlines()[-1]}")
    return combined(runs)


def objective_of(figures: Statistics, objective: str) -> float | None:
    """The value to make large; None where it is not defined."""
    value = getattr(figures, objective)
    return None if value is None else float(value)


def value_text(value: float | None) -> str:
    """A value of an objective with two places, a dash where it is not defined."""
    return average(None if value is None else Decimal(f"{value:.2f}"))


def tuned(
    judge: Callable[[Params], Statistics],
    knobs: Sequence[Knob],
    *,
    objective: str,
    trials: int,
    seed: int,
    on_trial: Callable[[], None] = lambda: None,
) -> Study:
    """Try sets of parameters: all of them where there are no more than `trials`, else those that Optuna's TPE
    suggests. The same seed gives the same trials. Raises BadPlan where no set gave a value."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    size = grid_size(knobs)
    is_grid = size is not None and size <= trials
    sampler: optuna.samplers.BaseSampler
    if is_grid:
        sampler = optuna.samplers.GridSampler({knob.name: knob.values() for knob in knobs}, seed=seed)
    else:
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(10, trials // 5))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    known: dict[str, Trial] = {}
    tried: list[Trial] = []

    def run(trial: optuna.Trial) -> float:
        params = {knob.name: _suggested(trial, knob) for knob in knobs}
        key = msgspec.json.encode(params, order="sorted").decode()
        if key not in known:
            known[key] = _tried(judge, params, objective, len(tried))
            tried.append(known[key])
        on_trial()
        value = known[key].value
        if value is None:
            raise optuna.TrialPruned
        return value

    study.optimize(run, n_trials=size if is_grid else trials)
    valued = [trial for trial in tried if trial.value is not None]
    if not valued:
        reason = tried[0].reason if tried else "there was no trial"
        raise BadPlan(f"no set of parameters gave a {objective}: {reason}")
    return Study(tried, max(valued, key=lambda trial: (trial.value, -trial.number)))


def _suggested(trial: Any, knob: Knob) -> Any:
    if knob.choices:
        return trial.suggest_categorical(knob.name, list(knob.choices))
    if knob.is_whole:
        return trial.suggest_int(knob.name, knob.low, knob.high, step=knob.step or 1)
    return trial.suggest_float(knob.name, knob.low, knob.high, step=knob.step)


def _tried(judge: Callable[[Params], Statistics], params: Params, objective: str, number: int) -> Trial:
    try:
        figures = judge(params)
    except BadParameters as error:
        return Trial(number, params, None, str(error))
    value = objective_of(figures, objective)
    reason = "" if value is not None else f"{objective} is not defined: {figures.trades} trades"
    return Trial(number, params, value, reason, figures.trades, str(figures.net_pnl))
