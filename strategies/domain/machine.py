"""One step of a deployment: `(state, item) -> (state, stop)`. Backtest and pipeline fold this and nothing else."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.clock import ist_date, ist_day, ist_text
from alphapanda.core.vocabulary import CommandKind, SignalOrigin, TickFault
from marketdata.domain.bars import Bar, BarBuilder
from marketdata.domain.calendar import MarketHours
from marketdata.domain.markets import anchor_minutes
from marketdata.domain.quality import Gate
from marketdata.domain.ticks import Clock, Tick
from strategies.domain.base import DeploymentSpec, Strategy, View, build
from strategies.domain.consequences import Consequences
from strategies.domain.memory import State, packed, remembered, under
from strategies.domain.signals import CommandRow, DueItem, Moment, Raised, ReportRow, approved, marked, signal
from strategies.domain.turn import NO_WISHES, Turn


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
        self.hours = tuple({id(hours): hours for hours in self.calendars.values()}.values())  # each once
        self.by_name = {instrument.key: instrument for instrument in spec.instruments}
        self._names = {token: instrument.key for token, instrument in self.instruments.items()}
        self.watched = {
            one.token: calendar.of(one) for one in spec.watched if one.token not in self.instruments
        }
        self.tokens = frozenset([*self.instruments, *self.watched])
        self.token_of = {one.key: one.token for one in (*spec.watched, *spec.instruments)}
        self.wants_ticks = strategy.wants_ticks()
        self._taking, self._is_banded = spec.taking, spec.is_banded
        self._times = strategy.timers()
        self._warm_up = strategy.warm_up()
        self._expiries = {
            instrument.token: self.calendars[instrument.token].contract_ends_ms(instrument.expiry)
            for instrument in spec.instruments
            if instrument.expiry is not None
        }
        self.consequences = Consequences()  # as far as execution has settled them
        self._take_up(self._fresh())

    def _fresh(self) -> State:
        return State(
            gates={token: Gate() for token in [*self.instruments, *self.watched]},
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
            names={token: name for name, token in self.token_of.items()},
        )

    def _take_up(self, state: State) -> None:
        self.state = state
        self._builders: dict[int, list[BarBuilder]] = {token: [] for token in self.instruments}
        self._cold = 0  # bars of so many instruments and lengths have not been seen often enough
        for builder in state.builders:
            self._builders[builder.token].append(builder)
            seen = state.bars_seen.get(f"{builder.instrument} {builder.minutes}", 0)
            self._cold += bool(self._warm_up) and seen <= self._warm_up

    def checkpoint(self) -> bytes:
        """The state as bytes. Raises NotStorable."""
        return packed(self.state, type(self.strategy).State)

    def restore(self, checkpoint: bytes) -> None:
        """Take up the state of a checkpoint; empty bytes are a fresh start. What the checkpoint does not know
        of (instruments, bar lengths) starts afresh, what the deployment no longer has is let go, and an instrument
        to which a list has given another token is followed under that. Raises CheckpointDoesNotFit, and changes
        nothing then."""
        if not checkpoint:
            self._take_up(self._fresh())
            return
        fresh = self._fresh()
        try:
            state = msgspec.msgpack.decode(checkpoint, type=State)
            state.strategy = remembered(state.strategy, type(self.strategy).State)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CheckpointDoesNotFit(
                f"the checkpoint does not fit {self.spec.strategy}: {error}"
            ) from error
        state = under(state, self.token_of)
        kept = {(builder.instrument, builder.minutes): builder for builder in state.builders}
        state.builders = [
            kept.get((builder.instrument, builder.minutes), builder) for builder in fresh.builders
        ]
        state.gates = {token: state.gates.get(token, gate) for token, gate in fresh.gates.items()}
        self._take_up(state)

    def advance(self, item: Tick | Clock, *, source: int, seq: int) -> Raised | DueItem | None:
        """Take in the next item of the log. Raises StrategyFailed."""
        state = self.state
        tick = item if isinstance(item, Tick) else None
        if tick is not None and tick.token not in self.instruments:
            self._watch(tick, source, seq)
            return None
        if source and seq <= state.sources.get(source, -1):
            return None
        if tick is not None:
            fault = state.gates[tick.token].check(tick, self.calendars[tick.token], clock_ms=state.clock_ms)
            if fault is not None:
                self._refuse(tick, fault, source, seq)
                return None
        return self.consume(item, source=source, seq=seq)

    def consume(
        self, item: Tick | Clock, *, source: int, seq: int, bars: Sequence[Bar] | None = None
    ) -> Raised | DueItem | None:
        """Take in an item that is the deployment's own and no overlap: a clock item, or a tick that passed its
        gate. `bars` are those that it closes, where gates and builders have taken it in already."""
        state, step, after = self.state, self.state.step + 1, self.consequences
        if after.watches and step != after.matched_step and self._is_due(item):
            return DueItem(
                step, state.clock_ms, dict(state.marks) if after.is_laddered or self._is_banded else {}
            )
        state.step = step
        self.remember(item, source, seq)
        tick = item if isinstance(item, Tick) else None
        if bars is None:
            bars = self._bars_of_tick(tick) if tick is not None else self._bars_of_clock(item.at_ms)
        if not bars and not self._is_awake(item, tick, step):
            return None  # nothing can happen: this is how most items end
        turn = self.turn(item.at_ms)
        try:
            self._ask_guards(turn, item)
            self.ask_strategy(turn, bars, tick)
        except Exception as error:
            raise StrategyFailed(traceback.format_exc(limit=-6)) from error
        return self.raised(turn, item, source=source, seq=seq)

    def raised(self, turn: Turn, item: Tick | Clock, *, source: int, seq: int) -> Raised | None:
        """What a turn came to. Raises StrategyFailed for wishes that can become no signal."""
        if not turn.wishes:
            return None
        correlation_id = ids.derived("item", source, seq) if source else None
        try:
            return self._raised(turn, self._moment(item.at_ms, item.received_ms, correlation_id))
        except Exception as error:
            raise StrategyFailed(traceback.format_exc(limit=-6)) from error

    def take_history(self, bars: Iterable[Bar]) -> None:
        """Let the strategy see past bars before its first item; what it wishes for at them is dropped. Bars of
        other instruments or lengths are passed over. Raises StrategyFailed."""
        assert not self.state.step, "history comes before the first item"
        wanted = {(builder.token, builder.minutes) for builder in self.state.builders}
        try:
            for bar in bars:
                if (bar.token, bar.minutes) in wanted:
                    self._count(bar)
                    view = View(at_ms=bar.ends_ms, instrument=bar.instrument, holdings={})
                    list(self.strategy.on_bar(self.state.strategy, bar, view))
                    self.state.history_ms = max(self.state.history_ms, bar.ends_ms)
        except Exception as error:
            raise StrategyFailed(traceback.format_exc(limit=-6)) from error

    def _watch(self, tick: Tick, source: int, seq: int) -> None:
        """Mark a price for risk that the deployment does not trade on: no step of its own."""
        state = self.state
        if tick.token not in self.watched or (source and seq <= state.sources.get(source, -1)):
            return
        fault = state.gates[tick.token].check(tick, self.watched[tick.token], clock_ms=state.clock_ms)
        if fault is not None:
            self._refuse(tick, fault, source, seq)
            return
        state.gates[tick.token].accept(tick)
        self.state.see(source, seq)
        self._mark(tick)

    def carry_out(self, command: CommandRow) -> Raised | None:
        """Carry out an act of an operator or of the platform, at a step of its own. Only where `is_between`."""
        assert self.is_between, "the item before is still to be delivered again"
        self.state.step += 1
        turn = self.turn(self.state.at_ms)
        moment = self._moment(self.state.at_ms, 0, ids.derived("command", command.id))
        if command.kind is CommandKind.APPROVE:
            row = approved(command, self.by_name, moment)
            return Raised(self.state.guards.awaiting(row)) if row else None
        if command.kind is CommandKind.CANCEL:
            turn.cancel_orders(command.reason, SignalOrigin.OPERATOR, command.order)
        elif command.taken is not None:
            moment = self.state.guards.let_go(turn, command.taken, moment, command.reason)
        else:
            self.state.guards.flatten(turn, command.reason, command.instrument)
        return self._raised(turn, moment) if turn.wishes else None

    def due_report(self) -> DueItem:
        """Stop for the report of a broker to be booked, at a step of its own. Only where `is_between`."""
        assert self.is_between, "the item before is still to be delivered again"
        return DueItem(self.state.step + 1, self.state.clock_ms)

    def take_report(self, report: ReportRow) -> Raised | None:
        """Hear of a report, whose booking has matched the step after this. Raises StrategyFailed."""
        assert self.consequences.matched_step == self.state.step + 1, "a report is booked first"
        self.state.step += 1
        turn, cause = self.turn(self.state.at_ms), ids.derived("report", report.id)
        try:
            self._ask_guards(turn, None)
            return self._raised(turn, self._moment(turn.at_ms, 0, cause)) if turn.wishes else None
        except Exception as error:
            raise StrategyFailed(traceback.format_exc(limit=-6)) from error

    @property
    def is_between(self) -> bool:
        """Whether no item waits to be delivered again after its matching."""
        return self.consequences.matched_step <= self.state.step

    def _refuse(self, tick: Tick, fault: TickFault, source: int, seq: int) -> None:
        self.state.gates[tick.token].refuse(tick, fault)
        self.state.faults[fault] = self.state.faults.get(fault, 0) + 1
        self.state.see(source, seq)

    def _is_due(self, item: Tick | Clock) -> bool:
        return any(watch.is_triggered(item) for watch in self.consequences.watches)

    def remember(self, item: Tick | Clock, source: int, seq: int) -> None:
        """Where in the log the deployment is, the time and the last price."""
        state, at_ms = self.state, item.at_ms
        state.see(source, seq)
        if isinstance(item, Clock):
            self._roll_to(at_ms)
            state.clock_ms = max(state.clock_ms, at_ms)
        else:
            self._mark(item)
        state.at_ms = max(state.at_ms, at_ms)

    def _mark(self, tick: Tick) -> None:
        self._roll_to(tick.at_ms)
        marks = self.state.marks
        marks[tick.token] = marked(tick, marks.get(tick.token))

    def _roll_to(self, at_ms: int) -> None:
        day = ist_day(at_ms)
        if day > self.state.day:
            self._check_history(at_ms)
            self.state.roll(day, is_idle=not self.consequences.working)

    def _check_history(self, at_ms: int) -> None:
        """History that reaches beyond the first item would be a look ahead."""
        if at_ms < self.state.history_ms:
            raise StrategyFailed(
                f"its warm-up reaches to {ist_text(self.state.history_ms)}, but the log begins before, "
                f"at {ist_text(at_ms)}: give it bars that end before the log begins"
            )

    def _bars_of_tick(self, tick: Tick) -> list[Bar]:
        self.state.gates[tick.token].accept(tick)
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

    def _is_awake(self, item: Tick | Clock, tick: Tick | None, step: int) -> bool:
        """Whether anybody is to be asked at an item that closes no bar."""
        if tick is not None and (self.wants_ticks or tick.token in self.state.guards.protections):
            return True
        return item.at_ms >= self.state.guards.alarm_ms or self.consequences.matched_step == step

    def turn(self, at_ms: int) -> Turn:
        """The callbacks of one step, none of which has been asked yet."""
        return Turn(
            self.instruments, self.consequences, at_ms=at_ms, is_warm=self._is_warm, marks=self.state.marks,
            calendars=self.calendars, taking=self._taking,
        )  # fmt: skip

    def _ask_guards(self, turn: Turn, item: Tick | Clock | None) -> None:
        """All but the strategy's bars and ticks, which come after them, in the order that `Strategy` states. Without
        an item: at the report of a broker."""
        state, strategy = self.state, self.strategy
        if not state.is_started:
            state.is_started = True
            turn.hear(strategy.on_start(state.strategy, turn.view()))
        is_settled = self.consequences.matched_step == state.step
        if is_settled:
            self._settle(turn)
        if isinstance(item, Tick) and item.token in state.guards.protections:
            state.guards.protect(turn, item.token, item.price_e4)
        if is_settled or turn.at_ms >= state.guards.alarm_ms:
            self._alarm(turn)

    def ask_strategy(self, turn: Turn, bars: Iterable[Bar], tick: Tick | None) -> None:
        """What the strategy makes of the bars that an item closed, and of the tick that it is."""
        state, strategy = self.state.strategy, self.strategy
        for bar in bars:
            if self._cold:
                self._count(bar)
            wishes = strategy.on_bar(state, bar, turn.view(bar.instrument))
            if wishes is not NO_WISHES:
                turn.hear(wishes)
        if tick is not None and self.wants_ticks:
            wishes = strategy.on_tick(state, tick, turn.view(self._names[tick.token]))
            if wishes is not NO_WISHES:
                turn.hear(wishes)

    def _settle(self, turn: Turn) -> None:
        state = self.state
        state.guards.settle(self.consequences)
        state.guards.go_on_clearing(turn)
        if self.consequences.rung:
            state.guards.step_down(turn, self.consequences.rung)
        for fill in self.consequences.fills:
            view = turn.view(self.instruments[fill.token].key)
            turn.hear(self.strategy.on_fill(state.strategy, fill, view))

    def _alarm(self, turn: Turn) -> None:
        """What time alone sets off: ends of stays, the square-off, timers."""
        state, guards = self.state, self.state.guards
        for token in list(guards.protections):
            guards.protect(turn, token, 0)
        guards.go_on_clearing(turn)
        guards.expire(turn, self._expiries, self.consequences.positions)
        if (lead_ms := self.spec.square_off_lead_ms) is not None:
            guards.square_off(turn, self.calendars, lead_ms, is_owed=self.spec.is_square_off_owed)
        for at in guards.timers_due(self._times, self.calendars, turn.at_ms):
            turn.hear(self.strategy.on_timer(state.strategy, at, turn.view()))
        guards.set_alarm(
            turn.at_ms,
            self._times,
            self.calendars,
            lead_ms=lead_ms,
            expiries=[*self._expiries.values(), *guards.renew(turn)],
        )

    def _count(self, bar: Bar) -> None:
        key, seen = f"{bar.instrument} {bar.minutes}", self.state.bars_seen
        before = seen.get(key, 0)
        if before <= self._warm_up:
            seen[key] = before + 1
            self._cold -= before == self._warm_up

    def _is_warm(self, instrument: str) -> bool:
        """Whether the strategy has seen the bars it wants before its wishes for an instrument count."""
        if not self._cold:
            return True
        seen = self.state.bars_seen
        lengths = self.strategy.bar_minutes()
        return all(seen.get(f"{instrument} {minutes}", 0) > self._warm_up for minutes in lengths)

    def _moment(self, at_ms: int, received_at_ms: int, correlation_id: UUID | None) -> Moment:
        return Moment(
            deployment_id=self.spec.id,
            step=self.state.step,
            at_ms=at_ms,
            received_at_ms=received_at_ms,
            product=self.spec.product,
            correlation_id=correlation_id,
            marks=dict(self.state.marks),
        )

    def _raised(self, turn: Turn, moment: Moment) -> Raised:
        day = ist_date(moment.at_ms)
        rows = tuple(
            signal(intent, origin, ordinal, self.by_name[intent.instrument].on(day), moment)
            for ordinal, (intent, origin) in enumerate(turn.wishes)
        )
        return Raised(self.state.guards.awaiting(*rows))


def assembled(spec: DeploymentSpec, strategy_class: type[Strategy], calendar: MarketHours) -> Machine:
    """A machine at its start, warmed up with the history of its spec. Raises BadParameters, StrategyFailed."""
    machine = Machine(spec, build(strategy_class, spec.params), calendar)
    machine.state.marks = dict(spec.marks)
    if spec.history:
        machine.take_history(spec.history)
    return machine
