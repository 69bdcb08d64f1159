"""A shard: the deployments of one worker process, folded over the log that it reads itself.

Start, crash recovery and a lost race are one path: load the checkpoint, read the log from its cursor."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction

from alphapanda import failpoints, logs
from alphapanda.core.vocabulary import Waiting
from alphapanda.eventlog import cursors, doorbell, gaps, outbox, topics
from alphapanda.eventlog.client import LogReader
from alphapanda.eventlog.records import OffsetGone, Record
from alphapanda.eventlog.retries import Fault, classify
from marketdata.domain.calendar import MarketHours
from marketdata.domain.markets import UnknownMarket
from marketdata.domain.ticks import Batch, MalformedTicks, unpack
from strategies import loading
from strategies.domain.base import BadParameters, UnknownStrategy
from strategies.domain.machine import CheckpointDoesNotFit, StrategyFailed
from strategies.domain.memory import NotStorable
from strategies.models import Deployment
from strategies.services import checkpoints
from strategies.services.held import Held
from strategies.services.limit import StrategyHung, TimeLimit
from strategies.services.quarantine import quarantine
from strategies.services.runner import ACTIVE, Runner, load
from strategies.services.sharding import consumer_of

MESSAGES_A_ROUND = 200
CHECKPOINT_EVERY_S = 1.0
CHECKPOINT_EVERY_SEQ = 10_000  # items; bounds what a restart reads again, and how far a paced feed runs ahead
REFRESH_EVERY_S = 0.25  # what an operator changed is fenced by the swap until then
READ_WAIT_S = 0.03  # the doorbell is rung as soon as one reader has a message; ours has it a moment later
FAILURES_MAX = 3
LIVE_FEED = "kite"

log = logs.channel("trading")


class Shard:
    """All runners of one shard. `clock` gives the wall time, `monotonic` paces checkpoints; neither decides."""

    def __init__(
        self,
        number: int,
        *,
        reader: LogReader,
        calendar: MarketHours,
        incarnation: UUID,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        limit: TimeLimit,
    ) -> None:
        self.number = number
        self.consumer = consumer_of(number)
        self.reader = reader
        self.calendar = calendar
        self.incarnation = incarnation
        self.clock = clock
        self.monotonic = monotonic
        self.limit = limit
        self.topic = topics.MARKET_TICKS
        self.runners: dict[UUID, Runner] = {}
        self.held: dict[int, Held] = {}
        self.next_offset: dict[int, int] = {}
        self._checkpointed_at = 0.0
        self._refreshed_at = -REFRESH_EVERY_S
        self._is_new = False
        self._failures: dict[UUID, tuple[int, int]] = {}  # step at which a strategy raised, and how often

    def evaluate(self, ends: dict[int, int]) -> bool:
        """One round: read up to the ends of the partitions (bounded), fold, store, ring. True: call again."""
        if self._is_refresh_due():
            self._refresh()
        elif not ends:  # execution rang: it knows no end of the log
            self._take_up_settled()
        self._read(ends)
        for runner in list(self.runners.values()):
            self._fold(runner)
        self.limit.disarm()
        stopped = self._store()
        self._trim()
        return bool(stopped) or any(
            self.next_offset.get(partition, end) < end for partition, end in ends.items()
        )

    # deployments

    def _is_refresh_due(self) -> bool:
        now = self.monotonic()
        if now - self._refreshed_at < REFRESH_EVERY_S:
            return False
        self._refreshed_at = now
        return True

    def _take_up_settled(self) -> None:
        """Let those read on whose consequences are booked, and look at nothing else."""
        for row in loading.settled_of(self.number):
            runner = self.runners.get(row.id)
            if runner and runner.waiting is not Waiting.NOTHING and runner.revision == row.revision:
                runner.refresh(row)

    def _refresh(self) -> None:
        active = {row.id: row for row in loading.members_of(self.number) if row.status in ACTIVE}
        for deployment_id in self.runners.keys() - active.keys():
            del self.runners[deployment_id]
        if not active:  # nobody here holds back a feed that paces itself by its readers
            cursors.forget(self.consumer)
        for deployment_id, row in active.items():
            runner = self.runners.get(deployment_id)
            if runner is None or runner.revision != row.revision:
                self._load(deployment_id)
            elif runner.waiting is not Waiting.NOTHING:
                runner.refresh(row)
            if deployment_id in self.runners:
                self._take_up_acts(self.runners[deployment_id], row)

    def _take_up_acts(self, runner: Runner, row: Deployment) -> None:
        """What operators and brokers have done; what the runner has carried out and not stored yet is not again."""
        if row.is_commanded:  # type: ignore[attr-defined]
            commands = loading.commands_new(runner.id)
            runner.commands = [one for one in commands if one.id not in runner.taken]
        if row.is_reported:  # type: ignore[attr-defined]
            runner.reports = [one for one in loading.reports_new(runner.id) if one.id not in runner.told]

    def _load(self, deployment_id: UUID) -> None:
        row = Deployment.objects.select_related("strategy_version__strategy").get(id=deployment_id)
        first = self._first_offset(row)
        try:
            with self.limit.over(row.id):
                runner = load(row, calendar=self.calendar, incarnation=self.incarnation, first_offset=first)
        except StrategyHung as error:
            self._refuse(row, error)
            return
        except Exception as error:
            if classify(error) is Fault.TRANSIENT:
                raise
            self._refuse(row, error)
            return
        self.runners[deployment_id] = runner
        self._is_new = True  # tells at once where it stands, so that a paced feed waits for it

    def _first_offset(self, row: Deployment) -> int:
        """Where a deployment reads first. One that has read nothing yet begins with the present where ticks are the
        market's own: it must not trade on days that are over. A recording is read from its beginning."""
        low, high = self.reader.watermarks(self.topic, row.partition)
        return high if row.incarnation is None and settings.FEED == LIVE_FEED else low

    def _refuse(self, row: Deployment, error: BaseException) -> None:
        """A deployment whose row does not make a runner stands still; the others of the shard go on."""
        self.runners.pop(row.id, None)
        foreseen = BadParameters | CheckpointDoesNotFit | StrategyHung | UnknownMarket | UnknownStrategy
        is_foreseen = isinstance(error, foreseen)
        text = str(error) if is_foreseen else "".join(traceback.format_exception(error, limit=-6))
        quarantine(deployment_id=row.id, error=text, revision=row.revision)

    # the log

    def _read(self, ends: dict[int, int]) -> None:
        """Have in memory what the ready runners need next, up to the ends."""
        wanted = self._wanted_offsets()
        if any(self._needs_seek(partition, offset) for partition, offset in wanted.items()):
            self._assign(wanted)
        timeout_s = 0.0 if self._has_work() else READ_WAIT_S
        budget = MESSAGES_A_ROUND
        while budget > 0 and self._is_behind(ends):
            try:
                records = self.reader.poll(messages_max=budget, timeout_s=timeout_s)
            except OffsetGone as gone:
                self._pass_gap(gone.partition, gone.wanted, gone.low, gone.high)
                self.reader.assign(self.topic, self.next_offset)
                return
            if not records:
                return
            for record in records:
                self._hold(record)
            budget -= len(records)
            timeout_s = 0.0

    def _has_work(self) -> bool:
        """Whether a deployment that waited can go on with what is held; then nothing is waited for."""
        return any(
            runner.is_ready and runner.offset < self.next_offset.get(runner.partition, 0)
            for runner in self.runners.values()
        )

    def _wanted_offsets(self) -> dict[int, int]:
        wanted: dict[int, int] = {}
        for runner in self.runners.values():
            if runner.is_ready:
                wanted[runner.partition] = min(wanted.get(runner.partition, runner.offset), runner.offset)
        return wanted

    def _needs_seek(self, partition: int, offset: int) -> bool:
        if partition not in self.next_offset:
            return True
        first = self.held[partition].first
        return offset < (self.next_offset[partition] if first is None else first)

    def _assign(self, wanted: dict[int, int]) -> None:
        starts = {**self.next_offset, **wanted}
        for partition, offset in starts.items():
            low, high = self.reader.watermarks(self.topic, partition)
            self.held[partition] = Held()
            self.next_offset[partition] = offset
            if not low <= offset <= high:
                self._pass_gap(partition, offset, low, high)
        self.reader.assign(self.topic, self.next_offset)

    def _pass_gap(self, partition: int, wanted: int, low: int, high: int) -> None:
        """Go on behind messages that are lost; a deployment that was to read one of them never will."""
        self.next_offset[partition] = gaps.inside(wanted, low=low, high=high)
        gaps.tell(
            self.consumer,
            self.topic,
            partition,
            wanted=wanted,
            resumed=self.next_offset[partition],
            incarnation=self.incarnation,
            now=self.clock(),
        )
        for runner in self.runners.values():
            is_here = runner.partition == partition and runner.is_ready
            if is_here and runner.offset >= wanted and not low <= runner.offset <= high:
                runner.jump(gaps.inside(runner.offset, low=low, high=high))

    def _is_behind(self, ends: dict[int, int]) -> bool:
        return any(
            offset < ends.get(partition, 0) and not self.held[partition].is_full
            for partition, offset in self.next_offset.items()
        )

    def _hold(self, record: Record) -> None:
        try:
            batch: Batch | None = unpack(record.value, is_redriven=record.is_redriven)
        except MalformedTicks:
            batch = None  # the tick stream sends it to the dead letters; here it only costs itself
        self.held[record.partition].add(record.offset, batch, size=len(record.value))
        self.next_offset[record.partition] = record.offset + 1

    def _trim(self) -> None:
        """Let go of what no runner needs; when too much is held, of what only waiting ones need: they are read again
        later."""
        for partition, held in self.held.items():
            runners = [runner for runner in self.runners.values() if runner.partition == partition]
            if held.is_full:
                runners = [runner for runner in runners if runner.waiting is Waiting.NOTHING]
            held.drop_before(min((one.offset for one in runners), default=self.next_offset[partition]))

    # evaluation

    def _fold(self, runner: Runner) -> None:
        if not runner.is_ready:
            return
        try:
            with self.limit.over(runner.id, lambda: runner.machine.state.step):
                self._take(runner)
                runner.look()
        except StrategyFailed as error:
            self._failed(runner, error)
        except StrategyHung as error:
            self._stand_still(runner, str(error))

    def _take(self, runner: Runner) -> None:
        """All that is held for it, up to its next stop. Raises StrategyFailed, StrategyHung."""
        runner.hear()
        runner.obey()
        if runner.partition not in self.held:
            return
        for offset, batch in self.held[runner.partition].since(runner.offset):
            if not runner.is_ready:
                return
            if batch is None:
                runner.offset = offset + 1
            else:
                self.limit.touch()
                runner.take(offset, batch)

    def _failed(self, runner: Runner, error: StrategyFailed) -> None:
        step = runner.machine.state.step
        before, count = self._failures.get(runner.id, (step, 0))
        self._failures[runner.id] = (step, count + 1 if before == step else 1)
        if self._failures[runner.id][1] >= FAILURES_MAX:
            self._stand_still(runner, str(error))
            return
        self._load(runner.id)

    def _stand_still(self, runner: Runner, error: str) -> None:
        step = runner.machine.state.step
        quarantine(deployment_id=runner.id, error=error, revision=runner.revision, raised_step=step)
        self.runners.pop(runner.id, None)

    # storing

    def _store(self) -> list[Runner]:
        stopped = [runner for runner in self.runners.values() if runner.stopped and self._may_stop(runner)]
        dirty = [runner for runner in self.runners.values() if runner.is_dirty and not runner.stopped]
        is_due = self._is_new or (bool(dirty) and self._is_checkpoint_due(dirty))
        storing = [runner for runner in stopped + (dirty if is_due else []) if self._is_packed(runner)]
        stopped = [runner for runner in storing if runner.stopped]
        if not storing and not self._is_new:
            return []
        with transaction.atomic():
            if not stopped:
                outbox.commit_late()
            lost = checkpoints.store(storing, now=self.clock())
            for runner in lost:  # what it has in memory is not what is stored
                log.info("strategies.runner.reloaded", deployment=str(runner.id))
                self.runners.pop(runner.id, None)
            if is_due:
                self._tell_progress()
        self._is_new = False
        self._ring([runner for runner in stopped if runner not in lost])
        return stopped

    def _is_packed(self, runner: Runner) -> bool:
        """Whether a runner can be stored; what cannot would hold up all that is stored with it."""
        try:
            runner.pack()
        except NotStorable as error:
            self._stand_still(runner, str(error))
            return False
        return True

    def _may_stop(self, runner: Runner) -> bool:
        """Whether the stop of a runner may have consequences now: of a group, only that of the first place of the
        log is let go, when every other has passed it and nothing of theirs is under way. So what risk sees of the
        others is what a fold of all of them, item by item, would see. Who does not run holds up nobody."""
        if not runner.group:
            return True
        mates = [mate for mate in self.runners.values() if mate.group == runner.group and mate is not runner]
        return all(mate.waiting is Waiting.NOTHING and runner.place < mate.place for mate in mates)

    def _is_checkpoint_due(self, dirty: list[Runner]) -> bool:
        now = self.monotonic()
        is_far = max(runner.seq - runner.stored_seq for runner in dirty) >= CHECKPOINT_EVERY_SEQ
        if is_far or now - self._checkpointed_at >= CHECKPOINT_EVERY_S:
            self._checkpointed_at = now
            return True
        return False

    def _tell_progress(self) -> None:
        for partition in self.next_offset:
            runners = [runner for runner in self.runners.values() if runner.partition == partition]
            if runners:
                sources = {runner.source for runner in runners}
                is_one = len(sources) == 1
                cursors.tell(
                    self.consumer,
                    self.topic,
                    partition,
                    incarnation=self.incarnation,
                    # one whose stop is held back starts again from where it was stored
                    offset=min(
                        runner.stored_offset if runner.stopped else runner.offset for runner in runners
                    ),
                    source=sources.pop() if is_one else 0,
                    seq=min(runner.stored_seq if runner.stopped else runner.seq for runner in runners)
                    if is_one
                    else 0,
                )

    def _ring(self, stopped: list[Runner]) -> None:
        signals = [str(runner.id) for runner in stopped if runner.waiting is Waiting.SIGNALS]
        dues = [str(runner.id) for runner in stopped if runner.waiting is Waiting.DUE]
        if signals:
            doorbell.ring_signals(signals)
        if dues:
            doorbell.ring_due(dues)
        if signals or dues:
            failpoints.hit("strategies.after_ring")
