"""Where alerts go besides the page, what has gone there, and what is silent for a while."""

from __future__ import annotations

from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from alphapanda import kept
from alphapanda.core.vocabulary import Severity
from strategies.models import choices


class AlertChannel(models.Model):
    """A way to people. The address holds tokens and passwords: it is sealed (accounts.vault), never shown again, and
    forgotten when the channel is removed."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    name = models.CharField(max_length=60)
    service = models.CharField(max_length=60, help_text="what its address is of")
    address = models.BinaryField(editable=False)
    least = models.CharField(
        max_length=8, choices=choices(Severity), default=Severity.WARNING.value, help_text="least severity"
    )
    is_enabled = models.BooleanField(default=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)
    recent_ms = ArrayField(models.BigIntegerField(), default=list, help_text="when its last messages left")
    sent_at = models.DateTimeField(null=True, blank=True, help_text="the last message that was taken")
    failed_at = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=300, blank=True, help_text="the last, without the address")
    failing_since = models.DateTimeField(
        null=True, blank=True, help_text="no message was taken since; empty: the last one was"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=Q(removed_at=None), name="alert_channel_name_once"
            )
        ]
        triggers = kept.kept()

    def __str__(self) -> str:
        return f"{self.name} ({self.service})"

    @property
    def address_place(self) -> str:
        return f"risk_alertchannel/{self.pk}/address"


class AlertDelivery(models.Model):
    """An alert that goes to a channel, or a test of it. The row is the truth: it is written with what it tells of, and
    claimed before the message leaves. A send that died midway is made again, for a message read twice costs less than
    one that never came."""

    class State(models.TextChoices):
        WAITING = "WAITING", "waits"
        SENDING = "SENDING", "is on its way"
        SENT = "SENT", "was taken"
        GIVEN_UP = "GIVEN_UP", "given up after several tries"
        DROPPED = "DROPPED", "was not needed any more"

    OPENED, TEST = "opened", "test"

    id = models.UUIDField(primary_key=True)
    channel = models.ForeignKey(AlertChannel, on_delete=models.PROTECT, related_name="deliveries")
    alert = models.ForeignKey("risk.Alert", on_delete=models.PROTECT, null=True, related_name="deliveries")
    occasion = models.CharField(max_length=80, help_text="opened, the end of a silence, or a test")
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    tries = models.IntegerField(default=0)
    due_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    words = models.CharField(max_length=300, blank=True, help_text="why not, without the address")
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "alert deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "alert", "occasion"], name="alert_delivery_once", nulls_distinct=False
            )
        ]
        indexes = [
            models.Index(
                fields=["channel", "due_at"],
                condition=Q(state__in=("WAITING", "SENDING")),
                name="alert_delivery_unsent",
            )
        ]
        triggers = kept.kept()

    def __str__(self) -> str:
        return f"{self.alert or 'test'} to {self.channel}"

    @property
    def is_test(self) -> bool:
        return self.alert_id is None


class AlertSilence(models.Model):
    """Nothing is said of alerts of a code, of all or of one subject, until a time. They stay open and listed, and a
    critical one that nobody takes keeps entries out as ever."""

    code = models.CharField(max_length=40)
    subject = models.CharField(max_length=120, blank=True, help_text="empty: whatever it is about")
    until = models.DateTimeField()
    reason = models.CharField(max_length=300)
    by = models.CharField(max_length=150)
    at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True, help_text="before its time")
    ended_by = models.CharField(max_length=150, blank=True)
    settled_at = models.DateTimeField(
        null=True, blank=True, help_text="when what was still open behind it was told"
    )

    class Meta:
        indexes = [
            models.Index(fields=["until"], condition=Q(settled_at=None), name="alert_silence_unsettled")
        ]
        triggers = kept.kept()

    def __str__(self) -> str:
        return f"{self.code} {self.subject}".strip()
