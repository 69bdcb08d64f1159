"""Chaos: a paced replay while processes and servers are killed; every row must equal the uninterrupted run."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import redis

from alphapanda import failpoints
from alphapanda.embedded import places
from alphapanda.stack import Stack

FLUSH = "redis-flush"
WAIT_S = 2.0  # for a process that is only just coming up
SERVER_WAIT_S = 30.0  # a bound: no other can be hit in a server's place
VICTIMS = ("stream", "strategies.0", "strategies.1", "trading.0", "trading.1", "relay", "beat", "feed")
# A stack that trades on paper has no process that calls a broker: `manage.py kite_faults` lets that one die. Nor has it
# a channel to which an alert would go: tests/risk/test_telling.py stops that at its failpoints.
NOT_REACHED = ("execution.call.", "execution.gtt.", "risk.tell.")
FAILPOINTS = frozenset(name for name in failpoints.NAMES if not name.startswith(NOT_REACHED))


class Plan(msgspec.Struct, frozen=True):
    """How much is killed, over how many seconds, from which seed."""

    seed: int
    seconds: float
    kills: int
    flushes: int
    redis_kills: int
    postgres_kills: int


class Toll(msgspec.Struct):
    """What was really hit: kills by role, and directed crashes by failpoint."""

    kills: dict[str, int] = msgspec.field(default_factory=dict)
    missed: int = 0
    crashes: list[str] = msgspec.field(default_factory=list)
    unfired: list[str] = msgspec.field(default_factory=list)

    @property
    def killed(self) -> int:
        return sum(count for name, count in self.kills.items() if name in VICTIMS)

    def shortfalls(self, plan: Plan) -> list[str]:
        """What was hit less often than planned, in words; a proof that hits less proves less."""
        planned = {
            "kills of processes": (self.killed, plan.kills),
            "flushes of Redis": (self.kills.get(FLUSH, 0), plan.flushes),
            "kills of Redis": (self.kills.get("redis", 0), plan.redis_kills),
            "kills of PostgreSQL": (self.kills.get("postgres", 0), plan.postgres_kills),
        }
        found = [f"{name}: {hit} of {asked}" for name, (hit, asked) in planned.items() if hit < asked]
        return found + [f"failpoint not reached: {name}" for name in self.unfired]


FULL = Plan(seed=0, seconds=110, kills=200, flushes=8, redis_kills=3, postgres_kills=4)
SHORT = Plan(seed=0, seconds=18, kills=20, flushes=2, redis_kills=1, postgres_kills=1)


def havoc(stack: Stack, plan: Plan, folder: Path, tell: Callable[[str], None]) -> Toll:
    """Carry the plan out against a running stack, at moments drawn from its seed."""
    toll = Toll()
    started = time.monotonic()
    counts: Counter[str] = Counter()
    for at_s, act, name in _schedule(plan):
        _sleep_until(started + at_s)
        if act == "arm":
            failpoints.arm(name, folder=folder)
        elif hit := _hit(stack, act, name):
            counts[hit] += 1
        else:
            toll.missed += 1
        tell(f"{at_s:5.1f} s  {sum(counts.values())} hits, last {act} {name}")
    toll.kills = dict(sorted(counts.items()))
    return toll


def _schedule(plan: Plan) -> list[tuple[float, str, str]]:
    """Moments, acts and their targets; the same for the same seed."""
    chance = random.Random(plan.seed)
    acts = [("kill", chance.choice(VICTIMS)) for _ in range(plan.kills)]
    acts += [("flush", FLUSH)] * plan.flushes
    acts += [("server", "redis")] * plan.redis_kills + [("server", "postgres")] * plan.postgres_kills
    acts += [("arm", name) for name in sorted(FAILPOINTS)]
    chance.shuffle(acts)
    step_s = plan.seconds / len(acts)
    return [((number + chance.random()) * step_s, act, name) for number, (act, name) in enumerate(acts)]


def _hit(stack: Stack, act: str, name: str) -> str:
    """Do it to what is there and return the name of what was hit; another process where this one stays down
    (a feed that has sent all), empty where there is none."""
    if act == "flush":
        return name if _within(SERVER_WAIT_S, lambda: _flush(stack)) else ""
    if act == "server":
        return name if _within(SERVER_WAIT_S, lambda: bool(stack.kill_server(name))) else ""
    if _within(WAIT_S, lambda: bool(stack.kill(name))):
        return name
    return next((other for other in VICTIMS if stack.kill(other)), "")


def _within(seconds: float, succeeds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if succeeds():
            return True
        time.sleep(0.02)
    return False


def _flush(stack: Stack) -> bool:
    """Empty Redis, having checked that the server which answers is the one that the stack started."""
    client = redis.Redis.from_url(f"unix://{places.redis_socket(stack.run_dir)}", socket_timeout=1)
    try:
        if client.info("server")["process_id"] != stack.pids().get("redis"):
            return False
        return bool(client.flushall())
    except redis.RedisError:
        return False
    finally:
        client.close()


def unfired(folder: Path) -> list[str]:
    """Failpoints that are armed still: no process has passed them since."""
    return sorted(path.name for path in folder.iterdir() if path.name in FAILPOINTS)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
