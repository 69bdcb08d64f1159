"""Triggers at a broker outside (GTT), ours and others', and what was said of ours."""

from __future__ import annotations

from django.db import models

from alphapanda import kept
from alphapanda.core.vocabulary import Side
from execution.domain.kite.gtt import GttKind, GttStatus
from strategies.models import choices


class CallState(models.TextChoices):
    """How far a write to a broker is."""

    READY = "READY"
    SENDING = "SENDING"  # committed before the request leaves
    UNKNOWN = "UNKNOWN"  # looked up, never repeated
    DONE = "DONE"
    REFUSED = "REFUSED"
    DROPPED = "DROPPED"  # never sent


WAITING = (CallState.READY, CallState.SENDING, CallState.UNKNOWN)


class Gtt(models.Model):
    """A trigger in the account, by an operator of ours or by others, whose are never touched."""

    id = models.UUIDField(primary_key=True)
    trigger_id = models.BigIntegerField(null=True, blank=True, unique=True, help_text="the broker's")
    is_ours = models.BooleanField()
    instrument = models.CharField(max_length=80)
    side = models.CharField(max_length=4, choices=choices(Side))
    product = models.CharField(max_length=10)
    kind = models.CharField(max_length=8, choices=choices(GttKind))
    quantity = models.BigIntegerField(help_text="units that it can trade at most")
    terms = models.JSONField(help_text="execution.domain.kite.gtt.GttTerms")
    status = models.CharField(max_length=10, choices=choices(GttStatus))
    orders = models.JSONField(default=list, help_text="what came of the leg that fired: order, or why none")
    reason = models.CharField(max_length=200, blank=True)
    told_at_ms = models.BigIntegerField(
        default=0, help_text="of our last word on it; older lists do not count"
    )
    created_at_ms = models.BigIntegerField(default=0, help_text="at the broker")
    expires_at_ms = models.BigIntegerField(default=0, help_text="at the broker")
    exceeds_since = models.DateTimeField(
        null=True, blank=True, help_text="from when on more would be closed than is held"
    )
    first_seen_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField(null=True, blank=True, help_text="in the broker's list")

    class Meta:
        verbose_name = "GTT"
        verbose_name_plural = "GTTs"
        indexes = [models.Index(fields=["-first_seen_at"], name="gtt_recent")]
        triggers = kept.kept()

    def __str__(self) -> str:
        return f"{self.instrument} {self.side} {self.quantity} {self.status}"


class GttCall(models.Model):
    """One write about a trigger of ours, as an operator asked for it: intended, sent once at most, and what came of
    it."""

    class Kind(models.TextChoices):
        PLACE = "PLACE"
        MODIFY = "MODIFY"
        DELETE = "DELETE"

    State = CallState
    id = models.UUIDField(primary_key=True)
    key = models.CharField(max_length=80, unique=True, help_text="of who asked: asked again it is this row")
    gtt = models.ForeignKey(Gtt, on_delete=models.PROTECT, related_name="calls")
    kind = models.CharField(max_length=6, choices=Kind)
    terms = models.JSONField(null=True, blank=True, help_text="wanted; execution.domain.kite.gtt.GttTerms")
    last_price_e4 = models.BigIntegerField(default=0, help_text="when it was asked for")
    state = models.CharField(max_length=8, choices=CallState, default=CallState.READY)
    form = models.JSONField(default=dict, help_text="what was said")
    actor = models.CharField(max_length=150)
    why = models.CharField(max_length=300)
    reason = models.CharField(max_length=200, blank=True, help_text="of the broker's no, or of ours")
    not_before_ms = models.BigIntegerField(default=0)
    queued_at_ms = models.BigIntegerField()
    sent_at_ms = models.BigIntegerField(null=True, blank=True)
    answered_at_ms = models.BigIntegerField(null=True, blank=True)
    http_status = models.IntegerField(null=True, blank=True)
    lookup = models.JSONField(null=True, blank=True, help_text="execution.domain.kite.lookup.Lookup")

    class Meta:
        verbose_name = "GTT call"
        verbose_name_plural = "GTT calls"
        constraints = [
            models.UniqueConstraint(
                fields=["gtt"],
                condition=models.Q(state__in=["READY", "SENDING", "UNKNOWN"]),
                name="gtt_call_one_waits",
            ),
        ]
        indexes = [models.Index(fields=["sent_at_ms"], name="gtt_call_sent")]
        triggers = kept.kept()

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"
