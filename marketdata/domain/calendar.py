"""When a market trades: phases and sessions from plain rows. Times: epoch ms UTC; days: IST dates."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, time, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from alphapanda.core.clock import DAY_MS, IST, IST_OFFSET_MS, ist_date, ist_ms, to_datetime
from alphapanda.core.vocabulary import Phase
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.markets import Market, UnknownMarket
from marketdata.domain.rules import Permissions, permissions_of

EARLIEST_MS = 946_684_800_000  # 2000-01-01 UTC: stamps before it are faults, not history
LATEST_MS = 4_102_444_800_000  # 2100-01-01 UTC
# Where no cutoff is known: Zerodha closes intraday equity positions from 15:20 on (support article, undated).
SQUARE_OFF_MINUTES = 10
_SEARCH_DAYS = 60  # no exchange was ever shut that long; a longer gap means missing rules
_MINUTE_MS = 60_000
_USUAL_END = time(15, 30)  # of a contract whose last day has no session


class NoSession(LookupError):
    """The calendar knows no session near the time asked for."""


class Season(StrEnum):
    """When in the year a rule holds: MCX closes by New York's clock."""

    ALWAYS = "ALWAYS"
    US_SUMMER = "US_SUMMER"
    US_WINTER = "US_WINTER"


class SpecialHours(NamedTuple):
    """A phase on a day that the rules would not have, or at other hours (IST)."""

    day: date
    opens: time
    closes: time
    phase: Phase = Phase.CONTINUOUS


class PhaseRule(NamedTuple):
    """The hours (IST) of a phase on ordinary days from a date on, until a later rule for the same phase and
    season. A rule that ends when it starts says that the phase is no more."""

    valid_from: date
    phase: Phase
    starts: time
    ends: time
    season: Season = Season.ALWAYS


class CutoffKind(StrEnum):
    """SQUARE_OFF: the broker closes intraday positions. EXPIRY: contracts that expire on the day stop trading."""

    SQUARE_OFF = "SQUARE_OFF"
    EXPIRY = "EXPIRY"


class Cutoff(NamedTuple):
    """So many minutes before the end of continuous trading, so that it fits short days and evenings too."""

    valid_from: date
    kind: CutoffKind
    minutes: int


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
    """The trading days and phases of one market, and what it takes. Outside 2000 to 2100 it is always closed."""

    holidays: frozenset[date]
    specials: tuple[SpecialHours, ...]
    rules: tuple[PhaseRule, ...]
    cutoffs: tuple[Cutoff, ...] = ()
    permissions: tuple[Permissions, ...] = ()
    _days: dict[int, _Day] = field(default_factory=dict, init=False, compare=False, repr=False)
    _cuts: dict[tuple[CutoffKind, int], int] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    _contracts: dict[date, Calendar] = field(default_factory=dict, init=False, compare=False, repr=False)

    def of(self, instrument: InstrumentSpec) -> Calendar:
        """The hours of one of the market's instruments: the market's own, but of a contract that stops earlier on its
        last day those that end then. Which market it is in is what `Calendars` tells apart."""
        expiry = instrument.expiry
        if expiry is None:
            return self
        found = self._contracts.get(expiry)
        if found is None:
            found = self._contracts[expiry] = self._ending_early(expiry)
        return found

    def _ending_early(self, day: date) -> Calendar:
        """The hours of contracts that expire on a day; these where they trade to its end."""
        session, ends_ms = self.session(day), self.contract_ends_ms(day)
        if session is None or ends_ms >= session.closes_ms:
            return self
        spans = [(starts, min(ends, ends_ms), phase) for starts, ends, phase in self._spans(day)]
        last = [
            SpecialHours(day, _time_of(starts), _time_of(ends), phase)
            for starts, ends, phase in spans
            if starts < ends
        ]
        others = [special for special in self.specials if special.day != day]
        cutoffs = tuple(cut for cut in self.cutoffs if cut.kind is not CutoffKind.EXPIRY)
        return replace(self, specials=tuple(sorted([*others, *last])), cutoffs=cutoffs)

    def ruled(self, instrument: InstrumentSpec, day: date) -> InstrumentSpec:
        """An instrument as decisions of a day see it: its own rules by date, and what its market took then."""
        taken = permissions_of(self.permissions, instrument, day)
        of_day = instrument.on(day)
        if taken is None:
            return of_day
        return msgspec.structs.replace(
            of_day, products=taken.products, order_types=taken.order_types, validities=taken.validities
        )

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
        """When the broker closes intraday positions of the day of a time; None on a day without a session."""
        return self._cut_off(CutoffKind.SQUARE_OFF, at_ms, SQUARE_OFF_MINUTES)

    def expiry_closes_ms(self, at_ms: int) -> int | None:
        """When trading ends, on the day of a time, in contracts that expire on it; None without a session."""
        return self._cut_off(CutoffKind.EXPIRY, at_ms, 0)

    def contract_ends_ms(self, expiry: date) -> int:
        """The end of all trading in contracts that expire on a day; on one without a session, the usual end."""
        return self.expiry_closes_ms(ist_ms(expiry, time(12))) or ist_ms(expiry, _USUAL_END)

    def _cut_off(self, kind: CutoffKind, at_ms: int, default_minutes: int) -> int | None:
        session = self._day_of(at_ms).session
        if session is None:
            return None
        key = kind, session.opens_ms
        found = self._cuts.get(key)
        if found is None:
            day = ist_date(at_ms)
            known = [cut.minutes for cut in self.cutoffs if cut.kind is kind and cut.valid_from <= day]
            minutes = known[-1] if known else default_minutes
            found = max(session.opens_ms, session.closes_ms - minutes * _MINUTE_MS)
            self._cuts[key] = found
        return found

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
        spans = sorted(self._spans(day))
        trading = [span for span in spans if span[2] is Phase.CONTINUOUS]
        if not trading:
            return _NO_DAY
        return _laid_out(spans, Session(trading[0][0], trading[-1][1]))

    def _spans(self, day: date) -> list[tuple[int, int, Phase]]:
        return [
            (ist_ms(day, special.opens), ist_ms(day, special.closes), special.phase)
            for special in self.specials
            if special.day == day
        ] or self._ordinary(day)

    def _ordinary(self, day: date) -> list[tuple[int, int, Phase]]:
        if day.weekday() > 4 or day in self.holidays:
            return []
        seasons = (Season.ALWAYS, Season.US_SUMMER if is_us_summer(day) else Season.US_WINTER)
        newest = {
            rule.phase: rule for rule in self.rules if rule.valid_from <= day and rule.season in seasons
        }
        return [
            (ist_ms(day, rule.starts), ist_ms(day, rule.ends), rule.phase)
            for rule in newest.values()
            if rule.starts < rule.ends
        ]


