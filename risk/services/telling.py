"""Alerts on their way to people: claimed, sent with no lock held, recorded; tried again and in the end given up.

The claim is committed before the message leaves. What died between the two is found by the next look, and sent again
after STALE: a person may read a message twice, and misses none."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from accounts import vault
from alphapanda import failpoints, logs
from alphapanda.core.clock import ist_text, to_ms
from alphapanda.core.vocabulary import Broker, Severity
from risk import messenger
from risk.channel_models import AlertChannel, AlertDelivery
from risk.domain.silences import silence_of
from risk.domain.telling import PAUSES, Due, Message, Told, message, next_message, pause_after, recent, trial
from risk.selectors import silences_in_force
from risk.services.alerts import alert_raise
from risk.services.silences import silences_settle

log = logs.channel("application")
State = AlertDelivery.State
STALE = timedelta(seconds=60)  # a send has SEND_S; whoever claimed it is dead
FAILS_AFTER = timedelta(minutes=10)
FAILS = "channel_fails"  # the code of the alert


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that is this process's to send."""

    channel: AlertChannel
    rows: list[AlertDelivery]
    message: Message
    claimed_at: datetime
    address: str = field(repr=False)
    fault: str = ""  # why it cannot even be tried

    @property
    def is_test(self) -> bool:
        return all(row.is_test for row in self.rows)


def deliver(clock: Callable[[], datetime] = timezone.now) -> int:
    """Send what is due, to all channels at once, until nothing is; how many messages were tried."""
    silences_settle(now=clock())
    tried = 0
    while claims := [found for one in _with_due(clock()) if (found := _claimed(one, clock()))]:
        failpoints.hit("risk.tell.after_claim")
        with ThreadPoolExecutor(len(claims)) as pool:
            failures = list(pool.map(_sent, claims))
        failpoints.hit("risk.tell.after_send")
        for claim, failure in zip(claims, failures, strict=True):
            _record(claim, failure, clock())
        tried += len(claims)
    return tried


def _due(now: datetime) -> QuerySet[AlertDelivery]:
    """What may go out. A time that lies further ahead than any that is set is of a clock that was set back since."""
    waits = Q(due_at__lte=now) | Q(due_at__gt=now + PAUSES[-1])
    left = Q(claimed_at__lt=now - STALE) | Q(claimed_at__gt=now + STALE)
    return AlertDelivery.objects.filter(Q(waits, state=State.WAITING) | Q(left, state=State.SENDING))


def _with_due(now: datetime) -> list[UUID]:
    return list(_due(now).order_by("channel").values_list("channel", flat=True).distinct())


@transaction.atomic
def _claimed(channel_id: UUID, now: datetime) -> Claim | None:
    """The next message of a channel; None: another process is at it, it has had enough, or all is silent."""
    channel = (
        AlertChannel.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=channel_id).first()
    )
    if channel is None:
        return None
    _drop_needless(channel, now)
    silences = list(silences_in_force(now))
    found = _due(now).filter(channel=channel_id).select_related("alert__deployment")
    rows = {
        row.pk: row
        for row in found.defer("alert__deployment__checkpoint", "alert__deployment__consequences")
        if row.alert is None or not silence_of(row.alert.code, row.alert.subject, silences)
    }
    chosen = [
        rows[one.id] for one in next_message([*map(_as_due, rows.values())], channel.recent_ms, to_ms(now))
    ]
    if not chosen:
        return None
    channel.recent_ms = [*recent(channel.recent_ms, to_ms(now)), to_ms(now)]
    channel.save(update_fields=["recent_ms"])
    AlertDelivery.objects.filter(pk__in=[row.pk for row in chosen]).update(
        state=State.SENDING, claimed_at=now, tries=F("tries") + 1
    )
    return Claim(channel, chosen, _message(channel, chosen), now, *_address(channel))


def _drop_needless(channel: AlertChannel, now: datetime) -> None:
    """What somebody has taken upon himself before it went out needs no message, nor does a channel that was switched
    off while a message of it was on its way."""
    due = _due(now).filter(channel=channel)
    if not channel.is_enabled:
        due.filter(alert__isnull=False).update(state=State.DROPPED, words="the channel was switched off")
    due.filter(alert__acknowledged_at__isnull=False).update(
        state=State.DROPPED, words="acknowledged before it went out"
    )


