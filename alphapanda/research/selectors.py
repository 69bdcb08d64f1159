"""Reads of stored backtests: lists without their results, one result, and several beside each other."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from alphapanda.core.clock import ist_text, to_ms
from alphapanda.core.refusals import BadRequest
from alphapanda.research.stored import NoResult, NoSuchBacktest
from strategies.models import BacktestRun

COMPARED_MIN, COMPARED_MAX = 2, 4
Object = dict[str, Any]


class CannotCompare(BadRequest):
    """Too few or too many backtests to set beside each other."""


def backtests() -> QuerySet[BacktestRun]:
    """All of them without their results, the newest first."""
    return BacktestRun.objects.defer("result").order_by("-created_at", "-id")


def backtest_named(name: str) -> BacktestRun:
    """Raises NoSuchBacktest."""
    run = None if "\0" in name else backtests().filter(name=name).first()  # no text in the database holds it
    if run is None:
        raise NoSuchBacktest(
            f"There is no backtest {name!r}; `manage.py backtests list` shows those there are."
        )
    return run


def result_of(run: BacktestRun) -> Object:
    """The documented object. Raises NoResult."""
    if run.state != BacktestRun.State.DONE:
        raise NoResult(f"{run.name} is {run.state} and has no result{f': {run.error}' if run.error else ''}.")
    result: Object = json.loads(zlib.decompress(bytes(run.result)))
    return result


def seconds_left(run: BacktestRun, now: datetime) -> int | None:
    """At the pace so far; None where that is not known."""
    if run.state != BacktestRun.State.RUNNING or not run.done or run.started_at is None:
        return None
    so_far = (now - run.started_at).total_seconds()
    return max(0, round(so_far * (run.total - run.done) / run.done))


def as_row(run: BacktestRun, now: datetime) -> Object:
    """A line of the list."""
    return {
        "name": run.name,
        "kind": run.kind,
        "state": run.state,
        "progress": progress_of(run, now),
        "trades": run.summary.get("trades"),
        "profit": run.summary.get("net_pnl"),
        "drawdown": run.summary.get("max_drawdown"),
        "sharpe": None if (sharpe := run.summary.get("sharpe")) is None else round(sharpe, 2),
        "findings": " ".join(run.findings),
        "asked_by": run.asked_by,
        "created": ist_text(to_ms(run.created_at)),
    }


def progress_of(run: BacktestRun, now: datetime) -> str:
    """In words: a share and the time left."""
    if run.state != BacktestRun.State.RUNNING or not run.total:
        return ""
    left = seconds_left(run, now)
    share = f"{100 * run.done // run.total} %"
    return share if left is None else f"{share}, {left} s left"


def compared(runs: Sequence[BacktestRun]) -> Object:
    """Two to four backtests beside each other: what was the same, what differed, and every figure of each.
    Raises CannotCompare, NoResult."""
    if not COMPARED_MIN <= len(runs) <= COMPARED_MAX:
        raise CannotCompare(f"{COMPARED_MIN} to {COMPARED_MAX} backtests are compared, not {len(runs)}")
    if searches := [run.name for run in runs if run.kind != BacktestRun.Kind.BACKTEST]:
        raise CannotCompare(f"{searches[0]} is a search; what is compared are backtests")
    results = [result_of(run) for run in runs]
    return {
        "names": [run.name for run in runs],
        "same": {
            "data": _is_same(run.data_sha256 for run in runs),
            "code": _is_same(json.dumps(run.code, sort_keys=True) for run in runs),
            "result": _is_same(run.result_sha256 for run in runs),
        },
        "differences": _differences([_configuration(result) for result in results]),
        "statistics": {
            name: [result["statistics"].get(name) for result in results] for name in results[0]["statistics"]
        },
        "findings": [sorted({one["code"] for one in result["findings"]}) for result in results],
        "monthly": _monthly(results),
    }


def _is_same(values: Iterable[str]) -> bool:
    return len(set(values)) == 1


def _configuration(result: Object) -> Object:
    """All that was chosen, as paths with plain values."""
    meta = {name: result["meta"][name] for name in ("starting_cash", "costs", "first_day", "last_day")}
    chosen = ("strategy", "version", "params", "product", "execution", "limits", "instruments")
    deployments = {
        one["name"] if len(result["deployments"]) > 1 else "deployment": {name: one[name] for name in chosen}
        for one in result["deployments"]
    }
    return dict(_flat("", {"meta": meta} | deployments))


def _flat(path: str, value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flat(f"{path}.{name}" if path else name, part)
    else:
        yield path, value


def _differences(configurations: Sequence[Object]) -> Object:
    paths = sorted({path for one in configurations for path in one})
    values = {path: [one.get(path) for one in configurations] for path in paths}
    return {path: found for path, found in values.items() if any(one != found[0] for one in found)}


def _monthly(results: Sequence[Object]) -> Object:
    by_month = [{one["month"]: one["net_pnl"] for one in result["monthly"]} for result in results]
    months = sorted({month for one in by_month for month in one})
    return {month: [one.get(month) for one in by_month] for month in months}
