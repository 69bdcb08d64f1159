"""One deployment in the memory of its shard: the machine, where it stands in the log, and how to store both."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from alphapanda.core.vocabulary import Broker, DeploymentStatus, Waiting
from alphapanda.version import build
from marketdata.domain.calendar import MarketHours
from marketdata.domain.ticks import Batch, Clock, Tick
from strategies import loading
from strategies.domain.basis import Indicator, noted
from strategies.domain.basis import Place as LogPlace
from strategies.domain.machine import Machine, assembled
from strategies.domain.signals import CommandRow, DueItem, Raised, ReportRow
from strategies.models import Deployment

ACTIVE = (DeploymentStatus.RUNNING, DeploymentStatus.PAUSED)


# Message, item of it, deployment: the order in which what a group shares is looked at and changed.
Place = tuple[int, int, UUID]


@dataclass
class Stopped:
    """Why a runner stands, and the item at which it does; None for a command or a report, which have steps of their
    own."""

    stop: Raised | DueItem
    item: Tick | Clock | None
    source: int
    seq: int
    place: Place
    report: ReportRow | None = None
    # what the strategy's indicators said, by instrument, or what went wrong
    said: dict[str, tuple[dict[str, Indicator], str]] = field(default_factory=dict)


@dataclass
class Runner:
    """A deployment at work. Nothing here is stored until `strategies.services.checkpoints` does so."""

    id: UUID
    machine: Machine
    revision: int
    partition: int
    offset: int
    index: int
    source: int
    seq: int
    incarnation: UUID | None
    waiting: Waiting
    instrument_ids: dict[int, int]
    code: str = ""  # SHA-256 of the strategy's text
    build: str = ""  # the product's
    first_offset: int | None = None  # read first; None: not all that it has read is in this log
    group: str = ""  # with whom it is decided in the order of the log
    checkpoint: bytes = b""  # what is stored next
    stored_seq: int = -1
    stored_offset: int = 0
    is_dirty: bool = False
    stopped: Stopped | None = field(default=None)
    commands: list[CommandRow] = field(default_factory=list)  # that wait
    reports: list[ReportRow] = field(default_factory=list)  # that wait, oldest first
    told: list[UUID] = field(
        default_factory=list
    )  # reports that the machine has heard of since the last store
    taken: dict[UUID, int] = field(
        default_factory=dict
    )  # commands carried out since the last store, with steps

    @property
    def is_ready(self) -> bool:
        return self.waiting is Waiting.NOTHING and self.stopped is None

    def take(self, offset: int, batch: Batch) -> None:
        """Fold one message of the log, up to its end or the first stop. Raises StrategyFailed."""
        if offset < self.offset:
            return
        first = self.index if offset == self.offset else 0
        for index in batch.indices_for(self.machine.tokens):
            if index < first:
                continue
            item, seq = batch.item(index), batch.seq(index)
            stop = self.machine.advance(item, source=batch.source, seq=seq)
            if stop is not None:
                self._stop(Stopped(stop, item, batch.source, seq, (offset, index, self.id)))
                return
            if self.reports and self._is_stopped_by_reports(offset, index, batch.source, seq):
                return
        self.offset, self.index = offset + 1, 0
        if batch.source and batch.count:
            self._pass(batch.source, batch.last_seq)
        self.is_dirty = True

    def _is_stopped_by_reports(self, offset: int, index: int, source: int, seq: int) -> bool:
        """Hear of what was booked while it stood at this item: its steps follow the item's, and no other item may take
        them."""
        self.offset, self.index = offset, index + 1
        if source:
            self._pass(source, seq)
        self.is_dirty = True
        self.hear()
        return not self.is_ready

    def pack(self) -> None:
        """Have ready what is stored. Raises NotStorable."""
        self.checkpoint = self.machine.checkpoint()

    def obey(self) -> None:
        """Carry out the commands that wait, up to the first that raises signals."""
        while self.commands and self.is_ready and self.machine.is_between:
            command = self.commands.pop(0)
            raised = self.machine.carry_out(command)
            self.taken[command.id] = self.machine.state.step
            self.is_dirty = True
            if raised is not None:
                self.stopped = Stopped(raised, None, 0, 0, self.place)

    def hear(self) -> None:
        """Take up the reports that wait, up to the first that is to be booked or that raises signals.
        Raises StrategyFailed."""
        while self.reports and self.is_ready:
            report, machine = self.reports[0], self.machine
            if machine.is_between:  # one that was booked while nobody listened has its step
                self.stopped = Stopped(machine.due_report(), None, 0, 0, self.place, report)
            elif report.step == machine.state.step + 1:
                self._tell(self.reports.pop(0))
            else:
                return  # an item is delivered again first

    def _tell(self, report: ReportRow) -> None:
        raised = self.machine.take_report(report)
        self.told.append(report.id)
        self.is_dirty = True
        if raised is not None:
            self.stopped = Stopped(raised, None, 0, 0, self.place)

    def look(self) -> None:
        """Note what the strategy's indicators say where it has raised signals; what goes wrong there stops nobody."""
        if self.stopped is not None and isinstance(self.stopped.stop, Raised):
            strategy, state = self.machine.strategy, self.machine.state.strategy
            names = {row.instrument for row in self.stopped.stop.signals}
            self.stopped.said = {name: noted(strategy, state, name) for name in sorted(names)}

    def stands_at(self) -> LogPlace | None:
        """Where in the log it stopped; None for a command or a report, and for what was sent again."""
        if self.stopped is None or not self.stopped.source or self.incarnation is None:
            return None
        offset, index, _ = self.stopped.place
        source, seq = self.stopped.source, self.stopped.seq
        return LogPlace(self.incarnation, self.partition, offset, index, source, seq)

    def jump(self, offset: int) -> None:
        """Go on at another message of the log: those between are lost."""
        self.offset, self.index = offset, 0
        self.is_dirty = True

    @property
    def place(self) -> Place:
        """Where its next consequences can arise: what it stands at, or what it is to read next."""
        return self.stopped.place if self.stopped else (self.offset, self.index, self.id)

    def _stop(self, stopped: Stopped) -> None:
        """Stand behind the item that raised signals, before the item that is due."""
        self.stopped = stopped
        self.offset, index, _ = stopped.place
        self.index = index if isinstance(stopped.stop, DueItem) else index + 1
        if stopped.source:
            self._pass(stopped.source, stopped.seq - 1 if isinstance(stopped.stop, DueItem) else stopped.seq)
        self.is_dirty = True

    def _pass(self, source: int, seq: int) -> None:
        """Another source counts from its own beginning."""
        self.seq = max(self.seq, seq) if source == self.source else seq
        self.source = source

    def refresh(self, row: Deployment) -> None:
        """Take up what execution settled since."""
        self.waiting = Waiting(row.waiting)
        if self.waiting is Waiting.NOTHING:
            self.machine.consequences = loading.consequences_of(row).under(self.machine.token_of)
            self._hear_what_is_booked()

    def _hear_what_is_booked(self) -> None:
        """The step of a report is known when it is booked, and must be: an item read first would take it."""
        if self.machine.spec.broker is not Broker.PAPER and not self.machine.is_between:
            self.reports = [one for one in loading.reports_new(self.id) if one.id not in self.told]


