"""Instruments as plain values, and Kite's instrument list (CSV) parsed into them or into faults."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum

import msgspec

from alphapanda.core.money import PRICE_SCALE, PriceNotExact, to_e4
from marketdata.domain.dated import NOTHING_DATED, Dated
from marketdata.domain.markets import INDICES, Market, market_of

COLUMNS = (
    "instrument_token",
    "exchange_token",
    "tradingsymbol",
    "name",
    "last_price",
    "expiry",
    "strike",
    "tick_size",
    "lot_size",
    "instrument_type",
    "segment",
    "exchange",
)
# Lengths of the columns of marketdata.Instrument: a longer text is a faulty row, not a failed load.
_LENGTHS = {"tradingsymbol": 60, "name": 120, "instrument_type": 10, "segment": 20, "exchange": 10}
OPTION_TYPES = ("CE", "PE")
# Zerodha's ceilings of one equity order: 1,00,000 units, ten crore rupees (webnotes 2026, second hand).
EQUITY_QUANTITY_MAX = 100_000
EQUITY_VALUE_MAX = 10 * 10**7
_TOKEN_MAX = 2**32 - 1  # Kite sends tokens as unsigned 32-bit integers
_PRICE_MAX = Decimal(10) ** 8


class Segment(StrEnum):
    """What kind of market an instrument is traded in: it decides charges and products. Kite's own column
    `segment` (NFO-OPT, INDICES) is another thing."""

    EQUITY = "EQUITY"
    FUTURES = "FUTURES"
    OPTIONS = "OPTIONS"
    CURRENCY_FUTURES = "CURRENCY_FUTURES"
    CURRENCY_OPTIONS = "CURRENCY_OPTIONS"
    COMMODITY_FUTURES = "COMMODITY_FUTURES"
    COMMODITY_OPTIONS = "COMMODITY_OPTIONS"


# Kite lists these with a lot of 1 and means so many units: what they are worth would be wrong by that factor
LOTS_OF_MANY = (
    Segment.CURRENCY_FUTURES,
    Segment.CURRENCY_OPTIONS,
    Segment.COMMODITY_FUTURES,
    Segment.COMMODITY_OPTIONS,
)
LOT_NOT_TOLD = (
    "a lot of 1 does not say how many units a lot holds; give the units in column"
    " lot_size of its instrument list"
)


class NoSegment(ValueError):
    """An exchange and instrument type that are not traded together."""


_SEGMENTS = {
    ("NSE", "EQ"): Segment.EQUITY,
    ("BSE", "EQ"): Segment.EQUITY,
    **{(exchange, "FUT"): Segment.FUTURES for exchange in ("NFO", "BFO")},
    **{(exchange, right): Segment.OPTIONS for exchange in ("NFO", "BFO") for right in ("CE", "PE")},
    **{(exchange, "FUT"): Segment.CURRENCY_FUTURES for exchange in ("CDS", "BCD")},
    **{(exchange, right): Segment.CURRENCY_OPTIONS for exchange in ("CDS", "BCD") for right in ("CE", "PE")},
    ("MCX", "FUT"): Segment.COMMODITY_FUTURES,
    ("MCX", "CE"): Segment.COMMODITY_OPTIONS,
    ("MCX", "PE"): Segment.COMMODITY_OPTIONS,
}


def segment_of(exchange: str, instrument_type: str) -> Segment:
    """The segment of Kite's columns exchange and instrument_type. Raises NoSegment."""
    try:
        return _SEGMENTS[exchange, instrument_type]
    except KeyError:
        raise NoSegment(f"{instrument_type} on {exchange} is of no segment that is known here") from None


def is_lot_told(exchange: str, instrument_type: str, lot_size: int) -> bool:
    """Whether the lot says how many units an order is for; see LOTS_OF_MANY."""
    return lot_size > 1 or _SEGMENTS.get((exchange, instrument_type)) not in LOTS_OF_MANY


class InstrumentRow(msgspec.Struct, frozen=True):
    """One instrument of Kite's list; money in rupees, exact to four places."""

    exchange: str
    tradingsymbol: str
    instrument_token: int
    exchange_token: int
    name: str
    expiry: date | None
    strike: Decimal
    tick_size: Decimal
    lot_size: int
    instrument_type: str
    segment: str

    @property
    def key(self) -> str:
        return f"{self.exchange}:{self.tradingsymbol}"

    @property
    def underlying(self) -> str:
        """What a derivative is on, as the list's column `name` says, or, where that is blank, the symbol up to
        the expiry; empty for what does not expire."""
        return underlying_of(self.tradingsymbol, self.name, self.expiry)


