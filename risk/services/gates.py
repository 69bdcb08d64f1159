"""Guards by the wall clock, which may refuse an entry and never act: the start of the day, alerts left alone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.services import act_record
from alphapanda.core.clock import ist_date, to_ms
from alphapanda.core.vocabulary import Severity
from alphapanda.prepared import ANYBODY, Prepared
from risk.models import Alert, StartOfDay
from risk.services.alerts import alert_raise
from strategies.models import Deployment


class Gates(NamedTuple):
    """Why a deployment may not enter, each as (rule, why); and of every rule, refusing or not, what it saw."""

    guards: tuple[tuple[str, str], ...]
    seen: dict[str, dict[str, Any]]


def gates_now(now: datetime, deployment_id: UUID, broker: str) -> Gates:
    """What the guards by the wall clock say of a deployment of a namespace now."""
    minutes = settings.ALERT_PAUSES_MINUTES
    oldest = next(iter(_waiting(now, deployment_id, broker)), None) if minutes else None
    return _gates(_start_of_day(now), _unacknowledged_alert(now, oldest))


def gates_by_deployment(now: datetime, ids: Iterable[UUID]) -> dict[UUID, Gates]:
    """The same of several deployments."""
    day, waiting = _start_of_day(now), list(_critical().filter(raised_at__lt=now).order_by("raised_at"))
    brokers = dict(Deployment.objects.filter(id__in=list(ids)).values_list("id", "broker"))

    def oldest(one: UUID, broker: str) -> Alert | None:
        return next((alert for alert in waiting if _concerns(alert, one, broker)), None)

    return {one: _gates(day, _unacknowledged_alert(now, oldest(one, at))) for one, at in brokers.items()}


def _concerns(alert: Alert, deployment_id: UUID, broker: str) -> bool:
    if alert.deployment_id is not None:
        return alert.deployment_id == deployment_id
    return alert.broker in ("", broker)


def _gates(day: tuple[str, dict[str, Any]], alert: tuple[str, dict[str, Any]]) -> Gates:
    found = {"start_of_day": day, "unacknowledged_alert": alert}
    guards = tuple((rule, why) for rule, (why, _) in found.items() if why)
    return Gates(guards, {rule: seen for rule, (_, seen) in found.items()})


def _start_of_day(now: datetime) -> tuple[str, dict[str, Any]]:
    if not settings.START_OF_DAY_REQUIRED:
        return "", {"is_required": False}
    is_passed = is_day_passed(ist_date(to_ms(now)))
    why = "" if is_passed else "the checks of the day have not passed: run `manage.py start_of_day`"
    return why, {"is_required": True, "is_passed": is_passed}


def _unacknowledged_alert(now: datetime, alert: Alert | None) -> tuple[str, dict[str, Any]]:
    """The oldest critical alert that waits is the one that counts."""
    minutes = settings.ALERT_PAUSES_MINUTES
    if alert is None or not minutes:
        return "", {"minutes": minutes}
    waited = now - alert.raised_at
    seen = {"minutes": minutes, "alert": alert.pk, "waited_s": int(waited.total_seconds())}
    if waited <= timedelta(minutes=minutes):
        return "", seen
    return (
        f"alert {alert.pk} has waited for more than {minutes} minutes: {alert.subject}: {alert.code}",
        seen,
    )


def is_day_passed(day: date) -> bool:
    """Whether the checks of a day have passed."""
    return StartOfDay.objects.filter(day=day, is_passed=True).exists()


def _critical() -> QuerySet[Alert]:
    return Alert.objects.filter(severity=Severity.CRITICAL, acknowledged_at=None)


def _unacknowledged(raised_before: datetime, deployment_id: UUID, broker: str) -> QuerySet[Alert]:
    of_all = Q(deployment=None) & (Q(broker="") | Q(broker=broker))
    concerning = _critical().filter(of_all | Q(deployment_id=deployment_id))
    return concerning.filter(raised_at__lt=raised_before).order_by("raised_at")[:1]


_waiting = Prepared(_unacknowledged, datetime(1, 1, 2, tzinfo=UTC), ANYBODY, "anywhere")


@transaction.atomic
def start_of_day_record(
    *, findings: list[dict[str, Any]], actor: str, now: datetime, ip: str | None = None
) -> StartOfDay:
    """Write down how the checks of today came out; a day that has passed stays passed. What failed is an alert."""
    today = ist_date(to_ms(now))
    failed = [finding["name"] for finding in findings if not finding["is_good"]]
    row, _ = StartOfDay.objects.select_for_update().get_or_create(
        day=today, defaults={"is_passed": not failed, "findings": findings, "checked_by": actor}
    )
    row.is_passed, row.findings, row.checked_by = row.is_passed or not failed, findings, actor
    row.save()
    act_record(
        actor=actor,
        action="day.check",
        target=f"day:{today}",
        reason="start of day",
        details={"is_passed": row.is_passed, "failed": failed},
        now=now,
        ip=ip,
    )
    if failed:
        alert_raise(
            code="start_of_day",
            subject=str(today),
            text=f"did not pass: {', '.join(failed)}",
            severity=Severity.WARNING,
            now=now,
        )
    return row
