"""Reads of market data: the calendar and instruments as the pure values that decisions take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from django.db.models import Q, QuerySet

from alphapanda.core.money import to_e4
from alphapanda.core.vocabulary import Phase
from marketdata.domain.calendar import Calendar, PhaseRule, SpecialHours
from marketdata.domain.calendar import calendar as calendar_of
from marketdata.domain.instruments import InstrumentSpec
from marketdata.models import Holiday, Instrument, SessionRule, SpecialSession, TickFaultCount
from marketdata.reference import UnknownExchange

CALENDAR_KEPT_S = 5.0  # how long a process may go on with a calendar that an operator has changed
_calendars: dict[str, tuple[float, Calendar]] = {}


def calendar(exchange: str, *, monotonic: Callable[[], float] = time.monotonic) -> Calendar:
    """The calendar of an exchange as operators keep it, at most CALENDAR_KEPT_S old in this process.
    Raises UnknownExchange where no hours are stored."""
    now = monotonic()
    loaded_at, kept = _calendars.get(exchange, (now, None))
    if kept is not None and now - loaded_at < CALENDAR_KEPT_S:
        return kept
    found = _stored_calendar(exchange)
    if kept != found:
        kept = found
    _calendars[exchange] = now, kept  # an unchanged one keeps the days that it has worked out
    return kept


def calendars_forget() -> None:
    """Read calendars anew when they are asked for next, for they were changed in this process."""
    _calendars.clear()


def _stored_calendar(exchange: str) -> Calendar:
    rules = SessionRule.objects.filter(exchange=exchange)
    found = [PhaseRule(rule.valid_from, Phase(rule.phase), rule.starts, rule.ends) for rule in rules]
    if not found:
        raise UnknownExchange(f"{exchange!r}: no session hours are stored")
    special = SpecialSession.objects.filter(exchange=exchange)
    return calendar_of(
        holidays=Holiday.objects.filter(exchange=exchange).values_list("date", flat=True),
        specials=[SpecialHours(row.date, row.opens, row.closes) for row in special],
        rules=found,
    )


def spec(instrument: Instrument) -> InstrumentSpec:
    """What decisions need to know of an instrument."""
    return InstrumentSpec(
        key=f"{instrument.exchange}:{instrument.tradingsymbol}",
        exchange=instrument.exchange,
        tradingsymbol=instrument.tradingsymbol,
        token=instrument.instrument_token,
        tick_size_e4=to_e4(instrument.tick_size),
        lot_size=instrument.lot_size,
        segment=instrument.segment,
        instrument_type=instrument.instrument_type,
        partition=instrument.partition,
        expiry=instrument.expiry,
        strike_e4=to_e4(instrument.strike),
        underlying=instrument.name if instrument.expiry else "",
    )


def specs_by_key(keys: Iterable[str]) -> dict[str, InstrumentSpec]:
    """The instruments of EXCHANGE:TRADINGSYMBOL keys; unknown keys are absent."""
    wanted = Q(pk__in=[])
    for key in keys:
        exchange, _, symbol = key.partition(":")
        wanted |= Q(exchange=exchange, tradingsymbol=symbol)
    return {found.key: found for found in map(spec, Instrument.objects.filter(wanted))}


def instruments_by_token(tokens: Iterable[int]) -> dict[int, Instrument]:
    """The listed instrument of each token, else the one that had it last; unknown tokens are absent."""
    found: QuerySet[Instrument] = Instrument.objects.filter(instrument_token__in=set(tokens))
    return {row.instrument_token: row for row in found.order_by("is_listed", "pk")}


def partitions_by_token(tokens: Iterable[int]) -> dict[int, int]:
    """The partition of market.ticks of each token."""
    return {token: row.partition for token, row in instruments_by_token(tokens).items()}


def instruments_known() -> QuerySet[Instrument]:
    return Instrument.objects.order_by("exchange", "tradingsymbol")


def tick_faults_counted() -> QuerySet[TickFaultCount]:
    return TickFaultCount.objects.order_by("-count", "pk")
