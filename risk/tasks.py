"""First link of the chain; and alerts on their way to people."""

from __future__ import annotations

from celery import Task, shared_task

from alphapanda.eventlog import doorbell, retries
from marketdata import selectors
from risk.services import decisions, deliveries, telling
from strategies.services.quarantine import quarantine_for


@shared_task(name="risk.decide", bind=True)
def decide(self: Task, *, deployment_ids: list[str], **_newer: object) -> None:
    """Judge the new signals of deployments."""
    calendar = selectors.calendars()
    retries.for_each(
        deployment_ids,
        lambda one: decisions.signals_decide(deployment_id=one, calendar=calendar),
        failed=quarantine_for,
    )
    doorbell.carry_on(self)


@shared_task(name=deliveries.TASK)
def tell(**_newer: object) -> None:
    """Send what waits for the channels of alerts, and what was left by a process that died."""
    telling.deliver()
