"""Candles from Kite: requests that Kite takes, rows that are checked, files that the backtest reads, and their end."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.kite_candles import BadCandles, Interval, Span, candles_of, line_of, spans
from marketdata.domain.ticks import Tick
from marketdata.feeds.files import FileReport, read_ticks, recorded_file
from marketdata.services.kite_candles import (
    DaysRefused,
    NotKept,
    candles_fetch,
    candles_forget,
    folder_of,
)
from tests.rows import an_instrument

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)  # 17:30 in India
DAY = date(2026, 11, 2)


def a_row(stamp: str = "2026-11-02T09:15:00+0530", **prices: str) -> list[Any]:
    told = {"open": "100.5", "high": "101", "low": "100", "close": "100.75"} | prices
    return [stamp, *map(Decimal, told.values()), 2499]


def rows_of(*rows: list[Any], first: date = DAY, last: date = DAY) -> list[Any]:
    return candles_of({"candles": list(rows)}, Span(first, last))


# ---- one request and its answer ----


@given(st.dates(date(2015, 2, 1), date(2030, 1, 1)), st.integers(0, 5_000), st.sampled_from(Interval))
def test_requests_cover_the_days_once_and_are_never_too_long(
    first: date, more: int, interval: Interval
) -> None:
    found = list(spans(Span(first, first + timedelta(days=more)), interval))

    days = [one.first + timedelta(days=n) for one in found for n in range((one.last - one.first).days + 1)]
    assert days == [first + timedelta(days=n) for n in range(more + 1)]
    assert all((one.last - one.first).days + 1 <= interval.days_max for one in found)


def test_kites_own_sample_is_read(data: Path) -> None:
    answer = json.loads((data / "kite/rest/historical_minute.json").read_text(), parse_float=Decimal)["data"]

    found = candles_of(answer, Span(date(2017, 12, 15), date(2017, 12, 15)))

    assert len(found) == len(answer["candles"])
    assert line_of(found[0]) == "2017-12-15T09:15:00.000+05:30,1704.5,1705,1699.25,1702.8,2499"


def test_open_interest_is_passed_over() -> None:
    assert rows_of([*a_row(), 1234]) == rows_of(a_row())


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([a_row(), a_row()], "candle 2: 2026-11-02T09:15:00.000+05:30 does not come after"),
        ([a_row("2026-11-03T09:15:00+0530")], "is not from 2026-11-02 to 2026-11-02"),
        ([a_row(high="100.6")], "prices that are no bar"),
        ([a_row(low="0")], "prices that are no bar"),
        ([a_row(open="100.50001")], "more than four decimal places"),
        ([a_row(close="NaN")], "NaN"),
        ([a_row()[:5]], "candle 1"),
        ([[a_row()[0], 1.5, 2.5, 1.0, 1.5, 3]], "has not four prices"),
        ([[*a_row()[:5], -1]], "volume -1"),
        ([["yesterday", *a_row()[1:]]], "Invalid isoformat"),
        (["text"], "candle 1"),
        ([None], "candle 1"),
    ],
)
def test_what_is_no_candle_is_refused_by_number(rows: list[Any], words: str) -> None:
    with pytest.raises(BadCandles, match=words.replace("+", r"\+")):
        rows_of(*rows)


@pytest.mark.parametrize("answer", [None, [], {}, {"candles": None}])
def test_an_answer_without_candles_is_refused(answer: Any) -> None:
    with pytest.raises(BadCandles, match="no list of candles"):
        candles_of(answer, Span(DAY, DAY))


# ---- files ----


class Kite:
    """Answers requests for candles with two a day, from 09:15 on, and notes what was asked; breaks off when told to."""

    def __init__(self, *, breaks_at: int = -1, empty: bool = False) -> None:
        self.asked: list[tuple[str, str, str, int]] = []
        self.breaks_at, self.empty = breaks_at, empty

    def __call__(self, route: str, *, url: dict[str, Any], params: dict[str, Any]) -> Any:
        assert route == "market.historical"
        if len(self.asked) == self.breaks_at:
            raise ConnectionError("cut")
        self.asked.append((params["from"], params["to"], url["interval"], url["instrument_token"]))
        first, last = (date.fromisoformat(params[name][:10]) for name in ("from", "to"))
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        minutes = [(day, minute) for day in days if day.weekday() < 5 for minute in (15, 16)]
        rows = [] if self.empty else [a_row(f"{day}T09:{minute}:00+0530") for day, minute in minutes]
        return {"candles": rows}


@pytest.fixture
def fetch(tmp_path: Path, db: None) -> Callable[..., list[str]]:
    """Minute candles of INFY from 2026-07-01 to 2026-11-26: three requests."""
    infy = an_instrument()

    def fetched(kite: Kite, **more: Any) -> list[str]:
        facts = {"interval": Interval.MINUTE, "days": Span(date(2026, 7, 1), date(2026, 11, 26))}
        return candles_fetch(kite, [infy], folder=tmp_path, now=NOW, **facts | more)

    return fetched


def ticks_of(option: str) -> list[Tick]:
    file = recorded_file(option)
    assert file.key == "NSE:INFY"
    return list(read_ticks(file.path, token=1, is_index=False, report=FileReport(file.path)))


def test_candles_become_files_that_the_backtest_reads(fetch: Callable[..., list[str]]) -> None:
    kite, told = Kite(), []

    found = fetch(kite, progress=lambda done, of: told.append((done, of)))

    assert kite.asked == [
        ("2026-07-01 00:00:00", "2026-08-29 23:59:59", "minute", 408065),
        ("2026-08-30 00:00:00", "2026-10-28 23:59:59", "minute", 408065),
        ("2026-10-29 00:00:00", "2026-11-26 23:59:59", "minute", 408065),
    ]
    ticks = [tick for option in found for tick in ticks_of(option)]
    assert len(ticks) == 2 * 4 * sum((date(2026, 7, 1) + timedelta(days=n)).weekday() < 5 for n in range(149))
    assert [tick.price_e4 for tick in ticks[:4]] == [1_005_000, 1_000_000, 1_010_000, 1_007_500]
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_run_that_broke_off_goes_on_where_it_was(fetch: Callable[..., list[str]], tmp_path: Path) -> None:
    first = Kite(breaks_at=2)
    with pytest.raises(ConnectionError):
        fetch(first)
    second = Kite()

    found = fetch(second)

    assert [asked[0] for asked in second.asked] == ["2026-10-29 00:00:00"]
    assert len(found) == 3
    assert not list(tmp_path.glob(".*"))
    third = Kite()
    assert fetch(third) == found
    assert third.asked == []


def test_a_day_that_was_not_over_is_asked_for_again(fetch: Callable[..., list[str]], tmp_path: Path) -> None:
    days = Span(date(2026, 11, 26), date(2026, 11, 27))
    fetch(Kite(), days=days)
    (path,) = tmp_path.glob("*.gz")
    again = Kite()

    os.utime(path, (NOW.timestamp(), NOW.timestamp()))  # still that day
    fetch(again, days=days)
    assert len(again.asked) == 1
    later = (NOW + timedelta(hours=6, minutes=31)).timestamp()  # one past midnight in India
    os.utime(path, (later, later))
    fetch(again, days=days)
    assert len(again.asked) == 1


def test_days_without_candles_are_no_files_to_play(fetch: Callable[..., list[str]]) -> None:
    kite = Kite(empty=True)

    assert fetch(kite) == []
    assert fetch(kite) == []
    assert len(kite.asked) == 3


def test_equal_candles_are_equal_bytes(fetch: Callable[..., list[str]], tmp_path: Path) -> None:
    fetch(Kite())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for path in tmp_path.iterdir():
        path.unlink()
    fetch(Kite())

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("first", "last"), [(date(2026, 11, 27), date(2026, 11, 26)), (date(2026, 11, 27), date(2026, 11, 28))]
)
def test_days_that_are_none_are_refused(fetch: Callable[..., list[str]], first: date, last: date) -> None:
    with pytest.raises(DaysRefused, match="which is 2026-11-27 or before"):
        fetch(Kite(), days=Span(first, last))


@pytest.mark.django_db
def test_a_file_whose_name_tells_another_instrument_comes_with_its_own(tmp_path: Path) -> None:
    gold = an_instrument(exchange="MCX", tradingsymbol="GOLD26DECFUT", instrument_token=7)

    (found,) = candles_fetch(
        Kite(), [gold], interval=Interval.DAY, days=Span(DAY, DAY), folder=tmp_path, now=NOW
    )

    assert found.endswith(".csv.gz=MCX:GOLD26DECFUT")
    assert recorded_file(found).key == "MCX:GOLD26DECFUT"


# ---- what is kept ----


def test_working_copies_are_gone_at_six_and_what_may_be_kept_stays(settings: Any, tmp_path: Path) -> None:
    settings.RUN_DIR = tmp_path
    folder = folder_of(None)
    folder.mkdir(parents=True)
    path = folder / "kite_day_x_NSE_INFY.csv.gz"
    path.write_bytes(gzip.compress(b"x"))
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    six = datetime(2026, 11, 28, 0, 30, tzinfo=UTC)  # 06:00 in India

    assert candles_forget(now=six - timedelta(seconds=1)) == 0
    settings.KITE_ARCHIVE = True
    assert candles_forget(now=six) == 0
    settings.KITE_ARCHIVE = False
    assert candles_forget(now=six) == 1
    assert not path.exists()


def test_a_folder_of_ones_own_needs_the_setting_and_says_why(settings: Any, tmp_path: Path) -> None:
    with pytest.raises(NotKept, match=r"terms restrict permanent copies.*ALPHAPANDA_KITE_ARCHIVE=true"):
        folder_of(tmp_path)
    settings.KITE_ARCHIVE = True
    assert folder_of(tmp_path) == tmp_path
