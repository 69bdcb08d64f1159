"""When an exchange trades: phases and sessions from plain rows. Times: epoch ms UTC; days: IST dates."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, time
from typing import NamedTuple

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS, ist_date, ist_ms
from alphapanda.core.vocabulary import Phase

EARLIEST_MS = 946_684_800_000  # 2000-01-01 UTC: stamps before it are faults, not history
LATEST_MS = 4_102_444_800_000  # 2100-01-01 UTC
# Zerodha closes intraday equity positions from 15:20 on, ten minutes before the end (support article, undated).
SQUARE_OFF_BEFORE_MS = 10 * 60_000
_SEARCH_DAYS = 60  # no exchange was ever shut that long; a longer gap means missing rules


class NoSession(LookupError):
    """The calendar knows no session near the time asked for."""


class SpecialHours(NamedTuple):
    """Continuous trading on a day that the rules would not have, or at other hours (IST)."""

    day: date
    opens: time
    closes: time


class PhaseRule(NamedTuple):
    """The hours (IST) of a phase on ordinary days from a date on, until a later rule for the same phase."""

    valid_from: date
    phase: Phase
    starts: time
    ends: time


class Session(NamedTuple):
    """Continuous trading of a day: from the first opening to the last close."""

    opens_ms: int
    closes_ms: int


class _Day(NamedTuple):
    edges: tuple[int, ...]  # rising; phases[i] holds from edges[i - 1] until edges[i]
    phases: tuple[Phase, ...]
    session: Session | None


_NO_DAY = _Day((), (Phase.CLOSED,), None)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The trading days and phases of one exchange. Outside 2000 to 2100 it is always closed."""

    holidays: frozenset[date]
    specials: tuple[SpecialHours, ...]
    rules: tuple[PhaseRule, ...]
    _days: dict[int, _Day] = field(default_factory=dict, init=False, compare=False, repr=False)

    def phase_at(self, at_ms: int) -> Phase:
        """The phase at a time; a phase starts with its first millisecond and ends before its end."""
        day = self._days.get((at_ms + IST_OFFSET_MS) // DAY_MS) or self._day_of(at_ms)
        return day.phases[bisect_right(day.edges, at_ms)]

    def session(self, day: date) -> Session | None:
        """Continuous trading of a day; None when there is none."""
        return self._day_of(ist_ms(day, time(12))).session

    def trading(self, at_ms: int) -> tuple[Session, ...]:
        """The spans of continuous trading of the day of a time."""
        day = self._day_of(at_ms)
        spans = zip(day.edges, day.edges[1:], day.phases[1:], strict=False)
        return tuple(Session(starts, ends) for starts, ends, phase in spans if phase is Phase.CONTINUOUS)

    def is_trading_day(self, day: date) -> bool:
        return self.session(day) is not None

    def has_session(self, at_ms: int) -> bool:
        """Whether the day of a time is a trading day."""
        return self._day_of(at_ms).session is not None

    def next_open_ms(self, at_ms: int) -> int:
        """The first opening of continuous trading at or after a time. Raises NoSession."""
        session = self._first_session(at_ms, lambda found: found.opens_ms >= at_ms)
        return session.opens_ms

    def closes_ms(self, at_ms: int) -> int:
        """The end of continuous trading of the day of a time, of the next trading day when that day has none.
        It may lie before the time. Raises NoSession."""
        today = self._day_of(at_ms).session
        if today is not None:
            return today.closes_ms
        return self._first_session(at_ms, lambda _: True).closes_ms

    def square_off_ms(self, at_ms: int) -> int | None:
        """When intraday positions of the day of a time are closed; None on a day without a session."""
        session = self._day_of(at_ms).session
        return session.closes_ms - SQUARE_OFF_BEFORE_MS if session else None

    def _first_session(self, at_ms: int, fits: Callable[[Session], bool]) -> Session:
        for ahead in range(_SEARCH_DAYS):
            session = self._day_of(at_ms + ahead * DAY_MS).session
            if session is not None and fits(session):
                return session
        raise NoSession(f"no session within {_SEARCH_DAYS} days of {at_ms} ms")

    def _day_of(self, at_ms: int) -> _Day:
        if not EARLIEST_MS <= at_ms < LATEST_MS:
            return _NO_DAY
        number = (at_ms + IST_OFFSET_MS) // DAY_MS
        day = self._days.get(number)
        if day is None:
            day = self._days[number] = self._built(ist_date(at_ms))
        return day

    def _built(self, day: date) -> _Day:
        spans = [
            (ist_ms(day, opens), ist_ms(day, closes), Phase.CONTINUOUS)
            for special_day, opens, closes in self.specials
            if special_day == day
        ] or self._ordinary(day)
        spans.sort()
        trading = [span for span in spans if span[2] is Phase.CONTINUOUS]
        if not trading:
            return _NO_DAY
        return _laid_out(spans, Session(trading[0][0], trading[-1][1]))

    def _ordinary(self, day: date) -> list[tuple[int, int, Phase]]:
        if day.weekday() > 4 or day in self.holidays:
            return []
        newest = {rule.phase: rule for rule in sorted(self.rules) if rule.valid_from <= day}
        return [(ist_ms(day, rule.starts), ist_ms(day, rule.ends), rule.phase) for rule in newest.values()]


def calendar(
    *, holidays: Iterable[date], specials: Iterable[SpecialHours], rules: Iterable[PhaseRule]
) -> Calendar:
    """A calendar from plain rows."""
    return Calendar(frozenset(holidays), tuple(sorted(specials)), tuple(sorted(rules)))


def _laid_out(spans: list[tuple[int, int, Phase]], session: Session) -> _Day:
    edges: list[int] = []
    phases: list[Phase] = [Phase.CLOSED]
    for starts, ends, phase in spans:
        if edges and edges[-1] == starts:
            phases[-1] = phase
        else:
            edges.append(starts)
            phases.append(phase)
        edges.append(ends)
        phases.append(Phase.CLOSED)
    return _Day(tuple(edges), tuple(phases), session)
