"""Reads of strategies, deployments and signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alphapanda.core.clock import ist_text
from strategies.models import Deployment, Signal, Strategy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet


def strategies_with_versions() -> QuerySet[Strategy]:
    return Strategy.objects.prefetch_related("versions").order_by("name")


def deployments_detailed() -> QuerySet[Deployment]:
    """Deployments with all that a list shows, without their checkpoints."""
    return (
        Deployment.objects.select_related("strategy_version__strategy")
        .prefetch_related("instruments")
        .defer("checkpoint", "consequences")
    )


def signals_recorded() -> QuerySet[Signal]:
    return Signal.objects.select_related("deployment", "instrument").defer(
        "marks", "deployment__checkpoint", "deployment__consequences"
    )


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
            "error": deployment.error.strip().rpartition("\n")[2],
        }
        for deployment in deployments
    ]
