"""Rows turned into domain values: limits in force and active kill switches."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet

from alphapanda.core.vocabulary import HaltLevel
from risk.domain.limits import Limits, strictest
from risk.models import KillSwitch, LimitSet
from strategies.models import Deployment


def _covers(deployment: Deployment) -> Q:
    return (
        Q(level=HaltLevel.GLOBAL)
        | Q(level=HaltLevel.BROKER, broker=deployment.broker)
        | Q(level=HaltLevel.DEPLOYMENT, deployment_id=deployment.id)
    )


def limits_in_force(deployment: Deployment) -> Limits:
    """The strictest limits of all levels that cover a deployment."""
    return strictest(limits_of(row) for row in LimitSet.objects.filter(_covers(deployment)))


def limits_of(row: LimitSet) -> Limits:
    """One level's limits as the domain knows them."""
    return Limits(**{name: getattr(row, name) for name in Limits.__struct_fields__})


def halts_active(deployment: Deployment) -> list[KillSwitch]:
    """Kill switches that cover a deployment now, oldest first."""
    rows: QuerySet[KillSwitch] = KillSwitch.objects.filter(_covers(deployment), released_at__isnull=True)
    return list(rows.order_by("thrown_at", "id"))


def has_undecided(deployment_id: UUID) -> bool:
    """Whether a signal of the deployment waits for its decision."""
    return Deployment.objects.filter(id=deployment_id, signals__state="NEW").exists()
