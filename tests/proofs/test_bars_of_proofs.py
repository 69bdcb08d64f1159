"""What a proof must have done before it may say that it passed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from alphapanda.management.commands import bench as bench_command
from alphapanda.proof import bench, chaos

PLAN = chaos.Plan(seed=1, seconds=10, kills=20, flushes=2, redis_kills=1, postgres_kills=3)
AS_PLANNED = {"stream": 12, "trading.0": 8, "redis-flush": 2, "redis": 1, "postgres": 3}


class Half:
    """A stack of which some processes are down for good."""

    def __init__(self, *alive: str) -> None:
        self.alive = alive

    def kill(self, role: str) -> int:
        return 7 if role in self.alive else 0

    kill_server = kill


def test_chaos_as_planned_is_short_of_nothing() -> None:
    assert chaos.Toll(kills=AS_PLANNED).shortfalls(PLAN) == []


@pytest.mark.parametrize(
    ("hit", "words"),
    [
        ({"stream": 11}, "kills of processes: 19 of 20"),
        ({"redis-flush": 0}, "flushes of Redis: 0 of 2"),
        ({"redis": 0}, "kills of Redis: 0 of 1"),
        ({"postgres": 2}, "kills of PostgreSQL: 2 of 3"),
    ],
)
def test_chaos_that_hit_less_than_planned_says_so(hit: dict[str, int], words: str) -> None:
    assert chaos.Toll(kills=AS_PLANNED | hit).shortfalls(PLAN) == [words]


def test_a_failpoint_that_no_process_reached_is_a_shortfall() -> None:
    toll = chaos.Toll(kills=AS_PLANNED, unfired=["posting"])

    assert toll.shortfalls(PLAN) == ["failpoint not reached: posting"]


def test_another_dies_where_the_victim_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chaos, "WAIT_S", 0.01)
    plan = msgspec.structs.replace(PLAN, seconds=0.0, kills=9, flushes=0, redis_kills=0, postgres_kills=0)
    monkeypatch.setattr(chaos, "FAILPOINTS", frozenset())
    stack: Any = Half("relay")

    toll = chaos.havoc(stack, plan, folder=None, tell=lambda _: None)  # type: ignore[arg-type]

    assert (toll.kills, toll.missed) == ({"relay": 9}, 0)


@pytest.mark.parametrize(
    ("sent", "behind", "p99_ms", "booked", "is_met"),
    [
        (540_000, 0, 250.0, 900, True),
        (539_999, 0, 90.0, 900, False),
        (540_000, 1, 90.0, 900, False),
        (540_000, 0, 250.1, 900, False),
        (540_000, 0, 0.0, 0, False),
    ],
)
def test_the_floor_is_nine_thousand_ticks_a_second_booked_in_time(
    sent: int, behind: int, p99_ms: float, booked: int, is_met: bool
) -> None:
    run = bench.Measured(
        asked_per_s=9_000,
        sent=sent,
        seconds=60.0,
        behind=behind,
        drained_s=0.1,
        hops={bench_command.BOOKED: bench.Spread(booked, 20.0, p99_ms)},
        cpu_percent={},
        memory_mb=900.0,
    )

    assert bench_command._meets_floor(run) is is_met
