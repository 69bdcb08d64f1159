"""Files of bars: which lengths are known, when a bar is told, and what is refused with file, line and reason."""

from __future__ import annotations

import gzip
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from marketdata.domain.bars import MINUTE_MS, Bar, BarBuilder
from marketdata.domain.calendar import Calendar
from marketdata.domain.quality import GateBook
from marketdata.domain.ticks import Clock, Tick
from marketdata.feeds.bar_files import DAY_MINUTES, NotInOrder, UnknownFormat
from marketdata.feeds.recorded import RecordedSource
from tests.marketdata.helpers import at, source

HEADER = "timestamp,open,high,low,close,volume\n"


def bars(folder: Path, *stamps: str, name: str = "x_SBIN.csv", cells: str = "100,104,98,103,8") -> Path:
    path = folder / name
    path.write_text(HEADER + "".join(f"{stamp},{cells}\n" for stamp in stamps))
    return path


def told(stream: RecordedSource) -> list[tuple[int, int, int]]:
    return [(t.at_ms, t.price_e4, t.quantity) for t in stream.iter_from() if isinstance(t, Tick)]


def test_a_day_is_told_inside_its_session(tmp_path: Path, nse: Calendar) -> None:
    stream = source([bars(tmp_path, "2019-07-09T00:00:00+05:30")], nse)
    day = "2019-07-09"
    assert stream.reports[0].minutes == DAY_MINUTES
    assert told(stream) == [
        (at(day, "09:15"), 1_000_000, 2),
        (at(day, "11:20"), 980_000, 2),
        (at(day, "13:25"), 1_040_000, 2),
        (at(day, "15:30") - 1, 1_030_000, 2),
    ]


@pytest.mark.parametrize("volume", [1, 2, 3, 4, 7])
def test_no_tick_of_a_bar_offers_what_the_bar_has_not(tmp_path: Path, nse: Calendar, volume: int) -> None:
    """A tick that tells no quantity is one of which it is not known, and bounds nothing; one with the volume of the
    tick before is that trade again."""
    stream = source([bars(tmp_path, "2019-07-09T10:00:00+05:30", cells=f"100,104,98,103,{volume}")], nse)
    ticks = [item for item in stream.iter_from() if isinstance(item, Tick)]

    assert all(tick.quantity > 0 for tick in ticks)
    assert sum({tick.volume: tick.quantity for tick in ticks}.values()) == volume == ticks[-1].volume


def test_the_evening_of_diwali_is_a_session_too(tmp_path: Path, nse: Calendar) -> None:
    [first, *_, last] = told(source([bars(tmp_path, "2020-11-14T00:00:00+05:30")], nse))
    session = nse.session(date(2020, 11, 14))
    assert session is not None
    assert (first[0], last[0]) == (session.opens_ms, session.closes_ms - 1)
    assert session.opens_ms > at("2020-11-14", "18:00")


def test_a_day_without_a_session_is_reported(tmp_path: Path, nse: Calendar) -> None:
    stream = source([bars(tmp_path, "2019-07-06T00:00:00+05:30", "2019-07-08T00:00:00+05:30")], nse)
    assert len(told(stream)) == 4
    assert stream.reports[0].examples == [(2, "no session on 2019-07-06 in the calendar")]


def test_clock_items_of_days_are_fewer_and_pass_every_tick(tmp_path: Path, nse: Calendar) -> None:
    stream = source([bars(tmp_path, "2019-07-09T00:00:00+05:30")], nse)
    clocks = [item.at_ms for item in stream.iter_from() if isinstance(item, Clock)]
    assert clocks[0] == at("2019-07-09", "09:00")
    assert clocks[-1] == at("2019-07-09", "15:45")
    assert at("2019-07-09", "15:29") in clocks
    assert len(clocks) == 82 + 1  # every five minutes from 09:00 to 15:45, and 15:29
    book = GateBook()
    for item in stream.iter_from():
        if isinstance(item, Clock):
            book.on_clock(item.at_ms)
        else:
            assert book.judge(item, nse) is None


