"""Entries that wait for a person: the one table of approval mode."""

from __future__ import annotations

import pgtrigger
from django.db import models

from alphapanda import kept


class Approval(models.Model):
    """An entry that no rule objected to and that waits for a person, with what became of it. What is approved is
    raised again as a signal of its own and judged anew: that verdict is the decision on `signal.approved_as`."""

    class State(models.TextChoices):
        WAITING = "WAITING"
        APPROVED = "APPROVED"
        DENIED = "DENIED"
        EXPIRED = "EXPIRED"  # nobody answered in time, or it could not be carried out in time
        REPLACED = "REPLACED"  # the strategy has wished for another entry in the instrument since
        DROPPED = "DROPPED"  # by a kill switch, a pause, a stop

    signal = models.OneToOneField("strategies.Signal", on_delete=models.PROTECT, primary_key=True)
    deployment = models.ForeignKey(
        "strategies.Deployment", on_delete=models.PROTECT, related_name="approvals"
    )
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    expires_at_ms = models.BigIntegerField(help_text="event time from which on it is too late")
    expires_at = models.DateTimeField(help_text="the same by the wall clock, for a log that stands still")
    asked_at = models.DateTimeField()
    answered_by = models.CharField(max_length=150, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    key = models.CharField(max_length=64, blank=True, help_text="idempotency key of the answer")

    class Meta:
        indexes = [
            models.Index(fields=["deployment"], condition=models.Q(state="WAITING"), name="approval_waiting"),
            models.Index(fields=["-asked_at"], name="approval_recent"),
            models.Index(fields=["key"], condition=~models.Q(key=""), name="approval_key"),
        ]
        triggers = [
            pgtrigger.ReadOnly(name="fixed", fields=["signal", "deployment", "expires_at_ms", "expires_at"]),
            *kept.kept(),
        ]

    def __str__(self) -> str:
        return f"{self.signal} of {self.deployment}"
