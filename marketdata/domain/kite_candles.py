"""Kite's historical candles: what one request may ask, and its rows as bars of our files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from alphapanda.core.clock import ist_date, ist_text, to_ms
from alphapanda.core.money import PriceNotExact, to_e4


class Interval(StrEnum):
    """Kite's intervals that our bars have; 10 minutes are not among them."""

    MINUTE = "minute"
    MINUTES_3 = "3minute"
    MINUTES_5 = "5minute"
    MINUTES_15 = "15minute"
    MINUTES_30 = "30minute"
    HOUR = "60minute"
    DAY = "day"

    @property
    def days_max(self) -> int:
        """The most days of one request (Kite's forum, 2024 and 2025; an older table of 2018 has less)."""
        return _DAYS_MAX[self]


_DAYS_MAX = {
    Interval.MINUTE: 60,
    Interval.MINUTES_3: 100,
    Interval.MINUTES_5: 100,
    Interval.MINUTES_15: 200,
    Interval.MINUTES_30: 200,
    Interval.HOUR: 400,
    Interval.DAY: 2_000,
}


class Span(NamedTuple):
    """Days in India, both included."""

    first: date
    last: date


class Candle(NamedTuple):
    """What an instrument did from `starts_ms` on; prices in rupees as Kite writes them."""

    starts_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


class BadCandles(ValueError):
    """Kite's answer is no series of candles of the days that were asked for."""


def spans(days: Span, interval: Interval) -> Iterator[Span]:
    """The requests for some days, none longer than Kite allows."""
    step = timedelta(days=interval.days_max - 1)
    first = days.first
    while first <= days.last:
        last = min(first + step, days.last)
        yield Span(first, last)
        first = last + timedelta(days=1)


def candles_of(answer: Any, span: Span) -> list[Candle]:
    """The candles of an answer, in rising order. Raises BadCandles, which names the first that is none."""
    rows = answer.get("candles") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise BadCandles("the answer holds no list of candles")
    found: list[Candle] = []
    for number, row in enumerate(rows, 1):
        try:
            candle = _candle(row)
            _check(candle, span, found)
        except (ValueError, TypeError, PriceNotExact) as error:
            raise BadCandles(f"candle {number}: {error}") from None
        found.append(candle)
    return found


def _candle(row: Sequence[Any]) -> Candle:
    stamp, *prices, volume = row[:6]
    if len(prices) != 4 or not all(isinstance(price, Decimal | int) for price in prices):
        raise ValueError("has not four prices")
    if not isinstance(volume, int) or volume < 0:
        raise ValueError(f"volume {volume!r} is no number of units")
    open_, high, low, close = map(Decimal, prices)
    return Candle(to_ms(datetime.fromisoformat(stamp)), open_, high, low, close, volume)


def _check(candle: Candle, span: Span, before: Sequence[Candle]) -> None:
    starts = ist_text(candle.starts_ms)
    if before and candle.starts_ms <= before[-1].starts_ms:
        raise ValueError(f"{starts} does not come after the one before it")
    if not span.first <= ist_date(candle.starts_ms) <= span.last:
        raise ValueError(f"{starts} is not from {span.first} to {span.last}")
    open_e4, high_e4, low_e4, close_e4 = map(to_e4, candle[1:5])
    if not 0 < low_e4 <= min(open_e4, close_e4) <= max(open_e4, close_e4) <= high_e4:
        raise ValueError(f"{starts} has prices that are no bar")


def line_of(candle: Candle) -> str:
    """A candle as a line of a file of bars (columns as marketdata.feeds.files.BAR_COLUMNS)."""
    prices = (f"{price:f}" for price in candle[1:5])
    return ",".join([ist_text(candle.starts_ms), *prices, str(candle.volume)])
