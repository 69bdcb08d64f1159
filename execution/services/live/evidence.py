"""News of orders, whatever brought it: merged into what is known of them, and reported to their deployments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import Max, Q, QuerySet

from alphapanda.core import ids
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import OrderStatus, Severity, SignalKind, Waiting
from alphapanda.eventlog import doorbell
from alphapanda.prepared import ANYBODY, Prepared
from execution.domain.kite import reducer
from execution.domain.kite.budgets import Lane
from execution.domain.kite.orders import SECONDS_MS, LiveOrder, Part, Want
from execution.domain.kite.reducer import Evidence, Result
from execution.domain.live import Reported
from execution.models import BrokerCall, BrokerName, BrokerOrder
from execution.services.live import booking, containing, states
from marketdata import selectors as market
from risk.services.alerts import alert_raise
from strategies import loading as deployments
from strategies.models import Deployment, Report
from strategies.services.runner import ACTIVE

LATE = timedelta(milliseconds=250)
LEFT = (BrokerCall.State.SENDING, BrokerCall.State.UNKNOWN, BrokerCall.State.DONE)
AGAIN_MS = 5_000  # before an order that did not go is told so again


def take(order_id: UUID, news: Sequence[Evidence], *, now: datetime) -> Result:
    """Merge news of an order of ours; what is new of it is a report to its deployment, booked here where nobody
    listens. Any number of times, in any order. Locks the deployment's row, then the order's. Raises DeploymentBusy."""
    with transaction.atomic():
        row = _locked(order_id, now)
        before = states.known(row)
        result = reducer.take_all(before, list(news))
        if result.order != before:
            _keep(row, before, result, now)
    if result.changes or result.fills:
        doorbell.ring_shard(row.order.deployment.shard, partition_ends={})
    return result


def _locked(order_id: UUID, now: datetime) -> BrokerOrder:
    """The order's row. A worker that stands still keeps one deployment waiting, and nobody twice within a moment."""
    ((deployment_id,),) = _deployment_of(order_id)
    if containing.rests("deployment", deployment_id, now):
        raise deployments.DeploymentBusy(f"the row of deployment {deployment_id} was locked a moment ago")
    try:
        deployments.locked_soon(deployment_id)
    except deployments.DeploymentBusy:
        containing.leave_alone("deployment", deployment_id, now)
        raise
    (row,) = _order_locked(order_id)
    return row


_deployment_of = Prepared(
    lambda one: BrokerOrder.objects.filter(order_id=one).values_list("order__deployment"), ANYBODY
)
_order_locked = Prepared(
    lambda one: (
        BrokerOrder.objects.select_for_update(of=("self",))
        .select_related("order__deployment")
        .defer("order__deployment__checkpoint", "order__deployment__error")
        .filter(order_id=one)
    ),
    ANYBODY,
)


def _keep(row: BrokerOrder, before: LiveOrder, result: Result, now: datetime) -> None:
    after = result.order
    if after.parts.keys() - before.parts.keys() or after.status.is_final:
        acts = BrokerCall.objects.filter(order=row, state=BrokerCall.State.READY)
        acts.exclude(kind=SignalKind.ORDER).update(not_before_ms=0)  # they waited for it to come to light
    row.state, row.revision = states.written(after), row.revision + 1
    row.is_open = not after.status.is_final
    row.wants_trades = Want.FETCH_TRADES in result.wants
    row.save()
    if names := {*after.parts, *after.tags} - {*before.parts, *before.tags}:
        BrokerName.objects.bulk_create(
            [BrokerName(name=name, order=row) for name in sorted(names)], ignore_conflicts=True
        )
    if after.status is OrderStatus.REJECTED and before.status is not OrderStatus.REJECTED:
        _tell_no_exit(row, after, now)
    if Want.CANCEL in result.wants:
        cancel_wanted(row, now=now)
    if after.is_iceberg:
        _cancel_next_leg(row, after, now)
    for alarm in sorted(result.alarms):
        alert_raise(
            code=f"order_{alarm.lower()}",
            subject=str(row.order_id),
            text=f"{after.side} {after.instrument}: see the order's history and the broker's book",
            severity=Severity.CRITICAL,
            deployment_id=row.order.deployment_id,
            now=now,
        )
    if result.changes or result.fills:
        _report(row.order.deployment, result, to_ms(now))


def _tell_no_exit(row: BrokerOrder, order: LiveOrder, now: datetime) -> None:
    """A position that was to be closed is held on: a person hears of it, where nobody has called the exit off."""
    calls = BrokerCall.objects.filter(order=row)
    if (
        not calls.filter(kind=SignalKind.ORDER, lane=Lane.EXIT).exists()
        or calls.filter(kind=SignalKind.CANCEL).exists()
    ):
        return
    alert_raise(
        code="exit_refused",
        subject=f"{order.side} {order.instrument} of {row.order.deployment.name}",
        text=f"the position is held on: {order.reason}",
        severity=Severity.CRITICAL,
        deployment_id=row.order.deployment_id,
        now=now,
    )


def _report(deployment: Deployment, result: Result, received_ms: int) -> None:
    """A report, numbered under the deployment's lock. To one that reads nothing it is booked at once: its strategy
    hears of it when it goes on, but money does not wait for that."""
    number = 1 + next((last for (last,) in _last_number(deployment.id)), 0)
    told = Reported(result.order.id, received_ms, result.changes, result.fills)
    report = Report.objects.create(
        id=ids.derived("report", deployment.id, number),
        deployment=deployment,
        number=number,
        data=msgspec.to_builtins(told),
    )
    if deployment.status not in ACTIVE:
        book_left(deployment, report)


