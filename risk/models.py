"""Limits, what risk remembers of a day, its decisions, and kill switches."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from alphapanda import kept
from alphapanda.core.vocabulary import DeploymentStatus, HaltLevel, HaltStep, LimitLevel, Severity
from marketdata.models import Instrument
from portfolio.models import Portfolio
from risk import channel_models as _channels  # noqa: F401  its tables are of this app
from risk.domain.limits import Limits, check_level, check_names
from strategies.models import TRADING_BROKERS, Deployment, Signal, choices


def _whole(words: str) -> models.BigIntegerField:
    return models.BigIntegerField(null=True, blank=True, validators=[MinValueValidator(0)], help_text=words)


def _rupees(words: str) -> models.DecimalField:
    return models.DecimalField(
        max_digits=20,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=f"rupees: {words}",
    )


def _percent(words: str) -> models.DecimalField:
    return models.DecimalField(
        max_digits=9,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=f"percent: {words}",
    )


def _names(words: str) -> ArrayField:
    return ArrayField(models.CharField(max_length=80), default=list, blank=True, help_text=words)


class LimitSet(models.Model):
    """Limits of one level; what is empty is not limited at this level. See docs/risk.md."""

    level = models.CharField(max_length=12, choices=choices(LimitLevel))
    broker = models.CharField(max_length=10, choices=TRADING_BROKERS, blank=True)
    portfolio = models.ForeignKey(Portfolio, on_delete=models.CASCADE, null=True, blank=True)
    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, null=True, blank=True)
    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, null=True, blank=True)

    order_quantity = _whole("units in one order")
    order_value = _rupees("rupees in one order")
    collar_percent = _percent("how much worse than the market an order may trade")
    collar_ticks = _whole("how many ticks worse than the market an order may trade")
    price_age_ms = _whole("oldest price on which an entry may stand, in ms of event time")
    price_jump_percent = _percent("furthest that the last price may lie from the one before it")
    duplicate_ms = _whole("time that must lie between two equal orders, in ms of event time")
    restricted = _names("instruments or underlyings that are not entered, separated by commas")
    allowed = _names("instruments or underlyings, separated by commas: where given, only these are entered")
    products = _names("products, separated by commas: where given, only these are used")
    entries_from = models.TimeField(null=True, blank=True, help_text="IST: no entry before")
    entries_until = models.TimeField(null=True, blank=True, help_text="IST: no entry from then on")
    expiry_until = models.TimeField(
        null=True, blank=True, help_text="IST: no entry in a contract from then on, on its last day"
    )
    position_quantity = _whole("units of one instrument in one deployment, working orders counted")
    repeated_entries = _whole(
        "entries within `repeated_ms`; the next pauses the deployment until a person starts it"
    )
    repeated_ms = _whole("of event time")

    gross_exposure = _rupees("longs and shorts together, working orders at their worst")
    net_exposure = _rupees("longs less shorts, working orders of one side counted")
    underlying_exposure = _rupees("gross, in all that rises and falls with one underlying")
    margin = _rupees("what positions and working orders block")
    daily_loss = _rupees("first rung: no entries until the next session")
    loss_cancel = _rupees("second rung: working entries are cancelled")
    loss_flatten = _rupees("third rung: positions are closed")
    drawdown = _rupees("furthest below the highest net worth seen")
    orders_per_second = _whole("of event time")
    orders_per_minute = _whole("of event time")
    daily_orders = _whole("orders in one session")
    exit_lane = _whole("of each rate of orders, so many for exits alone")
    self_trade = models.BooleanField(
        default=False, help_text="block an order that would trade with one of ours"
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["level", "broker", "portfolio", "deployment", "instrument"],
                name="limit_set_once",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        named = self.broker or self.portfolio or self.deployment or self.instrument or ""
        return f"{self.level} {named}".strip()

    def clean(self) -> None:
        """Raises ValidationError where the level and what it names, or the limits, do not fit together."""
        named = {
            LimitLevel.BROKER: self.broker,
            LimitLevel.PORTFOLIO: self.portfolio_id,
            LimitLevel.DEPLOYMENT: self.deployment_id,
            LimitLevel.INSTRUMENT: self.instrument_id,
        }
        wrong = [level.lower() for level, target in named.items() if bool(target) != (level == self.level)]
        if wrong and self.level:
            raise ValidationError(
                f"A {self.level} limit names exactly what it limits: look at {', '.join(wrong)}."
            )
        try:
            if self.level:
                check_level(LimitLevel(self.level), self.limits)
            check_names(self.limits)
        except ValueError as error:
            raise ValidationError(str(error)) from error

    @property
    def limits(self) -> Limits:
        """As the domain knows them. Raises ValueError where they do not fit together."""
        values = {name: getattr(self, name) for name in Limits.__struct_fields__}
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list) and value}
        plain = {name: value for name, value in values.items() if not isinstance(value, list | bool)}
        return Limits(**plain, **lists, self_trade=self.self_trade or None)


class LimitVersion(models.Model):
    """Limits that were in force for a deployment, under the name that its decisions carry. Append-only."""

    version = models.CharField(max_length=12, primary_key=True)
    terms = models.JSONField(help_text="risk.domain.context.Terms")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers = kept.append_only()

    def __str__(self) -> str:
        return self.version


class LimitsInForce(models.Model):
    """Which limits bound a deployment now; written anew whenever limits or deployments change."""

    deployment = models.OneToOneField(Deployment, on_delete=models.CASCADE, primary_key=True)
    version = models.ForeignKey(LimitVersion, on_delete=models.PROTECT)
    since = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "limits in force"

    def __str__(self) -> str:
        return f"{self.deployment}: {self.version_id}"


class RiskState(models.Model):
    """What risk remembers of a deployment's session; one writer, under a row lock."""

    deployment = models.OneToOneField(Deployment, on_delete=models.PROTECT, primary_key=True)
    data = models.JSONField(default=dict)
    oversight = models.JSONField(default=dict, help_text="what was last seen; see OversightChange")
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
    guards = models.JSONField(default=dict, help_text="by rule, what guards saw besides the numbers")
    at_ms = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers = kept.append_only()
        indexes = [models.Index(fields=["deployment", "at_ms"], name="decision_deployment")]

    def __str__(self) -> str:
        return f"{'approved' if self.is_approved else 'denied'} by {self.rule}"


