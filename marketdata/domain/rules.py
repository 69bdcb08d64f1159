"""Rules by date that hold for a market rather than one instrument: what orders it takes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.markets import Market


class Permissions(NamedTuple):
    """What a market takes from a day on for a type of instrument; an empty type stands for all others."""

    market: Market
    instrument_type: str
    valid_from: date
    products: tuple[str, ...]
    order_types: tuple[str, ...]
    validities: tuple[str, ...]


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
