"""Past bars for a strategy's warm-up, and its memory begun anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from marketdata.domain.bars import Bar, BarBuilder
from marketdata.domain.calendar import Calendar, MarketHours
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.markets import anchor_minutes
from marketdata.domain.quality import Gate
from marketdata.domain.ticks import Clock, Item, Tick
from strategies.domain.base import Strategy
from strategies.domain.guards import Guards
from strategies.domain.machine import CheckpointDoesNotFit
from strategies.domain.memory import State
from strategies.domain.signals import Mark, marked


def bars_of(
    items: Iterable[Item],
    instruments: Sequence[InstrumentSpec],
    minutes: Sequence[int],
    hours: MarketHours,
) -> Iterator[Bar]:
    """The bars of a stream in the order in which they close, of ticks that pass the quality gate, as a machine
    would see them; what is open at the end is left out."""
    calendars = {instrument.token: hours.of(instrument) for instrument in instruments}
    gates = {instrument.token: Gate() for instrument in instruments}
    builders = {
        instrument.token: [
            BarBuilder(
                instrument=instrument.key,
                token=instrument.token,
                minutes=length,
                anchor_minutes=anchor_minutes(instrument.exchange),
            )
            for length in minutes
        ]
        for instrument in instruments
    }
    clock_ms = 0
    for item in items:
        if isinstance(item, Clock):
            clock_ms = max(clock_ms, item.at_ms)
            for builder in (builder for row in builders.values() for builder in row if builder.ticks):
                closes_ms = calendars[builder.token].closes_ms(builder.starts_ms)
                yield from builder.on_clock(item.at_ms, closes_ms=closes_ms)
        elif item.token in gates and _passes(gates, calendars, item, clock_ms):
            gates[item.token].accept(item)
            for builder in builders[item.token]:
                yield from builder.on_tick(item)


def marks_of(
    items: Iterable[Item], instruments: Sequence[InstrumentSpec], hours: MarketHours
) -> dict[int, Mark]:
    """The last prices of a stream by token, of ticks that pass the quality gate, as a machine would have them."""
    calendars = {instrument.token: hours.of(instrument) for instrument in instruments}
    gates = {instrument.token: Gate() for instrument in instruments}
    marks: dict[int, Mark] = {}
    clock_ms = 0
    for item in items:
        if isinstance(item, Clock):
            clock_ms = max(clock_ms, item.at_ms)
        elif item.token in gates and _passes(gates, calendars, item, clock_ms):
            gates[item.token].accept(item)
            marks[item.token] = marked(item, marks.get(item.token))
    return marks


def _passes(gates: dict[int, Gate], calendars: dict[int, Calendar], tick: Tick, clock_ms: int) -> bool:
    return gates[tick.token].check(tick, calendars[tick.token], clock_ms=clock_ms) is None


def renewed(checkpoint: bytes, strategy: Strategy, *, is_flat: bool) -> bytes:
    """A checkpoint whose strategy remembers nothing and hears of its start again, while the place in the log, the
    gates and the open bars stay. `is_flat` lets go of brackets too: the one that goes on from here holds nothing.
    Raises CheckpointDoesNotFit."""
    if not checkpoint:
        return b""
    try:
        state = msgspec.msgpack.decode(checkpoint, type=State)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CheckpointDoesNotFit(f"the checkpoint cannot be read: {error}") from error
    state.strategy = type(strategy).State()
    state.is_started, state.bars_seen, state.history_ms = False, {}, 0
    if is_flat:
        state.guards = Guards(alarmed_ms=state.guards.alarmed_ms, alarm_ms=state.guards.alarm_ms)
    return msgspec.msgpack.encode(state)