_last_number = Prepared(
    lambda one: Report.objects.filter(deployment_id=one).order_by("-number").values_list("number")[:1],
    ANYBODY,
)


def book_left(deployment: Deployment, report: Report) -> None:
    """Book a report of a deployment that reads nothing, under its lock."""
    if Report.objects.filter(deployment=deployment, booked_at=None, number__lt=report.number).exists():
        return  # those before it first: what was stopped in between is swept
    if report.step is None:
        report.step = _step_ahead(deployment)
        report.save(update_fields=["step"])
    booking.book(report, market.calendars(), step=report.step)
    doorbell.ring("portfolio.book", deployment_ids=[str(deployment.id)])


def _step_ahead(deployment: Deployment) -> int:
    """The step at which a deployment that reads nothing will hear of its next report: they come before all else, but
    for an item that it has stopped at and the reports that have steps already."""
    is_at_item = deployment.waiting == Waiting.DUE
    matched = max(deployments.consequences_of(deployment).matched_step, deployment.step + is_at_item)
    rows = Report.objects.filter(deployment=deployment, told_at=None)
    return max(deployment.step, matched, rows.aggregate(last=Max("step"))["last"] or 0) + 1


def book_what_is_left(now: datetime) -> None:
    """Reports that nobody has taken up: those of deployments that read nothing are booked, the others' shards are rung
    again."""
    shards = set()
    for report_id, deployment_id, booked_at, status, shard in _left(now - LATE):
        if status in ACTIVE:
            shards.add(shard)
        elif booked_at is None and not containing.rests("report", report_id, now):
            containing.savepoint("report", report_id, now, partial(_book_alone, report_id, deployment_id))
    for shard in sorted(shards):
        doorbell.ring_shard(shard, partition_ends={})


ANY_TIME = datetime(1, 1, 1, tzinfo=UTC)  # stands for a time in SQL that is written once
_left = Prepared(
    lambda late: (
        Report.objects.filter(told_at=None, created_at__lt=late)
        .order_by("deployment_id", "number")
        .values_list("id", "deployment_id", "booked_at", "deployment__status", "deployment__shard")
    ),
    ANY_TIME,
)


def _book_alone(report_id: UUID, deployment_id: UUID) -> None:
    deployment = deployments.locked_soon(deployment_id)
    if deployment.status not in ACTIVE:
        book_left(deployment, Report.objects.get(id=report_id))


def told_to_go(now: datetime) -> QuerySet[BrokerCall, UUID]:
    """Orders whose cancellation is under way or was just said. One of unknown outcome holds up no other: a second does
    no harm."""
    waiting = (BrokerCall.State.READY, BrokerCall.State.SENDING)
    is_said = Q(state__in=waiting) | Q(sent_at_ms__gt=to_ms(now) - AGAIN_MS)
    return BrokerCall.objects.filter(is_said, kind=SignalKind.CANCEL).values_list("order_id", flat=True)


def cancel_wanted(row: BrokerOrder, *, now: datetime, reason: str = "it was given up and lives") -> int:
    """A cancellation that nobody but the platform asks for, unless one is under way or was just said; how many were
    before."""
    calls = BrokerCall.objects.filter(order=row, kind=SignalKind.CANCEL)
    count = calls.count()
    if not told_to_go(now).filter(order=row).exists():
        _cancel(row, attempt=count + 1, reason=reason, now=now)
    return count


def _cancel_next_leg(row: BrokerOrder, order: LiveOrder, now: datetime) -> None:
    """A cancellation that has left for a leg of an iceberg and came too late for it was meant for the whole order: the
    leg that the broker has sent since gets one of its own, each leg once."""
    calls = BrokerCall.objects.filter(order=row, kind=SignalKind.CANCEL)
    at_work = [name for name, part in order.parts.items() if part.ended is None]
    if not at_work or not any(_came_too_late(call, order) for call in calls):
        return
    if not calls.filter(Q(state=BrokerCall.State.READY) | Q(broker_order_id__in=at_work)).exists():
        _cancel(row, attempt=calls.count() + 1, reason="the leg before has traded all the same", now=now)


def _came_too_late(call: BrokerCall, order: LiveOrder) -> bool:
    """Whether its leg has traded all the same. Of one that was refused while its leg was at work, for another reason,
    whoever asked for it has heard: by the broker's clock it traded later, and by ours it was seen at work since."""
    part = order.parts.get(call.broker_order_id, Part())
    if part.end is None or part.ended is not OrderStatus.COMPLETE:
        return False
    answered_ms, seen_ms = call.answered_at_ms or 0, part.latest.received_ms if part.latest else 0
    was_over = part.end.at_ms <= answered_ms + SECONDS_MS or seen_ms <= answered_ms
    return call.state in LEFT or (call.state == BrokerCall.State.REFUSED and was_over)


def _cancel(row: BrokerOrder, *, attempt: int, reason: str, now: datetime) -> None:
    BrokerCall.objects.create(
        id=ids.derived("broker call", "cancel", row.order_id, attempt),
        order=row,
        kind=SignalKind.CANCEL,
        lane=Lane.CANCEL,
        attempt=attempt,
        reason=reason,
        queued_at_ms=to_ms(now),
    )
