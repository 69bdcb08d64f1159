"""A deployment with everything it causes, in memory: what the pipeline's tasks carry out durably."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

import msgspec

from alphapanda.core.clock import ist_day
from alphapanda.core.vocabulary import DeploymentStatus, Side
from execution.domain.charges import Cards
from execution.domain.paper import (
    Memory,
    OrderEventRow,
    Outcome,
    PaperOrder,
    PaperSettings,
    Standing,
    Venue,
    carry_out,
    match,
)
from execution.domain.settlement import FillRow, charged, consequences, named, working_by_token
from marketdata.domain.calendar import MarketHours
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.ticks import Clock, Tick
from portfolio.domain.books import FLAT, Entry, Holding, held
from portfolio.domain.history import ledger_of
from risk.domain.config import config_version
from risk.domain.context import (
    Context,
    Member,
    Terms,
    Verdict,
    ended_of,
    leaving,
    phases_of,
    resting,
    version_of,
)
from risk.domain.ladder import checked, has_ladder, look_ms, rung_on
from risk.domain.limits import Limits
from risk.domain.memory import DayState
from risk.domain.oversight import Changes, Oversight, change_at
from risk.domain.review import review
from risk.reference import margin_tables
from strategies.domain.base import DeploymentSpec, build
from strategies.domain.machine import Machine, assembled
from strategies.domain.signals import CommandRow, DueItem, Raised, SignalRow
from strategies.domain.watches import Watch
from strategies.registry import find


class Journal(msgspec.Struct):
    """Every row that a deployment caused, in the order in which it came to be."""

    signals: list[SignalRow] = msgspec.field(default_factory=list)
    verdicts: list[Verdict] = msgspec.field(default_factory=list)
    orders: dict[UUID, PaperOrder] = msgspec.field(default_factory=dict)
    order_events: list[OrderEventRow] = msgspec.field(default_factory=list)
    fills: list[FillRow] = msgspec.field(default_factory=list)

    @property
    def entries(self) -> list[Entry]:
        """The ledger, made anew from the fills."""
        return list(ledger_of(row.fill for row in self.fills))


class Account:
    """A deployment's machine, orders, books and journal."""

    is_watched = True  # its working orders are matched here

    def __init__(
        self,
        spec: DeploymentSpec,
        *,
        calendar: MarketHours,
        cards: Cards,
        commands: Mapping[int, CommandRow] | None = None,
        oversights: Changes = (),
        terms: Terms | None = None,
    ) -> None:
        """`commands` are what operators made the deployment do, by step; `oversights` under what it was judged; `terms`
        the limits that bound it before these say otherwise, by default those of the spec alone."""
        self.commands = dict(commands or {})
        self.oversights = oversights
        self.looks = [change.from_step for change in oversights if change.is_look]
        self.spec = spec
        self.calendar = calendar
        self.cards = cards
        self.settings = self._settings()
        self.terms = terms or _alone(spec)
        self.config = config_version(spec.params, {**spec.execution, "product": spec.product.value})
        self.is_laddered = has_ladder(self.terms)
        self.others: list[Account] = []  # with whom it shares sums
        self.is_coupled = False  # decided in the order of the log with others
        self.machine: Machine = assembled(spec, find(spec.strategy), calendar)
        self.venue = Venue(self.settings, self.machine.instruments, self.machine.calendars, margin_tables())
        calendars = self.machine.calendars.values()
        self.is_dated = any(one.dated for one in spec.instruments) or any(
            one.permissions for one in calendars
        )
        self._venue_day = 0  # whose rules the venue has, where they differ from day to day
        self.memory = Memory()
        self.names = {instrument.token: instrument.key for instrument in spec.instruments}
        self.holdings: dict[int, Holding] = {}
        self.day = DayState()
        self.open: dict[UUID, PaperOrder] = {}
        self.journal = Journal()

    def take(self, item: Tick | Clock, *, source: int, seq: int) -> None:
        """One item of the log with all its consequences. Raises StrategyFailed."""
        if self.is_acted_on:
            self.obey()
            self._look()
        stop = self.machine.advance(item, source=source, seq=seq)
        if isinstance(stop, DueItem):
            self.settle(stop, item)
            stop = self.machine.advance(item, source=source, seq=seq)
        if stop is not None:
            assert not isinstance(stop, DueItem), "an item is matched once"
            self.settle(stop, item)

    def take_up_again(self) -> None:
        """Go on from what is stored, as another process does. Raises NotStorable, CheckpointDoesNotFit."""
        before = self.machine
        strategy = build(type(before.strategy), self.spec.params)
        self.machine = Machine(self.spec, strategy, self.calendar)
        self.machine.restore(before.checkpoint())
        self.machine.consequences = before.consequences

    def settle(self, stop: Raised | DueItem, item: Tick | Clock) -> None:
        """All that a stop of the machine at an item sets off."""
        if isinstance(stop, DueItem):
            self._match(item, stop)
        else:
            self._carry_out(stop.signals)

    @property
    def is_acted_on(self) -> bool:
        """Whether something is still to be done at a step that only its number tells."""
        return bool(self.commands or self.looks)

    def _look(self) -> None:
        """Where limits were changed so that losses came to be looked at, they are with the item of the step."""
        if not self.looks or self.looks[0] > self.machine.state.step + 1:
            return
        del self.looks[0]
        after = self.machine.consequences
        tokens = after.positions.keys() | after.working.keys()
        if tokens and not after.is_laddered:
            watches = (*after.watches, Watch(min(tokens), Side.BUY, 0, 0, None))
            self.machine.consequences = msgspec.structs.replace(after, watches=watches, is_laddered=True)

    def _bind(self, step: int, *, is_look: bool = False) -> None:
        """Take up the limits that were in force for the signals of a step, or for the look at losses before them."""
        change = change_at(self.oversights, step, is_look=is_look)
        if change is not None and change.terms is not None and change.terms is not self.terms:
            self.terms, self.is_laddered = change.terms, has_ladder(change.terms)

    def obey(self) -> None:
        """Carry out the commands whose steps have come."""
        while (command := self.commands.pop(self.machine.state.step + 1, None)) is not None:
            raised = self.machine.carry_out(command)
            if raised is not None:
                self._carry_out(raised.signals)

    def _match(self, item: Tick | Clock, due: DueItem) -> None:
        fills = self._keep(self._matched(item, due), step=due.step)
        at_ms = max(self.machine.state.at_ms, item.at_ms)
        self._bind(due.step, is_look=True)
        if self.machine.consequences.is_laddered:
            self.day = checked(
                self.member(), terms=self.terms, others=self._members(), marks=due.marks, at_ms=at_ms
            )
        self._settle(matched_step=due.step, fills=fills, at_ms=at_ms)

    def _settings(self) -> PaperSettings:
        return msgspec.convert(self.spec.execution, PaperSettings)

    def _matched(self, item: Tick | Clock, due: DueItem) -> Outcome:
        return match(
            list(self.open.values()),
            item,
            venue=self.venue_at(item.at_ms),
            memory=self.memory,
            clock_ms=due.clock_ms,
            marks=due.marks,
        )

    def _carried_out(self, approved: Sequence[SignalRow], venue: Venue) -> Outcome:
        standing = Standing(dict(self.open), self.holdings, self.memory)
        ended = {signal.target: self.journal.orders[signal.target] for signal in approved if signal.target}
        return carry_out(approved, standing, venue, ended=ended)

    def venue_at(self, at_ms: int) -> Venue:
        """The exchange with the rules of the day of a time."""
        if self.is_dated and self._venue_day != (day := ist_day(at_ms)):
            on = date.fromordinal(day)
            hours = self.machine.calendars
            known = {token: hours[token].ruled(one, on) for token, one in self.machine.instruments.items()}
            self.venue = Venue(self.settings, known, hours, self.venue.margins)
            self._venue_day = day
        return self.venue

    def _keep(self, outcome: Outcome, *, step: int, names: Sequence[UUID] = ()) -> list[FillRow]:
        """Take over what came of an item or of decisions; the fills are booked, under the ids given."""
        fills = charged(
            outcome.executions,
            outcome.orders.values(),
            step=step,
            cards=self.cards,
            instruments=self.machine.instruments,
        )
        if names:
            fills = [named(row, fill_id) for row, fill_id in zip(fills, names, strict=True)]
        self.journal.fills.extend(fills)
        self.journal.order_events.extend(outcome.history)
        self.memory = outcome.memory
        for order in outcome.orders.values():
            self.journal.orders[order.id] = order
            if order.status.is_final:
                self.open.pop(order.id, None)
            else:
                self.open[order.id] = order
        for row in fills:
            self._book(row)
        return fills

    def _book(self, row: FillRow) -> None:
        self.holdings[row.fill.token] = held(self.holdings.get(row.fill.token, FLAT), row.fill)

    def _carry_out(self, signals: Sequence[SignalRow]) -> None:
        self.journal.signals.extend(signals)
        venue = self.venue_at(signals[0].at_ms)
        verdicts, self.day = review(signals, self._context(signals))
        self.journal.verdicts.extend(verdicts)
        approved = [signal for signal, verdict in zip(signals, verdicts, strict=True) if verdict.is_approved]
        self._keep(self._carried_out(approved, venue), step=signals[0].step)
        state, before = self.machine.state, self.machine.consequences
        self._settle(matched_step=before.matched_step, at_ms=state.at_ms)

    def _oversight(self, step: int) -> Oversight:
        """Under what signals of a step are judged: as it was, or where nobody acted as it would be."""
        change = change_at(self.oversights, step)
        if change is not None:
            return change.seen
        return Oversight(DeploymentStatus.PAUSED if self.day.held else DeploymentStatus.RUNNING)

    def _context(self, signals: Sequence[SignalRow]) -> Context:
        seen = self._oversight(signals[0].step)
        self._bind(signals[0].step)
        known, hours = self._known(signals[0].at_ms), self.machine.calendars
        return Context(
            limits=self.terms.limits,
            day=self.day,
            holdings=self.holdings,
            working=working_by_token(self.open.values()),
            orders=resting(self.machine.consequences.orders),
            leaving=leaving(self.machine.consequences.orders),
            instruments=known,
            phases=phases_of(signals, hours),
            ended=ended_of(signals, known, hours),
            status=seen.status,
            halts=seen.halts,
            guards=seen.guards,
            may_queue=self.settings.may_queue,
            approval_s=self.spec.execution.get("approval_s", 0),
            by_token=self.terms.by_token,
            scopes=self.terms.scopes,
            others=self._members(),
            outside=seen.outside,
            product=self.spec.product,
            margins=self.venue.margins,
            version=self.terms.version,
            config=self.config,
        )

    def member(self) -> Member:
        """The book as others see it with whom it shares sums."""
        after = self.machine.consequences
        return Member(self.holdings, after.working, resting(after.orders), self.day, self.spec.product)

    def _members(self) -> dict[UUID, Member]:
        return {other.spec.id: other.member() for other in self.others}

    def _known(self, at_ms: int) -> Mapping[int, InstrumentSpec]:
        """The instruments of all whose books are looked at, as the rules of the day of a time say."""
        if not self.others:
            return self.venue_at(at_ms).instruments
        every = [one.venue_at(at_ms).instruments for one in (self, *self.others)]
        return {token: instrument for known in every for token, instrument in known.items()}

    def _settle(self, *, matched_step: int, at_ms: int, fills: Sequence[FillRow] = ()) -> None:
        self.machine.consequences = consequences(
            self.holdings,
            list(self.open.values()),
            names=self.names,
            matched_step=matched_step,
            fills=[row.fill for row in fills],
            rung=rung_on(self.day, at_ms) if self.is_laddered else 0,
            check_ms=look_ms(at_ms, is_new=not self.machine.consequences.is_laddered)
            if self.is_laddered
            else 0,
            is_watched=self.is_watched,
        )


def _alone(spec: DeploymentSpec) -> Terms:
    terms = Terms(limits=msgspec.convert(spec.limits, Limits, strict=False))
    return msgspec.structs.replace(terms, version=version_of(terms))
