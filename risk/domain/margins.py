"""What an order blocks of a deployment's capital: dated rates, approximations for futures and sold options.

Rates are shares of a value: of the price times the quantity, or of the strike times the quantity for options that are
sold, whose underlying has no price here. A margin of the broker's own (SPAN, exposure) is asked of a live session."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from itertools import pairwise

import msgspec

from alphapanda.core.money import ZERO, value
from alphapanda.core.vocabulary import Product, Side
from marketdata.domain.instruments import OPTION_TYPES, InstrumentSpec
from portfolio.domain.books import Holding, net


class NoMarginRate(LookupError):
    """No table covers a day, or the table of the day has no rate for an instrument and product."""


class BadMarginTables(ValueError):
    """Margin tables that cannot be read, that are out of order or that hold a rate below zero."""


class MarginRate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A share of an order's value. `side` none: both. `underlyings` empty: all that no earlier line names."""

    types: tuple[str, ...]
    products: tuple[Product, ...]
    rate: Decimal
    side: Side | None = None
    underlyings: tuple[str, ...] = ()

    def fits(self, instrument: InstrumentSpec, product: Product, side: Side) -> bool:
        return (
            instrument.instrument_type in self.types
            and product in self.products
            and self.side in (None, side)
            and (not self.underlyings or instrument.underlying in self.underlyings)
        )


class MarginTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All rates from a day on; the first line that fits an order counts."""

    valid_from: date
    source: str
    rates: tuple[MarginRate, ...]


class Margins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Margin tables in the order of the days from which they hold."""

    tables: tuple[MarginTable, ...]

    def rate(self, day: date, instrument: InstrumentSpec, product: Product, side: Side) -> Decimal:
        """The share of a value that is blocked. Raises NoMarginRate."""
        number = bisect_right(self.tables, day, key=lambda table: table.valid_from)
        if number == 0:
            raise NoMarginRate(f"no margin table covers {day}")
        for line in self.tables[number - 1].rates:
            if line.fits(instrument, product, side):
                return line.rate
        raise NoMarginRate(f"no margin rate for {instrument.key} as {product} on {day}")


def margins_from_json(raw: bytes) -> Margins:
    """Margin tables of a JSON file, validated. Raises BadMarginTables."""
    try:
        margins = msgspec.json.decode(raw, type=Margins)
    except msgspec.MsgspecError as error:
        raise BadMarginTables(str(error)) from error
    if not all(earlier.valid_from < later.valid_from for earlier, later in pairwise(margins.tables)):
        raise BadMarginTables("margin tables must be in the order of their days")
    if any(not line.rate.is_finite() or line.rate < 0 for table in margins.tables for line in table.rates):
        raise BadMarginTables("a margin rate must not be below zero")
    return margins


class Opening(msgspec.Struct, frozen=True):
    """Units that a working or new order could add to a position, at a price."""

    token: int
    side: Side
    quantity: int
    price_e4: int


def blocked(
    opening: Opening, *, instrument: InstrumentSpec, product: Product, margins: Margins, day: date
) -> Decimal:
    """Rupees that an order blocks. Raises NoMarginRate."""
    rate = margins.rate(day, instrument, product, opening.side)
    is_sold_option = instrument.instrument_type in OPTION_TYPES and opening.side is Side.SELL
    price_e4 = instrument.strike_e4 if is_sold_option else opening.price_e4
    return rate * value(price_e4, opening.quantity)


def available(
    *,
    capital: Decimal,
    holdings: Mapping[int, Holding],
    openings: Iterable[Opening],
    instruments: Mapping[int, InstrumentSpec],
    product: Product,
    margins: Margins,
    day: date,
) -> Decimal:
    """Rupees of capital that are free: what was realised after charges is there, what positions (at their cost)
    and working orders block is not. Gains and losses that are not realised do not count. Raises NoMarginRate."""
    free = capital + sum(map(net, holdings.values()), ZERO)
    for token, holding in holdings.items():
        if holding.quantity:
            free -= _held(holding, instruments[token], product, margins, day)
    for opening in openings:
        instrument = instruments[opening.token]
        free -= blocked(opening, instrument=instrument, product=product, margins=margins, day=day)
    return free


def _held(
    holding: Holding, instrument: InstrumentSpec, product: Product, margins: Margins, day: date
) -> Decimal:
    """What a position blocks. The premium of sold options is not free either: it is the buyer's until they end."""
    side = Side.BUY if holding.quantity > 0 else Side.SELL
    rate = margins.rate(day, instrument, product, side)
    if instrument.instrument_type in OPTION_TYPES and side is Side.SELL:
        return rate * value(instrument.strike_e4, abs(holding.quantity))
    return rate * abs(holding.cost)