def _as_due(row: AlertDelivery) -> Due:
    if row.alert is None:
        return Due(row.pk, Severity.WARNING, to_ms(row.created_at), is_test=True)
    return Due(row.pk, Severity(row.alert.severity), to_ms(row.alert.raised_at))


def _message(channel: AlertChannel, rows: list[AlertDelivery]) -> Message:
    told = [_told(row) for row in rows if row.alert is not None]
    if not told:
        return trial(channel.name, link=page_address())
    return message(told, link=page_address())


def _told(row: AlertDelivery) -> Told:
    alert = row.alert
    broker = alert.deployment.broker if alert.deployment else alert.broker
    is_live = broker == Broker.ZERODHA if broker else settings.ZERODHA_ENABLED
    return Told(
        severity=Severity(alert.severity),
        mode="LIVE" if is_live else "PAPER",
        code=alert.code,
        subject=alert.subject,
        text=alert.text,
        at_ms=to_ms(alert.raised_at),
        is_again=row.occasion != AlertDelivery.OPENED,
    )


def page_address() -> str:
    """Where the page is from outside; empty where the settings do not say."""
    return settings.ALLOWED_ORIGINS[0] + reverse("alerts") if settings.ALLOWED_ORIGINS else ""


def _address(channel: AlertChannel) -> tuple[str, str]:
    """The address, or why there is none."""
    try:
        return vault.unseal(channel.address, place=channel.address_place), ""
    except vault.Unreadable as error:
        return "", str(error)


def _sent(claim: Claim) -> str:
    is_critical = any(row.alert and row.alert.severity == Severity.CRITICAL for row in claim.rows)
    return claim.fault or messenger.send(claim.address, claim.message, is_critical=is_critical)


@transaction.atomic
def _record(claim: Claim, failure: str, now: datetime) -> None:
    """Write down what came of it, unless another process has taken it over since."""
    channel = AlertChannel.objects.select_for_update(no_key=True).get(pk=claim.channel.pk)
    own = AlertDelivery.objects.filter(
        pk__in=[row.pk for row in claim.rows], state=State.SENDING, claimed_at=claim.claimed_at
    )
    waiting = AlertDelivery.objects.filter(channel=channel, state=State.WAITING, alert__isnull=False)
    if not failure:
        own.update(state=State.SENT, sent_at=now, words="")
        waiting.filter(due_at__gt=now).update(due_at=now)  # it works again
        channel.sent_at, channel.failing_since = now, None
        channel.save(update_fields=["sent_at", "failing_since"])
        return
    log.warning("risk.alert.untold", channel=channel.name, service=channel.service, failure=failure)
    retries = [_postponed(own, row, failure, now) for row in claim.rows]
    if retry_at := min(filter(None, retries), default=None):
        waiting.filter(due_at__lt=retry_at).update(due_at=retry_at)  # each would fail like this one
    channel.failed_at, channel.failure = now, failure
    if not claim.is_test and channel.is_enabled:
        channel.failing_since = channel.failing_since or now
    channel.save(update_fields=["failed_at", "failure", "failing_since"])
    _tell_of_failing(channel, now)


def _postponed(
    own: QuerySet[AlertDelivery], row: AlertDelivery, failure: str, now: datetime
) -> datetime | None:
    """When a row is tried again; None: it is given up."""
    pause = None if row.is_test else pause_after(row.tries + 1, now - row.created_at)
    retry_at = now + pause if pause else None
    own.filter(pk=row.pk).update(
        state=State.WAITING if retry_at else State.GIVEN_UP, due_at=retry_at or row.due_at, words=failure
    )
    return retry_at


def _tell_of_failing(channel: AlertChannel, now: datetime) -> None:
    """One alert for a time in which a channel takes nothing, on the page and by the other channels."""
    since = channel.failing_since
    if since is None or now - since < FAILS_AFTER:
        return
    alert_raise(
        code=FAILS,
        subject=f"{channel.name}, since {ist_text(to_ms(since))[:19]}",
        text=f"no message was taken by {channel} for {(now - since) // timedelta(minutes=1)} min: {channel.failure}",
        severity=Severity.WARNING,
        now=now,
        once=True,
        but=channel.pk,
    )
