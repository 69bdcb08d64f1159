"""Whether everything that the platform stands on is there; half a system is not started."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from alphapanda import env
from alphapanda.eventlog.bootstrap import missing_topics
from alphapanda.eventlog.records import LogError
from alphapanda.health.registry import Level
from alphapanda.health_checks import calendar_horizon
from alphapanda.supervisor import PROCESSES_FILE, why_not_listen

SERVERS = ("database", "redis", "log")  # without one of these no other check can be made
CLOCK_DRIFT_S_MAX = 2.0
EARLIEST_CLOCK_S = 1_735_689_600  # 1 January 2025: a clock before that has lost its battery
TIMEOUT_S = 5.0


class Missing(Exception):
    """A part is not as it must be; the message says what to do."""


class Doubtful(Exception):
    """A part will do for now, but somebody must see to it; the message says to what."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome. `is_doubtful`: good enough to start, with something to see to."""

    name: str
    is_good: bool
    detail: str
    is_doubtful: bool = False


def run(*, port: bool = True) -> list[Finding]:
    """Make every check, whatever the others found; `port=False` leaves out whether the web port is free."""
    return [find(name, check) for name, check in CHECKS.items() if port or name != "port"]


def servers() -> list[Finding]:
    """Only whether the servers answer; nothing needs to have been made in them."""
    return [find(name, CHECKS[name]) for name in SERVERS]


def find(name: str, check: Callable[[], str]) -> Finding:
    """The outcome of one check: it raises Missing, or something of the parts that it asks does not answer."""
    try:
        return Finding(name, is_good=True, detail=check())
    except Doubtful as doubt:
        return Finding(name, is_good=True, detail=str(doubt), is_doubtful=True)
    except (Missing, DatabaseError, redis.RedisError, LogError, env.NoBroker, OSError) as error:
        return Finding(name, is_good=False, detail=" ".join(str(error).split()) or type(error).__name__)


def database() -> str:
    connection.ensure_connection()
    version = connection.cursor().execute("show server_version").fetchone()[0]
    return f"PostgreSQL {version}"


def migrations() -> str:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        raise Missing(f"{len(plan)} not applied: run `manage.py migrate`")
    return "all applied"


def redis_server() -> str:
    with redis.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=TIMEOUT_S, socket_timeout=TIMEOUT_S
    ) as client:
        return f"Redis {client.info('server')['redis_version']}"


def log() -> str:
    """Reachable over TCP; whether it is a broker shows in the topics."""
    addresses = env.kafka_bootstrap()
    faults = [fault for fault in map(_unreachable, addresses.split(",")) if fault]
    if len(faults) == len(addresses.split(",")):
        raise Missing("; ".join(faults))
    return addresses


def topics() -> str:
    missing = missing_topics()
    if missing:
        raise Missing(f"{', '.join(missing)} not there: run `manage.py bootstrap`")
    return "all there"


def folders() -> str:
    settings.RUN_DIR.mkdir(parents=True, exist_ok=True)
    if not os.access(settings.RUN_DIR, os.W_OK):
        raise Missing(f"{settings.RUN_DIR} is not writable")
    return str(settings.RUN_DIR)


def port() -> str:
    if why := why_not_listen(settings.HOST, settings.PORT):
        if _is_up():
            return f"{settings.HOST}:{settings.PORT} is ours: `manage.py up` runs"
        raise Missing(why)
    return f"{settings.HOST}:{settings.PORT} is free"


def _is_up() -> bool:
    """Whether a supervisor holds RUN_DIR; its process list is gone after a clean stop."""
    try:
        supervisor = json.loads((settings.RUN_DIR / PROCESSES_FILE).read_text())["supervisor"]
        os.kill(supervisor, 0)
    except (OSError, ValueError):
        return False
    return True


def clock() -> str:
    try:
        ZoneInfo("Asia/Kolkata")
    except ZoneInfoNotFoundError:
        raise Missing("no time zone data: install tzdata") from None
    drift = abs(_database_time() - time.time())
    if time.time() < EARLIEST_CLOCK_S or drift > CLOCK_DRIFT_S_MAX:
        raise Missing(f"this clock and the database's are {drift:.1f} s apart: set the time (chrony, ntp)")
    return f"within {drift:.1f} s of the database's"


def brokers() -> str:
    """Whether real money is traded, as the settings say, and where."""
    if not settings.ZERODHA_ENABLED:
        return f"{', '.join(settings.BROKERS)}; no real money"
    return f"{', '.join(settings.BROKERS)}; orders go to {settings.KITE_API_URL}"


def calendar() -> str:
    """Whether enough of the exchanges' calendars is known, as the health check of that name says."""
    horizon = calendar_horizon()
    if horizon.level is not Level.OK:
        raise Doubtful(horizon.words)
    return horizon.words


def _database_time() -> float:
    with connection.cursor() as cursor:
        cursor.execute("select extract(epoch from clock_timestamp())")
        return float(cursor.fetchone()[0])


def _unreachable(address: str) -> str:
    try:
        url = urlsplit(f"//{address.strip()}")
        socket.create_connection((url.hostname, url.port or 9092), TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        return f"{address}: {getattr(error, 'strerror', None) or error}"
    return ""


CHECKS: dict[str, Callable[[], str]] = {
    "database": database,
    "migrations": migrations,
    "redis": redis_server,
    "log": log,
    "topics": topics,
    "folders": folders,
    "port": port,
    "clock": clock,
    "brokers": brokers,
    "calendar": calendar,
}
