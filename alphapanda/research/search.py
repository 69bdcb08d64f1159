"""A search for parameters as it is asked for, by command, admin and API alike: what to tune, for what, and how long."""

from __future__ import annotations

from typing import Any

import msgspec

from alphapanda.research.plan import BadPlan, Plan
from alphapanda.research.space import Knob, space_of
from alphapanda.research.tuning import OBJECTIVES
from alphapanda.web.formats import number
from strategies.domain.base import Strategy, UnknownStrategy
from strategies.registry import find

# Lowest and highest. A seed is counted up from, and Optuna's sampler takes 32 bits.
BOUNDS = {"trials": (1, 10_000), "seed": (0, 2**31 - 1), "walk_forward": (0, 100), "shuffles": (0, 10_000)}
Object = dict[str, Any]


class Search(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to tune. `hold_out` is the share of the days that the tuner never sees; windows expand unless `rolling`."""

    knobs: tuple[Knob, ...]
    objective: str = "sharpe"
    trials: int = 100
    seed: int = 1
    walk_forward: int = 4
    hold_out: float = 0.2
    rolling: bool = False
    shuffles: int = 100


def search_of(raw: Any, strategy: type[Strategy]) -> Search:
    """A search as the object that asks for it: `space`, and what else is not by default. Raises BadPlan."""
    if not isinstance(raw, dict):
        raise BadPlan(f"a search is an object with a space, not {raw!r:.80}")
    names = ("space", *Search.__struct_fields__[1:])
    if unknown := sorted(set(raw) - set(names)):
        raise BadPlan(f"a search has no {unknown[0]!r}; there are: {', '.join(names)}")
    knobs = tuple(space_of(raw.get("space"), strategy))
    try:
        search = msgspec.convert(
            {name: value for name, value in raw.items() if name != "space"} | {"knobs": ()}, Search
        )
    except msgspec.ValidationError as error:
        raise BadPlan(f"a search: {error}") from None
    return check(msgspec.structs.replace(search, knobs=knobs))


def asked_of(raw: Any, plan: Plan) -> Search | None:
    """The search over a plan where one is asked for; it tunes one strategy, in all deployments alike.
    Raises BadPlan."""
    return None if raw is None else search_of(raw, _strategy_of(plan))


def _strategy_of(plan: Plan) -> type[Strategy]:
    names = sorted({definition.strategy for definition in plan.definitions})
    if len(names) != 1:
        raise BadPlan(f"a search tunes one strategy; the deployments have {', '.join(names) or 'none'}")
    try:
        return find(names[0])
    except UnknownStrategy as error:
        raise BadPlan(str(error)) from None


def check(search: Search) -> Search:
    """The search, where its numbers make sense. Raises BadPlan."""
    if search.objective not in OBJECTIVES:
        raise BadPlan(f"no objective is called {search.objective!r}; there are: {', '.join(OBJECTIVES)}")
    for name, (low, high) in BOUNDS.items():
        if not low <= getattr(search, name) <= high:
            raise BadPlan(f"{name} is from {low} to {number(high)}, not {getattr(search, name)}")
    if not 0 <= search.hold_out < 1:
        raise BadPlan(f"a hold-out is a share from 0 to below 1, not {search.hold_out}")
    return search


def as_asked(search: Search) -> Object:
    """The object that asks for a search; the other way of `search_of`."""
    asked = {name: getattr(search, name) for name in search.__struct_fields__ if name != "knobs"}
    return {"space": {knob.name: knob.as_asked for knob in search.knobs}} | asked
