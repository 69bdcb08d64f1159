"""The instruments of the simulator: what orders need to know of them, and Kite's list of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from alphapanda.core.money import to_rupees
from marketdata.domain.calendar import Calendar, Calendars
from marketdata.domain.instruments import COLUMNS, InstrumentRow, InstrumentSpec
from marketdata.reference import DATA_DIR, instrument_rows, instrument_specs, load_calendars

ENDING = "\r\n"
Found = TypeVar("Found")


class ByToken(Mapping[int, Found]):
    """Something of every instrument, worked out where it is asked for."""

    def __init__(self, tokens: Mapping[int, InstrumentSpec], find: Callable[[int], Found]) -> None:
        self._tokens = tokens
        self._find = find
        self._found: dict[int, Found] = {}

    def __getitem__(self, token: int) -> Found:
        if token not in self._found:
            self._found[token] = self._find(token)
        return self._found[token]

    def __iter__(self) -> Iterator[int]:
        return iter(self._tokens)

    def __len__(self) -> int:
        return len(self._tokens)


class Listing:
    """Instruments by key and by token, with the hours of their markets; `rows` are what the list of the day shows."""

    def __init__(
        self, specs: Iterable[InstrumentSpec], rows: Sequence[InstrumentRow], calendars: Calendars
    ) -> None:
        self.by_key = {spec.key: spec for spec in specs}
        self.by_token = {spec.token: spec for spec in self.by_key.values()}
        self.rows = rows
        self._calendars = calendars
        self.calendars = ByToken(self.by_token, self.calendar)

    def calendar(self, token: int) -> Calendar:
        """The hours of an instrument's market. Raises KeyError for an unknown token."""
        return self._calendars.of(self.by_token[token])

    def on(self, token: int, day: date) -> InstrumentSpec:
        """An instrument as the rules of a day say. Raises KeyError for an unknown token."""
        return self.calendar(token).ruled(self.by_token[token], day)

    def on_day(self, day: date) -> Mapping[int, InstrumentSpec]:
        """All instruments as the rules of a day say."""
        return ByToken(self.by_token, lambda token: self.on(token, day))

    def csv(self, exchange: str = "") -> bytes:
        """Kite's list: of all exchanges, or of one."""
        lines = [",".join(COLUMNS)]
        lines += [_line(row) for row in self.rows if exchange in ("", row.exchange)]
        return (ENDING.join(lines) + ENDING).encode()


def load_listing(lists: Sequence[Path] = (), rules: Sequence[Path] = ()) -> Listing:
    """The instruments that ship and those of further lists. Raises NotAnInstrumentList, BadRules, OSError."""
    specs = instrument_specs(lists, rules)
    rows: dict[str, InstrumentRow] = {}
    for path in (DATA_DIR / "instruments.csv", *lists):
        rows |= {row.key: row for row in instrument_rows(path) if isinstance(row, InstrumentRow)}
    return Listing(specs.values(), list(rows.values()), load_calendars())


def row_of(spec: InstrumentSpec) -> InstrumentRow:
    """The line of the list that an instrument would have."""
    return InstrumentRow(
        exchange=spec.exchange,
        tradingsymbol=spec.tradingsymbol,
        instrument_token=spec.token,
        exchange_token=spec.token // 256,
        name=spec.underlying,
        expiry=spec.expiry,
        strike=to_rupees(spec.strike_e4),
        tick_size=to_rupees(spec.tick_size_e4),
        lot_size=spec.lot_size,
        instrument_type=spec.instrument_type,
        segment=spec.segment,
    )


def _line(row: InstrumentRow) -> str:
    cells = (
        row.instrument_token,
        row.exchange_token,
        row.tradingsymbol,
        row.name,
        "0.0",
        row.expiry or "",
        _decimal(row.strike),
        _decimal(row.tick_size),
        row.lot_size,
        row.instrument_type,
        row.segment,
        row.exchange,
    )
    return ",".join(_cell(str(cell)) for cell in cells)


def _decimal(amount: Decimal) -> str:
    """As Kite writes it: at least one place."""
    whole = amount == amount.to_integral_value()
    return f"{amount:.1f}" if whole else f"{amount.normalize():f}"


def _cell(text: str) -> str:
    quoted = text.replace('"', '""')
    return f'"{quoted}"' if any(mark in text for mark in ',"\n') else text
