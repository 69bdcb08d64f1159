"""Orders and fills."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import F, Q

from alphapanda.core.vocabulary import OrderStatus, OrderType, Product, Side, Validity
from marketdata.models import Instrument
from risk.models import Decision
from strategies.models import TRADING_BROKERS, Deployment, choices


class Order(models.Model):
    """What was handed to a broker on one approved decision."""

    id = models.UUIDField(primary_key=True)
    decision = models.OneToOneField(Decision, on_delete=models.PROTECT)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="orders")
    broker = models.CharField(max_length=10, choices=TRADING_BROKERS)
    broker_order_id = models.CharField(max_length=40, null=True, blank=True)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT)
    step = models.BigIntegerField(help_text="of the signal")
    ordinal = models.IntegerField()
    side = models.CharField(max_length=4, choices=choices(Side))
    quantity = models.BigIntegerField()
    order_type = models.CharField(max_length=8, choices=choices(OrderType))
    limit_price_e4 = models.BigIntegerField(null=True, blank=True)
    validity = models.CharField(max_length=4, choices=choices(Validity))
    product = models.CharField(max_length=4, choices=choices(Product))
    status = models.CharField(max_length=10, choices=choices(OrderStatus), default=OrderStatus.OPEN)
    reason = models.CharField(max_length=200, blank=True)
    placed_at_ms = models.BigIntegerField()
    eligible_from_ms = models.BigIntegerField()
    expires_at_ms = models.BigIntegerField()
    filled_quantity = models.BigIntegerField(default=0)
    turnover = models.DecimalField(
        max_digits=28, decimal_places=8, default=0, help_text="rupees traded so far"
    )
    fills_count = models.IntegerField(default=0)
    updated_at_ms = models.BigIntegerField()
    correlation_id = models.UUIDField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(filled_quantity__lte=F("quantity")), name="order_not_overfilled"
            ),
            models.CheckConstraint(
                condition=Q(broker="zerodha") | Q(broker_order_id__isnull=True),
                name="paper_has_no_broker_order",
            ),
            models.UniqueConstraint(fields=["broker", "broker_order_id"], name="broker_order_once"),
        ]
        indexes = [
            models.Index(fields=["deployment"], condition=Q(status="OPEN"), name="order_open"),
            models.Index(fields=["-created_at"], name="order_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.status}"


class Fill(models.Model):
    """A trade of an order. Append-only."""

    id = models.UUIDField(primary_key=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="fills")
    number = models.IntegerField()
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="fills")
    broker = models.CharField(max_length=10, choices=TRADING_BROKERS)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT)
    step = models.BigIntegerField(help_text="of the item that filled it")
    side = models.CharField(max_length=4, choices=choices(Side))
    quantity = models.BigIntegerField()
    price_e4 = models.BigIntegerField()
    charges = models.JSONField(help_text="rupees as text, by line")
    at_ms = models.BigIntegerField()
    received_at_ms = models.BigIntegerField(default=0, help_text="when the item came in, for latency only")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "number"], name="fill_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0, price_e4__gt=0), name="fill_positive"),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]
        indexes = [
            models.Index(fields=["deployment", "step"], name="fill_deployment"),
            models.Index(fields=["-created_at"], name="fill_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} @ {self.price_e4 / 10_000:.2f}"
