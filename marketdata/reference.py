"""Reference data that ships with the product: the exchange calendar, instruments and recorded sessions."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from datetime import date, time
from functools import cache
from pathlib import Path

import msgspec

from alphapanda.core.vocabulary import Phase
from marketdata.domain.calendar import (
    Calendar,
    Calendars,
    Cutoff,
    CutoffKind,
    PhaseRule,
    Season,
    SpecialHours,
    calendar,
)
from marketdata.domain.dated import COLUMNS, NOTHING_DATED, BadRules, Dated, merged, of_rows
from marketdata.domain.instruments import (
    InstrumentRow,
    InstrumentSpec,
    NotAnInstrumentList,
    RowFault,
    parse,
    spec_of_row,
)
from marketdata.domain.markets import Market, UnknownMarket
from marketdata.domain.rules import Permissions

DATA_DIR = Path(__file__).resolve().parent / "data"
_HOLIDAYS_SINCE = {"NSE": date(2010, 1, 1), "NFO": date(2010, 1, 1)}
_HOLIDAYS_ELSEWHERE_SINCE = date(2023, 1, 1)  # the known hours of other exchanges begin then or later


def rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a shipped CSV file, without its comment lines."""
    with path.open(newline="") as lines:
        yield from csv.DictReader(line for line in lines if not line.startswith("#"))


def holidays(exchange: str) -> list[date]:
    """Weekdays without trading, or with special hours only."""
    since = _HOLIDAYS_SINCE.get(exchange, _HOLIDAYS_ELSEWHERE_SINCE)
    listed = (date.fromisoformat(row["date"]) for row in rows(DATA_DIR / "nse_holidays.csv"))
    return [day for day in listed if day >= since]


def special_sessions(exchange: str) -> dict[SpecialHours, str]:
    """Special sessions of an exchange with their names."""
    return {
        SpecialHours(
            date.fromisoformat(row["date"]),
            time.fromisoformat(row["opens"]),
            time.fromisoformat(row["closes"]),
            Phase(row["phase"]),
        ): row["name"]
        for row in rows(DATA_DIR / "special_sessions.csv")
        if row["exchange"] == exchange
    }


def session_rules(market: str) -> list[PhaseRule]:
    """The hours of a market on ordinary days."""
    return [
        PhaseRule(
            date.fromisoformat(row["valid_from"]),
            Phase(row["phase"]),
            time.fromisoformat(row["starts"]),
            time.fromisoformat(row["ends"]),
            Season(row["season"]),
        )
        for row in rows(DATA_DIR / "session_rules.csv")
        if row["market"] == market
    ]


def cutoffs(market: str) -> list[Cutoff]:
    """When a market's day ends early: for intraday positions, and for contracts that expire."""
    return [
        Cutoff(date.fromisoformat(row["valid_from"]), CutoffKind(row["kind"]), int(row["minutes"]))
        for row in rows(DATA_DIR / "market_cutoffs.csv")
        if row["market"] == market
    ]


def permissions() -> list[Permissions]:
    """What markets take."""
    return [
        Permissions(
            Market(row["market"]),
            row["instrument_type"],
            date.fromisoformat(row["valid_from"]),
            *(tuple(row[name].split()) for name in ("products", "order_types", "validities")),
        )
        for row in rows(DATA_DIR / "permissions.csv")
    ]


@cache
def load_calendar(market: str) -> Calendar:
    """The calendar of a market from the shipped files. Raises UnknownMarket."""
    if market not in {known.value for known in Market}:
        raise UnknownMarket(f"{market!r}: calendars are shipped for {', '.join(Market)}")
    exchange = Market(market).exchange
    return calendar(
        holidays=holidays(exchange),
        specials=special_sessions(exchange),
        rules=session_rules(market),
        cutoffs=cutoffs(market),
        permissions=[row for row in permissions() if row.market == market],
    )


@cache
def load_calendars() -> Calendars:
    """The calendars of all markets from the shipped files."""
    return Calendars({market: load_calendar(market) for market in Market})


