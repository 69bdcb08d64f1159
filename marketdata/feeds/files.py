"""Recorded files as ticks: bars of minutes and days, last prices, five levels of depth, told apart by their header."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import islice
from pathlib import Path
from typing import Any, TextIO, TypeVar

from alphapanda.core.clock import IST, ist_date, to_ms
from alphapanda.core.money import PriceNotExact, to_e4
from marketdata.domain.calendar import Calendar
from marketdata.domain.ticks import DEPTH_LEVELS, HAS_DEPTH, INDEX, NOT_FINITE, Levels, Tick
from marketdata.feeds.bar_files import (
    BarRow,
    BarTeller,
    UnknownFormat,
    checked,
    in_order,
    interval_min,
    spans,
)

EXAMPLES_MAX = 10
BAR_COLUMNS = ["timestamp", "open", "high", "low", "close", "volume"]
LTP_COLUMNS = ["timestamp", "ltp", "volume"]
DEPTH_COLUMNS = ["recv_time", "last_trade_time", "last_price"]
DAILY_COLUMNS = [
    "Date",
    "Symbol",
    "Series",
    "Prev Close",
    "Open",
    "High",
    "Low",
    "Last",
    "Close",
    "VWAP",
    "Volume",
]
DAILY_CELLS = (0, 4, 5, 6, 8, 10)  # as BAR_COLUMNS
ACCEPTED = (
    f"accepted are bars ({','.join(BAR_COLUMNS)}), NSE's daily history ({','.join(DAILY_COLUMNS[:5])},...), "
    f"last prices ({','.join(LTP_COLUMNS)}) and depth ({','.join(DEPTH_COLUMNS)},...)"
)
SYMBOLS = {"NIFTY50": "NIFTY 50", "BANKNIFTY": "NIFTY BANK"}  # indices as file names spell them
_NAME = re.compile(r"(?:_(?P<exchange>NSE|NFO|BSE|BFO))?_(?P<symbol>[^_]+)\.csv(?:\.gz)?$")
DEPTH_WIDTH = 13 + 4 * DEPTH_LEVELS  # cells of a row: what comes before the levels, then price and quantity
_U4_MAX = 2**32 - 1
_I8_MAX = 2**62
Row = TypeVar("Row")
Reader = Callable[[int, list[str]], Row]  # of a line's number and cells


DAY_WIDTH = len("2019-07-09")


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A file and the instrument that it recorded."""

    path: Path
    exchange: str
    tradingsymbol: str

    @property
    def key(self) -> str:
        return f"{self.exchange}:{self.tradingsymbol}"


@dataclass(slots=True)
class FileReport:
    """What came of a file: rows read, rows that were no tick with the first of them (line, reason), and the
    minutes of its bars (0: ticks)."""

    path: Path
    rows: int = 0
    minutes: int = 0
    faulty: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)

    def fault(self, line: int, reason: str) -> None:
        self.faulty += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append((line, reason))


def recorded_file(text: str) -> RecordedFile:
    """`PATH`, whose name ends in _SYMBOL or _EXCHANGE_SYMBOL, or `PATH=EXCHANGE:SYMBOL`.
    Raises UnknownFormat."""
    path, _, instrument = text.partition("=")
    if instrument:
        exchange, _, symbol = instrument.partition(":")
        if not exchange or not symbol:
            raise UnknownFormat(f"{text!r}: write PATH=EXCHANGE:SYMBOL")
        return RecordedFile(Path(path), exchange, symbol)
    match = _NAME.search(Path(path).name)
    if match is None:
        raise UnknownFormat(f"{path}: the name tells no symbol; write PATH=EXCHANGE:SYMBOL")
    symbol = match["symbol"]
    return RecordedFile(Path(path), match["exchange"] or "NSE", SYMBOLS.get(symbol, symbol))


def header_of(path: Path) -> list[str]:
    """The names of the columns of a file (CSV, .gz too); none where it cannot be read."""
    try:
        with _opened(path) as lines:
            return next(csv.reader(lines, quoting=csv.QUOTE_NONE), [])
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, csv.Error):
        return []


def days_of(path: Path) -> set[date]:
    """The days in India that the rows of a file begin with, told without reading what else is in them: of rows that
    begin with the same day the first one tells its zone. None of a file that cannot be read to its end."""
    found: dict[str, date] = {}
    try:
        with _opened(path) as lines:
            for line in lines:
                if line[:DAY_WIDTH] not in found:
                    try:
                        found[line[:DAY_WIDTH]] = ist_date(_stamp(line.partition(",")[0].strip()))
                    except (ValueError, OverflowError):
                        continue
    except (OSError, EOFError, zlib.error):
        return set()
    return set(found.values())


def is_recording(header: Sequence[str]) -> bool:
    """Whether a header is that of a recorded file."""
    return (
        header in (BAR_COLUMNS, LTP_COLUMNS)
        or header[:3] == DEPTH_COLUMNS
        or header[: len(DAILY_COLUMNS)] == DAILY_COLUMNS
    )


