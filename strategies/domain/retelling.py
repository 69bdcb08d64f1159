"""The indicators of a strategy over bars, told again: what a warm-up over the same bars would leave it with at each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from marketdata.domain.bars import Bar
from strategies.domain.base import Strategy, View
from strategies.domain.basis import Indicator, indicators_of


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What the indicators said when a bar of the instrument was over."""

    ends_ms: int
    said: dict[str, Indicator]


def retold(strategy: Strategy, bars: Iterable[Bar], instrument: str) -> Iterator[Told]:
    """After each bar of the instrument; the others count as the strategy makes them count. It holds no position and
    its wishes are dropped, as in a warm-up. Raises whatever the strategy raises."""
    state = type(strategy).State()
    for bar in bars:
        list(strategy.on_bar(state, bar, View(at_ms=bar.ends_ms, instrument=bar.instrument, holdings={})))
        if bar.instrument == instrument:
            yield Told(bar.ends_ms, indicators_of(strategy, state, instrument))
