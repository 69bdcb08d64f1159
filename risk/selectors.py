"""Reads of decisions and kill switches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from risk.models import Decision, KillSwitch

if TYPE_CHECKING:
    from django.db.models import QuerySet

HEAVY = ("deployment__checkpoint", "deployment__consequences")


def decisions_recorded() -> QuerySet[Decision]:
    return Decision.objects.select_related("deployment", "signal__instrument").defer(*HEAVY, "signal__marks")


def halts_thrown() -> QuerySet[KillSwitch]:
    return KillSwitch.objects.select_related("deployment").defer(*HEAVY)


def halts_active() -> QuerySet[KillSwitch]:
    return halts_thrown().filter(released_at__isnull=True).order_by("-thrown_at")
