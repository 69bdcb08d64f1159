"""Bars built from recorded depth ticks against the vendor's own minutes of the same session."""

from __future__ import annotations

import csv
import gzip
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from alphapanda.core.clock import to_ms
from alphapanda.core.money import to_e4
from marketdata.domain.bars import Bar
from marketdata.domain.markets import anchor_minutes
from marketdata.domain.quality import Gate
from marketdata.domain.series import begun
from marketdata.domain.ticks import Tick
from marketdata.feeds.files import recorded_file
from marketdata.reference import load_calendars
from tests.marketdata.helpers import source, spec

NAMES = ("NFO_BANKNIFTY25DEC59400CE", "NFO_BANKNIFTY25DEC59400PE", "NSE_BHARATFORG", "NSE_BSE")


def built(path: Path) -> Iterator[Bar]:
    hours = load_calendars()
    file = recorded_file(str(path))
    calendar = hours.of(spec(file))
    series, gate, clock_ms = begun(file.key, 1, anchor_minutes(file.exchange), None), Gate(), 0
    for item in source([path], hours).iter_from():
        if not isinstance(item, Tick):
            clock_ms = item.at_ms
            yield from series.on_clock(item.at_ms, calendar)
        elif gate.judge(item, calendar, clock_ms=clock_ms) is None:
            yield from series.on_tick(item)


def vendor(path: Path) -> dict[int, tuple[int, int, int, int]]:
    with gzip.open(path, "rt") as lines:
        return {
            to_ms(datetime.fromisoformat(row["timestamp"])): tuple(
                to_e4(row[name]) for name in ("open", "high", "low", "close")
            )
            for row in csv.DictReader(lines)
        }


@pytest.fixture(scope="module")
def pairs(data: Path) -> dict[str, list[tuple[Bar, tuple[int, int, int, int]]]]:
    """Our minute bars with the vendor's of the same minute."""
    found = {}
    for name in NAMES:
        theirs = vendor(data / "ticks" / f"nse_vendor_1min_2025-12-15_{name}.csv.gz")
        ours = [b for b in built(data / "ticks" / f"nse_depth5_2025-12-15_{name}.csv.gz") if b.minutes == 1]
        found[name] = [(bar, theirs[bar.starts_ms]) for bar in ours if bar.starts_ms in theirs]
    return found


def test_every_minute_lies_inside_the_vendors(pairs) -> None:
    assert {name: len(found) > 300 for name, found in pairs.items()} == dict.fromkeys(NAMES, True)
    outside = [
        (name, bar)
        for name, found in pairs.items()
        for bar, (_, high, low, _) in found
        if not low <= bar.low_e4 <= bar.high_e4 <= high
    ]
    assert outside == []


def test_closes_agree_in_nine_of_ten(pairs, capsys) -> None:
    total = equal = 0
    with capsys.disabled():
        for name, found in pairs.items():
            same = sum(bar.close_e4 == theirs[3] for bar, theirs in found)
            opens = sum(bar.open_e4 == theirs[0] for bar, theirs in found)
            share = f"closes agree {same / len(found):.1%}, opens {opens / len(found):.1%}"
            sys.stdout.write(f"\n{name}: {len(found)} minutes, all inside; {share}")
            total, equal = total + len(found), equal + same
        sys.stdout.write(f"\nall: {equal} of {total} closes agree, {equal / total:.1%}\n")
    assert equal / total >= 0.9
