"""Silences: how long one lasts, and which alerts it covers. A silence keeps messages back; it changes nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from typing import Protocol, TypeVar

from alphapanda.core.clock import IST

LONGEST = timedelta(days=7)
MORNING = time(9)
HOUR, CLOSE, TOMORROW = "1h", "close", "tomorrow"
WANTED = "expected 1h, close, tomorrow (09:00 IST), or a time such as 2026-11-28T15:30 (IST)"


class Silent(Protocol):
    """What a silence says: alerts of a code, all of them or those about one subject, until a time."""

    code: str
    subject: str
    until: datetime


S = TypeVar("S", bound=Silent)


class BadEnd(ValueError):
    """What was given is no end of a silence."""


def end_of(text: str, *, now: datetime, closes_at: datetime | None) -> datetime:
    """When a silence ends that is asked for in words. `closes_at`: the next close of the market. Raises BadEnd."""
    words = text.strip()
    if words == HOUR:
        return now + timedelta(hours=1)
    if words == TOMORROW:
        day = now.astimezone(IST).date() + timedelta(days=1)
        return datetime.combine(day, MORNING, IST)
    if words == CLOSE:
        return _bounded(_known(closes_at), now)
    return _bounded(_time(words), now)


def silence_of(code: str, subject: str, silences: Iterable[S]) -> S | None:
    """The silence that covers an alert longest; None: nothing is kept back."""
    covering = [one for one in silences if one.code == code and one.subject in ("", subject)]
    return max(covering, key=lambda one: one.until, default=None)


def _known(closes_at: datetime | None) -> datetime:
    if closes_at is None:
        raise BadEnd(f"the calendar knows no close to come: {WANTED}")
    return closes_at


def _time(words: str) -> datetime:
    try:
        found = datetime.fromisoformat(words)
        return found.astimezone(IST) if found.tzinfo else found.replace(tzinfo=IST)
    except (ValueError, OverflowError):  # the latter: a year before the first, by India's clock
        raise BadEnd(f"{words[:40]!r} is no end of a silence: {WANTED}") from None


def _bounded(end: datetime, now: datetime) -> datetime:
    if end <= now:
        raise BadEnd(f"a silence until {end.astimezone(IST):%Y-%m-%d %H:%M} IST would be over already")
    if end - now > LONGEST:
        raise BadEnd(f"a silence lasts {LONGEST.days} days at most")
    return end