# Both are real days, so the stream plays NIFTY 50 of January 2019 (an index: nothing to buy) before YESBANK
# of July 2019; nothing pretends that they are of one day. For trades at once play YESBANK_FILES alone.
YESBANK_FILES = (DATA_DIR / "recorded" / "lean_1min_2019-07_YESBANK.csv.gz",)
SHIPPED_FILES = (DATA_DIR / "recorded" / "lean_1min_2019-01_NIFTY50.csv.gz", *YESBANK_FILES)


def instrument_rows(path: Path) -> Iterator[InstrumentRow | RowFault]:
    """The instruments and faults of a list (CSV, .gz too). Raises NotAnInstrumentList, which names the file,
    and OSError."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(
            path, "rt", encoding="utf-8-sig", newline=""
        ) as lines:
            yield from parse(lines)
    except (NotAnInstrumentList, UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise NotAnInstrumentList(
            f"{path}: {error}; accepted is Kite's instrument list, a CSV file"
        ) from error


def instrument_specs(lists: Sequence[Path] = (), rules: Sequence[Path] = ()) -> dict[str, InstrumentSpec]:
    """Instruments by key (EXCHANGE:TRADINGSYMBOL) of the list that ships and of further ones, which win, with their
    rules by date: of all files, a later one's where two speak of a day. Raises as `instrument_rows` and
    `dated_rules`; a line of a list that is no instrument is refused too, else another list's would hold."""
    found: dict[str, InstrumentSpec] = {}
    for path in (DATA_DIR / "instruments.csv", *lists):
        found |= {spec.key: spec for spec in map(spec_of_row, _instruments(path))}
    underlyings = {spec.underlying for spec in found.values()} - {""}
    kept: dict[str, Dated] = {}
    for path in rules:
        kept |= {key: merged(kept.get(key, NOTHING_DATED), one) for key, one in dated_rules(path).items()}
    if unknown := sorted(kept.keys() - found.keys()):
        raise BadRules(f"rules of {unknown[0]}, which no list has; add its list, or take its lines out")
    for key, dated in kept.items():
        if not found[key].is_index and (odd := [one.valid_from for one in dated.sizes if not one.lot_size]):
            raise BadRules(f"{key} on {odd[0]}: tick_size and lot_size are 0 for an index alone")
        found[key] = msgspec.structs.replace(found[key], dated=dated)
    return {key: _told_of_derivatives(spec, underlyings) for key, spec in found.items()}


def _instruments(path: Path) -> Iterator[InstrumentRow]:
    for row in instrument_rows(path):
        if isinstance(row, RowFault):
            of = f" ({row.key})" if row.key else ""
            raise NotAnInstrumentList(f"{path}: line {row.line}{of}: {row.reason}")
        yield row


def dated_rules(path: Path) -> dict[str, Dated]:
    """The rules by date of a file (CSV) that `manage.py instrument_rules` wrote. Raises BadRules, which names file
    and line, and OSError."""
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                raise BadRules(
                    f"no column {', '.join(missing)}; accepted is what manage.py instrument_rules writes"
                )

            def told() -> Iterator[dict[str, str]]:
                nonlocal line
                for row in reader:
                    line = reader.line_num
                    if None in row:
                        raise BadRules(
                            f"has more cells than the {len(reader.fieldnames or ())} of the header"
                        )
                    yield row

            return of_rows(told())
    except (BadRules, UnicodeDecodeError, csv.Error) as error:
        raise BadRules(f"{path}: line {line}: {error}") from None


def _told_of_derivatives(spec: InstrumentSpec, underlyings: set[str]) -> InstrumentSpec:
    """A stock knows of the derivatives that the lists hold; only a list of derivatives can tell."""
    has_derivatives = (
        spec.exchange in ("NSE", "BSE") and not spec.is_index and spec.tradingsymbol in underlyings
    )
    return msgspec.structs.replace(spec, has_derivatives=True) if has_derivatives else spec
