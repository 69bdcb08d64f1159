"""Load Kite's instrument lists: one transaction a list, however often, always the same end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, TextIO

from django.db import transaction
from django.db.models import F

from alphapanda.core.clock import ist_date, to_ms
from marketdata.domain.instruments import InstrumentRow, NotAnInstrumentList, RowFault, parse
from marketdata.domain.master import Change, Listing, difference
from marketdata.marks import marks_forget
from marketdata.models import Instrument
from marketdata.reference import DATA_DIR, instrument_rows
from marketdata.services import master, rules
from marketdata.users import tell_changed

_FIELDS = (
    "instrument_token",
    "exchange_token",
    "name",
    "expiry",
    "strike",
    "tick_size",
    "lot_size",
    "instrument_type",
    "segment",
    "is_listed",
)
_BATCH_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a list changed; `faulty` are its lines that are no instruments, `touched` what of it is in use."""

    loaded_at: datetime
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    delisted: int = 0
    faulty: list[RowFault] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    touched: list[master.Touched] = field(default_factory=list)


class ListCutShort(NotAnInstrumentList):
    """A list lacks so much of what was listed that it is rather broken than new."""


@transaction.atomic
def load(source: Path | TextIO, *, now: datetime, lost_percent_max: int = 100, name: str = "") -> LoadReport:
    """Take over a whole list (CSV, .gz too) of one or more exchanges: instruments of these exchanges that are
    not in it are marked as not listed, none is deleted. Faulty lines are reported and change nothing. The
    difference from the list before is stored and told as an event. More than `lost_percent_max` of an exchange's
    listed instruments, expired ones aside, may not be gone at once.
    Raises NotAnInstrumentList, ListCutShort, OSError."""
    rows, faulty = _parsed(source)
    stored = _stored({row.exchange for row in rows}, lock=True)
    unreadable = frozenset(fault.key for fault in faulty)
    was, after = _listings(stored), {row.key: _listing(row) for row in rows}
    before = {key: was[key] for key, values in stored.items() if values[-1]}
    _refuse_if_cut_short(before, after.keys() | unreadable, ist_date(to_ms(now)), lost_percent_max)
    changes = difference(before, after, unreadable=unreadable, known=was)
    added = [row for row in rows if row.key not in stored]
    changed = [row for row in rows if row.key in stored and stored[row.key] != _values(row)]
    mentioned = after.keys() | unreadable
    delisted = _delist(stored.keys() - mentioned)
    lost = _free_tokens([*added, *changed])
    delisted += sum(row.is_listed and str(row) not in after for row in lost)
    _upsert([*added, *changed])
    rules.note_changes(was, after, on=ist_date(to_ms(now)))
    rules.derivatives_mark()
    rules.freeze_apply()
    rules.dated_apply(rules.with_rules())
    told = LoadReport(
        now, len(added), len(changed), len(rows) - len(added) - len(changed), delisted, faulty, changes
    )
    exchanges = {row.exchange for row in rows}
    known = {key.partition(":")[0] for key in before}  # a first list is no difference
    told.touched.extend(
        master.record(name or _name(source), told, exchanges=exchanges, firsts=exchanges - known)
    )
    used = {use.instrument_id for one in told.touched for use in one.uses} | {row.pk for row in lost}
    # after the commit: chains hold their deployment while they wait for rows of instruments that are locked here
    transaction.on_commit(lambda: tell_changed(used))
    transaction.on_commit(lambda: marks_forget(row.instrument_token for row in lost))
    return told


def _refuse_if_cut_short(
    before: Mapping[str, Listing], mentioned: Set[str], today: date, lost_percent_max: int
) -> None:
    alive = [key for key, one in before.items() if one.expiry is None or one.expiry >= today]
    listed = Counter(key.partition(":")[0] for key in alive)
    lost = Counter(key.partition(":")[0] for key in alive if key not in mentioned)
    for exchange, count in sorted(lost.items()):
        if 100 * count > lost_percent_max * listed[exchange]:
            raise ListCutShort(
                f"{count} of {listed[exchange]} instruments of {exchange} are not in it, more than "
                f"{lost_percent_max} %, and would be taken off the list"
            )


