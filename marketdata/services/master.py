"""Store what a new instrument list changed, and tell the deployments and positions that it touches."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from alphapanda.core import ids
from alphapanda.core.clock import to_ms
from alphapanda.core.envelope import Envelope, EventType, InstrumentsChanged, TouchedInstrument, seal
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import outbox
from marketdata import selectors
from marketdata.domain.instruments import RowFault
from marketdata.domain.master import Change, ChangeKind
from marketdata.models import MasterChange, MasterLoad
from marketdata.users import Use, UseKind, uses

_BATCH_ROWS = 2_000


class Touched(NamedTuple):
    """An instrument that changed and is in use."""

    instrument: str
    changes: list[Change]
    uses: list[Use]


class Loaded(Protocol):
    """What a loading says of itself: marketdata.services.instruments.LoadReport."""

    @property
    def loaded_at(self) -> datetime: ...
    @property
    def unchanged(self) -> int: ...
    @property
    def faulty(self) -> list[RowFault]: ...
    @property
    def changes(self) -> list[Change]: ...


def record(
    source: str, loaded: Loaded, *, exchanges: Collection[str], firsts: Collection[str]
) -> list[Touched]:
    """Store a loading with its changes and publish it where there are any, in the caller's transaction; what of
    it is in use is returned. The first list of an exchange (`firsts`) is stored in numbers only."""
    changes = [c for c in loaded.changes if c.instrument.partition(":")[0] not in firsts]
    touched = _touched(changes)
    row = _row(source, loaded, exchanges)
    row.save(force_insert=True)
    used = {one.instrument: one.uses for one in touched}
    MasterChange.objects.bulk_create(
        (_change(row, change, used.get(change.instrument, [])) for change in changes), batch_size=_BATCH_ROWS
    )
    if changes:
        outbox.publish([_event(row, touched)])
    return touched


def _row(source: str, loaded: Loaded, exchanges: Collection[str]) -> MasterLoad:
    number = MasterLoad.objects.count()  # the same list may be loaded again and again
    of_kind = {kind: {c.instrument for c in loaded.changes if c.kind is kind} for kind in ChangeKind}
    return MasterLoad(
        id=ids.derived("master", number, source, loaded.loaded_at.isoformat()),
        source=source,
        exchanges=" ".join(sorted(exchanges)),
        loaded_at=loaded.loaded_at,
        added=len(of_kind[ChangeKind.ADDED]),
        gone=len(of_kind[ChangeKind.GONE]),
        changed=len(of_kind[ChangeKind.CHANGED]),
        unchanged=loaded.unchanged,
        faulty=len(loaded.faulty),
    )


def _touched(changes: Iterable[Change]) -> list[Touched]:
    """The changed instruments that are in use: the one that lost a token counts with the one that took it."""
    by_key: dict[str, list[Change]] = {}
    for change in changes:
        by_key.setdefault(change.instrument, []).append(change)
        if change.kind is ChangeKind.MOVED:
            by_key.setdefault(change.before, []).append(change)
    found = selectors.primary_keys(by_key)
    by_id: dict[int, list[Use]] = {}
    for use in sorted(uses(found.values())):
        by_id.setdefault(use.instrument_id, []).append(use)
    return [Touched(key, by_key[key], by_id[found[key]]) for key in sorted(by_key) if found.get(key) in by_id]


def _change(row: MasterLoad, change: Change, used: Iterable[Use]) -> MasterChange:
    told = [{"kind": use.kind, "id": use.id, "name": use.name} for use in used]
    return MasterChange(load=row, **change._asdict(), uses=told, is_touching=bool(told))


def _event(row: MasterLoad, touched: Iterable[Touched]) -> Envelope:
    event_id = ids.event_id(EventType.INSTRUMENTS_CHANGED, row.id)
    payload = InstrumentsChanged(
        load_id=row.id,
        list=row.source,
        exchanges=tuple(row.exchanges.split()),
        added=row.added,
        gone=row.gone,
        changed=row.changed,
        touched=tuple(map(_told, touched)),
        at_ms=to_ms(row.loaded_at),
    )
    return seal(
        payload,
        event_type=EventType.INSTRUMENTS_CHANGED,
        event_id=event_id,
        ts=payload.at_ms,
        source="instruments",
        broker=Broker.SHARED,
        key=row.exchanges,
        correlation_id=event_id,
        causation_id=event_id,
    )


def _told(one: Touched) -> TouchedInstrument:
    return TouchedInstrument(
        instrument=one.instrument,
        changes=[in_words(change) for change in one.changes],
        deployments=[use.name for use in one.uses if use.kind is UseKind.DEPLOYMENT],
        positions=[use.name for use in one.uses if use.kind is UseKind.POSITION],
    )


_WORDS: Mapping[ChangeKind, str] = {
    ChangeKind.ADDED: "is listed",
    ChangeKind.GONE: "is listed no more",
    ChangeKind.CHANGED: "{field} {before} is {after}",
    ChangeKind.MOVED: "the token of {before} is that of {after}",
}


def in_words(change: Change) -> str:
    """A change for people, without the name of its instrument."""
    known = {"field": change.field, "before": change.before or "none", "after": change.after or "none"}
    return _WORDS[change.kind].format(**known)
