"""Stored backtests and searches: asked for, carried out by the research worker or here and now, cancelled, run again.

The row is the truth and a Celery message only a doorbell: a run that was not taken is found by the next one, and a
worker that died is known by its silence. Every write of a worker names its attempt, so that whoever lost a run
(cancelled, or given to another) cannot write over it."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.services import act_record
from alphapanda.core import ids
from alphapanda.core.refusals import Conflict, NotThere, Refusal
from alphapanda.eventlog import doorbell
from alphapanda.research.folding import Cancelled
from alphapanda.research.optimising import optimised, parts_of
from alphapanda.research.plan import BadPlan, Opened, Plan, checked, opened
from alphapanda.research.running import Object, Outcome, carried_out, encoded, sha256
from alphapanda.research.search import Search, as_asked, asked_of
from strategies.models import BacktestRun

if TYPE_CHECKING:
    from uuid import UUID

Kind = BacktestRun.Kind
State = BacktestRun.State
QUEUE = "research"
TASK = "alphapanda.backtests"
ATTEMPTS_MAX = 3
SILENT_AFTER = timedelta(minutes=5)  # without progress; reading the largest file takes less
WRITE_EVERY_S = 0.5
HERE = 0  # the attempt of a run that no worker took, but the process of a person
Tell = Callable[[int, int], None]


class NoSuchBacktest(NotThere):
    """There is no stored backtest of that name."""


class BacktestExists(Conflict):
    """A stored backtest of that name is there."""


class BacktestOver(Conflict):
    """A backtest that has ended cannot be cancelled."""


class NoResult(Conflict):
    """A backtest has no result, or none yet."""


# ---- asking ------------------------------------------------------------------------------------------------


@transaction.atomic
def backtest_create(
    plan: Plan,
    *,
    name: str,
    actor: str,
    now: datetime,
    search: Search | None = None,
    reason: str = "",
    ip: str | None = None,
    run_id: UUID | None = None,
) -> BacktestRun:
    """Ask for a backtest, or for a search over what it would run; the research worker takes it up.
    Raises BadPlan, BacktestExists."""
    run = _inserted(checked(plan), search, name, actor, state=State.QUEUED, run_id=run_id)
    act_record(
        actor=actor,
        action="backtest.create",
        target=f"backtest:{run.name}",
        reason=reason,
        details={"plan": run.plan} | ({"search": run.search} if search else {}),
        now=now,
        ip=ip,
    )
    transaction.on_commit(lambda: doorbell.ring(TASK, queue=QUEUE))
    return run


@transaction.atomic
def backtest_cancel(
    *, run_id: UUID, actor: str, now: datetime, reason: str = "", ip: str | None = None
) -> BacktestRun:
    """Let a run that waits or works have no result; who works on it stops within a second. Idempotent.
    Raises NoSuchBacktest, BacktestOver."""
    run = BacktestRun.objects.select_for_update().defer("result").filter(pk=run_id).first()
    if run is None:
        raise NoSuchBacktest(f"There is no backtest {run_id}.")
    if run.state == State.CANCELLED:
        return run
    if run.state not in (State.QUEUED, State.RUNNING):
        raise BacktestOver(f"{run.name} is {run.state}: there is nothing to cancel.")
    run.state, run.finished_at = State.CANCELLED, now
    run.save(update_fields=["state", "finished_at"])
    act_record(
        actor=actor, action="backtest.cancel", target=f"backtest:{run.name}", reason=reason, now=now, ip=ip
    )
    return run


def backtest_again(
    *, run_id: UUID, actor: str, now: datetime, reason: str = "", ip: str | None = None, key: str = ""
) -> BacktestRun:
    """Ask for the same backtest once more, under the next free name; with the same `key` it is the same run.
    Raises NoSuchBacktest, BadPlan."""
    run = BacktestRun.objects.defer("result").filter(pk=run_id).first()
    if run is None:
        raise NoSuchBacktest(f"There is no backtest {run_id}.")
    own = ids.derived("backtest again", str(run_id), key) if key else None
    if found := _asked_already(own):
        return found
    by = {"actor": actor, "now": now, "reason": reason, "ip": ip, "run_id": own}
    try:
        return backtest_create(plan_of(run), search=search_asked(run), name=_next_name(run.name), **by)
    except BacktestExists:
        if found := _asked_already(own):
            return found
        raise


def _asked_already(run_id: UUID | None) -> BacktestRun | None:
    return BacktestRun.objects.defer("result").filter(pk=run_id).first() if run_id else None


def _next_name(name: str) -> str:
    stem, _, number = name.rpartition(" #")
    stem = stem if stem and number.isdigit() else name
    taken = set(BacktestRun.objects.filter(name__startswith=stem).values_list("name", flat=True))
    number = 2
    while f"{stem} #{number}" in taken:
        number += 1
    return f"{stem} #{number}"


def _inserted(
    plan: Plan, search: Search | None, name: str, actor: str, *, run_id: UUID | None = None, **facts: Any
) -> BacktestRun:
    name = name.strip()
    longest = BacktestRun._meta.get_field("name").max_length
    if not name or len(name) > longest or not name.isprintable():
        raise BadPlan(f"a backtest needs a name of 1 to {longest} printable characters, not {name[:40]!r}")
    try:
        with transaction.atomic():
            return BacktestRun.objects.create(
                id=run_id or ids.derived("backtest", name),
                name=name,
                kind=Kind.SEARCH if search else Kind.BACKTEST,
                plan=msgspec.to_builtins(plan),
                search=as_asked(search) if search else {},
                asked_by=actor,
                **facts,
            )
    except IntegrityError:
        raise BacktestExists(f"There is a backtest {name!r} already; choose another name.") from None


def plan_of(run: BacktestRun) -> Plan:
    """The configuration of a stored run. Raises BadPlan where this version of the product does not know it."""
    try:
        return msgspec.convert(run.plan, Plan)
    except ValueError as error:
        raise BadPlan(f"{run.name} was stored by another version: {error}") from None


def search_asked(run: BacktestRun) -> Search | None:
    """The search of a stored run; None of a backtest. Raises BadPlan where this version does not know it."""
    return asked_of(run.search if run.kind == Kind.SEARCH else None, plan_of(run))


# ---- carrying out ------------------------------------------------------------------------------------------


def run_here(plan: Plan, *, name: str, tell: Tell, actor: str = "shell") -> Outcome:
    """Carry a backtest out in this process and keep it. Raises BadPlan, BacktestExists; what ends it otherwise
    is kept as failed, an interruption as cancelled."""
    found = opened(plan)
    with _kept_here(plan, None, name, actor) as run:
        outcome = carried_out(found, _both(tell, Writer(run)))
    _finish(run, found, outcome.result, outcome.errors)
    return outcome


def search_here(plan: Plan, search: Search, *, name: str, tell: Tell, actor: str = "shell") -> Object:
    """As `run_here`, of a search."""
    found = opened(plan)
    parts_of(found.excerpt, search)  # refuse what cannot be cut before anything is kept
    with _kept_here(plan, search, name, actor) as run:
        result = optimised(found, search, _both(tell, Writer(run)))
    _finish(run, found, result)
    return result


@contextmanager
def _kept_here(plan: Plan, search: Search | None, name: str, actor: str) -> Iterator[BacktestRun]:
    run = _inserted(plan, search, name, actor, state=State.RUNNING, attempt=HERE, started_at=timezone.now())
    try:
        yield run
    except KeyboardInterrupt:
        _end(run, State.CANCELLED)
        raise
    except Cancelled:
        raise Conflict(f"{name} was cancelled.") from None
    except BaseException as error:
        _end(run, State.FAILED, error=_said(error))
        raise


def run_next() -> bool:
    """Carry out what has waited longest; False where nothing waits."""
    run = _claimed(timezone.now())
    if run is None:
        return False
    try:
        _carry_out(run)
    except Cancelled:
        return True
    except Exception as error:  # noqa: BLE001  it is kept on the row, where who asked will look
        _end(run, State.FAILED, error=_said(error))
    return True


def _carry_out(run: BacktestRun) -> None:
    found, search = opened(plan_of(run)), search_asked(run)
    if search is not None:
        _finish(run, found, optimised(found, search, Writer(run)))
        return
    outcome = carried_out(found, Writer(run))
    _finish(run, found, outcome.result, outcome.errors)


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"


@transaction.atomic
def _claimed(now: datetime) -> BacktestRun | None:
    waiting = BacktestRun.objects.filter(state=State.QUEUED).order_by("created_at")
    run = waiting.select_for_update(skip_locked=True).defer("result").first()
    if run is None:
        return None
    run.state, run.attempt = State.RUNNING, run.attempt + 1
    run.started_at = run.progressed_at = now
    run.done = run.total = 0
    run.save(update_fields=["state", "attempt", "started_at", "progressed_at", "done", "total"])
    return run


def requeue_silent(now: datetime) -> int:
    """Put back runs whose worker has gone silent, and give up those that it happened to too often."""
    long_ago = now - SILENT_AFTER
    silent = BacktestRun.objects.filter(state=State.RUNNING).filter(
        Q(progressed_at__lt=long_ago) | Q(progressed_at=None, started_at__lt=long_ago)
    )
    given_up = Q(attempt=HERE) | Q(attempt__gte=ATTEMPTS_MAX)
    silent.filter(given_up).update(
        state=State.FAILED, finished_at=now, error="the process that ran it has gone silent"
    )
    return silent.exclude(given_up).update(state=State.QUEUED)


class Writer:
    """Writes progress to the row of a run, not too often. Raises Cancelled where the run is its no more."""

    def __init__(self, run: BacktestRun) -> None:
        self._run = run
        self._at = float("-inf")

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._at < WRITE_EVERY_S:
            return
        self._at = now
        if not _own(self._run).update(done=done, total=total, progressed_at=timezone.now()):
            raise Cancelled


def _both(tell: Tell, write: Tell) -> Tell:
    def told(done: int, total: int) -> None:
        write(done, total)
        tell(done, total)

    return told


def _own(run: BacktestRun) -> Any:
    return BacktestRun.objects.filter(pk=run.pk, attempt=run.attempt, state=State.RUNNING)


def _end(run: BacktestRun, state: str, **facts: Any) -> None:
    _own(run).update(state=state, finished_at=timezone.now(), **facts)


def _finish(run: BacktestRun, found: Opened, result: Object, errors: str = "") -> None:
    raw = encoded(result)
    files = [file for kind in ("files", "warm_up", "lists", "rules") for file in result["meta"][kind]]
    names = ("path", "instrument", "sha256", "rows")
    data = [{name: file[name] for name in names if name in file} for file in files]
    items = max(run.total, len(found.excerpt))
    _end(
        run,
        State.DONE,
        data=data,
        data_sha256=sha256("\n".join(sorted(file["sha256"] for file in data)).encode()),
        code=code_of(result),
        summary=summary_of(result),
        findings=sorted({finding["code"] for finding in result["findings"]}),
        result=zlib.compress(raw, 6),
        result_sha256=sha256(raw),
        error=errors,
        done=items,
        total=items,
    )


def summary_of(result: Object) -> Object:
    """The figures that lists show; those of a search are of its hold-out, without one of the days it was tuned on."""
    if "statistics" in result:
        return result["statistics"]
    return (result["hold_out"] or result["best"])["statistics"]


def code_of(result: Object) -> Object:
    """What code a result is of: product, engine, and each strategy with its source."""
    meta = result["meta"]
    strategies = {
        one["strategy"]: {"version": one["version"], "source_sha256": one["source_sha256"]}
        for one in result.get("deployments", [meta])
    }
    return {
        "product_version": meta["product_version"],
        "engine_sha256": meta["engine_sha256"],
        "strategies": strategies,
    }
