"""Links of the chain, and the sweeper that rings again for whatever is unfinished."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from celery import Task, shared_task
from django.utils import timezone

from alphapanda.core.vocabulary import DeploymentStatus, Waiting
from alphapanda.eventlog import doorbell, retries
from execution.services import chain
from marketdata import selectors
from strategies.models import Deployment
from strategies.services.quarantine import quarantine_for

UNFINISHED_AFTER = timedelta(milliseconds=250)
SWEPT_MAX = 500
QUEUED_MAX = 8  # doorbells still in the queue are late, not lost: ringing more would only make it longer


@shared_task(name="execution.submit")
def submit(*, deployment_ids: list[str], **_newer: object) -> bool:
    """Place orders for approved decisions; True where all deployments may read on: nothing is left to do."""
    calendar = selectors.calendars()
    shards = retries.for_each(
        deployment_ids,
        lambda one: chain.orders_submit(deployment_id=one, calendar=calendar),
        failed=quarantine_for,
    )
    _ring(shards.values())
    return None not in shards.values()


@shared_task(name="execution.match", bind=True)
def match(self: Task, *, deployment_ids: list[str], **_newer: object) -> None:
    """Match working orders against due items."""
    calendar = selectors.calendars()
    retries.for_each(
        deployment_ids,
        lambda one: chain.dues_match(deployment_id=one, calendar=calendar),
        failed=quarantine_for,
    )
    doorbell.carry_on(self)


@shared_task(name="execution.settle")
def settle(*, deployment_ids: list[str], **_newer: object) -> None:
    """Let deployments read on, and ring their shards."""
    shards = retries.for_each(
        deployment_ids, lambda one: chain.deployment_settle(deployment_id=one), failed=quarantine_for
    )
    _ring(shards.values())


def _ring(shards: Iterable[int | None]) -> None:
    for shard in sorted({shard for shard in shards if shard is not None}):
        doorbell.ring_shard(shard, partition_ends={})


@shared_task(name="execution.sweep")
def sweep(**_newer: object) -> None:
    """Ring again the chains of deployments that have waited too long; those in quarantine wait for release."""
    if (doorbell.queue_depth("trading") or 0) > QUEUED_MAX:
        return
    late = timezone.now() - UNFINISHED_AFTER
    rows = Deployment.objects.exclude(waiting=Waiting.NOTHING).filter(waiting_since__lt=late)
    rows = rows.exclude(status=DeploymentStatus.QUARANTINED)
    waiting = list(rows.order_by("waiting_since").values_list("id", "waiting")[:SWEPT_MAX])
    signals = [str(deployment_id) for deployment_id, kind in waiting if kind == Waiting.SIGNALS]
    dues = [str(deployment_id) for deployment_id, kind in waiting if kind == Waiting.DUE]
    if signals:
        doorbell.ring_signals(signals)
    if dues:
        doorbell.ring_due(dues)
