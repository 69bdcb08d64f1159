"""Approval mode of a deployment: how long its entries wait for a person. It is one key of the column `execution`; what
that may hold is execution's to say, and who changes a deployment is strategies'."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from alphapanda.core.refusals import BadRequest, reason_problem
from alphapanda.core.vocabulary import Broker
from execution.domain.settings import settings_of
from strategies.models import Deployment
from strategies.selectors import DeploymentNotFound
from strategies.services.lifecycle import deployment_configure


class BadApprovalMode(BadRequest):
    """Entries cannot wait so long, or nobody says why they shall."""


@transaction.atomic
def approval_mode_set(
    *, deployment_id: UUID, seconds: int, actor: str, reason: str, now: datetime, ip: str | None = None
) -> Deployment:
    """Let the entries of a stopped deployment wait for a person so many seconds of event time; 0: they do not wait.
    Locks the row.

    Raises DeploymentNotFound, DeploymentNotStopped, BadApprovalMode.
    """
    if problem := reason_problem(reason):
        raise BadApprovalMode(problem)
    rows = Deployment.objects.select_for_update(no_key=True)  # what else is set meanwhile stays
    found = rows.filter(pk=deployment_id).only("broker", "execution").first()
    if found is None:
        raise DeploymentNotFound(f"There is no deployment {deployment_id}.")
    execution = {name: value for name, value in found.execution.items() if name != "approval_s"}
    if seconds:
        execution["approval_s"] = seconds
    try:
        known = {name: value for name, value in execution.items() if name != "product"}
        settings_of(known, Broker(found.broker))
    except ValueError as error:
        raise BadApprovalMode(str(error)) from error
    return deployment_configure(
        deployment_id=deployment_id,
        changes={"execution": execution},
        actor=actor,
        reason=reason,
        now=now,
        ip=ip,
    )
