"""Storing runners: state, cursor, signals and events in one transaction, by compare-and-set on the revision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import transaction

from alphapanda import failpoints
from alphapanda.core import ids
from alphapanda.core.envelope import Envelope, EventType, SignalRaised, seal
from alphapanda.core.vocabulary import Broker, Waiting
from alphapanda.eventlog import outbox
from marketdata.domain.ticks import tick_to_json
from strategies.domain.basis import Basis
from strategies.domain.signals import DueItem, Raised, SignalRow
from strategies.models import Command, Deployment, Due, Report, Signal
from strategies.services.runner import ACTIVE, Runner


def store(runners: Sequence[Runner], *, now: datetime) -> list[Runner]:
    """Store all runners at once, as they were packed; returns those that lost the race and must be loaded again.

    Runs in the caller's transaction, if there is one, or its own."""
    with transaction.atomic(savepoint=False):
        lost = [runner for runner in runners if not _swap(runner, now)]
        stored = [runner for runner in runners if runner not in lost]
        _mark_taken(stored, now)
        _write_stops([runner for runner in stored if runner.stopped])
        failpoints.hit("strategies.before_commit")
    failpoints.hit("strategies.after_commit")
    for runner in stored:
        _mark_stored(runner)
    return lost


def _waiting(runner: Runner) -> Waiting:
    if runner.stopped is None:
        return Waiting.NOTHING
    return Waiting.SIGNALS if isinstance(runner.stopped.stop, Raised) else Waiting.DUE


def _swap(runner: Runner, now: datetime) -> bool:
    waiting = _waiting(runner)
    rows = Deployment.objects.filter(
        id=runner.id, revision=runner.revision, waiting=Waiting.NOTHING, status__in=ACTIVE
    )
    return bool(
        rows.update(
            revision=runner.revision + 1,
            incarnation=runner.incarnation,
            first_offset=runner.first_offset,
            offset=runner.offset,
            index=runner.index,
            source=runner.source,
            seq=runner.seq,
            step=runner.machine.state.step,
            at_ms=runner.machine.state.at_ms,
            checkpoint=runner.checkpoint,
            waiting=waiting,
            waiting_since=now if waiting is not Waiting.NOTHING else None,
            checkpointed_at=now,
        )
    )


def _mark_taken(runners: Iterable[Runner], now: datetime) -> None:
    for runner in runners:
        for command_id, step in runner.taken.items():
            Command.objects.filter(id=command_id, step=None).update(step=step, taken_at=now)
        if runner.told:
            Report.objects.filter(id__in=runner.told).update(told_at=now)
        if runner.stopped and runner.stopped.report:
            assert isinstance(runner.stopped.stop, DueItem)
            Report.objects.filter(id=runner.stopped.report.id).update(step=runner.stopped.stop.step)


def _mark_stored(runner: Runner) -> None:
    runner.taken.clear()
    runner.told.clear()
    runner.revision += 1
    runner.waiting = _waiting(runner)
    runner.stopped = None
    runner.stored_seq = runner.seq
    runner.stored_offset = runner.offset
    runner.is_dirty = False


def _write_stops(runners: Iterable[Runner]) -> None:
    signals: list[Signal] = []
    dues: list[Due] = []
    events: list[Envelope] = []
    for runner in runners:
        assert runner.stopped is not None
        stop = runner.stopped.stop
        if isinstance(stop, Raised):
            broker = runner.machine.spec.broker
            signals += [_signal(row, broker, runner) for row in stop.signals]
            events += [_event(row, broker) for row in stop.signals]
        else:
            dues.append(_due(runner, stop))
    Signal.objects.bulk_create(signals)
    Due.objects.bulk_create(dues)
    if events:
        outbox.publish(events)


def _basis(runner: Runner, instrument: str) -> dict[str, Any]:
    assert runner.stopped is not None
    indicators, fault = runner.stopped.said.get(instrument, ({}, ""))
    basis = Basis(runner.stands_at(), runner.code, runner.build, indicators, fault)
    found: dict[str, Any] = msgspec.to_builtins(basis)
    return found


def _signal(row: SignalRow, broker: Broker, runner: Runner) -> Signal:
    return Signal(
        id=row.id,
        deployment_id=row.deployment_id,
        broker=broker,
        step=row.step,
        ordinal=row.ordinal,
        instrument_id=runner.instrument_ids[row.token],
        side=row.side,
        quantity=row.quantity,
        order_type=row.order_type,
        limit_price_e4=row.limit_price_e4,
        validity=row.validity,
        product=row.product,
        reason=row.reason,
        at_ms=row.at_ms,
        received_at_ms=row.received_at_ms,
        origin=row.origin,
        bracket=msgspec.to_builtins(row.bracket),
        kind=row.kind,
        target=row.target,
        replaces=row.replaces,
        trigger_price_e4=row.trigger_price_e4,
        validity_minutes=row.validity_minutes,
        variety=row.variety,
        disclosed_quantity=row.disclosed_quantity,
        iceberg_legs=row.iceberg_legs,
        tag=row.tag,
        approves_id=row.approves,
        marks=msgspec.to_builtins(row.marks, str_keys=True),
        correlation_id=row.correlation_id,
        basis=_basis(runner, row.instrument),
    )


def _event(row: SignalRow, broker: Broker) -> Envelope:
    mark = row.marks.get(row.token)
    payload = SignalRaised(
        signal_id=row.id,
        deployment_id=row.deployment_id,
        instrument=row.instrument,
        step=row.step,
        ordinal=row.ordinal,
        side=row.side,
        quantity=row.quantity,
        order_type=row.order_type,
        limit_price_e4=row.limit_price_e4,
        validity=row.validity,
        product=row.product,
        reason=row.reason,
        origin=row.origin,
        kind=row.kind,
        target=row.target,
        replaces=row.replaces,
        trigger_price_e4=row.trigger_price_e4,
        validity_minutes=row.validity_minutes,
        variety=row.variety,
        disclosed_quantity=row.disclosed_quantity,
        iceberg_legs=row.iceberg_legs,
        tag=row.tag,
        approves=row.approves,
        price_e4=mark.price_e4 if mark else 0,
        at_ms=row.at_ms,
    )
    return seal(
        payload,
        event_type=EventType.SIGNAL_RAISED,
        event_id=ids.event_id(EventType.SIGNAL_RAISED, row.id),
        ts=row.at_ms,
        source="strategies",
        broker=broker,
        key=f"{row.deployment_id}:{row.instrument}",
        correlation_id=row.correlation_id,
        causation_id=row.correlation_id,
    )


def _due(runner: Runner, stop: DueItem) -> Due:
    assert runner.stopped is not None
    item, report = runner.stopped.item, runner.stopped.report
    assert (item is None) is (report is not None), "a command is not due"
    due_id: UUID = ids.due_id(runner.id, stop.step)
    source, seq = runner.stopped.source, runner.stopped.seq
    return Due(
        id=due_id,
        deployment_id=runner.id,
        step=stop.step,
        item=tick_to_json(item) if item else None,
        report_id=report.id if report else None,
        clock_ms=stop.clock_ms,
        marks=msgspec.to_builtins(stop.marks, str_keys=True),
        place=msgspec.to_builtins(runner.stands_at()),
        correlation_id=ids.derived("item", source, seq) if source else ids.derived("item", due_id),
    )
