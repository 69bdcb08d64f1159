"""Orders with their history, fills, and what the paper exchange remembers."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from alphapanda import kept
from alphapanda.core.vocabulary import (
    FINAL_STATUSES,
    FillSource,
    OrderStatus,
    OrderType,
    Product,
    Side,
    SignalOrigin,
    Validity,
    Variety,
)
from marketdata.models import Instrument
from risk.models import Decision
from strategies.models import TRADING_BROKERS, Deployment, choices

ENDED = sorted(status.value for status in FINAL_STATUSES)
STATUS_LENGTH = 25
STATUSES = choices(OrderStatus)


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
    status = models.CharField(max_length=STATUS_LENGTH, choices=STATUSES, default=OrderStatus.OPEN)
    reason = models.CharField(max_length=200, blank=True)
    origin = models.CharField(max_length=10, choices=choices(SignalOrigin), default=SignalOrigin.STRATEGY)
    variety = models.CharField(max_length=8, choices=choices(Variety), default=Variety.REGULAR)
    trigger_price_e4 = models.BigIntegerField(null=True, blank=True)
    triggered_at_ms = models.BigIntegerField(default=0, help_text="0: not yet, or no stop")
    validity_minutes = models.BigIntegerField(default=0, help_text="life of a TTL order")
    disclosed_quantity = models.BigIntegerField(default=0)
    iceberg_legs = models.BigIntegerField(default=0)
    leg = models.IntegerField(default=1, help_text="of an iceberg order, at work")
    tag = models.CharField(max_length=20, blank=True)
    is_btst = models.BooleanField(default=False, help_text="sells shares that are not delivered yet")
    modifications = models.IntegerField(default=0)
    placed_at_ms = models.BigIntegerField()
    eligible_from_ms = models.BigIntegerField()
    expires_at_ms = models.BigIntegerField()
    filled_quantity = models.BigIntegerField(default=0)
    turnover = models.DecimalField(
        max_digits=28, decimal_places=8, default=0, help_text="rupees traded so far"
    )
    leg_turnover = models.DecimalField(
        max_digits=28, decimal_places=8, default=0, help_text="rupees of the leg at work"
    )
    release_ms = models.BigIntegerField(
        default=0, help_text="of an order for the next session; 0: at once, or released"
    )
    pending = models.JSONField(null=True, blank=True, help_text="a cancellation or modification on its way")
    place = models.JSONField(null=True, blank=True, help_text="in the queue of its price, where modelled")
    events_count = models.IntegerField(default=0)
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
            models.Index(fields=["deployment"], condition=~Q(status__in=ENDED), name="order_open"),
            models.Index(fields=["-created_at"], name="order_recent"),
        ]
        triggers = kept.kept()

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.status}"


class OrderEvent(models.Model):
    """A row of an order's history: its status and terms at a time. Append-only.

    An act on the order (cancellation, modification) has one row that carries its decision: it is carried out once."""

    id = models.UUIDField(primary_key=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="events")
    number = models.IntegerField()
    status = models.CharField(max_length=STATUS_LENGTH, choices=STATUSES)
    at_ms = models.BigIntegerField()
    quantity = models.BigIntegerField()
    filled_quantity = models.BigIntegerField()
    limit_price_e4 = models.BigIntegerField(null=True, blank=True)
    trigger_price_e4 = models.BigIntegerField(null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    decision = models.OneToOneField(
        Decision, on_delete=models.PROTECT, null=True, blank=True, related_name="act"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["order", "number"], name="order_event_once")]
        triggers = kept.append_only()

    def __str__(self) -> str:
        return f"{self.number}. {self.status}"


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
    source = models.CharField(
        max_length=10, choices=choices(FillSource), default=FillSource.DEPTH, help_text="on what it stands"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "number"], name="fill_once"),
            models.CheckConstraint(
                condition=Q(quantity__gt=0)
                & (Q(price_e4__gt=0) | Q(price_e4=0, source=FillSource.SETTLEMENT)),
                name="fill_positive",
            ),
        ]
        triggers = kept.append_only()
        indexes = [
            models.Index(fields=["deployment", "step"], name="fill_deployment"),
            models.Index(fields=["-created_at"], name="fill_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} @ {self.price_e4 / 10_000:.2f}"


class PaperMemory(models.Model):
    """What the paper exchange remembers of a deployment; one writer, under the deployment's row lock."""

    deployment = models.OneToOneField(Deployment, on_delete=models.PROTECT, primary_key=True)
    data = models.JSONField(default=dict, help_text="execution.domain.venue.Memory")

    class Meta:
        verbose_name_plural = "paper memories"

    def __str__(self) -> str:
        return str(self.deployment)
