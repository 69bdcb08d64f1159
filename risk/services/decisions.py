"""Deciding: claim the new signals of a deployment, judge them, store verdicts and events, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec
from django.db import connection, transaction

from alphapanda import failpoints
from alphapanda.core import ids
from alphapanda.core.envelope import Envelope, EventType, SignalDecided, seal
from alphapanda.core.vocabulary import Broker, DeploymentStatus
from alphapanda.eventlog import outbox
from marketdata import selectors
from marketdata.domain.calendar import MarketHours
from portfolio import selectors as books
from risk import loading
from risk.domain.limits import DayState
from risk.domain.review import Context, Verdict, review
from risk.models import Decision, HaltEffect, RiskState
from strategies import loading as signals_of
from strategies.domain.signals import SignalRow
from strategies.models import Deployment, Signal

KILL_LOCK = 7_001  # advisory: shared by decisions, exclusive to throwing or releasing a kill switch


def share_kill_lock() -> None:
    """No kill switch commits between our reading of them and our commit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [KILL_LOCK])


def signals_decide(*, deployment_id: UUID, calendar: MarketHours) -> int:
    """Judge the undecided signals of a deployment; how many there were. Any number of runs do it once."""
    with transaction.atomic():
        share_kill_lock()
        deployment = signals_of.locked(deployment_id)
        rows = signals_of.signals_new(deployment_id)
        if rows:
            _decide(deployment, rows, calendar)
            failpoints.hit("risk.before_commit")
    failpoints.hit("risk.after_commit")
    return len(rows)


def _decide(deployment: Deployment, rows: Sequence[Signal], calendar: MarketHours) -> None:
    signals = [signals_of.signal_row(row) for row in rows]
    memory, _ = RiskState.objects.get_or_create(deployment=deployment)
    halts = loading.halts_active(deployment)
    day = msgspec.convert(memory.data, DayState, strict=False)
    context = _context(deployment, rows, day, tuple(f"{halt}: {halt.reason}" for halt in halts), calendar)
    verdicts, day = review(signals, context)
    memory.data = msgspec.to_builtins(day)
    memory.save()
    Decision.objects.bulk_create(_row(deployment, verdict) for verdict in verdicts)
    Signal.objects.filter(id__in=[row.id for row in rows]).update(state=Signal.State.DECIDED)
    for halt in halts:
        HaltEffect.objects.get_or_create(
            kill_switch=halt, deployment=deployment, defaults={"from_step": signals[0].step}
        )
    outbox.publish([_event(deployment, pair) for pair in zip(signals, verdicts, strict=True)])


def _context(
    deployment: Deployment,
    signals: Sequence[Signal],
    day: DayState,
    halts: tuple[str, ...],
    calendar: MarketHours,
) -> Context:
    instruments = [selectors.spec(signal.instrument) for signal in signals]
    return Context(
        limits=loading.limits_in_force(deployment),
        day=day,
        holdings=books.holdings_of(deployment.id),
        working=signals_of.consequences_of(deployment).working,
        instruments={instrument.token: instrument for instrument in instruments},
        phase=calendar.of(instruments[0]).phase_at(signals[0].at_ms),
        halts=halts,
        status=DeploymentStatus(deployment.status),
        may_queue=bool(deployment.execution.get("may_queue", False)),
    )


def _row(deployment: Deployment, verdict: Verdict) -> Decision:
    return Decision(
        id=verdict.id,
        signal_id=verdict.signal_id,
        deployment=deployment,
        broker=deployment.broker,
        is_approved=verdict.is_approved,
        rule=verdict.rule,
        reason=verdict.reason[:300],
        numbers=verdict.numbers,
        at_ms=verdict.at_ms,
    )


def _event(deployment: Deployment, pair: tuple[SignalRow, Verdict]) -> Envelope:
    signal, verdict = pair
    event_type = EventType.SIGNAL_APPROVED if verdict.is_approved else EventType.SIGNAL_DENIED
    payload = SignalDecided(
        decision_id=verdict.id,
        signal_id=signal.id,
        deployment_id=deployment.id,
        instrument=signal.instrument,
        approved=verdict.is_approved,
        rule=verdict.rule,
        reason=verdict.reason,
        numbers=verdict.numbers,
        at_ms=verdict.at_ms,
    )
    return seal(
        payload,
        event_type=event_type,
        event_id=ids.event_id(event_type, verdict.id),
        ts=verdict.at_ms,
        source="risk",
        broker=Broker(deployment.broker),
        key=f"{deployment.id}:{signal.instrument}",
        correlation_id=signal.correlation_id,
        causation_id=ids.event_id(EventType.SIGNAL_RAISED, signal.id),
    )
