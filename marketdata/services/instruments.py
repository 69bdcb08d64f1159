"""Load Kite's instrument lists: one transaction a list, however often, always the same end."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TextIO

from django.db import transaction

from marketdata.domain.instruments import InstrumentRow, RowFault, parse
from marketdata.models import Instrument
from marketdata.reference import DATA_DIR

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
    """What a list changed; `faulty` are its lines that are no instruments."""

    loaded_at: datetime
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    delisted: int = 0
    faulty: list[RowFault] = field(default_factory=list)


def load(source: Path | TextIO, *, now: datetime) -> LoadReport:
    """Take over a whole list (CSV, .gz too) of one or more exchanges: instruments of these exchanges that are
    not in it are marked as not listed, none is deleted. Faulty lines are reported and change nothing.
    Raises NotAnInstrumentList, OSError, UnicodeDecodeError."""
    rows, faulty = _parsed(source)
    with transaction.atomic():
        stored = _stored({row.exchange for row in rows}, lock=True)
        added = [row for row in rows if row.key not in stored]
        changed = [row for row in rows if row.key in stored and stored[row.key] != _values(row)]
        _upsert([*added, *changed])
        mentioned = {row.key for row in rows} | {fault.key for fault in faulty}
        delisted = _delist(stored.keys() - mentioned)
    unchanged = len(rows) - len(added) - len(changed)
    return LoadReport(now, len(added), len(changed), unchanged, delisted, faulty)


def load_shipped(*, now: datetime) -> LoadReport:
    """Add the shipped instruments that are missing; existing ones stay as they are."""
    rows, faulty = _parsed(DATA_DIR / "instruments.csv")
    with transaction.atomic():
        stored = _stored({row.exchange for row in rows}, lock=False)
        added = [row for row in rows if row.key not in stored]
        _upsert(added)
    return LoadReport(now, added=len(added), unchanged=len(rows) - len(added), faulty=faulty)


def _parsed(source: Path | TextIO) -> tuple[list[InstrumentRow], list[RowFault]]:
    rows: list[InstrumentRow] = []
    faulty: list[RowFault] = []
    with _opened(source) if isinstance(source, Path) else nullcontext(source) as lines:
        for row in parse(lines):
            if isinstance(row, InstrumentRow):
                rows.append(row)
            else:
                faulty.append(row)
    return rows, faulty


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _stored(exchanges: set[str], *, lock: bool) -> dict[str, tuple[object, ...]]:
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
