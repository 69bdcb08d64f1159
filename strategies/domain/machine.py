"""One step of a deployment: `(state, item) -> (state, stop)`. Backtest and pipeline fold this and nothing else."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.clock import ist_day
from alphapanda.core.money import round_to_tick_e4, to_e4
from alphapanda.core.vocabulary import OrderType, Product, Side, TickFault, Validity
from marketdata.domain.bars import Bar, BarBuilder
from marketdata.domain.calendar import MarketHours
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.markets import anchor_minutes
from marketdata.domain.quality import Gate
from marketdata.domain.ticks import Clock, Tick
from strategies.domain.base import DeploymentSpec, Intent, Strategy, View, build
from strategies.domain.watches import Watch

# Beyond these no exchange takes an order, and columns of the database would not hold the amounts.
QUANTITY_MAX = 10**9
LIMIT_PRICE_MAX = Decimal(10) ** 8


class Mark(msgspec.Struct, frozen=True):
    """The last price of an instrument, its event time, and the last price of the session before (0: unknown)."""

    price_e4: int
    at_ms: int
    close_before_e4: int = 0


class SignalRow(msgspec.Struct, frozen=True):
    """A signal with all that risk must know of its moment."""

    id: UUID
    deployment_id: UUID
    step: int
    ordinal: int
    token: int
    instrument: str
    side: Side
    quantity: int
    order_type: OrderType
    limit_price_e4: int | None
    validity: Validity
    product: Product
    reason: str
    at_ms: int
    received_at_ms: int
    correlation_id: UUID
    marks: dict[int, Mark]


class Raised(msgspec.Struct, frozen=True):
    """Stop: the deployment waits until these signals are decided and carried out."""

    signals: tuple[SignalRow, ...]


class DueItem(msgspec.Struct, frozen=True):
    """Stop: this item touches working orders; it is delivered again once they are matched."""

    step: int


class Working(msgspec.Struct, frozen=True):
    """Unfilled units of working orders of one instrument, by side."""

    buy: int = 0
    sell: int = 0


class Consequences(msgspec.Struct, frozen=True):
    """What a deployment's orders and books came to, by instrument token: units held (signed), working orders
    by side, and what wakes execution.

    `matched_step` is the step whose item has been matched against the working orders."""

    positions: dict[int, int] = {}
    working: dict[int, Working] = {}
    watches: tuple[Watch, ...] = ()
    matched_step: int = 0


class State(msgspec.Struct):
    """All that a deployment remembers; the checkpoint is this and nothing else."""

    step: int = 0
    at_ms: int = 0
    clock_ms: int = 0  # of the last clock item
    day: int = 0
    sources: dict[int, int] = msgspec.field(default_factory=dict)
    gates: dict[int, Gate] = msgspec.field(default_factory=dict)
    builders: list[BarBuilder] = msgspec.field(default_factory=list)
    marks: dict[int, Mark] = msgspec.field(default_factory=dict)
    faults: dict[str, int] = msgspec.field(default_factory=dict)
    strategy: Any = None


class StrategyFailed(Exception):
    """A strategy raised, or yielded what cannot become a signal. The state is spoilt: go back to the checkpoint."""


class CheckpointDoesNotFit(ValueError):
    """A stored state is none of this code's: the strategy's State has changed since."""


class Machine:
    """A deployment at work: its spec, its state and what its orders came to."""

    def __init__(self, spec: DeploymentSpec, strategy: Strategy, calendar: MarketHours) -> None:
        self.spec = spec
        self.strategy = strategy
        self.instruments = {instrument.token: instrument for instrument in spec.instruments}
        self.calendars = {token: calendar.of(one) for token, one in self.instruments.items()}
        self.by_name = {instrument.key: instrument for instrument in spec.instruments}
        self.tokens = frozenset(self.instruments)
        self.consequences = Consequences()
        self._wants_ticks = strategy.wants_ticks()
        self._take_up(self._fresh())

    def _fresh(self) -> State:
        return State(
            gates={token: Gate() for token in self.instruments},
            builders=[
                BarBuilder(
                    instrument=instrument.key,
                    token=instrument.token,
                    minutes=minutes,
                    anchor_minutes=anchor_minutes(instrument.exchange),
                )
                for instrument in self.spec.instruments
                for minutes in self.strategy.bar_minutes()
            ],
            strategy=type(self.strategy).State(),
        )

    def _take_up(self, state: State) -> None:
        self.state = state
        self._builders: dict[int, list[BarBuilder]] = {token: [] for token in self.instruments}
        for builder in state.builders:
            self._builders[builder.token].append(builder)

    def checkpoint(self) -> bytes:
        """The state as bytes."""
        return msgspec.msgpack.encode(self.state)

    def restore(self, checkpoint: bytes) -> None:
        """Take up the state of a checkpoint; empty bytes are a fresh start. What the checkpoint does not know
        of (instruments, bar lengths) starts afresh, what the deployment no longer has is let go.
        Raises CheckpointDoesNotFit, and changes nothing then."""
        if not checkpoint:
            self._take_up(self._fresh())
            return
        fresh = self._fresh()
        try:
            state = msgspec.msgpack.decode(checkpoint, type=State)
            state.strategy = _remembered(state.strategy, type(self.strategy).State)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CheckpointDoesNotFit(
                f"the checkpoint does not fit {self.spec.strategy}: {error}"
            ) from error
        kept = {(builder.token, builder.minutes): builder for builder in state.builders}
        state.builders = [kept.get((builder.token, builder.minutes), builder) for builder in fresh.builders]
        state.gates = {token: state.gates.get(token, gate) for token, gate in fresh.gates.items()}
        self._take_up(state)

    def advance(self, item: Tick | Clock, *, source: int, seq: int) -> Raised | DueItem | None:
        """Take in the next item of the log. Raises StrategyFailed."""
        state = self.state
        tick = item if isinstance(item, Tick) else None
        if tick is not None and tick.token not in self.instruments:
            return None
        if source and seq <= state.sources.get(source, -1):
            return None
        if tick is not None:
            fault = state.gates[tick.token].check(tick, self.calendars[tick.token], clock_ms=state.clock_ms)
            if fault is not None:
                self._refuse(tick, fault, source, seq)
                return None
        step = state.step + 1
        after = self.consequences
        if after.watches and step != after.matched_step and self._is_due(item):
            return DueItem(step)
        state.step = step
        self._pass(source, seq)
        self._remember(item, tick)
        bars = self._bars_of_tick(tick) if tick is not None else self._bars_of_clock(item.at_ms)
        if not bars and not (self._wants_ticks and tick is not None):
            return None  # nothing can happen: this is how most items end
        signals = self._signals(item, bars, source, seq)
        return Raised(signals) if signals else None

    def _refuse(self, tick: Tick, fault: TickFault, source: int, seq: int) -> None:
        self.state.gates[tick.token].refuse(tick, fault)
        self.state.faults[fault] = self.state.faults.get(fault, 0) + 1
        self._pass(source, seq)

    def _pass(self, source: int, seq: int) -> None:
        if source:
            self.state.sources[source] = seq

    def _is_due(self, item: Tick | Clock) -> bool:
        return any(watch.is_triggered(item) for watch in self.consequences.watches)

    def _remember(self, item: Tick | Clock, tick: Tick | None) -> None:
        state, at_ms = self.state, item.at_ms
        day = ist_day(at_ms)
        if day > state.day:
            self._roll_day(day)
        state.at_ms = max(state.at_ms, at_ms)
        if tick is None:
            state.clock_ms = max(state.clock_ms, at_ms)
            return
        state.gates[tick.token].accept(tick)
        before = state.marks.get(tick.token)
        state.marks[tick.token] = Mark(tick.price_e4, at_ms, before.close_before_e4 if before else 0)

    def _roll_day(self, day: int) -> None:
        self.state.day = day
        self.state.marks = {
            token: Mark(mark.price_e4, mark.at_ms, mark.price_e4) for token, mark in self.state.marks.items()
        }

    def _bars_of_tick(self, tick: Tick) -> list[Bar]:
        bars: list[Bar] = []
        for builder in self._builders[tick.token]:
            bars += builder.on_tick(tick)
        return bars

    def _bars_of_clock(self, at_ms: int) -> list[Bar]:
        bars: list[Bar] = []
        for builder in self.state.builders:
            if builder.ticks:
                bars += builder.on_clock(
                    at_ms, closes_ms=self.calendars[builder.token].closes_ms(builder.starts_ms)
                )
        return bars

    def _signals(
        self, item: Tick | Clock, bars: Iterable[Bar], source: int, seq: int
    ) -> tuple[SignalRow, ...]:
        try:
            intents = self._intents(item, bars)
            correlation_id = ids.derived("item", source, seq) if source and intents else None
            return tuple(
                self._signal(intent, ordinal, item, correlation_id) for ordinal, intent in enumerate(intents)
            )
        except Exception as error:
            raise StrategyFailed(traceback.format_exc(limit=-6)) from error

    def _intents(self, item: Tick | Clock, bars: Iterable[Bar]) -> list[Intent]:
        intents: list[Intent] = []
        for bar in bars:
            view = self._view(item, bar.instrument, intents)
            intents += self.strategy.on_bar(self.state.strategy, bar, view)
        if self._wants_ticks and isinstance(item, Tick):
            view = self._view(item, self.instruments[item.token].key, intents)
            intents += self.strategy.on_tick(self.state.strategy, item, view)
        return intents

    def _view(self, item: Tick | Clock, instrument: str, intents: list[Intent]) -> View:
        """What a callback may see; the intents of callbacks before it in the same step count as working."""
        holdings = self._holdings()
        if intents:
            holdings = _with_intents(holdings, intents)
        return View(at_ms=item.at_ms, instrument=instrument, holdings=holdings)

    def _holdings(self) -> dict[str, tuple[int, int]]:
        """Position and working units, both signed, by instrument."""
        positions, working = self.consequences.positions, self.consequences.working
        return {
            instrument.key: (
                positions.get(token, 0),
                working[token].buy - working[token].sell if token in working else 0,
            )
            for token, instrument in self.instruments.items()
        }

    def _signal(
        self, intent: Intent, ordinal: int, item: Tick | Clock, correlation_id: UUID | None
    ) -> SignalRow:
        instrument = self.by_name[intent.instrument]
        if type(intent.quantity) is not int or not 0 < intent.quantity <= QUANTITY_MAX:
            raise ValueError(
                f"a quantity is a whole number from 1 to {QUANTITY_MAX}, not {intent.quantity!r}"
            )
        signal_id = ids.signal_id(self.spec.id, self.state.step, ordinal)
        return SignalRow(
            id=signal_id,
            deployment_id=self.spec.id,
            step=self.state.step,
            ordinal=ordinal,
            token=instrument.token,
            instrument=instrument.key,
            side=Side(intent.side),
            quantity=intent.quantity,
            order_type=intent.order_type,
            limit_price_e4=_limit_e4(intent, instrument),
            validity=Validity(intent.validity),
            product=self.spec.product,
            reason=intent.reason.replace("\0", "")[:200],
            at_ms=item.at_ms,
            received_at_ms=item.received_ms,
            correlation_id=correlation_id or ids.derived("item", signal_id),
            marks=dict(self.state.marks),
        )


def _remembered(stored: Any, state_class: type) -> Any:
    """What a strategy remembered, as its State. A field that State no longer has would be forgotten in silence."""
    state: Any = msgspec.convert(stored, state_class)
    strange = set(stored) - set(state.__struct_encode_fields__) if isinstance(stored, dict) else ()
    if strange:
        raise msgspec.ValidationError(f"State has no {', '.join(map(repr, sorted(strange)))}")
    return state


def _limit_e4(intent: Intent, instrument: InstrumentSpec) -> int | None:
    """The limit on the tick grid, never worse for the operator than the strategy asked."""
    if intent.limit_price is None:
        return None
    if not intent.limit_price.is_finite() or abs(intent.limit_price) > LIMIT_PRICE_MAX:
        raise ValueError(f"a limit price of {intent.limit_price} rupees is beyond {LIMIT_PRICE_MAX}")
    is_sale = Side(intent.side) is Side.SELL
    finest = intent.limit_price.quantize(Decimal("0.0001"), ROUND_CEILING if is_sale else ROUND_FLOOR)
    return round_to_tick_e4(to_e4(finest), instrument.tick_size_e4, up=is_sale)


def _with_intents(holdings: dict[str, tuple[int, int]], intents: list[Intent]) -> dict[str, tuple[int, int]]:
    seen = dict(holdings)
    for intent in intents:
        position, working = seen.get(intent.instrument, (0, 0))
        seen[intent.instrument] = position, working + Side(intent.side).sign * intent.quantity
    return seen


def assembled(spec: DeploymentSpec, strategy_class: type[Strategy], calendar: MarketHours) -> Machine:
    """A machine at its start. Raises BadParameters."""
    return Machine(spec, build(strategy_class, spec.params), calendar)
