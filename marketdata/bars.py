"""Bars of instruments in use: built by the tick stream, stored, and told as events of market.bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from alphapanda.core import ids
from alphapanda.core.envelope import BarClosed, Envelope, EventType, seal
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import outbox
from marketdata import models, selectors
from marketdata.domain import bars
from marketdata.domain.calendar import Calendar, MarketHours
from marketdata.domain.markets import UnknownMarket, anchor_minutes
from marketdata.domain.series import StreamState, begun
from marketdata.models import Instrument

_BATCH_ROWS = 2_000
SOURCE = "tick_stream"


class Wanted:
    """The instruments that deployments use, by token; `refresh` looks again."""

    def __init__(self) -> None:
        self.instruments: dict[int, Instrument] = {}

    def refresh(self) -> None:
        self.instruments = selectors.instruments_in_use()

    def begin(self, state: StreamState, tokens: Iterable[int]) -> None:
        """Give each of these tokens that is wanted a series."""
        for token in tokens:
            if token in self.instruments and token not in state.series:
                found = self.instruments[token]
                anchor = anchor_minutes(found.exchange)
                state.series[token] = begun(str(found), token, anchor, state.gates.get(token))

    def end(self, state: StreamState) -> None:
        """Drop the series of what is wanted no more."""
        for token, series in list(state.series.items()):
            if str(self.instruments.get(token)) != series.minute.instrument:
                del state.series[token]


class Hours:
    """The calendar of each token, looked up once; `refresh` makes the changes of operators and of new lists
    count. A token that is no instrument, or of no market with hours, keeps those of NSE."""

    def __init__(self, hours: MarketHours, nse: Calendar) -> None:
        self._hours = hours
        self._nse = nse
        self._list = selectors.master_newest()
        self.by_token: dict[int, Calendar] = {}

    def refresh(self, hours: MarketHours, nse: Calendar) -> None:
        newest = selectors.master_newest()
        if hours is not self._hours or newest != self._list:
            self._hours, self._nse, self._list = hours, nse, newest
            self.by_token.clear()

    def learn(self, tokens: Iterable[int]) -> None:
        """Look up the tokens that are not known yet, in one query."""
        missing = {token for token in tokens if token not in self.by_token}
        if missing:
            found = selectors.instruments_by_token(missing)
            self.by_token |= {token: self._of(found.get(token)) for token in missing}

    def _of(self, instrument: Instrument | None) -> Calendar:
        if instrument is None:
            return self._nse
        try:
            return self._hours.of(selectors.spec(instrument))
        except UnknownMarket:
            return self._nse


def bars_store(made: Iterable[bars.Bar], instruments: Mapping[int, Instrument]) -> None:
    """Store bars and tell of them, in the caller's transaction; one that was made before is left as it is."""
    known = [(bar, instruments[bar.token]) for bar in made if bar.token in instruments]
    models.Bar.objects.bulk_create(
        (_row(bar, instrument) for bar, instrument in known), ignore_conflicts=True, batch_size=_BATCH_ROWS
    )
    outbox.publish([_event(bar) for bar, _ in known])


def _row(bar: bars.Bar, instrument: Instrument) -> models.Bar:
    return models.Bar(
        instrument=instrument,
        minutes=bar.minutes,
        starts_ms=bar.starts_ms,
        open_e4=bar.open_e4,
        high_e4=bar.high_e4,
        low_e4=bar.low_e4,
        close_e4=bar.close_e4,
        volume=bar.volume,
        ticks=bar.ticks,
    )


def _event(bar: bars.Bar) -> Envelope:
    event_id = ids.event_id(EventType.BAR_CLOSED, f"{bar.instrument}|{bar.minutes}|{bar.starts_ms}")
    payload = BarClosed(
        instrument=bar.instrument,
        token=bar.token,
        minutes=bar.minutes,
        starts_ms=bar.starts_ms,
        open_e4=bar.open_e4,
        high_e4=bar.high_e4,
        low_e4=bar.low_e4,
        close_e4=bar.close_e4,
        volume=bar.volume,
        ticks=bar.ticks,
    )
    return seal(
        payload,
        event_type=EventType.BAR_CLOSED,
        event_id=event_id,
        ts=bar.starts_ms,
        source=SOURCE,
        broker=Broker.SHARED,
        key=str(bar.token),
        correlation_id=event_id,
        causation_id=event_id,
    )


def on_clock(state: StreamState, at_ms: int, hours: Hours, made: list[bars.Bar]) -> None:
    """Let time close bars, in the order of the tokens: the same whatever came first."""
    if state.on_minute(at_ms):
        for token in sorted(state.series):
            made += state.series[token].on_clock(at_ms, hours.by_token[token])
