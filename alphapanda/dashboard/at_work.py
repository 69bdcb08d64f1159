"""What deployments have done: trades of the day, how many of all were won, and when each last wrote how far it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from alphapanda import health_checks
from alphapanda.core.clock import ist_date
from alphapanda.core.vocabulary import DeploymentStatus
from alphapanda.dashboard import moment, screen
from alphapanda.engine.trades import win_rate_percent
from alphapanda.health.basics import age_s
from alphapanda.push.readmodel import ReadModelUnavailable
from marketdata.domain.markets import UnknownMarket
from portfolio import journal
from portfolio.domain.trips import Trip
from portfolio.models import Book
from strategies.models import Deployment

READING = (DeploymentStatus.RUNNING, DeploymentStatus.PAUSED)


def traded(deployments: Iterable[UUID], day: str | None) -> dict[str, screen.Row]:
    """Of each deployment its trades that were over on a day (None: which day it is, is not known), and those of all
    days that were won, as the journal counts them."""
    ids = list(deployments)
    found = journal.trades_by_book(Book.objects.filter(pk__in=ids), moment.until())
    trips = {pk: [one for one in each.trips if one.closed_at_ms] for pk, each in found.items()}
    return {str(pk): _figures(trips.get(pk, []), day) for pk in ids}


def _figures(over: list[Trip], day: str | None) -> screen.Row:
    nets, days = [trip.net for trip in over], [ist_date(trip.closed_at_ms or 0).isoformat() for trip in over]
    rate = win_rate_percent(nets)
    return {
        "trades_today": None if days and day is None else days.count(day or ""),
        "trades": len(nets),
        "won": sum(net > 0 for net in nets),
        "win_rate": None if rate is None else f"{rate:.0f}",
    }


def last_seen(deployments: Iterable[UUID]) -> dict[str, screen.Row]:
    """How long ago each wrote how far it is, and whether that is too long for one that reads while ticks come. What
    that was at an earlier moment is not kept."""
    if moment.current() is not None:
        return {}
    found = Deployment.objects.filter(pk__in=list(deployments))
    is_awaited = _ticks_come()
    return {
        str(pk): _seen(written, is_awaited=is_awaited and status in READING)
        for pk, status, written in found.values_list("pk", "status", "checkpointed_at")
    }


def _seen(written: datetime | None, *, is_awaited: bool) -> screen.Row:
    age = None if written is None else age_s(written)
    is_late = age is None or age >= health_checks.CHECKPOINT_AGE_WARN_S
    return {"seen_s": age, "is_stale": is_awaited and is_late}


def _ticks_come() -> bool:
    """Whether ticks are expected now; not where nobody can say."""
    try:
        return not health_checks.is_quiet()
    except (UnknownMarket, ReadModelUnavailable):
        return False
