"""Past bars for a deployment's first state: of recorded files, or of the table that the tick stream fills."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from alphapanda.core.clock import ist_text
from alphapanda.core.refusals import BadRequest
from marketdata import selectors
from marketdata.domain.bars import Bar
from marketdata.domain.ticks import Item
from marketdata.models import Instrument
from marketdata.reference import load_calendars
from strategies.domain.base import DeploymentSpec, Strategy
from strategies.domain.history import bars_of

History = Callable[[DeploymentSpec, Strategy], tuple[Bar, ...]]
# averages that remember everything since their first value are the same to nine digits by then
LENGTHS = 10
BARS_MIN = 500


class NoPast(BadRequest):
    """The table has no bars from which a strategy could be warmed up."""


def from_stream(items: Sequence[Item]) -> History:
    """The bars of a stream that ended before the log begins."""

    def history(spec: DeploymentSpec, strategy: Strategy) -> tuple[Bar, ...]:
        return tuple(bars_of(items, spec.instruments, strategy.bar_minutes(), load_calendars()))

    return history


def from_table(until_ms: int) -> History:
    """The last stored bars that had closed by a time. Raises NoPast where an instrument has none."""

    def history(spec: DeploymentSpec, strategy: Strategy) -> tuple[Bar, ...]:
        count = max(BARS_MIN, LENGTHS * (strategy.warm_up() + 1))
        found: list[Bar] = []
        for instrument in spec.instruments:
            row = Instrument.objects.get(exchange=instrument.exchange, tradingsymbol=instrument.tradingsymbol)
            for minutes in strategy.bar_minutes():
                bars = selectors.bars_before(row, minutes, until_ms, count)
                if not bars:
                    raise NoPast(
                        f"no bars of {minutes} minutes of {row} are stored before {ist_text(until_ms)}"
                    )
                found += bars
        return tuple(sorted(found, key=lambda bar: (bar.ends_ms, bar.minutes, bar.token)))

    return history
