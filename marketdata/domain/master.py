"""What a new instrument list changes: the pure difference from what was listed before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple


class ChangeKind(StrEnum):
    """MOVED: a token that another instrument had."""

    ADDED = "ADDED"
    GONE = "GONE"
    CHANGED = "CHANGED"
    MOVED = "MOVED"


class Listing(NamedTuple):
    """What a list says of an instrument that matters to those who trade it. Sizes in rupees and units."""

    instrument_token: int
    tick_size: Decimal
    lot_size: int
    expiry: date | None
    strike: Decimal
    instrument_type: str
    segment: str


class Change(NamedTuple):
    """One difference; `field`, `before` and `after` are empty where the instrument itself is new or gone."""

    kind: ChangeKind
    instrument: str
    field: str = ""
    before: str = ""
    after: str = ""


def difference(
    before: Mapping[str, Listing],
    after: Mapping[str, Listing],
    *,
    unreadable: frozenset[str] = frozenset(),
    known: Mapping[str, Listing] | None = None,
) -> list[Change]:
    """The changes from one list to the next, by EXCHANGE:TRADINGSYMBOL, sorted by instrument. Nothing is said
    of an instrument whose line could not be read, unless its token has passed to another. `known` are those that had
    a token before, listed (as in `before`) or not."""
    found = [Change(ChangeKind.ADDED, key) for key in after.keys() - before.keys()]
    found += [Change(ChangeKind.GONE, key) for key in before.keys() - after.keys() - unreadable]
    for key in before.keys() & after.keys():
        found += _changes(key, before[key], after[key])
    found += _moved(known or before, after)
    return sorted(found, key=lambda change: (change.instrument, change.kind, change.field))


def _changes(key: str, before: Listing, after: Listing) -> Iterator[Change]:
    for name, was, now in zip(Listing._fields, before, after, strict=True):
        if was != now:
            yield Change(ChangeKind.CHANGED, key, name, _text(was), _text(now))


def _moved(before: Mapping[str, Listing], after: Mapping[str, Listing]) -> Iterator[Change]:
    owners = {listing.instrument_token: key for key, listing in before.items()}
    for key, listing in after.items():
        owner = owners.get(listing.instrument_token, key)
        if owner != key:
            yield Change(ChangeKind.MOVED, key, "instrument_token", owner, key)


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    is_none = value is None or (isinstance(value, int) and value < 0)  # a token that another one has taken
    return "" if is_none else str(value)
