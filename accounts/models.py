"""People and what they did."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models

from alphapanda import kept


class User(AbstractUser):
    """A person; roles are the groups `viewer` and `operator`."""


class AuditEntry(models.Model):
    """Who did what to what, written in the transaction of the act. Append-only."""

    actor = models.CharField(max_length=150)
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=200)
    reason = models.CharField(max_length=300, blank=True)
    details = models.JSONField(default=dict)
    ip = models.GenericIPAddressField(null=True, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "audit entries"
        triggers = kept.append_only()

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}"