def load(row: Deployment, *, calendar: MarketHours, incarnation: UUID, first_offset: int) -> Runner:
    """A runner at its checkpoint. In another incarnation of the log it reads from the log's first message and
    skips what it has seen by its sequence in the source. Raises UnknownStrategy, BadParameters,
    CheckpointDoesNotFit."""
    instruments = loading.instruments_of(row.id)
    spec = loading.spec_of(row, instruments.values())
    machine = assembled(spec, loading.strategy_class_of(row.strategy_version), calendar)
    machine.restore(bytes(row.checkpoint))
    is_same_log = row.incarnation == incarnation
    runner = Runner(
        id=row.id,
        machine=machine,
        revision=row.revision,
        partition=row.partition,
        offset=row.offset if is_same_log else first_offset,
        index=row.index if is_same_log else 0,
        source=row.source,
        seq=row.seq,
        incarnation=incarnation,
        waiting=Waiting(row.waiting),
        instrument_ids={token: instrument.id for token, instrument in instruments.items()},
        code=row.strategy_version.source_hash,
        build=build(),
        first_offset=first_offset if row.incarnation is None else row.first_offset if is_same_log else None,
        group=row.group,
        stored_seq=row.seq,
        stored_offset=row.offset if is_same_log else first_offset,
    )
    runner.refresh(row)
    return runner