class MarketHours(Protocol):
    """Whatever knows the calendar of an instrument: all markets, or one that stands for all."""

    def of(self, instrument: InstrumentSpec, /) -> Calendar: ...


@dataclass(frozen=True, slots=True)
class Calendars:
    """The calendars of all markets."""

    by_market: Mapping[Market, Calendar]

    def of(self, instrument: InstrumentSpec) -> Calendar:
        """The hours of an instrument in its market. Raises UnknownMarket."""
        market = instrument.market
        if market not in self.by_market:
            raise UnknownMarket(f"{instrument.key}: no session hours are known for the market {market}")
        return self.by_market[market].of(instrument)


def calendar(
    *,
    holidays: Iterable[date],
    specials: Iterable[SpecialHours],
    rules: Iterable[PhaseRule],
    cutoffs: Iterable[Cutoff] = (),
    permissions: Iterable[Permissions] = (),
) -> Calendar:
    """A calendar from plain rows. Of two rules that hold on a day the one that is valid from later counts."""
    return Calendar(
        frozenset(holidays),
        tuple(sorted(specials)),
        tuple(sorted(rules)),
        tuple(sorted(cutoffs)),
        tuple(sorted(permissions)),
    )


def _time_of(at_ms: int) -> time:
    return to_datetime(at_ms).astimezone(IST).time()


def is_us_summer(day: date) -> bool:
    """Whether New York keeps daylight saving time: from the second Sunday of March to the first of November,
    the rule since 2007."""
    march, november = date(day.year, 3, 8), date(day.year, 11, 1)
    begins = march + timedelta(days=6 - march.weekday())
    ends = november + timedelta(days=6 - november.weekday())
    return begins <= day < ends


def _laid_out(spans: list[tuple[int, int, Phase]], session: Session) -> _Day:
    """Phases in order; where two overlap, the one that starts later cuts the other off."""
    edges: list[int] = []
    phases: list[Phase] = [Phase.CLOSED]
    for starts, ends, phase in spans:
        while edges and edges[-1] > starts:
            edges.pop()
            phases.pop()
        if edges and edges[-1] == starts:
            phases[-1] = phase
        else:
            edges.append(starts)
            phases.append(phase)
        edges.append(ends)
        phases.append(Phase.CLOSED)
    return _Day(tuple(edges), tuple(phases), session)
