"""What the gate makes of recorded ticks, byte for byte as recorded: exact counts, measured once and kept."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from alphapanda.core.clock import ist_date
from marketdata.domain.calendar import Calendar
from marketdata.domain.quality import GateBook
from marketdata.domain.ticks import Clock, Tick
from tests.marketdata.helpers import source

# file: passed, BAD_STAMP, NOT_A_TRADING_DAY, OUT_OF_SESSION, BACKWARD_TIME, DUPLICATE, FALLING_VOLUME
COUNTS = {
    "nse_ltp_2021-04-30_dirty_RELIANCE": (20416, 1354, 1274, 1101, 98, 812, 185),
    "nse_ltp_2021-06-02_INFY": (18344, 0, 0, 0, 69, 528, 139),
    "nse_ltp_2021-06-02_NIFTY50": (18578, 0, 0, 0, 21, 1, 0),
    "nse_ltp_2021-06-02_RELIANCE": (18283, 0, 0, 0, 106, 542, 149),
    "nse_ltp_2021-06-02_SBIN": (18477, 0, 0, 0, 99, 299, 205),
    "nse_ltp_2021-06-04_INFY": (18828, 0, 0, 0, 111, 753, 168),
    "nse_ltp_2021-06-04_NIFTY50": (19237, 0, 0, 0, 23, 0, 0),
    "nse_ltp_2021-06-04_RELIANCE": (18985, 0, 0, 0, 105, 585, 165),
    "nse_ltp_2021-06-04_SBIN": (19191, 0, 0, 0, 107, 335, 207),
    "nse_depth5_2025-12-15_NFO_BANKNIFTY25DEC59400CE": (28562, 0, 0, 24, 0, 3, 1),
    "nse_depth5_2025-12-15_NFO_BANKNIFTY25DEC59400PE": (28227, 0, 0, 26, 0, 0, 1),
    "nse_depth5_2025-12-15_NSE_BHARATFORG": (11407, 0, 0, 38, 0, 0, 0),
    "nse_depth5_2025-12-15_NSE_BSE": (35015, 0, 0, 166, 0, 0, 6),
}
ORDER = (
    None,
    "BAD_STAMP",
    "NOT_A_TRADING_DAY",
    "OUT_OF_SESSION",
    "BACKWARD_TIME",
    "DUPLICATE",
    "FALLING_VOLUME",
)
DIRTY = "nse_ltp_2021-04-30_dirty_RELIANCE"


def judged(path: Path, calendar: Calendar) -> tuple[Counter[str | None], list[Tick]]:
    book, counts, passed = GateBook(), Counter[str | None](), list[Tick]()
    for item in source([path], calendar).iter_from():
        if isinstance(item, Clock):
            book.on_clock(item.at_ms)
            continue
        fault = book.judge(item, calendar)
        counts[fault] += 1
        if fault is None:
            passed.append(item)
    return counts, passed


@pytest.mark.parametrize("name", COUNTS)
def test_counts_per_reason(data: Path, nse: Calendar, name: str) -> None:
    counts, _ = judged(data / "ticks" / f"{name}.csv.gz", nse)
    assert counts == Counter({reason: n for reason, n in zip(ORDER, COUNTS[name], strict=True) if n})


def test_nothing_of_1970_or_of_the_saturday_passes_and_the_day_is_not_shut_out(
    data: Path, nse: Calendar
) -> None:
    counts, passed = judged(data / "ticks" / f"{DIRTY}.csv.gz", nse)
    assert counts["BAD_STAMP"] == 1_354  # rows stamped 1970, says the README of the data
    assert counts["NOT_A_TRADING_DAY"] == 1_274  # rows of the Saturday
    assert {ist_date(tick.at_ms) for tick in passed} == {date(2021, 4, 30)}
    assert min(tick.price_e4 for tick in passed) > 19_700_000
    assert max(tick.price_e4 for tick in passed) < 20_500_000
