"""Reads of strategies, deployments and signals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strategies.models import Deployment, Signal, Strategy

if TYPE_CHECKING:
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
