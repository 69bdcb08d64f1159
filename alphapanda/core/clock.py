"""Times: integer milliseconds since the Unix epoch, UTC. Nothing here reads a clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone

IST = timezone(timedelta(hours=5, minutes=30), "IST")
DAY_MS = 86_400_000
IST_OFFSET_MS = 19_800_000
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def ist_day(at_ms: int) -> int:
    """The date in India at a time, as the ordinal of a date: cheap enough for every tick."""
    return _EPOCH_ORDINAL + (at_ms + IST_OFFSET_MS) // DAY_MS


def ist_date(at_ms: int) -> date:
    """The date in India at a time."""
    return date.fromordinal(ist_day(at_ms))


def ist_midnight_ms(day: date) -> int:
    """The start of a day in India."""
    return (day.toordinal() - _EPOCH_ORDINAL) * DAY_MS - IST_OFFSET_MS


def ist_ms(day: date, at: time) -> int:
    """A wall-clock time in India on a day."""
    seconds = at.hour * 3600 + at.minute * 60 + at.second
    return ist_midnight_ms(day) + seconds * 1000 + at.microsecond // 1000


def next_ist_ms(after_ms: int, at: time) -> int:
    """The first time after a moment that it is so late in India."""
    today = ist_ms(ist_date(after_ms), at)
    return today if after_ms < today else today + DAY_MS


def to_datetime(at_ms: int) -> datetime:
    """An aware UTC datetime."""
    return datetime.fromtimestamp(at_ms // 1000, UTC) + timedelta(milliseconds=at_ms % 1000)


def to_ms(moment: datetime) -> int:
    """Milliseconds of an aware datetime. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(milliseconds=1)


def ist_text(at_ms: int) -> str:
    """ISO 8601 in IST with milliseconds: 2019-07-09T09:15:00.000+05:30."""
    return to_datetime(at_ms).astimezone(IST).isoformat(timespec="milliseconds")
