"""Orders with their history, fills, what the paper exchange remembers, and what a broker outside was told and said."""

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
    SignalKind,
    SignalOrigin,
    Validity,
    Variety,
)
from execution.domain.kite.budgets import Lane
from execution.gtt_models import CallState, Gtt
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
    trade_key = models.CharField(
        max_length=100, null=True, blank=True, help_text="EXCHANGE:TRADE:ORDER of the broker"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "number"], name="fill_once"),
            models.UniqueConstraint(fields=["broker", "trade_key"], name="trade_once"),
            models.CheckConstraint(
                condition=Q(quantity__gt=0)
                & (Q(price_e4__gt=0) | Q(price_e4=0, source=FillSource.SETTLEMENT)),
                name="fill_positive",
            ),
        ]
        triggers = kept.append_only()
        indexes = [
            models.Index(
                fields=["instrument"], condition=Q(source=FillSource.ELSEWHERE), name="fill_elsewhere"
            ),
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


class BrokerDesk(models.Model):
    """One account at a broker outside: what its process works from. One row a broker."""

    broker = models.CharField(primary_key=True, max_length=10, choices=TRADING_BROKERS)
    house = models.CharField(max_length=16, help_text="by which the tags of this installation are told apart")
    reconciled_at = models.DateTimeField(
        null=True, blank=True, help_text="of the last whole comparison; entries wait for one after each start"
    )
    stopped = models.CharField(max_length=200, blank=True, help_text="why nothing is sent; empty: it is")
    outside = models.JSONField(
        default=dict,
        help_text="what the account holds that is not ours: execution.domain.kite.account.Outside",
    )
    funds = models.JSONField(
        default=dict,
        help_text="rupees by segment as Kite told them last: execution.domain.kite.answers.Funds",
    )
    funds_at = models.DateTimeField(null=True, blank=True, help_text="when it told them")
    charged_on = models.DateField(
        null=True, blank=True, help_text="the last day whose charges were compared with Kite's"
    )
    seen_at = models.DateTimeField(null=True, blank=True, help_text="when its process was last at work")
    gtts_read_at = models.DateTimeField(
        null=True, blank=True, help_text="of the last whole list of triggers since its process began"
    )

    def __str__(self) -> str:
        return self.broker


class BrokerOrder(models.Model):
    """What is known of an order of ours at a broker outside. It runs ahead of its `Order`, which moves when the
    deployment hears of it; `state` is execution.domain.kite.orders.LiveOrder."""

    order = models.OneToOneField(Order, on_delete=models.PROTECT, primary_key=True, related_name="at_broker")
    state = models.JSONField()
    is_open = models.BooleanField(default=True, help_text="it works, or may")
    wants_trades = models.BooleanField(default=False, help_text="more has traded than trades are here")
    revision = models.BigIntegerField(default=0, help_text="how often its state was written")
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(fields=["order"], condition=models.Q(is_open=True), name="broker_order_open"),
        ]
        triggers = kept.kept()

    def __str__(self) -> str:
        return str(self.order)


class BrokerName(models.Model):
    """A tag of ours or an order id of the broker, and the order of ours that it stands for."""

    name = models.CharField(primary_key=True, max_length=40)
    order = models.ForeignKey(BrokerOrder, on_delete=models.PROTECT, related_name="names")

    class Meta:
        triggers = kept.append_only()

    def __str__(self) -> str:
        return self.name


class BrokerCall(models.Model):
    """One write to a broker: intended, sent once at most, and what came of it. A row is never sent again: another
    attempt is another row with another tag."""

    State = CallState

    id = models.UUIDField(primary_key=True)
    order = models.ForeignKey(BrokerOrder, on_delete=models.PROTECT, related_name="calls")
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, null=True, blank=True)
    kind = models.CharField(max_length=6, choices=choices(SignalKind))
    lane = models.CharField(max_length=6, choices=choices(Lane))
    attempt = models.IntegerField()
    state = models.CharField(max_length=8, choices=State, default=State.READY)
    broker_order_id = models.CharField(max_length=40, blank=True, help_text="what it cancels or changes")
    tag = models.CharField(max_length=20, null=True, blank=True, unique=True)
    terms = models.JSONField(
        null=True, blank=True, help_text="what a change makes of its order: execution.domain.orders.Terms"
    )
    form = models.JSONField(default=dict, help_text="what was said")
    reason = models.CharField(max_length=200, blank=True)
    not_before_ms = models.BigIntegerField(default=0)
    turned_away = models.IntegerField(default=0, help_text="how often it left and was one too many")
    queued_at_ms = models.BigIntegerField()
    sent_at_ms = models.BigIntegerField(null=True, blank=True)
    answered_at_ms = models.BigIntegerField(null=True, blank=True)
    http_status = models.IntegerField(null=True, blank=True)
    lookup = models.JSONField(null=True, blank=True, help_text="execution.domain.kite.lookup.Lookup")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "kind", "decision", "attempt"], name="broker_call_once"),
        ]
        indexes = [
            models.Index(
                fields=["lane", "queued_at_ms"],
                condition=models.Q(state__in=["READY", "SENDING", "UNKNOWN"]),
                name="broker_call_waiting",
            ),
            models.Index(fields=["sent_at_ms"], name="broker_call_sent"),
            models.Index(
                fields=["queued_at_ms"], condition=models.Q(turned_away__gt=0), name="broker_call_turned_away"
            ),
        ]
        triggers = kept.kept()

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"


class ExternalOrder(models.Model):
    """An order in the account that no one here has sent: counted by risk, never touched."""

    broker_order_id = models.CharField(primary_key=True, max_length=40)
    instrument = models.CharField(max_length=80)
    snapshot = models.JSONField(help_text="execution.domain.kite.rows.OrderSnapshot")
    is_open = models.BooleanField(default=True)
    worst_value = models.DecimalField(
        max_digits=28, decimal_places=8, null=True, blank=True, help_text="rupees that it may still come to"
    )
    gtt = models.ForeignKey(
        Gtt, on_delete=models.PROTECT, null=True, blank=True, related_name="made", help_text="that made it"
    )
    first_seen_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField(help_text="when it was last seen to change")

    def __str__(self) -> str:
        return self.broker_order_id


class Difference(models.Model):
    """What the broker shows otherwise than we hold it, from when on, and how it was settled."""

    kind = models.CharField(max_length=20)
    key = models.CharField(max_length=120)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, null=True, blank=True)
    ours = models.CharField(max_length=200)
    theirs = models.CharField(max_length=200)
    rounds = models.IntegerField(default=1)
    first_seen_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    halted_at = models.DateTimeField(
        null=True, blank=True, help_text="when those whom it concerns were paused, and it was told"
    )
    lots = models.JSONField(
        default=list, help_text="of what others took: units and average price of each of their orders"
    )
    settled_at = models.DateTimeField(null=True, blank=True, help_text="when it was gone, or settled by hand")
    settled_by = models.CharField(max_length=150, blank=True)
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "key"],
                condition=models.Q(settled_at=None),
                name="difference_open_once",
            ),
        ]
        indexes = [models.Index(fields=["-first_seen_at"], name="difference_recent")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class BrokerPush(models.Model):
    """An order update as a broker pushed it, until its process has merged it."""

    body = models.TextField()
    source = models.CharField(max_length=10, help_text="stream, postback, or gap: some were missed")
    fault = models.CharField(
        max_length=200, blank=True, help_text="why it cannot be merged: it is left alone"
    )
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "broker pushes"

    def __str__(self) -> str:
        return f"{self.source} {self.received_at}"
