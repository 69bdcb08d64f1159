"""Silences: begun and ended by operators. When one is over, what is still open behind it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Q

from accounts.services import act_record
from alphapanda.core.clock import IST, to_datetime, to_ms
from alphapanda.core.refusals import BadRequest, Conflict, NotThere, reason_problem
from marketdata.domain.calendar import NoSession
from marketdata.domain.markets import UnknownMarket
from marketdata.selectors import calendar
from risk.channel_models import AlertSilence
from risk.domain.silences import BadEnd, end_of
from risk.models import Alert
from risk.services.deliveries import deliveries_write, ring

if TYPE_CHECKING:
    from datetime import datetime

EXCHANGE = "NSE"  # whose close "until close" means


class SilenceRefused(BadRequest):
    """A silence of what there is not, without a reason, or without a sensible end."""


class SilenceNotFound(NotThere):
    """There is no such silence."""


class SilenceOver(Conflict):
    """It has ended already."""


@transaction.atomic
def silence_begin(
    *,
    code: str,
    until: str,
    actor: str,
    reason: str,
    now: datetime,
    subject: str = "",
    ip: str | None = None,
) -> AlertSilence:
    """Say nothing of the alerts of a code, or of one subject of it, until 1h, close, tomorrow, or a time. Begun again
    it lasts until the later of both. Raises SilenceRefused."""
    if problem := reason_problem(reason):
        raise SilenceRefused(problem)
    if not Alert.objects.filter(code=code, **({"subject": subject} if subject else {})).exists():
        raise SilenceRefused(f"There has been no alert {code!r}{f' about {subject!r}' if subject else ''}.")
    try:
        end = end_of(until, now=now, closes_at=next_close(now))
    except BadEnd as error:
        raise SilenceRefused(str(error)) from None
    made = AlertSilence.objects.create(code=code, subject=subject, until=end, reason=reason, by=actor, at=now)
    act_record(
        actor=actor,
        action="alert.silence",
        target=_target(made),
        reason=reason,
        details={"silence": made.pk, "until": f"{end.astimezone(IST):%Y-%m-%d %H:%M:%S}"},
        now=now,
        ip=ip,
    )
    return made


@transaction.atomic
def silence_end(
    *, silence_id: int, actor: str, reason: str, now: datetime, ip: str | None = None
) -> AlertSilence:
    """End a silence before its time; what is open behind it is told now. Raises SilenceNotFound, SilenceOver."""
    if problem := reason_problem(reason):
        raise SilenceRefused(problem)
    found = AlertSilence.objects.select_for_update().filter(pk=silence_id).first()
    if found is None:
        raise SilenceNotFound(f"There is no silence {silence_id}.")
    if found.ended_at is not None or found.until <= now:
        raise SilenceOver("It is over already.")
    found.ended_at, found.ended_by = now, actor
    found.save(update_fields=["ended_at", "ended_by"])
    act_record(
        actor=actor,
        action="alert.silence_end",
        target=_target(found),
        reason=reason,
        details={"silence": found.pk},
        now=now,
        ip=ip,
    )
    ring()
    return found


def silences_settle(*, now: datetime) -> None:
    """Have every alert told that is still open when a silence is over. What was never told waits as a row already."""
    over = Q(until__lte=now) | Q(ended_at__isnull=False)
    with transaction.atomic():
        found = AlertSilence.objects.filter(over, settled_at=None)
        for silence in found.select_for_update(skip_locked=True).order_by("pk"):
            _settle(silence, now)


def _settle(silence: AlertSilence, now: datetime) -> None:
    covered = Alert.objects.filter(code=silence.code, acknowledged_at=None)
    for alert in covered.filter(subject=silence.subject) if silence.subject else covered:
        deliveries_write(alert, now=now, occasion=f"silence:{silence.pk}")
    silence.settled_at = now
    silence.save(update_fields=["settled_at"])


def next_close(now: datetime) -> datetime | None:
    """When the market closes next; None where the calendar does not reach so far."""
    at_ms = to_ms(now)
    try:
        hours = calendar(EXCHANGE)
        closes_ms = hours.closes_ms(at_ms)
        if closes_ms <= at_ms:
            closes_ms = hours.closes_ms(hours.next_open_ms(at_ms))
    except (UnknownMarket, NoSession, LookupError):
        return None
    return to_datetime(closes_ms)


def _target(silence: AlertSilence) -> str:
    return f"alert:{silence.code}:{silence.subject or '*'}"
