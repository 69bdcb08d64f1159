"""The bars that a stored run was played on, made again of its files: the tick stream may never have seen them."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from threading import Lock
from typing import Any

from alphapanda.core.refusals import Refusal
from alphapanda.engine.excerpt import whole
from alphapanda.engine.recorded import Recording
from alphapanda.engine.report import sha256_of
from alphapanda.research import selectors
from alphapanda.research.plan import Plan
from alphapanda.research.stored import plan_of
from marketdata.domain.bars import Bar
from marketdata.feeds.files import recorded_file
from marketdata.reference import load_calendars
from strategies.domain.history import bars_of
from strategies.models import BacktestRun

BARS_MAX = 60_000
ITEMS_MAX = 150_000  # about three seconds of the web process, in which others look and act
KEPT_MAX = 4
UNREADABLE = (Refusal, OSError, LookupError, ValueError)

_lock = Lock()
_kept: dict[tuple[Any, ...], list[Bar]] = {}


def bars_played(run: BacktestRun, instrument: str, minutes: int) -> list[Bar]:
    """The newest bars of an instrument in the days that were played, oldest first; none where the files of the run are
    not there any more, are other ones, or are longer than ITEMS_MAX."""
    key = run.pk, run.result_sha256, instrument, minutes, _stamps(run)
    with _lock:  # two who ask for the same wait for one
        if key not in _kept:
            made = _made(run, instrument, minutes)
            if len(_kept) >= KEPT_MAX:
                _kept.clear()
            _kept[key] = made
        return _kept[key]


def _stamps(run: BacktestRun) -> tuple[tuple[int, int] | None, ...]:
    """Size and time of its files: where one comes, goes or changes, they are read again."""
    return tuple(_stamp(name) for name in run.plan.get("files", []))


def _stamp(name: str) -> tuple[int, int] | None:
    try:
        found = recorded_file(name).path.stat()
    except UNREADABLE:
        return None
    return found.st_size, found.st_mtime_ns


def _made(run: BacktestRun, instrument: str, minutes: int) -> list[Bar]:
    try:
        if selectors.result_of(run)["meta"]["items"] > ITEMS_MAX:
            return []
        plan = plan_of(run)
        files = [name for name in plan.files if recorded_file(name).key == instrument]
        return _folded(plan, files, instrument, minutes) if files and _are_the_same(run, files) else []
    except UNREADABLE:
        return []


def _are_the_same(run: BacktestRun, files: list[str]) -> bool:
    """Whether the files hold what the run has read."""
    read = {(one.get("instrument"), one["sha256"]) for one in run.data}
    found = map(recorded_file, files)
    return all((one.key, sha256_of(one.path)) in read for one in found)


def _folded(plan: Plan, files: list[str], instrument: str, minutes: int) -> list[Bar]:
    recording = Recording(files, [], list(map(Path, plan.instruments)), rules=list(map(Path, plan.rules)))
    excerpt = whole(recording.source()).of_days(plan.first_day, plan.last_day)
    made = bars_of(excerpt.items(), [recording.found(instrument)], (minutes,), load_calendars())
    return list(deque(made, maxlen=BARS_MAX))
