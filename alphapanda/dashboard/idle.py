"""What stands where a list is empty: why, in figures that are read again with the list, and the next step."""

from __future__ import annotations

from datetime import date

from django.db.models import QuerySet
from django.utils import timezone

from alphapanda.core.clock import DAY_MS, ist_date, ist_midnight_ms, to_ms
from alphapanda.core.vocabulary import DeploymentStatus
from alphapanda.dashboard import frame, screen, seen
from marketdata.domain.calendar import NoSession, Session
from marketdata.domain.markets import UnknownMarket
from marketdata.selectors import calendar
from portfolio.models import Position
from strategies.models import Deployment

EXCHANGE = "NSE"


def orders(broker: str, live: frame.Reading) -> screen.Row:
    """Signals of the day: why they became no orders is told there."""
    signals = _of_day(seen.signals().filter(broker=broker), live)
    denied = signals.filter(decision__is_approved=False, **seen.decided())
    return {
        "stored": seen.orders().filter(broker=broker).count(),
        "signals": signals.count(),
        "denied": denied.count(),
    }


def fills(broker: str, live: frame.Reading) -> screen.Row:
    """Orders of the day."""
    placed = _of_day(seen.orders().filter(broker=broker), live, "placed_at_ms")
    return {"stored": seen.fills().filter(broker=broker).count(), "orders": placed.count()}


def signals(broker: str, live: frame.Reading) -> screen.Row:
    """Who could raise one, and since when."""
    own = Deployment.objects.filter(broker=broker)
    stored = seen.signals().filter(broker=broker).count()
    running = own.filter(status=DeploymentStatus.RUNNING).count()
    return {"stored": stored, "deployed": own.count(), "running": running} | hours(clock_ms(live, broker))


def positions(broker: str, live: frame.Reading) -> screen.Row:
    """How many were closed on the day."""
    own = Position.objects.filter(book__broker=broker, quantity=0)
    return {"broker": broker, "closed": _of_day(own, live, "updated_at_ms").count()}


def clock_ms(live: frame.Reading, broker: str) -> int:
    """The time of the ticks where they have a clock of their own, else the wall's."""
    strip = live.rows.get("strip", {}).get(broker, {})
    return int(strip["at_ms"] or 0) if strip.get("session") else to_ms(timezone.now())


def _of_day(found: QuerySet, live: frame.Reading, column: str = "at_ms") -> QuerySet:
    """Those of the day that the screens call today."""
    day = date.fromisoformat(live.day) if live.day else ist_date(to_ms(timezone.now()))
    start = ist_midnight_ms(day)
    return found.filter(**{f"{column}__gte": start, f"{column}__lt": start + DAY_MS})


def hours(at_ms: int) -> screen.Row:
    """From when to when trading of the day has been, as far as it is over; or when it begins."""
    try:
        known = calendar(EXCHANGE)
        session = known.session(ist_date(at_ms)) if at_ms else None
        if session is not None and session.opens_ms <= at_ms:
            return _since(session, at_ms)
        return {"opens_ms": known.next_open_ms(at_ms)} if at_ms else {}
    except (UnknownMarket, NoSession):
        return {}


def _since(session: Session, at_ms: int) -> screen.Row:
    until_ms = session.closes_ms if session.closes_ms <= at_ms else None
    return {"since_ms": session.opens_ms, "until_ms": until_ms}
