"""Bars made by hand, and what a strategy asks for at each of them."""

from __future__ import annotations

from collections.abc import Sequence

from alphapanda.core.vocabulary import Side
from marketdata.domain.bars import Bar
from strategies.domain.base import Strategy, View
from tests.builders import DAY, at, e4

NAME, OTHER = "NSE:STOCK7", "NSE:STOCK8"
MINUTE_MS = 60_000
Asked = list[tuple[Side, int]]


def a_bar(
    close: object,
    *,
    high: object = None,
    low: object = None,
    volume: int = 100,
    clock: str = "10:00",
    number: int = 0,
    minutes: int = 1,
    instrument: str = NAME,
    day: object = DAY,
) -> Bar:
    """The `number`-th bar from a time on, in rupees; without high and low all its prices are its close."""
    price = e4(close)
    return Bar(
        instrument=instrument,
        token=int(instrument[-1]),
        starts_ms=at(clock, day) + number * minutes * MINUTE_MS,  # type: ignore[arg-type]
        minutes=minutes,
        open_e4=price,
        high_e4=price if high is None else e4(high),
        low_e4=price if low is None else e4(low),
        close_e4=price,
        volume=volume,
        ticks=1,
    )


def run(strategy: Strategy, bars: Sequence[Bar]) -> list[Asked]:
    """What the strategy asks for at each bar of one instrument, everything filled at once."""
    state, position, asked = type(strategy).State(), 0, []
    for bar in bars:
        view = View(at_ms=bar.ends_ms, instrument=bar.instrument, holdings={bar.instrument: (position, 0)})
        intents = list(strategy.on_bar(state, bar, view))
        asked.append([(intent.side, intent.quantity) for intent in intents])
        position += sum(intent.side.sign * intent.quantity for intent in intents)
    return asked


def acts(asked: Sequence[Asked]) -> dict[int, Asked]:
    """The bars at which something was asked for."""
    return {number: intents for number, intents in enumerate(asked) if intents}
