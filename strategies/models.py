"""Strategies, their versions, deployments with their checkpoints, and the signals they raise."""

from __future__ import annotations

import pgtrigger
from django.db import models

from alphapanda import kept
from alphapanda.core.vocabulary import (
    Broker,
    CommandKind,
    DeploymentStatus,
    OrderType,
    Product,
    Side,
    SignalKind,
    SignalOrigin,
    Validity,
    Variety,
    Waiting,
)
from marketdata.models import Instrument

TRADING_BROKERS = [(b.value, b.value) for b in (Broker.PAPER, Broker.ZERODHA)]


def choices(words: type) -> list[tuple[str, str]]:
    """Choices of a field from an enum of the vocabulary."""
    return [(word.value, word.value) for word in words]


class Strategy(models.Model):
    """A way of trading, by the name under which its class is registered."""

    name = models.CharField(max_length=60, unique=True)
    title = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    is_enabled = models.BooleanField(default=True)

    class Meta:
        verbose_name_plural = "strategies"

    def __str__(self) -> str:
        return self.name


class StrategyVersion(models.Model):
    """The code of a strategy under the key (name, version, hash of its file), with the text itself: deployments run
    it from here, whatever has become of the file since. Only `is_installed` ever changes."""

    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="versions")
    version = models.CharField(max_length=20)
    source_hash = models.CharField(max_length=64, help_text="SHA-256 of the file")
    source = models.TextField(default="", help_text="the file's text")
    file = models.CharField(max_length=200, default="")
    module = models.CharField(max_length=200, blank=True, help_text="of a package, or shipped")
    origin = models.CharField(max_length=200, default="", help_text="shipped, a package or the folder")
    schema = models.JSONField(help_text="JSON Schema of the parameters")
    is_installed = models.BooleanField(default=True, help_text="new deployments are made of it")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["strategy", "version", "source_hash"], name="strategy_version_once"
            )
        ]
        triggers = [pgtrigger.ReadOnly(name="fixed", exclude=["is_installed"])]

    def __str__(self) -> str:
        return f"{self.strategy.name} v{self.version} ({self.source_hash[:8]})"


class StrategyFile(models.Model):
    """A file of strategies as it was last seen, with what is wrong with it."""

    file = models.CharField(max_length=200, unique=True)
    origin = models.CharField(max_length=200)
    source_hash = models.CharField(max_length=64)
    strategies = models.JSONField(default=list, help_text="names")
    faults = models.JSONField(default=list, help_text="line and text of each")
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.file

    @property
    def what_is_wrong(self) -> str:
        """In words, with the lines; empty where nothing is."""
        return "; ".join(f"line {fault['line']}: {fault['text']}" for fault in self.faults)


class Deployment(models.Model):
    """A strategy version x parameters x instruments x broker: one state, one cursor, one book."""

    id = models.UUIDField(primary_key=True)
    name = models.CharField(max_length=80, unique=True)
    strategy_version = models.ForeignKey(StrategyVersion, on_delete=models.PROTECT)
    broker = models.CharField(max_length=10, choices=TRADING_BROKERS)
    params = models.JSONField(default=dict)
    instruments = models.ManyToManyField(Instrument)
    execution = models.JSONField(
        default=dict, help_text="how orders are carried out: execution.domain.settings"
    )
    status = models.CharField(
        max_length=12, choices=choices(DeploymentStatus), default=DeploymentStatus.RUNNING
    )
    started_by = models.CharField(
        max_length=150,
        blank=True,
        help_text="who let it run last; at a broker outside they must stay cleared",
    )
    shadow_of = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="shadows"
    )
    shadow_start = models.JSONField(
        default=dict, help_text="step, event time and last prices of the original when its shadow began"
    )
    shard = models.IntegerField(default=0)
    group = models.CharField(
        max_length=36,
        blank=True,
        default="",
        db_index=True,
        help_text="with whom it is decided in the order of the log, for they share limits; empty: with nobody",
    )
    partition = models.IntegerField(default=0)
    is_laddered = models.BooleanField(default=False, help_text="its losses are looked at once a minute")

    # the checkpoint: written only by compare-and-set on `revision`
    revision = models.BigIntegerField(default=0)
    incarnation = models.UUIDField(null=True, blank=True)
    first_offset = models.BigIntegerField(
        null=True, blank=True, help_text="message read first; none: not all is in this log"
    )
    offset = models.BigIntegerField(default=0, help_text="message to read next")
    index = models.IntegerField(default=0, help_text="item of that message to read next")
    source = models.BigIntegerField(default=0, help_text="source of the last message; 0: none yet")
    seq = models.BigIntegerField(default=-1, help_text="sequence in that source up to which all is done")
    step = models.BigIntegerField(default=0)
    at_ms = models.BigIntegerField(default=0, help_text="event time of the last item")
    checkpoint = models.BinaryField(default=b"")
    waiting = models.CharField(max_length=8, choices=choices(Waiting), default=Waiting.NOTHING)
    waiting_since = models.DateTimeField(null=True, blank=True)
    consequences = models.JSONField(
        default=dict, help_text="view, watches and matched step, by execution.settle"
    )

    error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    checkpointed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(broker__in=["paper", "zerodha"]), name="deployment_broker"
            ),
            models.CheckConstraint(
                condition=models.Q(shadow_of=None) | models.Q(broker="paper"), name="shadow_on_paper"
            ),
        ]
        indexes = [models.Index(fields=["shard", "status"], name="deployment_shard")]

    def __str__(self) -> str:
        return self.name


