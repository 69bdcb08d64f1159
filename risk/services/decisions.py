"""Deciding: claim the new signals of a deployment, judge them, store verdicts and events, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec
from django.db import transaction
from django.utils import timezone

from accounts.services import act_record
from alphapanda import failpoints
from alphapanda.core import ids
from alphapanda.core.clock import ist_date
from alphapanda.core.envelope import Envelope, EventType, SignalDecided, seal
from alphapanda.core.vocabulary import Broker, DeploymentStatus, Severity, SignalKind
from alphapanda.eventlog import outbox
from marketdata import selectors
from marketdata.domain.calendar import MarketHours
from risk import loading
from risk.domain.context import Verdict, ended_of, phases_of
from risk.domain.memory import DayState
from risk.domain.oversight import Oversight
from risk.domain.review import review
from risk.domain.rules.guards import approval
from risk.models import Decision
from risk.services.alerts import alert_raise
from risk.services.approvals import approval_guard
from risk.services.contexts import context_of
from risk.services.gates import Gates, gates_now
from risk.services.oversight import oversight_keep
from risk.services.terms import share_kill_lock
from strategies import loading as signals_of
from strategies.domain.signals import SignalRow
from strategies.models import Deployment, Signal
from strategies.services.approvals import approvals_ask, approvals_drop


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
    memory = loading.memory_of(deployment)
    halts = loading.halts_active(deployment)
    before = msgspec.convert(memory.data, DayState, strict=False)
    today = ist_date(signals[0].at_ms)
    now = timezone.now()
    listed = [selectors.spec(row.instrument) for row in rows]
    hours = {one.token: calendar.of(one) for one in listed}
    instruments = {one.token: hours[one.token].ruled(one, today) for one in listed}
    gates = gates_now(now, deployment.id, deployment.broker)
    context = context_of(
        deployment,
        day=before,
        instruments=instruments,
        halts=tuple(f"{halt}: {halt.reason}" for halt in halts),
        phases=phases_of(signals, hours),
        ended=ended_of(signals, instruments, hours),
        on=today,
        gates=gates,
    )
    said = approval_guard(signals, context.holdings, now)
    context = msgspec.structs.replace(context, guards=(*context.guards, *said)) if said else context
    verdicts, day = review(signals, context)
    memory.data = msgspec.to_builtins(day, str_keys=True)
    seen = Oversight(context.status, context.halts, context.guards, context.version, context.outside)
    oversight_keep(memory, seen, signals[0].step)
    is_started = bool(before.held) and seen.status is DeploymentStatus.RUNNING
    memory.save()
    if day.held and (is_started or not before.held):
        _hold(deployment, day.held)
    Decision.objects.bulk_create(_row(deployment, verdict, gates) for verdict in verdicts)
    asked = [row for row, one in zip(rows, verdicts, strict=True) if _is_asked(one.rule, row)]
    if asked:
        approvals_ask(deployment, asked, wait_s=context.approval_s, now=now)
    Signal.objects.filter(id__in=[row.id for row in rows]).update(state=Signal.State.DECIDED)
    outbox.publish([_event(deployment, pair) for pair in zip(signals, verdicts, strict=True)])


def _is_asked(rule: str, row: Signal) -> bool:
    """Whether a verdict makes a signal wait for a person."""
    return rule == approval.__name__ and row.approves_id is None and row.kind == SignalKind.ORDER


def _hold(deployment: Deployment, why: str) -> None:
    """Pause a deployment that enters again and again; only a person starts it again."""
    moved = {"from": deployment.status, "to": DeploymentStatus.PAUSED.value}
    deployment.status = DeploymentStatus.PAUSED
    deployment.save(update_fields=["status"])
    approvals_drop([deployment.pk], why=why, actor="risk", now=timezone.now())
    act_record(
        actor="risk",
        action="deployment.pause",
        target=f"deployment:{deployment.name}",
        reason=why,
        details=moved | {"rule": "repeated_entries", "step": deployment.step},
        now=timezone.now(),
    )
    alert_raise(
        code="repeated_entries",
        subject=f"deployment:{deployment.name}",
        deployment_id=deployment.id,
        text=why,
        severity=Severity.CRITICAL,
        now=timezone.now(),
    )


def _row(deployment: Deployment, verdict: Verdict, gates: Gates) -> Decision:
    return Decision(
        id=verdict.id,
        signal_id=verdict.signal_id,
        deployment=deployment,
        broker=deployment.broker,
        is_approved=verdict.is_approved,
        rule=verdict.rule,
        reason=verdict.reason[:300],
        numbers=verdict.numbers,
        guards=gates.seen | verdict.guards,
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
