"""Limits, what risk remembers of a day, its decisions, and kill switches."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import Q

from alphapanda.core.vocabulary import HaltLevel
from strategies.models import TRADING_BROKERS, Deployment, Signal, choices


class LimitSet(models.Model):
    """Limits of one level. Empty means no limit at this level; the strictest of all levels counts."""

    level = models.CharField(max_length=12, choices=choices(HaltLevel))
    broker = models.CharField(max_length=10, choices=TRADING_BROKERS, blank=True)
    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, null=True, blank=True)
    order_quantity = models.BigIntegerField(null=True, blank=True, help_text="units in one order")
    order_value = models.DecimalField(
        max_digits=20, decimal_places=2, null=True, blank=True, help_text="rupees in one order"
    )
    position_quantity = models.BigIntegerField(
        null=True, blank=True, help_text="units held in one instrument, working orders counted"
    )
    daily_orders = models.IntegerField(null=True, blank=True, help_text="approved entries in one session")
    daily_loss = models.DecimalField(
        max_digits=20, decimal_places=2, null=True, blank=True, help_text="rupees lost in one session, marked"
    )
    orders_per_minute = models.IntegerField(null=True, blank=True)
    price_age_ms = models.IntegerField(
        null=True, blank=True, help_text="oldest price on which an entry may stand"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["level", "broker", "deployment"], name="limit_set_once", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.level} {self.broker or self.deployment or ''}".strip()


class RiskState(models.Model):
    """What risk remembers of a deployment's session; one writer, under a row lock."""

    deployment = models.OneToOneField(Deployment, on_delete=models.PROTECT, primary_key=True)
    data = models.JSONField(default=dict)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return str(self.deployment)


class Decision(models.Model):
    """The verdict on one signal: the rule that decided and the numbers it saw. Append-only."""

    id = models.UUIDField(primary_key=True)
    signal = models.OneToOneField(Signal, on_delete=models.PROTECT)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT)
    broker = models.CharField(max_length=10, choices=TRADING_BROKERS)
    is_approved = models.BooleanField()
    rule = models.CharField(max_length=40)
    reason = models.CharField(max_length=300)
    numbers = models.JSONField()
    at_ms = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]
        indexes = [models.Index(fields=["deployment", "at_ms"], name="decision_deployment")]

    def __str__(self) -> str:
        return f"{'approved' if self.is_approved else 'denied'} by {self.rule}"


class KillSwitch(models.Model):
    """A halt of entries. It is active until released; exits and cancels pass."""

    level = models.CharField(max_length=12, choices=choices(HaltLevel))
    broker = models.CharField(max_length=10, choices=TRADING_BROKERS, blank=True)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, null=True, blank=True)
    reason = models.CharField(max_length=300)
    thrown_by = models.CharField(max_length=150)
    thrown_at = models.DateTimeField(auto_now_add=True)
    released_by = models.CharField(max_length=150, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "kill switches"
        constraints = [
            models.UniqueConstraint(
                fields=["level", "broker", "deployment"],
                condition=Q(released_at__isnull=True),
                name="kill_switch_active_once",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.level} {self.broker or self.deployment or ''}".strip()


class HaltEffect(models.Model):
    """At which step a kill switch began to count for a deployment, so that a replay applies it there."""

    kill_switch = models.ForeignKey(KillSwitch, on_delete=models.PROTECT)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT)
    from_step = models.BigIntegerField()
    until_step = models.BigIntegerField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kill_switch", "deployment"], name="halt_effect_once")]

    def __str__(self) -> str:
        return f"{self.kill_switch} on {self.deployment} from step {self.from_step}"