class RowFault(msgspec.Struct, frozen=True):
    """A line of the list that is no instrument, why, and the instrument that it seems to mean."""

    line: int
    reason: str
    key: str = ""  # EXCHANGE:TRADINGSYMBOL as far as it can be told


class InstrumentSpec(msgspec.Struct, frozen=True):
    """What decisions need to know of an instrument; `tick_size_e4` and `lot_size` are 0 for an index.
    Of freeze quantity and circuit limits 0 means unknown, of permissions an empty tuple does. What differs from day
    to day is in `dated`, and `on` chooses from it."""

    key: str  # EXCHANGE:TRADINGSYMBOL
    exchange: str
    tradingsymbol: str
    token: int
    tick_size_e4: int
    lot_size: int
    segment: str
    partition: int = 0  # of market.ticks
    instrument_type: str = "EQ"  # EQ, FUT, CE, PE
    expiry: date | None = None
    strike_e4: int = 0
    underlying: str = ""  # of a derivative: the name of what it is on, as in Kite's list
    has_derivatives: bool = False  # a cash stock on which futures or options trade
    freeze_quantity: int = 0  # units; a larger order is refused by the exchange
    lower_circuit_e4: int = 0
    upper_circuit_e4: int = 0
    products: tuple[str, ...] = ()
    order_types: tuple[str, ...] = ()
    validities: tuple[str, ...] = ()
    dated: Dated = NOTHING_DATED

    def on(self, day: date) -> InstrumentSpec:
        """The instrument as the rules of a day say. What no rule is kept of is as now."""
        rules = self.dated
        if not rules:
            return self
        sizes, circuit = rules.sizes_on(day), rules.circuit_on(day)
        return msgspec.structs.replace(
            self,
            tick_size_e4=sizes.tick_size_e4 if sizes else self.tick_size_e4,
            lot_size=sizes.lot_size if sizes else self.lot_size,
            freeze_quantity=rules.freeze_on(day) if rules.freezes else self.freeze_quantity,
            lower_circuit_e4=circuit.lower_e4 if circuit else self.lower_circuit_e4,
            upper_circuit_e4=circuit.upper_e4 if circuit else self.upper_circuit_e4,
            dated=NOTHING_DATED,
        )

    @property
    def is_index(self) -> bool:
        return self.segment == INDICES

    @property
    def market(self) -> Market:
        """Whose hours hold for it. Raises UnknownMarket."""
        return market_of(exchange=self.exchange, segment=self.segment, has_derivatives=self.has_derivatives)

    @property
    def is_lot_told(self) -> bool:
        """Whether the lot says how many units an order is for."""
        return is_lot_told(self.exchange, self.instrument_type, self.lot_size)

    @property
    def quantity_max(self) -> int:
        """The largest order that the freeze quantity lets pass: whole lots. 0: unknown."""
        return self.freeze_quantity // max(self.lot_size, 1) * max(self.lot_size, 1)

    def units_max(self, price_e4: int) -> int:
        """The largest order at a price (0: unknown) that exchange and broker take; 0: none is known to be too large."""
        most = [self.quantity_max] if self.quantity_max else []
        if self.instrument_type == "EQ":
            lot = max(self.lot_size, 1)
            most.append(EQUITY_QUANTITY_MAX // lot * lot)
            if price_e4 > 0:
                most.append(max(EQUITY_VALUE_MAX * PRICE_SCALE // price_e4 // lot, 1) * lot)
        return min(most, default=0)

    def is_permitted(self, *, product: str = "", order_type: str = "", validity: str = "") -> bool:
        """Whether the market takes what is named; what is not known of is not held against an order."""
        return not (
            (product and self.products and product not in self.products)
            or (order_type and self.order_types and order_type not in self.order_types)
            or (validity and self.validities and validity not in self.validities)
        )


class NotAnInstrumentList(ValueError):
    """A file without Kite's columns."""


def parse(lines: Iterable[str]) -> Iterator[InstrumentRow | RowFault]:
    """The instruments and faults of a CSV in line order; lines that start with # and empty lines are skipped.
    Raises NotAnInstrumentList where the header lacks a column or a line is no CSV."""
    reader = csv.reader(lines)
    header = next((cells for cells in reader if cells and not cells[0].startswith("#")), [])
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise NotAnInstrumentList(f"line 1: no column {', '.join(missing)}")
    lines_of: dict[str | int, int] = {}  # of symbols, and of tokens
    try:
        for cells in reader:
            if cells and not cells[0].startswith("#"):
                yield _row_or_fault(header, cells, reader.line_num, lines_of)
    except csv.Error as error:
        raise NotAnInstrumentList(f"line {reader.line_num}: {error}") from error


def _row_or_fault(
    header: list[str], cells: list[str], line: int, lines_of: dict[str | int, int]
) -> InstrumentRow | RowFault:
    if len(cells) != len(header):
        return RowFault(line, f"{len(cells)} cells, the header has {len(header)}")
    cell = dict(zip(header, cells, strict=True))
    try:
        row = _row(cell)
    except ValueError as error:
        return RowFault(line, str(error), f"{cell['exchange'].strip()}:{cell['tradingsymbol'].strip()}")
    for what, words in ((row.key, row.key), (row.instrument_token, f"token {row.instrument_token}")):
        if (first := lines_of.setdefault(what, line)) != line:
            return RowFault(line, f"{words} is also in line {first}", row.key)
    return row


def _row(cell: dict[str, str]) -> InstrumentRow:
    texts = {name: _text(name, cell[name].strip(), limit) for name, limit in _LENGTHS.items()}
    row = InstrumentRow(
        **texts,
        instrument_token=_whole("instrument_token", cell, least=1, most=_TOKEN_MAX),
        exchange_token=_whole("exchange_token", cell, least=0, most=_TOKEN_MAX),
        expiry=_expiry(cell["expiry"].strip()),
        strike=_rupees("strike", cell),
        tick_size=_rupees("tick_size", cell),
        lot_size=_whole("lot_size", cell, least=0, most=2**31 - 1),
    )
    if row.segment != INDICES and not (row.tick_size and row.lot_size):
        raise ValueError("tick_size and lot_size are 0 for an index alone")
    return row


def _text(name: str, text: str, limit: int) -> str:
    if not text and name != "name":
        raise ValueError(f"{name} is empty")
    if len(text) > limit or not text.isprintable():
        raise ValueError(f"{name} {text[:20]!r} is longer than {limit} or not printable")
    return text


def _whole(name: str, cell: dict[str, str], *, least: int, most: int) -> int:
    text = cell[name].strip()
    if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
        raise ValueError(f"{name} {text[:20]!r} is not a whole number from {least} to {most}")
    return int(text)


def _rupees(name: str, cell: dict[str, str]) -> Decimal:
    text = cell[name].strip()
    try:
        amount = Decimal(text)
        to_e4(amount)
    except (InvalidOperation, PriceNotExact):
        raise ValueError(f"{name} {text[:20]!r} is not an amount in rupees of four places") from None
    if not 0 <= amount < _PRICE_MAX:
        raise ValueError(f"{name} {text[:20]!r} is not from 0 to {_PRICE_MAX}")
    return amount


def _expiry(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expiry {text[:20]!r} is not a date") from None


def spec_of_row(row: InstrumentRow) -> InstrumentSpec:
    """What decisions need to know of a listed instrument, on the first partition."""
    return InstrumentSpec(
        key=f"{row.exchange}:{row.tradingsymbol}",
        exchange=row.exchange,
        tradingsymbol=row.tradingsymbol,
        token=row.instrument_token,
        tick_size_e4=to_e4(row.tick_size),
        lot_size=row.lot_size,
        segment=row.segment,
        partition=0,
        instrument_type=row.instrument_type,
        expiry=row.expiry,
        strike_e4=to_e4(row.strike),
        underlying=row.underlying,
    )


def underlying_of(tradingsymbol: str, name: str, expiry: date | None) -> str:
    """The underlying of a derivative: its name, else the symbol up to its expiry (YYMON, or YYMDD with O, N, D
    for the months from October); empty for what does not expire."""
    if expiry is None:
        return ""
    if name:
        return name
    month = f"{expiry:%y%b}".upper()
    week = f"{expiry:%y}{'123456789OND'[expiry.month - 1]}{expiry:%d}"
    places = [tradingsymbol.find(code, 1) for code in (month, week)]
    return tradingsymbol[: max(places)] if max(places) > 0 else ""
