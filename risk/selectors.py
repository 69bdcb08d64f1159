"""Reads of decisions and kill switches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alphapanda.core.clock import ist_text, to_ms
from alphapanda.core.refusals import BadRequest
from alphapanda.core.vocabulary import HaltLevel
from risk.models import Decision, KillSwitch
from strategies.models import Deployment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet

HEAVY = ("deployment__checkpoint", "deployment__consequences")


def decisions_recorded() -> QuerySet[Decision]:
    return Decision.objects.select_related("deployment", "signal__instrument").defer(*HEAVY, "signal__marks")


def halts_thrown() -> QuerySet[KillSwitch]:
    return KillSwitch.objects.select_related("deployment").defer(*HEAVY)


def halts_active() -> QuerySet[KillSwitch]:
    return halts_thrown().filter(released_at__isnull=True).order_by("-thrown_at")


class HaltTargetUnknown(BadRequest):
    """No deployment has the name."""


def halt_target(*, level: str, name: str) -> dict[str, Any]:
    """What a halt names, from words of the command line. Raises HaltTargetUnknown."""
    target: dict[str, Any] = {"level": HaltLevel(level.upper()), "broker": "", "deployment_id": None}
    if target["level"] == HaltLevel.DEPLOYMENT:
        target["deployment_id"] = Deployment.objects.filter(name=name).values_list("pk", flat=True).first()
        if target["deployment_id"] is None:
            raise HaltTargetUnknown(f"There is no deployment named {name!r}.")
    else:
        target["broker"] = name
    return target


def halts_as_rows(halts: Iterable[KillSwitch]) -> list[dict[str, Any]]:
    """Halts for a table or for JSON."""
    return [
        {
            "id": halt.pk,
            "level": halt.level,
            "target": halt.broker or (halt.deployment.name if halt.deployment else ""),
            "reason": halt.reason,
            "thrown_by": halt.thrown_by,
            "thrown_at": ist_text(to_ms(halt.thrown_at)),
        }
        for halt in halts
    ]
