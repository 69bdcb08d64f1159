"""A deployment whose strategy or chain raises stands still at its cursor: skipping one tick would silently change
all later results."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.services import audit
from alphapanda import logs
from alphapanda.core import ids
from alphapanda.core.envelope import DeploymentQuarantined, EventType, seal
from alphapanda.core.vocabulary import Broker, DeploymentStatus
from alphapanda.eventlog import outbox
from strategies import loading as deployments
from strategies.domain.errors import in_short, shortened
from strategies.services.approvals import approvals_drop
from strategies.services.runner import ACTIVE

log = logs.channel("trading")
LOGGED, TOLD = 600, 2000  # characters of an error in the log, in the event


def quarantine(
    *, deployment_id: UUID, error: str, revision: int | None = None, raised_step: int | None = None
) -> bool:
    """Stop an active deployment at its checkpoint, with the traceback on its row. False, and nothing is done,
    where it was stopped, or is not at the `revision` given any more: the error is of a state that has gone.
    `raised_step` is where it raised, behind the checkpoint or at it; None where that is the checkpoint itself."""
    with transaction.atomic():
        row = deployments.locked(deployment_id)
        if row.status not in ACTIVE or revision not in (None, row.revision):
            return False
        log.error("strategies.deployment.quarantined", deployment=str(row.id), error=shortened(error, LOGGED))
        details = {"from": row.status, "to": DeploymentStatus.QUARANTINED.value, "step": row.step}
        details["raised_step"] = row.step if raised_step is None else raised_step
        row.status = DeploymentStatus.QUARANTINED
        row.error = error
        row.save(update_fields=["status", "error"])
        audit(
            actor="strategies",
            action="deployment.quarantine",
            target=f"deployment:{row.name}",
            reason=in_short(error)[:300],
            details=details | {"revision": row.revision},
        )
        approvals_drop([row.id], why="its deployment is quarantined", actor="strategies", now=timezone.now())
        subject = f"{row.id}:{row.step}:{row.revision}"
        event_id = ids.event_id(EventType.DEPLOYMENT_QUARANTINED, subject)
        payload = DeploymentQuarantined(deployment_id=row.id, step=row.step, error=shortened(error, TOLD))
        envelope = seal(
            payload,
            event_type=EventType.DEPLOYMENT_QUARANTINED,
            event_id=event_id,
            ts=row.at_ms,
            source="strategies",
            broker=Broker(row.broker),
            key=str(row.id),
            correlation_id=event_id,
            causation_id=event_id,
        )
        outbox.publish([envelope])
    return True


def quarantine_for(deployment_id: UUID, error: str) -> None:
    """Quarantine a deployment whose chain raised: as it stands, whatever its revision."""
    quarantine(deployment_id=deployment_id, error=error)