def read_ticks(
    path: Path, *, token: int, is_index: bool, report: FileReport, calendar: Calendar | None = None
) -> Iterator[Tick]:
    """The ticks of a file in its own order, faulty stamps and prices included; rows that cannot be read go to
    the report. `received_ms` is 0. Bars of days need a calendar. Raises UnknownFormat, NotInOrder, OSError."""
    try:
        with _opened(path) as lines:
            reader = csv.reader(
                lines, quoting=csv.QUOTE_NONE
            )  # a stray quote costs its row, not all below it
            header = next(reader, [])
            rows = _rows(reader, len(header), report)
            flags = INDEX if is_index else 0
            if header == BAR_COLUMNS or header[: len(DAILY_COLUMNS)] == DAILY_COLUMNS:
                cells = range(len(BAR_COLUMNS)) if header == BAR_COLUMNS else DAILY_CELLS
                bars = list(_parsed(rows, _bar_reader(cells), report))
                yield from _told(path, bars, BarTeller(token, flags), report, calendar)
            else:
                yield from _parsed(rows, _format(path, header)(token, flags), report)
    except gzip.BadGzipFile as error:
        raise UnknownFormat(f"{path}: is not what its name says, a file of gzip: {error}") from error
    except (EOFError, zlib.error, csv.Error) as error:
        raise UnknownFormat(f"{path}: cannot be read to its end: {error}") from error


def _rows(reader: Any, width: int, report: FileReport) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of each row that has as many as the header."""
    for cells in reader:
        report.rows += 1
        if len(cells) == width:
            yield reader.line_num, cells
        else:
            report.fault(reader.line_num, f"{len(cells)} cells, the header has {width}")


def _parsed(rows: Iterable[tuple[int, list[str]]], read: Reader[Row], report: FileReport) -> Iterator[Row]:
    for line, cells in rows:
        try:
            row = read(line, cells)
        except ValueError as error:
            report.fault(line, str(error))
        else:
            yield row


def _told(
    path: Path, bars: list[BarRow], teller: BarTeller, report: FileReport, calendar: Calendar | None
) -> Iterator[Tick]:
    in_order(path, bars)
    report.minutes = interval_min(path, bars)
    for bar, span in zip(bars, spans(bars, report.minutes, calendar), strict=True):
        if span is None:
            report.fault(bar.line, f"no session on {ist_date(bar.starts_ms)} in the calendar")
        else:
            yield from teller.ticks(bar, *span)


def _format(path: Path, header: list[str]) -> Callable[[int, int], Reader[Tick]]:
    if header == LTP_COLUMNS:
        return _ltp_reader
    if header[:3] == DEPTH_COLUMNS:
        if len(header) < DEPTH_WIDTH:
            raise UnknownFormat(
                f"{path}: line 1: {len(header)} columns; depth has {DEPTH_WIDTH}, price and quantity of"
                f" {DEPTH_LEVELS} levels of each side last"
            )
        return _depth_reader
    raise UnknownFormat(
        f"{path}: line 1: header {','.join(header)[:80]!r} is none of the recorded formats; {ACCEPTED}"
    )


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="")
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def _bar_reader(places: Sequence[int]) -> Reader[BarRow]:
    """`places`: the cells of time, open, high, low, close and volume."""
    prices = Prices()

    def read(line: int, cells: list[str]) -> BarRow:
        stamp, *texts, volume = (cells[place] for place in places)
        open_, high, low, close = (prices[text] for text in texts)
        return checked(BarRow(line, _stamp(stamp), open_, high, low, close, _count(volume)))

    return read


def _ltp_reader(token: int, flags: int) -> Reader[Tick]:
    prices = Prices()

    def read(_line: int, cells: list[str]) -> Tick:
        price, bad = prices[cells[1]]
        at_ms, volume = _stamp(cells[0]), _count(cells[2])
        return Tick(token, at_ms, 0, 0, price, 0, volume, 0, 0, 0, 0, flags | bad)

    return read


def _depth_reader(token: int, flags: int) -> Reader[Tick]:
    prices = Prices()

    def side(cells: list[str]) -> Levels:
        pairs = islice(zip(cells[0::2], cells[1::2], strict=True), DEPTH_LEVELS)
        levels = ((prices[price], _count(quantity, most=_U4_MAX)) for price, quantity in pairs)
        return tuple(
            (price, quantity) for (price, bad), quantity in levels if quantity and price > 0 and not bad
        )

    def read(_line: int, cells: list[str]) -> Tick:
        price, bad = prices[cells[2]]
        return Tick(
            token,
            _stamp(cells[0]),
            _stamp(cells[1]) if cells[1] else 0,
            0,
            price,
            _count(cells[3], most=_U4_MAX),
            _count(cells[5]) if cells[5] else -1,
            _count(cells[8], most=_U4_MAX),
            prices[cells[4]][0],
            _count(cells[6], most=_U4_MAX),
            _count(cells[7], most=_U4_MAX),
            flags | bad | HAS_DEPTH,
            side(cells[13:23]),
            side(cells[23:33]),
        )

    return read


class Prices(dict[str, tuple[int, int]]):
    """Texts to (price_e4, NOT_FINITE or 0), each parsed once. A price that is no number stays in the log as
    NOT_FINITE; one of more than four places raises ValueError."""

    def __missing__(self, text: str) -> tuple[int, int]:
        price = self[text] = self._parsed(text)
        return price

    def _parsed(self, text: str) -> tuple[int, int]:
        try:
            if not Decimal(text).is_finite():
                return 0, NOT_FINITE
        except InvalidOperation:
            return 0, NOT_FINITE
        price_e4 = to_e4(text)
        if abs(price_e4) > _I8_MAX:
            raise PriceNotExact(f"{text[:20]!r} is beyond any price")
        return price_e4, 0


def _stamp(text: str) -> int:
    """Epoch ms; a time without a zone is IST."""
    moment = datetime.fromisoformat(text)
    return to_ms(moment.replace(tzinfo=IST) if moment.tzinfo is None else moment)


def _count(text: str, *, most: int = _I8_MAX) -> int:
    number = int(text) if text else 0
    if not 0 <= number <= most:
        raise ValueError(f"{text[:20]!r} is not from 0 to {most}")
    return number
