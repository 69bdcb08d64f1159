"""The calendar of NSE and NFO against dates that are known to have traded."""

from __future__ import annotations

import csv
import gzip
from datetime import date, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.clock import ist_date, ist_ms
from alphapanda.core.vocabulary import Phase
from marketdata.domain.calendar import Calendar, NoSession, Session, calendar
from marketdata.domain.markets import UnknownMarket
from marketdata.reference import load_calendar


def at(day: str, clock: str) -> int:
    return ist_ms(date.fromisoformat(day), time.fromisoformat(clock))


@pytest.mark.parametrize(
    ("day", "clock", "phase"),
    [
        ("2019-07-09", "08:59:59.999", Phase.CLOSED),
        ("2019-07-09", "09:00", Phase.PRE_OPEN),
        ("2019-07-09", "09:14:59.999", Phase.PRE_OPEN),
        ("2019-07-09", "09:15", Phase.CONTINUOUS),
        ("2019-07-09", "15:29:59.999", Phase.CONTINUOUS),
        ("2019-07-09", "15:30", Phase.CLOSING),
        ("2019-07-09", "15:40", Phase.POST_CLOSE),
        ("2019-07-09", "16:00", Phase.CLOSED),
        ("2026-08-03", "15:45", Phase.CLOSED),
        ("2026-08-03", "15:50", Phase.POST_CLOSE),
        ("2019-07-13", "10:00", Phase.CLOSED),  # Saturday
        ("2024-01-22", "10:00", Phase.CLOSED),  # holiday
        ("2024-01-20", "15:29", Phase.CONTINUOUS),  # Saturday with a session
        ("2024-11-01", "10:00", Phase.CLOSED),
        ("2024-11-01", "18:59", Phase.CONTINUOUS),  # Muhurat
        ("2024-03-02", "10:30", Phase.CLOSED),  # between two sessions of one day
        ("2024-03-02", "12:00", Phase.CONTINUOUS),
    ],
)
def test_phases_of_nse(nse: Calendar, day: str, clock: str, phase: Phase) -> None:
    assert nse.phase_at(at(day, clock)) is phase


def test_derivatives_trade_ten_minutes_longer_since_august_2026() -> None:
    nfo = load_calendar("NFO")
    assert nfo.phase_at(at("2026-07-31", "15:35")) is Phase.CLOSED
    assert nfo.phase_at(at("2026-08-03", "15:35")) is Phase.CONTINUOUS
    assert nfo.closes_ms(at("2026-08-03", "10:00")) == at("2026-08-03", "15:40")


def test_sessions(nse: Calendar) -> None:
    assert nse.session(date(2019, 7, 9)) == Session(at("2019-07-09", "09:15"), at("2019-07-09", "15:30"))
    assert nse.session(date(2024, 3, 2)) == Session(at("2024-03-02", "09:15"), at("2024-03-02", "12:30"))
    assert nse.session(date(2019, 7, 13)) is None
    assert not nse.is_trading_day(date(2024, 5, 20))


def test_next_open_skips_the_weekend(nse: Calendar) -> None:
    assert nse.next_open_ms(at("2019-07-12", "09:15")) == at("2019-07-12", "09:15")
    assert nse.next_open_ms(at("2019-07-12", "09:15:00.001")) == at("2019-07-15", "09:15")


def test_close_of_a_day(nse: Calendar) -> None:
    assert nse.closes_ms(at("2019-07-12", "16:30")) == at("2019-07-12", "15:30")
    assert nse.closes_ms(at("2019-07-13", "10:00")) == at("2019-07-15", "15:30")


def test_without_rules_there_is_no_session() -> None:
    empty = calendar(holidays=(), specials=(), rules=())
    with pytest.raises(NoSession):
        empty.next_open_ms(at("2019-07-12", "09:15"))
    with pytest.raises(UnknownMarket):
        load_calendar("NCO")


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_stamp_has_a_phase(at_ms: int) -> None:
    nse = load_calendar("NSE")
    phase = nse.phase_at(at_ms)
    assert phase is Phase.CLOSED or nse.is_trading_day(ist_date(at_ms))


def test_every_daily_bar_lies_on_a_trading_day_and_none_is_missing(nse: Calendar, data: Path) -> None:
    days: set[date] = set()
    for path in data.glob("bars_daily/*_day_*"):
        with gzip.open(path, "rt") as lines:
            days |= {date.fromisoformat(row[0][:10]) for row in list(csv.reader(lines))[1:]}
    newest, day = max(days), date(2015, 1, 1)
    while day <= newest:
        assert nse.is_trading_day(day) == (day in days), day
        day += timedelta(days=1)
