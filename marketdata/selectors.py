"""Reads of market data: the calendar and instruments as the pure values that decisions take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from uuid import UUID

import msgspec
from django.conf import settings
from django.db.models import Max, Q, QuerySet

from alphapanda.core.money import to_e4
from alphapanda.core.vocabulary import Phase
from marketdata import users
from marketdata.domain import bars
from marketdata.domain.calendar import (
    Calendar,
    Calendars,
    Cutoff,
    CutoffKind,
    PhaseRule,
    Season,
    SpecialHours,
)
from marketdata.domain.calendar import calendar as calendar_of
from marketdata.domain.dated import NOTHING_DATED, Dated
from marketdata.domain.instruments import InstrumentSpec, underlying_of
from marketdata.domain.markets import Market, UnknownMarket
from marketdata.domain.rules import Permissions
from marketdata.models import (
    Bar,
    Holiday,
    Instrument,
    MarketCutoff,
    MasterChange,
    MasterLoad,
    Permission,
    SessionRule,
    SpecialSession,
    TickFaultCount,
)

CALENDAR_KEPT_S = 5.0  # how long a process may go on with calendars that an operator has changed
_kept: list[tuple[float, Calendars]] = []  # one, or none


def calendars(*, monotonic: Callable[[], float] = time.monotonic) -> Calendars:
    """The calendars of all markets as operators keep them, at most CALENDAR_KEPT_S old in this process; the
    same object while nothing has changed. A market without stored hours is not among them."""
    now = monotonic()
    if _kept and now - _kept[0][0] < CALENDAR_KEPT_S:
        return _kept[0][1]
    found = _stored_calendars()
    if _kept and _kept[0][1] == found:
        found = _kept[0][1]  # it keeps the days that it has worked out
    _kept[:] = [(now, found)]
    return found


def calendar(market: str, *, monotonic: Callable[[], float] = time.monotonic) -> Calendar:
    """The calendar of a market, as `calendars`. Raises UnknownMarket where no hours are stored."""
    found = {known.value: one for known, one in calendars(monotonic=monotonic).by_market.items()}
    if market not in found:
        raise UnknownMarket(f"{market!r}: no session hours are stored")
    return found[market]


def calendars_forget() -> None:
    """Read calendars anew when they are asked for next, for they were changed in this process."""
    _kept.clear()


def _stored_calendars() -> Calendars:
    rules: dict[str, list[PhaseRule]] = {}
    for rule in SessionRule.objects.all():
        hours = PhaseRule(rule.valid_from, Phase(rule.phase), rule.starts, rule.ends, Season(rule.season))
        rules.setdefault(rule.market, []).append(hours)
    cutoffs: dict[str, list[Cutoff]] = {}
    for cut in MarketCutoff.objects.all():
        cutoff = Cutoff(cut.valid_from, CutoffKind(cut.kind), cut.minutes)
        cutoffs.setdefault(cut.market, []).append(cutoff)
    taken = permissions_known()
    holidays: dict[str, list[date]] = {}
    for exchange, day in Holiday.objects.values_list("exchange", "date"):
        holidays.setdefault(exchange, []).append(day)
    specials: dict[str, list[SpecialHours]] = {}
    for row in SpecialSession.objects.all():
        special = SpecialHours(row.date, row.opens, row.closes, Phase(row.phase))
        specials.setdefault(row.exchange, []).append(special)
    return Calendars(
        {
            market: calendar_of(
                holidays=holidays.get(market.exchange, ()),
                specials=_specials(market, specials),
                rules=rules[market],
                cutoffs=cutoffs.get(market, ()),
                permissions=[row for row in taken if row.market is market],
            )
            for market in map(Market, sorted(rules))
        }
    )


def _specials(market: Market, specials: Mapping[str, list[SpecialHours]]) -> list[SpecialHours]:
    """Those of the market itself, and on all other days those of its exchange."""
    own = specials.get(market, []) if market != market.exchange else []
    days = {special.day for special in own}
    return [*own, *(special for special in specials.get(market.exchange, ()) if special.day not in days)]


def calendar_known_until() -> dict[str, date | None]:
    """The last holiday that is known of each exchange with hours: what lies behind it is a guess."""
    exchanges = {Market(market).exchange for market in SessionRule.objects.values_list("market", flat=True)}
    last = Holiday.objects.filter(exchange__in=exchanges).values("exchange").annotate(day=Max("date"))
    known: dict[str, date | None] = dict.fromkeys(sorted(exchanges))
    return known | {row["exchange"]: row["day"] for row in last}


def spec(instrument: Instrument) -> InstrumentSpec:
    """What decisions need to know of an instrument, as its newest list says, with its rules by date, of which
    `InstrumentSpec.on` takes those of a day. No query: the row carries them."""
    return InstrumentSpec(
        key=f"{instrument.exchange}:{instrument.tradingsymbol}",
        exchange=instrument.exchange,
        tradingsymbol=instrument.tradingsymbol,
        token=instrument.instrument_token,
        tick_size_e4=to_e4(instrument.tick_size),
        lot_size=instrument.lot_size,
        segment=instrument.segment,
        partition=instrument.partition,
        instrument_type=instrument.instrument_type,
        expiry=instrument.expiry,
        strike_e4=to_e4(instrument.strike),
        underlying=underlying_of(instrument.tradingsymbol, instrument.name, instrument.expiry),
        has_derivatives=instrument.has_derivatives,
        freeze_quantity=instrument.freeze_quantity,
        dated=_dated(instrument),
    )


def dated_rules(keys: Collection[str] = ()) -> dict[str, Dated]:
    """The rules by date of EXCHANGE:TRADINGSYMBOL keys, by default of all instruments that have some; unknown keys
    are absent."""
    rows = (
        Instrument.objects.filter(pk__in=primary_keys(keys).values())
        if keys
        else Instrument.objects.exclude(dated={})
    )
    return {str(row): _dated(row) for row in rows.iterator()}


def _dated(instrument: Instrument) -> Dated:
    return msgspec.convert(instrument.dated, Dated) if instrument.dated else NOTHING_DATED


def permissions_known() -> list[Permissions]:
    """What every market takes, as operators keep it."""
    return [
        Permissions(
            Market(row.market),
            row.instrument_type,
            row.valid_from,
            tuple(row.products.split()),
            tuple(row.order_types.split()),
            tuple(row.validities.split()),
        )
        for row in Permission.objects.all()
    ]


def primary_keys(keys: Iterable[str]) -> dict[str, int]:
    """The primary keys of instruments by EXCHANGE:TRADINGSYMBOL; unknown ones are absent."""
    symbols: dict[str, list[str]] = {}
    for key in keys:
        exchange, _, symbol = key.partition(":")
        symbols.setdefault(exchange, []).append(symbol)
    return {
        f"{exchange}:{symbol}": pk
        for exchange, wanted in symbols.items()
        for symbol, pk in Instrument.objects.filter(exchange=exchange, tradingsymbol__in=wanted).values_list(
            "tradingsymbol", "pk"
        )
    }


def unlisted(names: Iterable[str]) -> list[str]:
    """Of EXCHANGE:TRADINGSYMBOLs and names of underlyings those that no list which is loaded has ever had; a name of an
    exchange without a list is not judged."""
    exchanges = set(Instrument.objects.values_list("exchange", flat=True).distinct())
    return [name for name in names if exchanges and not _is_listed(name, exchanges)]


def _is_listed(name: str, exchanges: Collection[str]) -> bool:
    exchange, colon, _symbol = name.partition(":")
    if colon:
        return exchange not in exchanges or bool(primary_keys([name]))
    contracts = Q(expiry__isnull=False) & (Q(name=exchange) | Q(tradingsymbol__startswith=exchange))
    return Instrument.objects.filter(Q(tradingsymbol=exchange) | contracts).exists()


def specs_by_key(keys: Iterable[str]) -> dict[str, InstrumentSpec]:
    """The instruments of EXCHANGE:TRADINGSYMBOL keys; unknown keys are absent."""
    wanted = Q(pk__in=[])
    for key in keys:
        exchange, _, symbol = key.partition(":")
        wanted |= Q(exchange=exchange, tradingsymbol=symbol)
    return {found.key: found for found in map(spec, Instrument.objects.filter(wanted))}


def instruments_by_token(tokens: Iterable[int]) -> dict[int, Instrument]:
    """The instrument of each token; unknown tokens are absent."""
    found = Instrument.objects.filter(instrument_token__in=set(tokens))
    return {row.instrument_token: row for row in found}


def master_newest() -> UUID | None:
    """The newest loading of an instrument list."""
    return MasterLoad.objects.order_by("-loaded_at").values_list("id", flat=True).first()


def changes_touching(*, since: datetime) -> QuerySet[MasterChange]:
    """What lists that were loaded from a time on changed of instruments in use, the oldest first."""
    rows = MasterChange.objects.filter(is_touching=True, load__loaded_at__gte=since)
    return rows.select_related("load").order_by("load__loaded_at", "pk")


def instruments_in_use() -> dict[int, Instrument]:
    """The instruments that deployments act on as ticks come, by token."""
    wanted = {use.instrument_id for use in users.uses() if use.is_active}
    return {row.instrument_token: row for row in Instrument.objects.filter(pk__in=wanted)}


def partitions_to_stream(keys: Iterable[str]) -> dict[int, int]:
    """The partition of each token that a live feed is to hear: what deployments act on first, then the instruments of
    some EXCHANGE:TRADINGSYMBOL keys."""
    named = Instrument.objects.filter(pk__in=primary_keys(keys).values())
    rows = [*instruments_in_use().values(), *named]
    return {row.instrument_token: row.partition for row in rows if row.instrument_token > 0}


def bars_of(instrument: Instrument, minutes: int, from_ms: int, to_ms: int) -> list[bars.Bar]:
    """The stored bars of an instrument that start in [from_ms, to_ms), the oldest first; 1440 minutes are the
    day, which starts at midnight in India."""
    rows = Bar.objects.filter(
        instrument=instrument, minutes=minutes, starts_ms__gte=from_ms, starts_ms__lt=to_ms
    )
    return _as_bars(instrument, rows.order_by("starts_ms"))


def bars_before(instrument: Instrument, minutes: int, until_ms: int, count: int) -> list[bars.Bar]:
    """The last stored bars of an instrument that had ended by a time, oldest first."""
    ended = Bar.objects.filter(starts_ms__lte=until_ms - minutes * bars.MINUTE_MS)
    return bars_newest(ended, instrument, minutes, count)


def bars_newest(among: QuerySet[Bar], instrument: Instrument, minutes: int, count: int) -> list[bars.Bar]:
    """The last of some stored bars that are of an instrument and a length, oldest first."""
    rows = among.filter(instrument=instrument, minutes=minutes)
    return _as_bars(instrument, rows.order_by("-starts_ms")[:count])[::-1]


def _as_bars(instrument: Instrument, rows: QuerySet[Bar]) -> list[bars.Bar]:
    columns = ("starts_ms", "minutes", "open_e4", "high_e4", "low_e4", "close_e4", "volume", "ticks")
    key, token = str(instrument), instrument.instrument_token
    return [bars.Bar(key, token, *row) for row in rows.values_list(*columns)]


def bars_known() -> QuerySet[Bar]:
    return Bar.objects.select_related("instrument").order_by("starts_ms")


def partitions_by_token(tokens: Iterable[int]) -> dict[int, int]:
    """The partition of market.ticks of each token."""
    return {token: row.partition for token, row in instruments_by_token(tokens).items()}


def instruments_known() -> QuerySet[Instrument]:
    return Instrument.objects.order_by("exchange", "tradingsymbol")


def tick_faults_counted() -> QuerySet[TickFaultCount]:
    return TickFaultCount.objects.order_by("-count", "pk")


def feed_told() -> dict[str, str | float]:
    """What the settings say of where ticks come from: a recorded feed has a pace of its own, and Kite by the clock of
    its ticks is a simulator."""
    if settings.FEED == "kite" and settings.FEED_CLOCK == "ticks":
        return {"source": "simulator"}
    pace = settings.FEED_SPEED
    is_paced = settings.FEED == "recorded" and math.isfinite(pace)
    return {"source": settings.FEED} | ({"speed": pace} if is_paced else {})
