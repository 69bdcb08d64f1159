"""What market data there is: lists of instruments, how far the calendar reaches, bars of each day, gaps of the feed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from django.db.models import Count, Exists, F, Max, OuterRef

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS, ist_date, ist_midnight_ms
from alphapanda.core.envelope import EventType, FeedGap, decode
from alphapanda.eventlog.models import OutboxEvent
from marketdata import selectors
from marketdata.domain.calendar import Calendar
from marketdata.domain.markets import UnknownMarket
from marketdata.models import Bar, Instrument, MasterLoad
from marketdata.services.kite_candles import folder_of

EPOCH = date(1970, 1, 1)
MINUTE_MS = 60_000
DAYS_BACK_MAX = 60  # calendar days in which so many trading days are looked for
GAPS = 50


class ListState(NamedTuple):
    """The instruments of an exchange, and the list that was taken over last (None: the shipped ones)."""

    exchange: str
    listed: int
    gone: int
    load: MasterLoad | None


@dataclass(frozen=True, slots=True)
class DayBars:
    """Minute bars of a day: stored, and as many as continuous trading has minutes (None: its market has no hours)."""

    day: date
    stored: int
    expected: int | None

    @property
    def missing(self) -> int:
        return max((self.expected or 0) - self.stored, 0)


@dataclass(frozen=True, slots=True)
class Covered:
    instrument: Instrument
    days: list[DayBars]


class Copies(NamedTuple):
    """Files of a broker's candles on this machine."""

    files: int
    size: int
    oldest: float | None  # seconds since the epoch


def lists_known() -> list[ListState]:
    """The lists of every exchange that has instruments."""
    counts: dict[str, dict[bool, int]] = defaultdict(dict)
    rows = Instrument.objects.values("exchange", "is_listed").annotate(count=Count("pk")).order_by("exchange")
    for row in rows:
        counts[row["exchange"]][row["is_listed"]] = row["count"]
    newest: dict[str, MasterLoad] = {}
    for load in MasterLoad.objects.order_by("-loaded_at")[:200]:
        for exchange in load.exchanges.split():
            newest.setdefault(exchange, load)
    return [
        ListState(exchange, found.get(True, 0), found.get(False, 0), newest.get(exchange))
        for exchange, found in counts.items()
    ]


def gaps_told() -> list[FeedGap]:
    """What the live feed did not hear, the newest first, as long as the outbox keeps it."""
    rows = OutboxEvent.objects.filter(type=EventType.FEED_GAP).order_by("-id")[: 2 * GAPS]
    found: dict[tuple[str, int, int], FeedGap] = {}
    for row in rows:
        _, gap = decode(bytes(row.body))
        if isinstance(gap, FeedGap):  # its end is told after its beginning
            found.setdefault((gap.source, gap.connection, gap.from_ms), gap)
    return list(found.values())[:GAPS]


def copies_kept() -> Copies:
    """The working copies of the broker's candles."""
    stats = [path.stat() for path in _files(folder_of(None))]
    oldest = min((stat.st_mtime for stat in stats), default=None)
    return Copies(len(stats), sum(stat.st_size for stat in stats), oldest)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*") if path.is_file())


def coverage(*, days: int, until: date | None = None) -> list[Covered]:
    """Minute bars of the last trading days, up to a day or to the newest bar, of each instrument that has any or that
    deployments use."""
    in_use = [row.pk for row in selectors.instruments_in_use().values()]
    bars = Bar.objects.filter(minutes=1)
    known = Instrument.objects.filter(Exists(bars.filter(instrument=OuterRef("pk")))).values_list(
        "pk", flat=True
    )
    rows = Instrument.objects.filter(pk__in={*in_use, *known}).order_by("exchange", "tradingsymbol")
    last = until or _newest_day(bars.filter(instrument__in=known))
    if last is None or not rows:
        return [Covered(row, []) for row in rows]
    shown = _trading_days(rows, last, days)
    stored = _stored(rows, shown)
    return [_covered(row, shown, stored) for row in rows]


def _newest_day(bars: object) -> date | None:
    newest = bars.aggregate(at=Max("starts_ms"))["at"]  # type: ignore[attr-defined]
    return None if newest is None else ist_date(newest)


def _trading_days(rows: Collection[Instrument], last: date, count: int) -> list[date]:
    """The last days on which one of them trades, the oldest first."""
    hours = [found for row in rows if (found := _hours(row))]
    back = [last - timedelta(days=n) for n in range(DAYS_BACK_MAX)]
    traded = [
        day for day in back if any(one.is_trading_day(day) for one in {id(h): h for h in hours}.values())
    ]
    return sorted(traded[:count])


def _hours(instrument: Instrument) -> Calendar | None:
    try:
        return selectors.calendars().of(selectors.spec(instrument))
    except UnknownMarket:
        return None


def _stored(rows: Collection[Instrument], days: list[date]) -> dict[tuple[int, date], int]:
    if not days:
        return {}
    found = Bar.objects.filter(
        instrument__in=rows,
        minutes=1,
        starts_ms__gte=ist_midnight_ms(days[0]),
        starts_ms__lt=ist_midnight_ms(days[-1]) + DAY_MS,
    ).annotate(day=(F("starts_ms") + IST_OFFSET_MS) / DAY_MS)
    counted = found.values_list("instrument", "day").annotate(count=Count("pk")).order_by()
    return {(pk, EPOCH + timedelta(days=day)): count for pk, day, count in counted}


def _covered(row: Instrument, days: list[date], stored: dict[tuple[int, date], int]) -> Covered:
    hours = _hours(row)
    return Covered(row, [DayBars(day, stored.get((row.pk, day), 0), _minutes(hours, day)) for day in days])


def _minutes(hours: Calendar | None, day: date) -> int | None:
    if hours is None:
        return None
    noon = ist_midnight_ms(day) + DAY_MS // 2
    return sum((span.closes_ms - span.opens_ms) // MINUTE_MS for span in hours.trading(noon))


def calendar_left(*, now: datetime) -> dict[str, int | None]:
    """Days for which the holidays of each exchange are known; None where none are."""
    today = ist_date(int(now.timestamp() * 1000))
    return {
        exchange: None if last is None else (last - today).days
        for exchange, last in selectors.calendar_known_until().items()
    }
