"""Deployments as they stood at a moment of the wall's clock, by the acts that have been recorded of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from django.db.models import QuerySet

from accounts.models import AuditEntry
from alphapanda.core.vocabulary import DeploymentStatus
from strategies.models import Deployment, StrategyVersion

QUARANTINE, UPGRADE, CONFIGURE = "deployment.quarantine", "deployment.upgrade", "deployment.configure"
HEAVY = ("checkpoint", "consequences")
Acts = list[AuditEntry]


def deployments_then(found: QuerySet[Deployment], moment: datetime) -> list[Deployment]:
    """Deployments as they stood at a moment, by name; not to be saved. How far one had read is known where it has
    written no checkpoint since; else `step`, `at_ms` and `waiting` are None."""
    known = found.filter(created_at__lte=moment).defer(*HEAVY)
    deployments = list(known.select_related("strategy_version__strategy").prefetch_related("instruments"))
    acts = _acts(deployments)
    for deployment in deployments:
        _put_back(deployment, acts[f"deployment:{deployment.name}"], moment)
    return deployments


def _acts(deployments: Iterable[Deployment]) -> dict[str, Acts]:
    """Recorded acts on deployments, oldest first."""
    targets = [f"deployment:{deployment.name}" for deployment in deployments]
    acts: dict[str, Acts] = defaultdict(list)
    for entry in AuditEntry.objects.filter(target__in=targets).order_by("at", "id"):
        acts[entry.target].append(entry)
    return acts


def _put_back(deployment: Deployment, acts: Acts, moment: datetime) -> None:
    for act in reversed([act for act in acts if act.at > moment]):
        _undo(deployment, act)
    if [act for act in acts if act.at > moment and "to" in act.details]:
        deployment.error = _error(deployment, acts, moment)
    if deployment.checkpointed_at and deployment.checkpointed_at > moment:
        deployment.step = deployment.at_ms = deployment.waiting = deployment.waiting_since = None


def _undo(deployment: Deployment, act: AuditEntry) -> None:
    """Put back what an act has changed of what pages show."""
    told = act.details
    if act.action == UPGRADE:
        deployment.strategy_version = _version(deployment, told["from"])
        deployment.params = told["from"]["params"]
    elif act.action == CONFIGURE:
        deployment.params = told["before"].get("params", deployment.params)
    elif "from" in told:
        deployment.status = told["from"]


def _error(deployment: Deployment, acts: Acts, moment: datetime) -> str:
    """Why it was in quarantine then."""
    if deployment.status != DeploymentStatus.QUARANTINED:
        return ""
    told = [act.reason for act in acts if act.action == QUARANTINE and act.at <= moment]
    return told[-1] if told else ""


def _version(deployment: Deployment, told: dict[str, str]) -> StrategyVersion:
    """The code that was replaced; that of now where it is stored no more."""
    versions = StrategyVersion.objects.filter(strategy=deployment.strategy_version.strategy_id)
    found = versions.select_related("strategy").filter(source_hash=told["hash"]).first()
    return found or deployment.strategy_version
