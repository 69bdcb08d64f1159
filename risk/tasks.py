"""First link of the chain."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from marketdata import selectors
from risk.services import decisions


@shared_task(name="risk.decide")
def decide(*, deployment_ids: list[str], **_newer: object) -> None:
    """Judge the new signals of deployments."""
    for deployment_id in deployment_ids:
        decisions.signals_decide(deployment_id=UUID(deployment_id), calendar=selectors.calendar("NSE"))