class Signal(models.Model):
    """What a strategy wants, with all that risk must know of the moment. Only `state` ever changes."""

    class State(models.TextChoices):
        NEW = "NEW"
        DECIDED = "DECIDED"

    id = models.UUIDField(primary_key=True)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="signals")
    broker = models.CharField(max_length=10, choices=TRADING_BROKERS)
    step = models.BigIntegerField()
    ordinal = models.IntegerField()
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT)
    side = models.CharField(max_length=4, choices=choices(Side))
    quantity = models.BigIntegerField()
    order_type = models.CharField(max_length=8, choices=choices(OrderType))
    limit_price_e4 = models.BigIntegerField(null=True, blank=True)
    validity = models.CharField(max_length=4, choices=choices(Validity))
    product = models.CharField(max_length=4, choices=choices(Product))
    reason = models.CharField(max_length=200)
    origin = models.CharField(max_length=10, choices=choices(SignalOrigin), default=SignalOrigin.STRATEGY)
    bracket = models.JSONField(null=True, blank=True, help_text="exits that the platform watches")
    kind = models.CharField(max_length=6, choices=choices(SignalKind), default=SignalKind.ORDER)
    target = models.UUIDField(null=True, blank=True, help_text="the order that is cancelled or modified")
    replaces = models.BigIntegerField(default=0, help_text="units of that order that had not traded")
    trigger_price_e4 = models.BigIntegerField(null=True, blank=True)
    validity_minutes = models.BigIntegerField(default=0, help_text="life of a TTL order")
    variety = models.CharField(max_length=8, choices=choices(Variety), default=Variety.REGULAR)
    disclosed_quantity = models.BigIntegerField(default=0)
    iceberg_legs = models.BigIntegerField(default=0)
    tag = models.CharField(max_length=20, blank=True)
    at_ms = models.BigIntegerField(help_text="event time")
    marks = models.JSONField(help_text="by token: last price, its time, close of the session before")
    received_at_ms = models.BigIntegerField(default=0, help_text="when the item came in, for latency only")
    correlation_id = models.UUIDField()
    approves = models.OneToOneField(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="approved_as",
        help_text="the signal that waited for a person, and is raised again as this one",
    )
    basis = models.JSONField(default=dict, help_text="what it stands on: strategies.domain.basis.Basis")
    state = models.CharField(max_length=8, choices=State, default=State.NEW)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["deployment", "step", "ordinal"], name="signal_once"),
            models.CheckConstraint(condition=models.Q(quantity__gt=0), name="signal_quantity"),
        ]
        indexes = [
            models.Index(fields=["deployment", "step"], condition=models.Q(state="NEW"), name="signal_new"),
            models.Index(fields=["-created_at"], name="signal_recent"),
        ]
        triggers = [
            pgtrigger.ReadOnly(name="fixed", exclude=["state"]),
            *kept.kept(),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.instrument}"


class Due(models.Model):
    """An item that touches working orders of a deployment: execution has to match them against it."""

    class State(models.TextChoices):
        NEW = "NEW"
        DONE = "DONE"

    id = models.UUIDField(primary_key=True)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="dues")
    step = models.BigIntegerField()
    item = models.JSONField(null=True, blank=True, help_text="none: a broker's report is due")
    report = models.OneToOneField(
        "Report", on_delete=models.PROTECT, null=True, blank=True, related_name="due"
    )
    clock_ms = models.BigIntegerField(default=0, help_text="the last clock item before it")
    marks = models.JSONField(default=dict, help_text="last prices before it, where losses are looked at")
    place = models.JSONField(null=True, blank=True, help_text="in the log: strategies.domain.basis.Place")
    correlation_id = models.UUIDField()
    state = models.CharField(max_length=4, choices=State, default=State.NEW)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["deployment", "step"], name="due_once")]
        indexes = [
            models.Index(fields=["deployment", "step"], condition=models.Q(state="NEW"), name="due_new"),
        ]

    def __str__(self) -> str:
        return f"{self.deployment} step {self.step}"


