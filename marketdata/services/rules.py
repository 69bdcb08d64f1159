"""Rules by date of instruments and markets: kept where a list changes them, loaded, and applied to instruments."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import msgspec
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from alphapanda.core.clock import ist_midnight_ms, to_datetime
from alphapanda.core.money import to_e4
from marketdata import reference, selectors
from marketdata.domain.dated import NOTHING_DATED, Circuit, Dated, Freeze, Sizes, dated
from marketdata.domain.instruments import underlying_of
from marketdata.domain.markets import INDICES
from marketdata.domain.master import Change, ChangeKind, Listing
from marketdata.models import (
    CircuitLimit,
    FreezeQuantity,
    Instrument,
    InstrumentRule,
    MasterLoad,
    Permission,
)

ALWAYS = date(2000, 1, 1)  # from which a first change says what was before it
FREEZE_COLUMNS = ("SYMBOL", "VOL_FRZ_QTY")
_DATED = ("tick_size", "lot_size", "expiry", "strike")
# Stocks of either exchange have the derivatives of both: the closing auction is for all of them.
_DERIVATIVES_ON = {"NSE": ("NFO", "BFO"), "BSE": ("NFO", "BFO")}
_QUANTITY_MAX = 10**9
_UPDATED_ROWS = 10_000  # a statement takes 65,535 values


class NotAFreezeFile(ValueError):
    """A file without NSE's columns of freeze quantities, or with a line that is none."""


@dataclass(frozen=True, slots=True)
class FreezeReport:
    """What a file of freeze quantities changed; `unknown` are its symbols on which no derivative is listed."""

    underlyings: int
    changed: list[Change]
    instruments: int
    unknown: list[str]


def note_changes(was: Mapping[str, Listing], now: Mapping[str, Listing], *, on: date) -> None:
    """Keep what a list changes of dated columns: what was so far, from ALWAYS on where nothing is kept yet, and
    what holds from `on`. By EXCHANGE:TRADINGSYMBOL; both as stored before and as listed now. What was stored on the
    same day, or shipped, is no rule of the past: the list of the day takes its place."""
    keys = [key for key in was.keys() & now.keys() if _dated(was[key]) != _dated(now[key])]
    found = selectors.primary_keys(keys)
    known = set(
        InstrumentRule.objects.filter(instrument__in=found.values()).values_list("instrument", flat=True)
    )
    before = _listed_before(on)
    InstrumentRule.objects.bulk_create(
        _rule(pk, ALWAYS, was[key])
        for key, pk in found.items()
        if pk not in known and key.partition(":")[0] in before
    )
    InstrumentRule.objects.bulk_create(
        [
            _rule(pk, on, now[key])
            for key, pk in found.items()
            if pk in known or key.partition(":")[0] in before
        ],
        update_conflicts=True,
        unique_fields=["instrument", "valid_from"],
        update_fields=_DATED,
    )


def _listed_before(day: date) -> set[str]:
    """The exchanges of which a list was loaded on an earlier day."""
    loads = MasterLoad.objects.filter(loaded_at__lt=to_datetime(ist_midnight_ms(day)))
    return {
        exchange
        for names in loads.values_list("exchanges", flat=True).distinct()
        for exchange in names.split()
    }


def _dated(listing: Listing) -> tuple[object, ...]:
    return tuple(getattr(listing, name) for name in _DATED)


def _rule(instrument_id: int, valid_from: date, listing: Listing) -> InstrumentRule:
    values = dict(zip(_DATED, _dated(listing), strict=True))
    return InstrumentRule(instrument_id=instrument_id, valid_from=valid_from, **values)


