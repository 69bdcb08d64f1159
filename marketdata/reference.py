"""Reference data that ships with the product: the exchange calendar, instruments and recorded sessions."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Sequence
from datetime import date, time
from functools import cache
from pathlib import Path

from alphapanda.core.vocabulary import Phase
from marketdata.domain.calendar import Calendar, PhaseRule, SpecialHours, calendar
from marketdata.domain.instruments import InstrumentRow, InstrumentSpec, parse, spec_of_row

DATA_DIR = Path(__file__).resolve().parent / "data"
CALENDAR_EXCHANGES = ("NSE", "NFO")  # both follow the holidays of NSE's equity segments


class UnknownExchange(LookupError):
    """No calendar is known for an exchange."""


def rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a shipped CSV file, without its comment lines."""
    with path.open(newline="") as lines:
        yield from csv.DictReader(line for line in lines if not line.startswith("#"))


def holidays() -> list[date]:
    """Weekdays without trading, of every exchange of CALENDAR_EXCHANGES."""
    return [date.fromisoformat(row["date"]) for row in rows(DATA_DIR / "nse_holidays.csv")]


def special_sessions(exchange: str) -> dict[SpecialHours, str]:
    """Special sessions of an exchange with their names."""
    return {
        SpecialHours(
            date.fromisoformat(row["date"]),
            time.fromisoformat(row["opens"]),
            time.fromisoformat(row["closes"]),
        ): row["name"]
        for row in rows(DATA_DIR / "special_sessions.csv")
        if row["exchange"] == exchange
    }


def session_rules(exchange: str) -> list[PhaseRule]:
    """The hours of an exchange on ordinary days."""
    return [
        PhaseRule(
            date.fromisoformat(row["valid_from"]),
            Phase(row["phase"]),
            time.fromisoformat(row["starts"]),
            time.fromisoformat(row["ends"]),
        )
        for row in rows(DATA_DIR / "session_rules.csv")
        if row["exchange"] == exchange
    ]


@cache
def load_calendar(exchange: str) -> Calendar:
    """The calendar of an exchange from the shipped files. Raises UnknownExchange."""
    if exchange not in CALENDAR_EXCHANGES:
        raise UnknownExchange(f"{exchange!r}: calendars are shipped for {', '.join(CALENDAR_EXCHANGES)}")
    return calendar(holidays=holidays(), specials=special_sessions(exchange), rules=session_rules(exchange))


# Both are real days, so the stream plays NIFTY 50 of January 2019 (an index: nothing to buy) before YESBANK
# of July 2019; nothing pretends that they are of one day. For trades at once play YESBANK_FILES alone.
YESBANK_FILES = (DATA_DIR / "recorded" / "lean_1min_2019-07_YESBANK.csv.gz",)
SHIPPED_FILES = (DATA_DIR / "recorded" / "lean_1min_2019-01_NIFTY50.csv.gz", *YESBANK_FILES)


def instrument_specs(lists: Sequence[Path] = ()) -> dict[str, InstrumentSpec]:
    """Instruments by key (EXCHANGE:TRADINGSYMBOL) of the list that ships and of further ones, which win."""
    found: dict[str, InstrumentSpec] = {}
    for path in (DATA_DIR / "instruments.csv", *lists):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        listed = (row for row in parse(raw.decode().splitlines()) if isinstance(row, InstrumentRow))
        found |= {spec.key: spec for spec in map(spec_of_row, listed)}
    return found
