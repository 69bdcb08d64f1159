"""Rules by date that hold for a market rather than one instrument: ticks by price, and what orders it takes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.markets import Market


class Band(NamedTuple):
    """The tick of prices up to one (None: of all that are left), from a day on."""

    market: Market
    valid_from: date
    up_to_e4: int | None
    tick_size_e4: int


class Permissions(NamedTuple):
    """What a market takes from a day on for a type of instrument; an empty type stands for all others."""

    market: Market
    instrument_type: str
    valid_from: date
    products: tuple[str, ...]
    order_types: tuple[str, ...]
    validities: tuple[str, ...]


def tick_size_e4(bands: Iterable[Band], *, market: Market, day: date, reference_e4: int) -> int:
    """The tick of a day for a stock whose close at the end of the month before was `reference_e4` (the exchange
    re-bands monthly by it); 0 where no band is known."""
    known = [band for band in bands if band.market is market and band.valid_from <= day]
    newest = max((band.valid_from for band in known), default=None)
    bounded = [
        (band.up_to_e4, band.tick_size_e4)
        for band in known
        if band.valid_from == newest and band.up_to_e4 is not None and reference_e4 <= band.up_to_e4
    ]
    if bounded:
        return min(bounded)[1]
    rest = [band.tick_size_e4 for band in known if band.valid_from == newest and band.up_to_e4 is None]
    return rest[0] if rest else 0


def permissions_of(
    permissions: Iterable[Permissions], instrument: InstrumentSpec, day: date
) -> Permissions | None:
    """What holds for an instrument on a day: its own type before all others, the newest first."""
    fitting = [
        row
        for row in permissions
        if row.market is instrument.market
        and row.valid_from <= day
        and row.instrument_type in ("", instrument.instrument_type)
    ]
    return max(fitting, key=lambda row: (bool(row.instrument_type), row.valid_from), default=None)