def load_shipped(*, now: datetime) -> LoadReport:
    """Add the shipped instruments that are missing and whose token is free; existing ones stay as they are."""
    rows, faulty = _parsed(DATA_DIR / "instruments.csv")
    with transaction.atomic():
        stored = _stored({row.exchange for row in rows}, lock=False)
        taken = set(Instrument.objects.filter(is_listed=True).values_list("instrument_token", flat=True))
        added = [row for row in rows if row.key not in stored and row.instrument_token not in taken]
        _free_tokens(added)
        _upsert(added)
        rules.load_shipped()
        rules.derivatives_mark()
    return LoadReport(now, added=len(added), unchanged=len(rows) - len(added), faulty=faulty)


def _name(source: Path | TextIO) -> str:
    return source.name if isinstance(source, Path) else ""


def _listing(row: InstrumentRow) -> Listing:
    return Listing(*(getattr(row, name) for name in Listing._fields))


def _listings(stored: Mapping[str, tuple[Any, ...]]) -> dict[str, Listing]:
    """What is stored, listed or not."""
    columns = [_FIELDS.index(name) for name in Listing._fields]
    return {key: Listing(*(values[column] for column in columns)) for key, values in stored.items()}


def _free_tokens(rows: Collection[InstrumentRow]) -> list[Instrument]:
    """Take instruments off the list, and their token from them, that hold one which is another's now; those that are
    about to be written with a token of their own come back by that. No two instruments share a token, ever, so that
    no price of the new owner counts as one of the old."""
    owners = {row.instrument_token: row.key for row in rows}
    lost = [row for row in Instrument.objects.filter(instrument_token__in=owners)
            if owners[row.instrument_token] != str(row)]  # fmt: skip
    # a number below zero is no token: nothing in the log has it
    Instrument.objects.filter(pk__in=[row.pk for row in lost]).update(
        is_listed=False, instrument_token=-F("pk")
    )
    return lost


def _parsed(source: Path | TextIO) -> tuple[list[InstrumentRow], list[RowFault]]:
    rows: list[InstrumentRow] = []
    faulty: list[RowFault] = []
    for row in instrument_rows(source) if isinstance(source, Path) else parse(source):
        if isinstance(row, InstrumentRow):
            rows.append(row)
        else:
            faulty.append(row)
    return rows, faulty


def _stored(exchanges: set[str], *, lock: bool) -> dict[str, tuple[Any, ...]]:
    found = Instrument.objects.filter(exchange__in=exchanges).order_by("pk")
    if lock:
        found = found.select_for_update()
    columns = found.values_list("exchange", "tradingsymbol", *_FIELDS)
    return {f"{exchange}:{symbol}": tuple(values) for exchange, symbol, *values in columns}


def _values(row: InstrumentRow) -> tuple[object, ...]:
    return (*(getattr(row, name) for name in _FIELDS[:-1]), True)


def _upsert(rows: Iterable[InstrumentRow]) -> None:
    Instrument.objects.bulk_create(
        [
            Instrument(
                exchange=row.exchange,
                tradingsymbol=row.tradingsymbol,
                **dict(zip(_FIELDS, _values(row), strict=True)),
            )
            for row in rows
        ],
        batch_size=_BATCH_ROWS,
        update_conflicts=True,
        unique_fields=["exchange", "tradingsymbol"],
        update_fields=_FIELDS,
    )


def _delist(keys: Iterable[str]) -> int:
    by_exchange: dict[str, list[str]] = {}
    for key in keys:
        exchange, _, symbol = key.partition(":")
        by_exchange.setdefault(exchange, []).append(symbol)
    return sum(
        Instrument.objects.filter(exchange=exchange, tradingsymbol__in=symbols, is_listed=True).update(
            is_listed=False
        )
        for exchange, symbols in by_exchange.items()
    )
