"""Alerts: raised by what watches, open until a person acknowledges them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.db.models import F

from accounts.services import act_record
from alphapanda import logs
from alphapanda.core import ids as derived_ids
from alphapanda.core.clock import to_ms
from alphapanda.core.envelope import AlertRaised, Envelope, EventType, seal
from alphapanda.core.refusals import BadRequest, NotThere, reason_problem
from alphapanda.core.vocabulary import Broker, Severity
from alphapanda.eventlog import outbox
from risk.models import Alert
from risk.services.deliveries import deliveries_write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

log = logs.channel("trading")


class AlertNotFound(NotThere):
    """There is no such alert."""


class AlertNoteMissing(BadRequest):
    """Acknowledging an alert needs a word on what was done about it."""


@transaction.atomic
def alert_raise(
    *,
    code: str,
    subject: str,
    text: str,
    severity: Severity,
    now: datetime,
    deployment_id: UUID | None = None,
    broker: str = "",
    once: bool = False,
    but: UUID | None = None,
) -> Alert:
    """Raise an alert, tell the log of it and have the channels tell it, all `but` one; one about a deployment keeps out
    the entries of that alone, one about a broker namespace those of that namespace. While it is open it is the same
    alert, counted, and no news; with `once` it is not raised again after it was acknowledged either."""
    subject, text = subject[:120], text[:500]
    known = Alert.objects.filter(code=code, subject=subject)
    found = known.filter(acknowledged_at=None).first() or (known.last() if once else None)
    if found is None:
        found, is_new = _open(
            {"code": code, "subject": subject},
            text=text,
            severity=severity,
            deployment_id=deployment_id,
            broker=broker,
        )
    else:
        is_new = False
    if is_new:
        log.error("risk.alert.raised", code=code, subject=subject, severity=severity, text=text)
        outbox.publish([_event(found, now)])
        deliveries_write(found, now=found.raised_at, but=but)  # due by the wall's clock, whatever `now` is
    elif found.acknowledged_at is None and not once:
        Alert.objects.filter(pk=found.pk).update(times=F("times") + 1)
    return found


def _open(key: dict[str, str], **facts: object) -> tuple[Alert, bool]:
    try:
        with transaction.atomic():
            return Alert.objects.create(**key, **facts), True
    except IntegrityError:  # somebody raised it at the same moment; the unique constraint made us wait
        return Alert.objects.get(**key, acknowledged_at=None), False


@transaction.atomic
def alerts_acknowledge(*, ids: Sequence[int], **act: Any) -> list[Alert]:
    """Take several upon oneself with one reason, all or none. Raises as `alert_acknowledge`."""
    return [alert_acknowledge(alert_id=one, **act) for one in sorted(set(ids))]


@transaction.atomic
def alert_acknowledge(
    *, alert_id: int, actor: str, reason: str, now: datetime, ip: str | None = None
) -> Alert:
    """Take an alert upon oneself, with a word on what is done about it. Idempotent: the first one counts.
    Raises AlertNotFound, AlertNoteMissing."""
    if not reason.strip():
        raise AlertNoteMissing("Say what you do about it.")
    if problem := reason_problem(reason):
        raise AlertNoteMissing(problem)
    alert = Alert.objects.select_for_update().filter(pk=alert_id).first()
    if alert is None:
        raise AlertNotFound(f"There is no alert {alert_id}.")
    if alert.acknowledged_at is not None:
        return alert
    alert.acknowledged_at, alert.acknowledged_by, alert.note = now, actor, reason
    alert.save(update_fields=["acknowledged_at", "acknowledged_by", "note"])
    act_record(
        actor=actor,
        action="alert.acknowledge",
        target=f"alert:{alert.code}:{alert.subject}",
        reason=reason,
        details={"alert": alert.pk, "times": alert.times},
        now=now,
        ip=ip,
    )
    return alert


def _event(alert: Alert, now: datetime) -> Envelope:
    event_id = derived_ids.event_id(EventType.ALERT_RAISED, alert.pk)
    payload = AlertRaised(
        alert_id=alert.pk,
        code=alert.code,
        severity=Severity(alert.severity),
        subject=alert.subject,
        text=alert.text,
    )
    return seal(
        payload,
        event_type=EventType.ALERT_RAISED,
        event_id=event_id,
        ts=to_ms(now),
        source="risk",
        broker=Broker.SHARED,
        key=alert.subject,
        correlation_id=event_id,
        causation_id=event_id,
    )