def built(stream: RecordedSource, calendar: Calendar, minutes: int) -> list[Bar]:
    builder, found = BarBuilder(instrument="x", token=1, minutes=minutes), list[Bar]()
    for item in stream.iter_from():
        if isinstance(item, Clock):
            if builder.ticks:
                found += builder.on_clock(item.at_ms, closes_ms=calendar.closes_ms(builder.starts_ms))
        else:
            found += builder.on_tick(item)
    return found


@pytest.mark.parametrize(
    ("name", "minutes"),
    [("kite_day_2020-07_2026-01_INFY", DAY_MINUTES), ("kite_60minute_2024-12_2026-01_RELIANCE", 60)],
)
def test_bars_built_from_told_ticks_are_those_of_the_file(
    data: Path, nse: Calendar, name: str, minutes: int
) -> None:
    path = data / "bars_daily" / f"{name}.csv.gz"
    stream = source([path], nse)
    with gzip.open(path, "rt") as lines:
        rows = [line.strip().split(",") for line in list(lines)[1:]]
    ours = built(stream, nse, minutes)
    assert stream.reports[0].minutes == minutes
    assert stream.reports[0].faulty == 0
    if minutes == 60:  # a special evening begins beside the hours that count from 09:15
        rows = [row for row in rows if row[0][14:16] == "15"]
        ours = [bar for bar in ours if bar.ticks == 4]
    assert len(ours) >= len(rows) > 1_300
    assert [tuple(map(float, (bar.open, bar.high, bar.low, bar.close, bar.volume))) for bar in ours][
        : len(rows)
    ] == [tuple(map(float, row[1:6])) for row in rows]


def test_an_hour_ends_with_the_session(tmp_path: Path, nse: Calendar) -> None:
    stamps = [f"2019-07-09T{hour}:15:00+05:30" for hour in range(10, 16)]
    last = told(source([bars(tmp_path, *stamps)], nse))[-4:]
    assert [stamp for stamp, _, _ in last] == [
        at("2019-07-09", "15:15"),
        at("2019-07-09", "15:20"),
        at("2019-07-09", "15:25"),
        at("2019-07-09", "15:30") - 1,
    ]


def test_minutes_that_are_missing_make_no_longer_bars(tmp_path: Path, nse: Calendar) -> None:
    stamps = [f"2019-07-09T10:{minute:02d}:00+05:30" for minute in (0, 1, 2, 5, 6, 30)]
    stream = source([bars(tmp_path, *stamps)], nse)
    assert stream.reports[0].minutes == 1
    assert {stamp % MINUTE_MS for stamp, _, _ in told(stream)} == {0, 20_000, 40_000, 59_999}


@pytest.mark.parametrize("minutes", [0.5, 1.5, 2, 10, 45, 120])
def test_bars_of_another_length_are_refused(tmp_path: Path, nse: Calendar, minutes: float) -> None:
    """Told as the next shorter length, the close would be told before it was there."""
    seconds = [round(60 * minutes * number) for number in range(4)]
    clock = [f"{9 + one // 3600:02d}:{one // 60 % 60:02d}:{one % 60:02d}" for one in seconds]
    path = bars(tmp_path, *(f"2019-07-09T{stamp}+05:30" for stamp in clock))
    with pytest.raises(
        UnknownFormat,
        match=rf"x_SBIN\.csv: bars of {minutes:g} minutes; accepted .* 1, 3, 5, 15, 30 or 60 min",
    ):
        source([path], nse)


def test_a_day_of_longer_bars_is_refused_among_minutes(tmp_path: Path, nse: Calendar) -> None:
    """Told as minutes they would tell their closes nine minutes early; a few even gaps of a quiet share are chance."""
    minutes = [f"2019-07-09T10:{minute:02d}:00+05:30" for minute in range(60)]
    tens = [f"2019-07-10T1{number // 6}:{number % 6}0:00+05:30" for number in range(9)]
    quiet = [f"2019-07-10T10:{minute:02d}:00+05:30" for minute in (0, 2, 8, 20, 24, 42)]

    assert source([bars(tmp_path, *minutes, *quiet)], nse).reports[0].minutes == 1
    with pytest.raises(UnknownFormat, match="line 62: bars of 10 minutes on 2019-07-10, of 1 on most days"):
        source([bars(tmp_path, *minutes, *tens)], nse)


