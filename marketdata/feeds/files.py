"""Recorded files as ticks: one-minute bars, last prices, five levels of depth, told apart by their header."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import islice
from pathlib import Path
from typing import TextIO

from alphapanda.core.clock import IST, IST_OFFSET_MS, to_ms
from alphapanda.core.money import PriceNotExact, to_e4
from marketdata.domain.ticks import DEPTH_LEVELS, FROM_BAR, HAS_DEPTH, INDEX, NOT_FINITE, Levels, Tick

EXAMPLES_MAX = 10
BAR_COLUMNS = ["timestamp", "open", "high", "low", "close", "volume"]
LTP_COLUMNS = ["timestamp", "ltp", "volume"]
DEPTH_COLUMNS = ["recv_time", "last_trade_time", "last_price"]
# When in its minute each of the four prices of a bar is told.
BAR_OFFSETS_MS = (0, 20_000, 40_000, 59_999)
SYMBOLS = {"NIFTY50": "NIFTY 50", "BANKNIFTY": "NIFTY BANK"}  # indices as file names spell them
_NAME = re.compile(r"(?:_(?P<exchange>NSE|NFO|BSE|BFO))?_(?P<symbol>[^_]+)\.csv(?:\.gz)?$")
_U4_MAX = 2**32 - 1
_I8_MAX = 2**62
_DAY_MS = 86_400_000


class UnknownFormat(ValueError):
    """A file whose header is none of the recorded formats, or whose name tells no symbol."""


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
    """What came of a file: rows read, and rows that were no tick with the first of them (line, reason)."""

    path: Path
    rows: int = 0
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


def read_ticks(path: Path, *, token: int, is_index: bool, report: FileReport) -> Iterator[Tick]:
    """The ticks of a file in its own order, faulty stamps and prices included; rows that cannot be read go to
    the report. `received_ms` is 0. Raises UnknownFormat, OSError."""
    with _opened(path) as lines:
        reader = csv.reader(lines)
        header = next(reader, [])
        to_ticks = _format(path, header)(token, INDEX if is_index else 0)
        width = len(header)
        for cells in reader:
            report.rows += 1
            try:
                if len(cells) != width:
                    raise ValueError(f"{len(cells)} cells, the header has {width}")
                ticks = to_ticks(cells)
            except ValueError as error:
                report.fault(reader.line_num, str(error))
            else:
                yield from ticks


RowReader = Callable[[list[str]], "tuple[Tick, ...]"]


def _format(path: Path, header: list[str]) -> Callable[[int, int], RowReader]:
    if header == BAR_COLUMNS:
        return _bar_reader
    if header == LTP_COLUMNS:
        return _ltp_reader
    if header[:3] == DEPTH_COLUMNS:
        return _depth_reader
    raise UnknownFormat(f"{path}: header {','.join(header)[:80]!r} is none of the recorded formats")


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="")
    return path.open(encoding="utf-8", errors="replace", newline="")


def _bar_reader(token: int, flags: int) -> RowReader:
    """A bar is four ticks, open first and close last: of a rising minute the low comes before the high, of a
    falling one the high. Its volume is split evenly, the remainder on the close."""
    prices, day, traded = Prices(), 0, 0

    def read(cells: list[str]) -> tuple[Tick, ...]:
        nonlocal day, traded
        starts_ms, volume = _stamp(cells[0]), _count(cells[5])
        open_, high, low, close = (prices[text] for text in cells[1:5])
        if (of_day := (starts_ms + IST_OFFSET_MS) // _DAY_MS) != day:
            day, traded = of_day, 0
        middle = (low, high) if close[0] >= open_[0] else (high, low)
        share = volume // 4
        shares = (share, share, share, volume - 3 * share)
        ticks = []
        for (price, bad), offset_ms, quantity in zip(
            (open_, *middle, close), BAR_OFFSETS_MS, shares, strict=True
        ):
            traded += quantity
            at_ms = starts_ms + offset_ms
            marks = flags | FROM_BAR | bad
            ticks.append(Tick(token, at_ms, 0, 0, price, min(quantity, _U4_MAX), traded, 0, 0, 0, 0, marks))
        return tuple(ticks)

    return read


def _ltp_reader(token: int, flags: int) -> RowReader:
    prices = Prices()

    def read(cells: list[str]) -> tuple[Tick, ...]:
        price, bad = prices[cells[1]]
        at_ms, volume = _stamp(cells[0]), _count(cells[2])
        return (Tick(token, at_ms, 0, 0, price, 0, volume, 0, 0, 0, 0, flags | bad),)

    return read


def _depth_reader(token: int, flags: int) -> RowReader:
    prices = Prices()

    def side(cells: list[str]) -> Levels:
        pairs = islice(zip(cells[0::2], cells[1::2], strict=True), DEPTH_LEVELS)
        levels = ((prices[price], _count(quantity, most=_U4_MAX)) for price, quantity in pairs)
        return tuple(
            (price, quantity) for (price, bad), quantity in levels if quantity and price > 0 and not bad
        )

    def read(cells: list[str]) -> tuple[Tick, ...]:
        price, bad = prices[cells[2]]
        return (
            Tick(
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
            ),
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
