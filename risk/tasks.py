"""First link of the chain."""

from __future__ import annotations

from uuid import UUID

from celery import Task, shared_task

from alphapanda.eventlog import doorbell
from marketdata import selectors
from risk.services import decisions


@shared_task(name="risk.decide", bind=True)
def decide(self: Task, *, deployment_ids: list[str], **_newer: object) -> None:
    """Judge the new signals of deployments."""
    calendar = selectors.calendar("NSE")
    for deployment_id in deployment_ids:
        decisions.signals_decide(deployment_id=UUID(deployment_id), calendar=calendar)
    doorbell.carry_on(self)