def derivatives_mark() -> int:
    """Say of every stock whether derivatives on it are listed, as far as lists of derivatives are loaded; how
    many it newly says something else of. It decides which market's hours a stock keeps."""
    changed = 0
    for cash, derivatives in _DERIVATIVES_ON.items():
        underlyings = _underlyings(derivatives)
        if underlyings:
            stocks = Instrument.objects.filter(exchange=cash).exclude(segment=INDICES)
            on = Q(tradingsymbol__in=underlyings)
            changed += stocks.filter(on, has_derivatives=False).update(has_derivatives=True)
            changed += stocks.exclude(on).filter(has_derivatives=True).update(has_derivatives=False)
    return changed


def _underlyings(exchanges: Iterable[str]) -> set[str]:
    listed = Instrument.objects.filter(exchange__in=exchanges, is_listed=True)
    named = set(listed.exclude(name="").values_list("name", flat=True).distinct())
    blank = listed.filter(name="").values_list("tradingsymbol", "name", "expiry")
    return named | {underlying_of(*columns) for columns in blank} - {""}


def freeze_apply() -> int:
    """Put the newest freeze quantities on the derivatives of their underlyings; how many changed."""
    newest = FreezeQuantity.objects.order_by("exchange", "underlying", "-valid_from")
    quantities = {
        (row.exchange, row.underlying): row.quantity for row in newest.distinct("exchange", "underlying")
    }
    listed = Instrument.objects.filter(exchange__in={exchange for exchange, _ in quantities}, is_listed=True)
    columns = ("pk", "exchange", "tradingsymbol", "name", "expiry", "freeze_quantity")
    changed: dict[int, list[int]] = {}
    for pk, exchange, *of, stored in listed.values_list(*columns).iterator():
        quantity = quantities.get((exchange, underlying_of(*of)), stored)
        if quantity != stored:
            changed.setdefault(quantity, []).append(pk)
    return sum(_update(pks, freeze_quantity=quantity) for quantity, pks in changed.items())


def _update(pks: Sequence[int], **values: object) -> int:
    """Write the same values to instruments, however many; how many rows those were."""
    some = [pks[start : start + _UPDATED_ROWS] for start in range(0, len(pks), _UPDATED_ROWS)]
    return sum(Instrument.objects.filter(pk__in=part).update(**values) for part in some)


def with_rules() -> QuerySet[Instrument]:
    """The instruments of which rules by date are kept, or were when they were last put on the rows."""
    frozen = FreezeQuantity.objects.values("exchange")
    kept = Exists(InstrumentRule.objects.filter(instrument=OuterRef("pk")))
    limited = Exists(CircuitLimit.objects.filter(instrument=OuterRef("pk")))
    return Instrument.objects.filter(
        Q(kept) | Q(limited) | ~Q(dated={}) | Q(exchange__in=frozen, expiry__isnull=False)
    )


def dated_apply(instruments: QuerySet[Instrument]) -> int:
    """Put the rules by date on the rows of instruments, where decisions have them without asking; how many rows
    changed."""
    of = {"instrument__in": instruments}
    sizes: dict[int, list[Sizes]] = {}
    for rule in InstrumentRule.objects.filter(**of):
        one = Sizes(rule.valid_from, to_e4(rule.tick_size), rule.lot_size)
        sizes.setdefault(rule.instrument_id, []).append(one)
    circuits: dict[int, list[Circuit]] = {}
    for row in CircuitLimit.objects.filter(**of):
        limits = Circuit(row.date, to_e4(row.lower), to_e4(row.upper))
        circuits.setdefault(row.instrument_id, []).append(limits)
    freezes: dict[tuple[str, str], list[Freeze]] = {}
    for exchange, underlying, *rest in FreezeQuantity.objects.values_list(
        "exchange", "underlying", "valid_from", "quantity"
    ):
        freezes.setdefault((exchange, underlying), []).append(Freeze(*rest))
    changed: dict[Dated, list[int]] = {}
    columns = ("pk", "exchange", "tradingsymbol", "name", "expiry", "dated")
    for pk, exchange, *named, stored in instruments.values_list(*columns).iterator():
        name = underlying_of(*named)
        frozen = freezes.get((exchange, name), ()) if name else ()
        rules = dated(sizes.get(pk, ()), frozen, circuits.get(pk, ()))
        if rules != (msgspec.convert(stored, Dated) if stored else NOTHING_DATED):
            changed.setdefault(rules, []).append(pk)
    # many derivatives share the rules of their underlying: one statement writes them
    return sum(
        _update(pks, dated=msgspec.to_builtins(rules) if rules else {}) for rules, pks in changed.items()
    )


