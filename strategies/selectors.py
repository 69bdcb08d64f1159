"""Reads of strategies, deployments and signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Count, Prefetch, Q

from alphapanda.core.clock import ist_text
from alphapanda.core.refusals import NotThere
from strategies.domain.errors import in_short
from strategies.models import Deployment, Signal, Strategy, StrategyFile, StrategyVersion

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from django.db.models import QuerySet


class DeploymentNotFound(NotThere):
    """There is no such deployment."""


def strategies_with_versions() -> QuerySet[Strategy]:
    versions = StrategyVersion.objects.defer("source").order_by("-is_installed", "-id")
    return Strategy.objects.prefetch_related(Prefetch("versions", versions)).order_by("name")


def deployments_detailed() -> QuerySet[Deployment]:
    """Deployments with all that a list shows, without their checkpoints."""
    return (
        Deployment.objects.select_related("strategy_version__strategy")
        .prefetch_related("instruments")
        .defer("checkpoint", "consequences", "strategy_version__source", "strategy_version__schema")
    )


def signals_recorded() -> QuerySet[Signal]:
    return Signal.objects.select_related("deployment", "instrument").defer(
        "marks", "deployment__checkpoint", "deployment__consequences"
    )


def deployment_id_of(*, name: str) -> UUID:
    """Raises DeploymentNotFound."""
    found = Deployment.objects.filter(name=name).values_list("pk", flat=True).first()
    if found is None:
        raise DeploymentNotFound(f"There is no deployment named {name!r}.")
    return found


def deployment_name_of(deployment_id: UUID) -> str:
    """Raises DeploymentNotFound."""
    found = Deployment.objects.filter(pk=deployment_id).values_list("name", flat=True).first()
    if found is None:
        raise DeploymentNotFound(f"There is no deployment {deployment_id}.")
    return found


def strategy_files() -> QuerySet[StrategyFile]:
    return StrategyFile.objects.order_by("file")


def versions_as_rows() -> list[dict[str, Any]]:
    """Every version that is installed or deployed, for a table or for JSON."""
    found = StrategyVersion.objects.select_related("strategy").defer("source", "schema")
    shown = found.annotate(used=Count("deployment")).filter(Q(is_installed=True) | Q(used__gt=0))
    return [
        {
            "strategy": row.strategy.name,
            "version": row.version,
            "hash": row.source_hash,
            "file": row.file,
            "origin": row.origin,
            "installed": row.is_installed,
            "deployments": row.used,
        }
        for row in shown.order_by("strategy__name", "-is_installed", "-id")
    ]


def faults_as_rows() -> list[dict[str, Any]]:
    """What is wrong with files of strategies, by line."""
    return [
        {"file": row.file, "line": fault["line"], "fault": fault["text"]}
        for row in strategy_files()
        for fault in row.faults
    ]


def deployments_as_rows(deployments: Iterable[Deployment]) -> list[dict[str, Any]]:
    """Deployments for a table or for JSON."""
    return [
        {
            "name": deployment.name,
            "strategy": str(deployment.strategy_version),
            "broker": deployment.broker,
            "status": deployment.status,
            "shard": deployment.shard,
            "step": deployment.step,
            "waiting": deployment.waiting,
            "last_event": ist_text(deployment.at_ms) if deployment.at_ms else None,
            "error": in_short(deployment.error),
        }
        for deployment in deployments
    ]