class KillSwitch(models.Model):
    """A halt of entries. It is active until released; exits and cancels pass."""

    level = models.CharField(max_length=12, choices=choices(HaltLevel))
    broker = models.CharField(max_length=10, choices=TRADING_BROKERS, blank=True)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, null=True, blank=True)
    step = models.CharField(
        max_length=8,
        choices=choices(HaltStep),
        default=HaltStep.PAUSE,
        help_text="how far it goes: no entries, also cancel what works, also close what is held",
    )
    reason = models.CharField(max_length=300)
    thrown_by = models.CharField(max_length=150)
    thrown_at = models.DateTimeField(auto_now_add=True)
    reached_at = models.DateTimeField(auto_now=True, help_text="when it came to its step")
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
        triggers = kept.kept()

    def __str__(self) -> str:
        return f"{self.level} {self.broker or self.deployment or ''}".strip()


class AccountOutside(models.Model):
    """What an account holds and has at work that no deployment here has asked for, as it was seen last: counted in
    the sums of the account."""

    broker = models.CharField(primary_key=True, max_length=10, choices=TRADING_BROKERS)
    rows = models.JSONField(default=list, help_text="risk.domain.context.Outside")
    told_at = models.DateTimeField(help_text="when it last changed")

    class Meta:
        verbose_name_plural = "accounts outside"

    def __str__(self) -> str:
        return self.broker


class OversightChange(models.Model):
    """From which step on a deployment was judged under another status, other kill switches, guards or limits: a replay
    sees them there. Append-only."""

    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT)
    from_step = models.BigIntegerField()
    status = models.CharField(max_length=12, choices=choices(DeploymentStatus))
    halts = models.JSONField(default=list, blank=True)
    guards = models.JSONField(default=list, blank=True)
    limits = models.CharField(max_length=12, blank=True, help_text="version of the limits in force")
    outside = models.JSONField(
        default=list,
        blank=True,
        help_text="what the account held that is in no book: risk.domain.context.Outside",
    )
    is_look = models.BooleanField(
        default=False, help_text="seen by a look at losses, before the signals of the step"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "from_step", "is_look"], name="oversight_change_once"
            )
        ]
        triggers = kept.append_only()

    def __str__(self) -> str:
        return f"{self.deployment} from step {self.from_step}"


class Alert(models.Model):
    """What a person must know of. It is open until somebody acknowledges it; raised again meanwhile, it is the same."""

    code = models.CharField(max_length=40)
    severity = models.CharField(max_length=8, choices=choices(Severity))
    subject = models.CharField(max_length=120, help_text="what it is about")
    text = models.CharField(max_length=500)
    deployment = models.ForeignKey(
        Deployment,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        help_text="whose entries it keeps out when it is left alone; without one those of all",
    )
    broker = models.CharField(
        max_length=10,
        choices=TRADING_BROKERS,
        blank=True,
        help_text="without a deployment: in which namespace it keeps entries out; empty: in all",
    )
    times = models.IntegerField(default=1, help_text="how often it was raised")
    raised_at = models.DateTimeField(auto_now_add=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["code", "subject"], condition=Q(acknowledged_at=None), name="alert_open_once"
            )
        ]
        indexes = [models.Index(fields=["severity"], condition=Q(acknowledged_at=None), name="alert_open")]

    def __str__(self) -> str:
        return f"{self.severity} {self.code}: {self.subject}"


class StartOfDay(models.Model):
    """The checks of a day before trading, as they came out last. A day that has passed stays passed."""

    day = models.DateField(unique=True, help_text="IST")
    is_passed = models.BooleanField()
    findings = models.JSONField()
    checked_by = models.CharField(max_length=150)
    checked_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "starts of day"

    def __str__(self) -> str:
        return f"{self.day} {'passed' if self.is_passed else 'not passed'}"
