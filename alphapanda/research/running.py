"""A plan carried out: the fold, the checks that look at every result, and the result as one plain object.

Equal plans over equal files and equal code give byte-equal results: nothing in the object is a time of day or a
duration."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from alphapanda.engine.backtest import Run
from alphapanda.engine.combined import combined
from alphapanda.engine.report import reported
from alphapanda.engine.statistics import Performance
from alphapanda.research import evidence, findings, reruns
from alphapanda.research.findings import Finding, Weight
from alphapanda.research.folding import Progress, folded
from alphapanda.research.plan import Opened

Object = dict[str, Any]


class Outcome(msgspec.Struct, frozen=True):
    """What came of a plan; `seconds` is what the fold itself took, without reading and checks."""

    runs: list[Run]
    performance: Performance
    findings: list[Finding]
    result: Object
    seconds: float

    @property
    def errors(self) -> str:
        """The tracebacks of strategies that raised, with their deployments."""
        raised = [f"{run.account.spec.name}:\n{run.error}" for run in self.runs if run.error]
        return "\n".join(raised)


def carried_out(opened: Opened, tell: Callable[[int, int], None] = lambda _done, _total: None) -> Outcome:
    """Fold, check and report. `tell` is told items done and to do, re-runs included, and may raise to end it.
    Raises BadPlan."""
    again = reruns.planned(opened.excerpt)
    progress = Progress(len(opened.excerpt) + again.items, tell)
    started = time.perf_counter()
    runs = folded(opened, told=progress.told)
    seconds = time.perf_counter() - started
    progress.over(len(opened.excerpt))
    performance = combined(runs)
    found = [
        *checked(opened, runs, performance),
        *reruns.look_ahead(opened, runs, again, progress),
        *reruns.warm_up(opened, runs, again, progress),
    ]
    found.sort(key=lambda one: one.weight is not Weight.FAULT)  # what makes the result wrong comes first
    result = reported(
        runs,
        performance,
        definitions=opened.plan.definitions,
        files=opened.files,
        items=len(opened.excerpt),
        plan=_plan(opened),
        findings=[_finding(one) for one in found],
        checks=_checks(again),
    )
    return Outcome(runs, performance, found, result, seconds)


def checked(opened: Opened, runs: Sequence[Run], performance: Performance) -> Iterator[Finding]:
    """The findings that need no other fold."""
    definitions = opened.plan.definitions
    places = evidence.places_of(runs)
    seen = evidence.seen_at(opened.excerpt.items(), places) if places else {}
    yield from findings.of_data(runs, definitions, [(file.key, report) for file, report in opened.files])
    yield from evidence.of_fills(runs, seen)
    yield from findings.of_trades(performance, definitions)
    yield from findings.of_costs(performance, runs, opened.cards)
    yield from evidence.of_spread(runs, seen)
    yield from findings.of_product(runs, definitions)


def _finding(finding: Finding) -> Object:
    return {
        "code": finding.code.value,
        "weight": finding.weight.value,
        "deployment": finding.deployment or None,
        "text": finding.text,
        "numbers": finding.numbers,
    }


def _checks(again: reruns.Reruns) -> Object:
    return {
        "look_ahead_cuts": list(again.cuts),
        "warm_up_skipped": again.skipped,
        "warm_up_until": again.until,
    }


def _plan(opened: Opened) -> Object:
    plan = opened.plan
    return {
        "starting_cash": str(plan.cash),
        **opened.sources(),
        "costs": {"model": plan.costs.model.value, "amount": str(plan.costs.amount)},
        "first_day": plan.first_day.isoformat() if plan.first_day else None,
        "last_day": plan.last_day.isoformat() if plan.last_day else None,
    }


def encoded(result: Object) -> bytes:
    """A result as the bytes that are stored and hashed: equal results are equal bytes."""
    return msgspec.json.encode(result, order="sorted")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
