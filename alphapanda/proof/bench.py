"""Measurements of a running stack: how many ticks a second, how long from a tick to its rows, and where time goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from pathlib import Path

import msgspec
import psutil
from django.db import connection

from alphapanda.deploying import Definition
from alphapanda.engine.recorded import Recording
from alphapanda.eventlog.models import LogCursor
from alphapanda.proof import parity
from alphapanda.stack import ROOT, Stack, StackFailed

INSTRUMENTS = 3_000
DEPLOYMENTS = 10
INSTRUMENTS_EACH = 3
DRAIN_S = 60.0
WARM_UP_S = 3.0
# About 400 orders a minute: as many as a Kite account may send, beside all the ticks that a Kite key may stream.
PARAMS = {"fast": 8, "slow": 32, "quantity": 10, "bar_minutes": 0}

# Milliseconds by wall clock. The first two are what a trader waits for; the others are hops on the way.
HOPS = {
    "tick received to signal row": """
        select extract(epoch from created_at) * 1000 - received_at_ms from strategies_signal
        where created_at > %(since)s""",
    "tick received to fill booked": """
        select extract(epoch from p.booked_at) * 1000 - f.received_at_ms
        from execution_fill f join portfolio_posting p on p.fill_id = f.id where f.created_at > %(since)s""",
    "signal row to decision row": """
        select extract(epoch from d.created_at - s.created_at) * 1000
        from risk_decision d join strategies_signal s on s.id = d.signal_id where s.created_at > %(since)s""",
    "decision row to order row": """
        select extract(epoch from o.created_at - d.created_at) * 1000
        from execution_order o join risk_decision d on d.id = o.decision_id where d.created_at > %(since)s""",
    "due row to fill row": """
        select extract(epoch from f.created_at - d.created_at) * 1000 from execution_fill f
        join strategies_due d on d.deployment_id = f.deployment_id and d.step = f.step
        where d.created_at > %(since)s""",
    "fill row to booked": """
        select extract(epoch from p.booked_at - f.created_at) * 1000
        from execution_fill f join portfolio_posting p on p.fill_id = f.id where f.created_at > %(since)s""",
}


class Spread(msgspec.Struct, frozen=True):
    """Percentiles in milliseconds."""

    count: int
    p50_ms: float
    p99_ms: float


class Measured(msgspec.Struct, frozen=True):
    """One rate: what was asked and sent, whether all of it was consumed, and the spreads."""

    asked_per_s: int
    sent: int
    seconds: float
    behind: int
    drained_s: float
    hops: dict[str, Spread]
    cpu_percent: dict[str, float]
    memory_mb: float


def instrument_list(path: Path) -> Path:
    """A Kite list of made-up instruments with the tokens of a synthetic feed."""
    head = (
        "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
        "instrument_type,segment,exchange"
    )
    rows = [f"{n},{n},SYN{n:04},,0,,0,0.05,1,EQ,NSE,NSE" for n in range(1, INSTRUMENTS + 1)]
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def definitions() -> list[Definition]:
    """Ten deployments that act on ticks, spread over the instruments."""
    step = INSTRUMENTS // (DEPLOYMENTS * INSTRUMENTS_EACH)
    keys = [f"NSE:SYN{1 + number * step:04}" for number in range(DEPLOYMENTS * INSTRUMENTS_EACH)]
    return [
        Definition(
            name=f"Bench {number}",
            strategy="ema_cross",
            instruments=tuple(keys[number::DEPLOYMENTS]),
            params=PARAMS,
        )
        for number in range(DEPLOYMENTS)
    ]


def measure(
    stack: Stack, *, rate: int, seconds: float, around: AbstractContextManager[None] | None = None
) -> Measured:
    """Feed synthetic ticks at a rate for so long, wait until all is consumed, and read the figures. `around` is entered
    while it is measured."""
    feed = _feed(stack, rate)
    try:
        stack.wait(lambda: _done() > 0, timeout_s=30, what="first tick")
        time.sleep(WARM_UP_S)  # workers have loaded their deployments, statements are planned
        since, started, before = _now(), time.monotonic(), _cpu(stack)
        with around or nullcontext():
            time.sleep(seconds)
        took, used = time.monotonic() - started, _cpu(stack)
    finally:
        feed.terminate()
        told = feed.communicate()[0].decode()
    sent = _sent(told)
    drained_s = _drained(stack, sent)
    return Measured(
        asked_per_s=rate,
        sent=sent,
        seconds=round(took + WARM_UP_S, 3),
        behind=max(0, sent - _done()),
        drained_s=drained_s,
        hops={name: _spread(query, since) for name, query in HOPS.items()},
        cpu_percent={
            name: round(100 * (used[name] - before.get(name, 0)) / took, 1) for name in sorted(used)
        },
        memory_mb=round(memory_mb(stack), 1),
    )


def _feed(stack: Stack, rate: int) -> subprocess.Popen[bytes]:
    """A feed of our own beside the stack."""
    command = [sys.executable, str(ROOT / "manage.py"), "feed", "--source=synthetic", "--speed=1"]
    command += [f"--instruments={INSTRUMENTS}", f"--ticks-per-s={rate}"]
    outer = {name: value for name, value in os.environ.items() if not name.startswith("ALPHAPANDA_")}
    env = {**outer, "ALPHAPANDA_RUN_DIR": str(stack.run_dir), **stack.env, "ALPHAPANDA_LOG_FORMAT": "json"}
    return subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def _sent(told: str) -> int:
    """How many items the feed says it sent. Raises StackFailed."""
    for line in reversed(told.splitlines()):
        if '"sent"' in line:
            return int(json.loads(line)["sent"])
    raise StackFailed(f"the feed did not say what it sent\n{told[-2000:]}")


def _done() -> int:
    """The item up to which every consumer is done."""
    return min(LogCursor.objects.values_list("seq", flat=True), default=0)


def _drained(stack: Stack, sent: int) -> float:
    """Seconds until all that was sent is consumed and booked; gives up after DRAIN_S."""
    started = time.monotonic()
    with suppress(StackFailed):
        stack.wait(lambda: parity.is_done(sent), timeout_s=DRAIN_S, what="end of the backlog")
    return round(time.monotonic() - started, 1)


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("select now()")
        return cursor.fetchone()[0]


def _spread(query: str, since: datetime) -> Spread:
    with connection.cursor() as cursor:
        cursor.execute(
            f"select count(*), percentile_cont(array[0.5, 0.99]) within group (order by v) from ({query}) as t(v)",
            {"since": since},
        )
        count, spread = cursor.fetchone()
    p50, p99 = spread or (float("nan"), float("nan"))
    return Spread(count, round(float(p50), 1), round(float(p99), 1))


def _processes(stack: Stack) -> dict[str, list[psutil.Process]]:
    """Every process of the stack with its children, by role or server."""
    found: dict[str, list[psutil.Process]] = {}
    for name, pid in stack.pids().items():
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found[name] = [process, *process.children(recursive=True)]
    return found


def _cpu(stack: Stack) -> dict[str, float]:
    """CPU seconds used so far, by role or server."""
    return {name: sum(map(_cpu_s, processes)) for name, processes in _processes(stack).items()}


def _cpu_s(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        used = process.cpu_times()
        return float(used.user + used.system)
    return 0.0


def memory_mb(stack: Stack) -> float:
    """Proportional memory of the whole stack, its supervisor included."""
    every = [process for processes in _processes(stack).values() for process in processes]
    if stack.process:
        every.append(psutil.Process(stack.process.pid))
    return sum(map(_pss, every)) / 1e6


def _pss(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_full_info().pss)
    return 0


def backtest_items_per_s(recording: Recording) -> float:
    """The engine folded in this process, reading the files not counted."""
    source = recording.source()
    started = time.perf_counter()
    recording.backtest(source)
    return len(source) / (time.perf_counter() - started)
