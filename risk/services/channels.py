"""Channels of alerts: added, tried, switched on and off, removed. Their addresses go in and never come out."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.views.decorators.debug import sensitive_variables

from accounts import vault
from accounts.services import act_record
from alphapanda.core.refusals import BadRequest, Conflict, NotThere, reason_problem
from alphapanda.core.vocabulary import Severity
from risk import messenger
from risk.channel_models import AlertChannel, AlertDelivery
from risk.services.deliveries import delivery, ring

if TYPE_CHECKING:
    from datetime import datetime

NAME_MAX, CHANNELS_MAX = 60, 20
State = AlertDelivery.State


class ChannelRefused(BadRequest):
    """A channel without a name, or one too many, or an act without a reason."""


class ChannelNameTaken(Conflict):
    """Another channel has the name."""


class ChannelNotFound(NotThere):
    """There is no such channel."""


@sensitive_variables("address")
@transaction.atomic
def channel_add(
    *,
    name: str,
    address: str,
    actor: str,
    now: datetime,
    least: Severity = Severity.WARNING,
    reason: str = "",
    ip: str | None = None,
) -> AlertChannel:
    """A new channel. Raises ChannelRefused, ChannelNameTaken, messenger.AddressNotUnderstood."""
    name, address = name.strip(), address.strip()
    if not 0 < len(name) <= NAME_MAX:
        raise ChannelRefused(f"Name the channel in 1 to {NAME_MAX} characters.")
    if AlertChannel.objects.filter(removed_at=None).count() >= CHANNELS_MAX:
        raise ChannelRefused(f"There are {CHANNELS_MAX} channels already: remove one.")
    channel = AlertChannel(
        id=uuid4(),
        name=name,
        service=messenger.service_of(address),
        least=least,
        created_by=actor,
        created_at=now,
    )
    channel.address = vault.seal(address, place=channel.address_place)
    try:
        with transaction.atomic():
            channel.save()
    except IntegrityError:
        raise ChannelNameTaken(f"There is a channel {name!r} already.") from None
    _record(channel, "add", actor=actor, reason=reason, now=now, ip=ip)
    return channel


@transaction.atomic
def channel_test(
    *, channel_id: UUID, actor: str, now: datetime, reason: str = "", key: str = "", ip: str | None = None
) -> AlertDelivery:
    """Have a test message sent, also by a channel that is switched off. With the key of a test that was asked for it is
    that test. Raises ChannelNotFound."""
    channel = _locked(channel_id)
    occasion = f"{AlertDelivery.TEST}:{key or uuid4()}"
    made, is_new = AlertDelivery.objects.get_or_create(
        id=delivery(channel, now=now, occasion=occasion).pk,
        defaults={"channel": channel, "occasion": occasion, "due_at": now, "created_at": now},
    )
    if is_new:
        _record(channel, "test", actor=actor, reason=reason, now=now, ip=ip)
        ring()
    return made


@transaction.atomic
def channel_switch(
    *, channel_id: UUID, is_enabled: bool, actor: str, reason: str, now: datetime, ip: str | None = None
) -> AlertChannel:
    """Switch a channel on or off. What waits for one that is switched off does not go out any more."""
    _reasoned(reason)
    channel = _locked(channel_id)
    if channel.is_enabled != is_enabled:
        channel.is_enabled, channel.failing_since = is_enabled, None
        channel.save(update_fields=["is_enabled", "failing_since"])
        if not is_enabled:
            _drop(channel, "the channel was switched off")
        _record(channel, "enable" if is_enabled else "disable", actor=actor, reason=reason, now=now, ip=ip)
    return channel


@transaction.atomic
def channel_remove(
    *, channel_id: UUID, actor: str, reason: str, now: datetime, ip: str | None = None
) -> AlertChannel:
    """Remove a channel and forget its address; what has gone there stays on record."""
    _reasoned(reason)
    channel = _locked(channel_id)
    channel.is_enabled, channel.removed_at, channel.address = False, now, b""
    channel.save(update_fields=["is_enabled", "removed_at", "address"])
    _drop(channel, "the channel was removed")
    _record(channel, "remove", actor=actor, reason=reason, now=now, ip=ip)
    return channel


@transaction.atomic
def addresses_rotate() -> int:
    """Seal anew with the newest key whatever an older one made; how many. Raises vault.Unreadable."""
    old = [
        one
        for one in AlertChannel.objects.select_for_update(no_key=True)
        if not vault.is_sealed_anew(one.address)
    ]
    for one in old:
        place = one.address_place
        one.address = vault.seal(vault.unseal(one.address, place=place), place=place)
        one.save(update_fields=["address"])
    return len(old)


def channel_named(name: str) -> AlertChannel:
    """Raises ChannelNotFound."""
    found = AlertChannel.objects.filter(name=name, removed_at=None).first()
    if found is None:
        raise ChannelNotFound(f"There is no channel {name!r}.")
    return found


def _locked(channel_id: UUID) -> AlertChannel:
    there = AlertChannel.objects.filter(pk=channel_id, removed_at=None)
    found = there.select_for_update(no_key=True).first()
    if found is None:
        raise ChannelNotFound("There is no such channel.")
    return found


def _reasoned(reason: str) -> None:
    if problem := reason_problem(reason):
        raise ChannelRefused(problem)


def _drop(channel: AlertChannel, words: str) -> None:
    waiting = channel.deliveries.filter(state=State.WAITING)
    waiting.update(state=State.DROPPED, words=words)


def _record(
    channel: AlertChannel, verb: str, *, actor: str, reason: str, now: datetime, ip: str | None
) -> None:
    act_record(
        actor=actor,
        action=f"alert_channel.{verb}",
        target=f"alert_channel:{channel.name}",
        reason=reason,
        details={"channel": str(channel.pk), "service": channel.service, "least": channel.least},
        now=now,
        ip=ip,
    )
