"""Kill switches and alerts as they stood at a moment of the wall's clock."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q, QuerySet

from accounts.models import AuditEntry
from risk.models import Alert, KillSwitch

STEPS = ("halt.throw", "halt.escalate")


def halts_then(moment: datetime) -> QuerySet[KillSwitch]:
    """Halts that were in force at a moment, in the order in which they were thrown."""
    in_force = Q(released_at=None) | Q(released_at__gt=moment)
    thrown = KillSwitch.objects.filter(in_force, thrown_at__lte=moment)
    return thrown.select_related("deployment").order_by("id")


def alerts_then(moment: datetime) -> QuerySet[Alert]:
    """Alerts that waited for a person at a moment."""
    is_open = Q(acknowledged_at=None) | Q(acknowledged_at__gt=moment)
    return Alert.objects.filter(is_open, raised_at__lte=moment)


def step_then(switch: KillSwitch, moment: datetime) -> str:
    """How far a halt went: a later act may have taken it further. Empty where no act says so."""
    if switch.reached_at <= moment:
        return switch.step
    newest = act_then(switch, moment)
    return newest.details["step"] if newest else ""


def act_then(switch: KillSwitch, moment: datetime | None = None) -> AuditEntry | None:
    """The newest act that threw a halt or took it further, up to a moment."""
    acts = AuditEntry.objects.filter(action__in=STEPS, details__halt=switch.pk)
    known = acts if moment is None else acts.filter(at__lte=moment)
    return known.order_by("-at", "-id").first()