def rules_changed(instrument_ids: Iterable[int]) -> None:
    """Rules of instruments were written by hand: decisions take them from now on."""
    dated_apply(Instrument.objects.filter(pk__in=list(instrument_ids)))


def freezes_changed() -> None:
    """Freeze quantities were written by hand: decisions take them from now on."""
    freeze_apply()
    dated_apply(with_rules())


@transaction.atomic
def freeze_load(path: Path, *, exchange: str, valid_from: date) -> FreezeReport:
    """Take over a file of freeze quantities (NSE's columns SYMBOL and VOL_FRZ_QTY) from a day on, and put them
    on the listed derivatives. All of the file or nothing. Raises NotAFreezeFile, OSError, UnicodeDecodeError."""
    quantities = _freeze_rows(path)
    before = dict(
        FreezeQuantity.objects.filter(exchange=exchange, valid_from__lte=valid_from)
        .order_by("valid_from")
        .values_list("underlying", "quantity")
    )
    FreezeQuantity.objects.bulk_create(
        [
            FreezeQuantity(exchange=exchange, underlying=name, valid_from=valid_from, quantity=quantity)
            for name, quantity in quantities.items()
        ],
        update_conflicts=True,
        unique_fields=["exchange", "underlying", "valid_from"],
        update_fields=["quantity"],
    )
    changes = [
        Change(ChangeKind.CHANGED, f"{exchange}:{name}", "freeze_quantity", str(before[name]), str(quantity))
        for name, quantity in sorted(quantities.items())
        if before.get(name, quantity) != quantity
    ]
    unknown = sorted(quantities.keys() - _underlyings([exchange]))
    report = FreezeReport(len(quantities), changes, freeze_apply(), unknown)
    dated_apply(with_rules())
    return report


def _freeze_rows(path: Path) -> dict[str, int]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        header = [name.strip() for name in reader.fieldnames or ()]
        missing = [name for name in FREEZE_COLUMNS if name not in header]
        if missing:
            raise NotAFreezeFile(f"{path.name}: no column {', '.join(missing)}")
        reader.fieldnames = header
        found: dict[str, int] = {}
        for row in reader:
            name, quantity = _freeze_row(row, where=f"{path.name} line {reader.line_num}")
            if name in found:
                raise NotAFreezeFile(f"{path.name} line {reader.line_num}: {name} is there twice")
            found[name] = quantity
    if not found:
        raise NotAFreezeFile(f"{path.name}: no line with a quantity")
    return found


def _freeze_row(row: Mapping[str, str | None], *, where: str) -> tuple[str, int]:
    name, text = ((row[column] or "").strip() for column in FREEZE_COLUMNS)
    if not name:
        raise NotAFreezeFile(f"{where}: SYMBOL is empty")
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= _QUANTITY_MAX:
        raise NotAFreezeFile(
            f"{where}: VOL_FRZ_QTY {text[:20]!r} is not a whole number from 1 to {_QUANTITY_MAX}"
        )
    return name, int(text)


def load_shipped() -> int:
    """Add the shipped permissions that are missing, change none; how many were added."""
    before = Permission.objects.count()
    Permission.objects.bulk_create(
        [
            Permission(
                market=row.market,
                instrument_type=row.instrument_type,
                valid_from=row.valid_from,
                products=" ".join(row.products),
                order_types=" ".join(row.order_types),
                validities=" ".join(row.validities),
            )
            for row in reference.permissions()
        ],
        ignore_conflicts=True,
    )
    return Permission.objects.count() - before