@pytest.mark.parametrize("minutes", [1, 3, 5, 15, 30, 60])
def test_a_length_that_is_taken_is_told_as_it_is(tmp_path: Path, nse: Calendar, minutes: int) -> None:
    starts = [minutes * number for number in (0, 1, 2, 5)]
    path = bars(tmp_path, *(f"2019-07-09T{9 + one // 60:02d}:{one % 60:02d}:00+05:30" for one in starts))
    assert source([path], nse).reports[0].minutes == minutes


@pytest.mark.parametrize(
    ("days", "clock", "words"),
    [
        ((1, 8, 15), "00:00", "bars of 7 days and more"),
        ((8, 9, 10), "05:30", "no day has two bars, and line 2 is not at midnight"),
        ((8, 9, 10), "09:15", "no day has two bars, and line 2 is not at midnight"),
    ],
)
def test_weeks_and_days_that_do_not_stand_at_midnight_are_refused(
    tmp_path: Path, nse: Calendar, days: tuple[int, ...], clock: str, words: str
) -> None:
    path = bars(tmp_path, *(f"2019-07-{day:02d}T{clock}:00+05:30" for day in days))
    with pytest.raises(UnknownFormat, match=words):
        source([path], nse)


def test_the_daily_history_of_nse_is_read(data: Path, nse: Calendar) -> None:
    stream = source([data / "bars_daily" / "nse_day_unadjusted_2000_2021_INFY.csv.gz"], nse)
    prices = [price for _, price, _ in told(stream)]
    assert prices[-4:] == [13_463_000, 13_459_000, 13_739_000, 13_543_500]


@pytest.mark.parametrize("stamps", [("10:01", "10:00"), ("10:00", "10:00")])
def test_bars_out_of_order_are_refused(tmp_path: Path, nse: Calendar, stamps: tuple[str, str]) -> None:
    path = bars(tmp_path, *(f"2019-07-09T{stamp}:00+05:30" for stamp in stamps))
    with pytest.raises(NotInOrder, match=r"x_SBIN\.csv: line 3 starts at 2019-07-09T10:00.*rising order"):
        source([path], nse)


def test_files_that_overlap_are_refused(tmp_path: Path, nse: Calendar) -> None:
    one = bars(tmp_path, "2019-07-09T10:00:00+05:30", "2019-07-09T10:05:00+05:30", name="a_SBIN.csv")
    two = bars(tmp_path, "2019-07-09T10:03:00+05:30", name="b_SBIN.csv")
    later = bars(tmp_path, "2019-07-09T11:00:00+05:30", name="c_SBIN.csv")
    other = bars(tmp_path, "2019-07-09T10:03:00+05:30", name="b_INFY.csv")
    with pytest.raises(
        NotInOrder, match=r"b_SBIN\.csv begins at .*10:03.* before .*a_SBIN\.csv of the same NSE:SBIN"
    ):
        source([one, two], nse)
    with pytest.raises(NotInOrder):
        source([one, one], nse)
    times = [stamp for stamp, _, _ in told(source([later, one, other], nse))]
    assert all(before <= after for before, after in pairwise(times))


def test_prices_that_are_no_bar_are_reported_with_their_line(tmp_path: Path, nse: Calendar) -> None:
    path = bars(tmp_path, "2019-07-09T10:00:00+05:30", cells="100,99,98,98.5,1")
    stream = source([path], nse)
    assert stream.reports[0].examples == [(2, "open and close do not lie between low and high")]
    assert len(stream) == 0


def test_a_wrong_header_says_what_is_accepted(tmp_path: Path, nse: Calendar) -> None:
    path = tmp_path / "x_SBIN.csv"
    path.write_text("time,o,h,l,c\n")
    with pytest.raises(UnknownFormat, match=r"x_SBIN\.csv: line 1: header 'time,o,h,l,c'.*accepted are bars"):
        source([path], nse)


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, nse: Calendar) -> None:
    path = tmp_path / "x_SBIN.csv.gz"
    whole = gzip.compress((HEADER + "2019-07-09T10:00:00+05:30,1,1,1,1,1\n" * 999).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnknownFormat, match="cannot be read to its end"):
        source([path], nse)