class Command(models.Model):
    """What an operator or the platform makes a deployment do: its machine takes it up at a step of its own,
    stored with it, so that a replay does the same at the same place."""

    id = models.UUIDField(primary_key=True)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="commands")
    kind = models.CharField(max_length=10, choices=choices(CommandKind))
    reason = models.CharField(max_length=200)
    actor = models.CharField(max_length=150)
    entry = models.OneToOneField(
        Signal,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="approving",
        help_text="of an approval: what is raised again",
    )
    expires_at_ms = models.BigIntegerField(default=0, help_text="of an approval: event time up to which")
    taken = models.JSONField(
        null=True, blank=True, help_text="what leaves the books: strategies.domain.signals.Taken"
    )
    instrument = models.ForeignKey(
        Instrument, models.PROTECT, null=True, blank=True, help_text="of an exit: what is to be flat"
    )
    order_id = models.UUIDField(null=True, blank=True, help_text="of a cancellation; none: all that work")
    step = models.BigIntegerField(
        null=True, blank=True, help_text="at which it was taken up; none yet: waits"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    taken_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["deployment", "step"], name="command_step_once"),
        ]
        indexes = [
            models.Index(fields=["deployment"], condition=models.Q(step=None), name="command_new"),
        ]
        triggers = [
            pgtrigger.ReadOnly(name="fixed", exclude=["step", "taken_at"]),
            *kept.kept(),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.deployment}"


class Report(models.Model):
    """What a broker said of a deployment's orders: booked at a step of its own, then heard by its strategy, so that a
    replay does the same at the same place. Execution writes it and knows what `data` means."""

    id = models.UUIDField(primary_key=True)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="reports")
    number = models.BigIntegerField(help_text="of the deployment's reports, from 1 on")
    data = models.JSONField()
    step = models.BigIntegerField(null=True, blank=True, help_text="at which it is booked; none yet: waits")
    booked_at = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True, help_text="when the strategy heard of it")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["deployment", "number"], name="report_once"),
            models.UniqueConstraint(fields=["deployment", "step"], name="report_step_once"),
        ]
        indexes = [
            models.Index(fields=["deployment"], condition=models.Q(told_at=None), name="report_new"),
        ]
        triggers = [
            pgtrigger.ReadOnly(name="fixed", exclude=["step", "booked_at", "told_at"]),
            *kept.kept(),
        ]

    def __str__(self) -> str:
        return f"{self.number}. of {self.deployment}"


class BacktestRun(models.Model):
    """A backtest or a search for parameters that was asked for: its whole configuration, what it was run with, and
    what came of it.

    The result is the documented object as compressed JSON; equal input gives equal bytes, told by their hash.
    `attempt` fences: a worker writes only while the attempt is its own."""

    class State(models.TextChoices):
        QUEUED = "QUEUED"
        RUNNING = "RUNNING"
        DONE = "DONE"
        FAILED = "FAILED"
        CANCELLED = "CANCELLED"

    class Kind(models.TextChoices):
        BACKTEST = "BACKTEST"
        SEARCH = "SEARCH"

    id = models.UUIDField(primary_key=True)
    name = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.BACKTEST)
    state = models.CharField(max_length=9, choices=State, default=State.QUEUED)
    plan = models.JSONField(help_text="files, deployments, days, cash and costs")
    search = models.JSONField(
        default=dict, help_text="what is tuned, for what and how long; empty for a backtest"
    )
    data = models.JSONField(default=list, help_text="files with their hashes")
    data_sha256 = models.CharField(max_length=64, blank=True)
    code = models.JSONField(default=dict, help_text="product, engine and strategy versions with their hashes")
    summary = models.JSONField(
        default=dict, help_text="figures of all deployments together; of a search, out of sample"
    )
    findings = models.JSONField(default=list, help_text="codes of reasons to doubt")
    result = models.BinaryField(default=b"")
    result_sha256 = models.CharField(max_length=64, blank=True)
    done = models.BigIntegerField(default=0, help_text="items folded so far, re-runs and trials included")
    total = models.BigIntegerField(default=0, help_text="items to fold; 0: not known yet")
    attempt = models.IntegerField(default=0)
    error = models.TextField(blank=True)
    asked_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    progressed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["-created_at"], name="backtest_recent"),
            models.Index(
                fields=["created_at"],
                condition=models.Q(state__in=["QUEUED", "RUNNING"]),
                name="backtest_waiting",
            ),
        ]

    def __str__(self) -> str:
        return self.name


from strategies.approval import Approval as Approval  # noqa: E402  its own file: Django looks for models here
