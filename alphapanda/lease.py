"""The dead man's switch: where trading gives no sign of life for so long, a kill switch is thrown by itself.

It is watched from the process of the timetable, which trades nothing. The lease begins with that process and again
with each release of a halt; while no ticks are expected it does not run out. What is thrown is a halt of everything
with step CANCEL, an act like a person's: audited, latched, carried out at a step that a replay knows."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.db.models import Max
from django.utils import timezone
from redis.exceptions import RedisError

from alphapanda import health_checks, logs
from alphapanda.core.vocabulary import HaltLevel, HaltStep, Severity, Waiting
from alphapanda.eventlog.models import LogCursor
from alphapanda.eventlog.topics import MARKET_TICKS
from alphapanda.push.readmodel import ReadModelUnavailable
from marketdata.domain.markets import UnknownMarket
from marketdata.stream import CONSUMER
from risk.models import KillSwitch
from risk.services.alerts import alert_raise
from risk.services.halts import halt_throw
from strategies.models import Deployment
from strategies.services.runner import ACTIVE

LOOK_EVERY_S = 1.0

log = logs.channel("trading")


def why_run_out(*, since: datetime, now: datetime) -> str:
    """Why the lease has run out, in words; empty while it holds."""
    limit = now - timedelta(seconds=settings.LEASE_SECONDS)
    if not settings.LEASE_SECONDS or _begun(since) >= limit or health_checks.is_quiet():
        return ""
    active = Deployment.objects.filter(status__in=ACTIVE)
    seen = LogCursor.objects.filter(consumer=CONSUMER, topic=MARKET_TICKS).aggregate(at=Max("updated_at"))[
        "at"
    ]
    if seen is not None and seen < limit and active.exists():
        return f"no tick has come through for {(now - seen).total_seconds():.0f} s"
    stuck = active.exclude(waiting=Waiting.NOTHING).filter(waiting_since__lt=limit).order_by("name")
    names = list(stuck.values_list("name", flat=True))
    return f"no decision was carried out for {settings.LEASE_SECONDS} s: {', '.join(names)}" if names else ""


def _begun(since: datetime) -> datetime:
    """When the lease began: a person who releases a halt gives a new one."""
    released = KillSwitch.objects.aggregate(at=Max("released_at"))["at"]
    return since if released is None else max(since, released)


def check(*, since: datetime, now: datetime) -> bool:
    """Throw the kill switch where the lease has run out; whether it was thrown now. Thrown once, it is latched."""
    thrown = KillSwitch.objects.filter(level=HaltLevel.GLOBAL, released_at=None).exclude(step=HaltStep.PAUSE)
    if thrown.exists() or not (why := why_run_out(since=since, now=now)):
        return False
    halt_throw(level=HaltLevel.GLOBAL, step=HaltStep.CANCEL, reason=why, actor="lease", now=now)
    alert_raise(code="lease", subject="trading", text=why, severity=Severity.CRITICAL, now=now)
    log.error("lease.run_out", why=why)
    return True


def start() -> None:
    """Watch the lease in a thread of this process, where the setting asks for one."""
    if settings.LEASE_SECONDS:
        threading.Thread(target=_watch, args=(timezone.now(),), name="lease", daemon=True).start()


def _watch(since: datetime) -> None:
    while True:
        time.sleep(LOOK_EVERY_S)
        look(since)


def look(since: datetime) -> None:
    """Look once; what keeps us from it is no reason to look no more."""
    try:
        check(since=since, now=timezone.now())
    except (DatabaseError, RedisError, ReadModelUnavailable, UnknownMarket) as error:
        log.warning("lease.unknown", error=str(error))
    finally:
        close_old_connections()
