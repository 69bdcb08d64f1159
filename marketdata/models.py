"""Instruments and their rules by date, the calendar of markets, bars, and counts of faulty ticks."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models

from alphapanda.core.clock import ist_text
from alphapanda.core.vocabulary import Phase, TickFault
from marketdata.domain.calendar import CutoffKind, Season
from marketdata.domain.markets import EXCHANGES, INDICES, Market
from marketdata.domain.master import ChangeKind


class Instrument(models.Model):
    """What can be traded or watched; identity is (exchange, tradingsymbol), for tokens are reused."""

    exchange = models.CharField(max_length=10)
    tradingsymbol = models.CharField(max_length=60)
    instrument_token = models.BigIntegerField(help_text="below zero: none, another instrument has taken it")
    exchange_token = models.BigIntegerField()
    name = models.CharField(max_length=120, blank=True)
    expiry = models.DateField(null=True, blank=True)
    strike = models.DecimalField(max_digits=16, decimal_places=4, default=0)
    tick_size = models.DecimalField(max_digits=12, decimal_places=4, help_text="rupees; 0 for an index")
    lot_size = models.IntegerField(help_text="units; 0 for an index")
    instrument_type = models.CharField(max_length=10)
    segment = models.CharField(max_length=20)
    partition = models.IntegerField(default=0, help_text="of market.ticks")
    is_listed = models.BooleanField(default=True, help_text="in the newest instrument list of its exchange")
    has_derivatives = models.BooleanField(
        default=False, help_text="a cash stock on which futures or options trade"
    )
    freeze_quantity = models.IntegerField(default=0, help_text="units of one order at most; 0: unknown")
    dated = models.JSONField(
        default=dict, blank=True, help_text="its rules by date, so that decisions have them with the row"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["exchange", "tradingsymbol"], name="instrument_identity"),
            models.UniqueConstraint(
                fields=["instrument_token"],
                name="instrument_token_of_one",
                violation_error_message="another instrument has this token",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.exchange}:{self.tradingsymbol}"


class InstrumentRule(models.Model):
    """What an instrument's list said from a day on, until a later row. An instrument without rows has always
    been as it is now, as far as we know."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="rules")
    valid_from = models.DateField()
    tick_size = models.DecimalField(
        max_digits=12, decimal_places=4, validators=[MinValueValidator(0)], help_text="rupees"
    )
    lot_size = models.IntegerField(validators=[MinValueValidator(0)], help_text="units")
    expiry = models.DateField(null=True, blank=True)
    strike = models.DecimalField(max_digits=16, decimal_places=4, default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["instrument", "valid_from"], name="instrument_rule_once")
        ]

    def __str__(self) -> str:
        return f"{self.instrument} from {self.valid_from}"

    def clean(self) -> None:
        """Raises ValidationError for sizes that no order could have."""
        is_index = self.instrument_id and self.instrument.segment == INDICES
        if is_index and self.tick_size == 0 == self.lot_size:
            return
        if not self.tick_size or not self.lot_size:
            raise ValidationError("Tick and lot are above 0; both are 0 for an index alone.")


class FreezeQuantity(models.Model):
    """The most units of one order in derivatives of an underlying, from a day on, until a later row."""

    exchange = models.CharField(max_length=10, choices=[(name, name) for name in EXCHANGES])
    underlying = models.CharField(max_length=120)
    valid_from = models.DateField()
    quantity = models.PositiveIntegerField(help_text="units; an order is at most the whole lots in it")

    class Meta:
        verbose_name_plural = "freeze quantities"
        constraints = [
            models.UniqueConstraint(
                fields=["exchange", "underlying", "valid_from"], name="freeze_quantity_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.exchange} {self.underlying} {self.quantity} from {self.valid_from}"

    def clean(self) -> None:
        """Raises ValidationError for a quantity that no order could have."""
        if self.quantity == 0:
            raise ValidationError("The quantity is above 0; where it is not known there is no row.")


class CircuitLimit(models.Model):
    """The lowest and highest price that the exchange takes for an instrument on one day."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="circuits")
    date = models.DateField()
    lower = models.DecimalField(max_digits=16, decimal_places=4, help_text="rupees")
    upper = models.DecimalField(max_digits=16, decimal_places=4, help_text="rupees")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["instrument", "date"], name="circuit_limit_once"),
            models.CheckConstraint(
                condition=models.Q(lower__gt=0, lower__lt=models.F("upper")),
                name="circuit_limit_is_a_band",
                violation_error_message="the lower circuit is above 0 and below the upper one",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.instrument} {self.date} {self.lower} to {self.upper}"


class Permission(models.Model):
    """What a market takes from a day on, until a later row for it and the same type of instrument."""

    market = models.CharField(max_length=10, choices=[(m.value, m.value) for m in Market])
    instrument_type = models.CharField(max_length=10, blank=True, help_text="FUT, CE, PE; empty: all others")
    valid_from = models.DateField()
    products = models.CharField(max_length=60, help_text="CNC, MIS, NRML, MTF; spaces between")
    order_types = models.CharField(max_length=60, help_text="MARKET, LIMIT, SL, SL-M; spaces between")
    validities = models.CharField(max_length=60, help_text="DAY, IOC, TTL; spaces between")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["market", "instrument_type", "valid_from"], name="permission_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.market} {self.instrument_type} from {self.valid_from}".replace("  ", " ")


class MasterLoad(models.Model):
    """One loading of an instrument list, and what it changed in numbers."""

    id = models.UUIDField(primary_key=True)
    source = models.CharField(max_length=200)
    exchanges = models.CharField(max_length=60)
    loaded_at = models.DateTimeField()
    added = models.IntegerField(default=0)
    gone = models.IntegerField(default=0)
    changed = models.IntegerField(default=0)
    unchanged = models.IntegerField(default=0)
    faulty = models.IntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["-loaded_at"], name="master_load_recent")]

    def __str__(self) -> str:
        return f"{self.exchanges} {self.source} {self.loaded_at:%Y-%m-%d %H:%M}"


class CandleFetch(models.Model):
    """Historical candles that a person asked for: the files they come into, how far it is, and what went wrong."""

    class State(models.TextChoices):
        QUEUED = "QUEUED"
        RUNNING = "RUNNING"
        DONE = "DONE"
        FAILED = "FAILED"

    id = models.UUIDField(primary_key=True)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT)
    interval = models.CharField(max_length=10, help_text="as Kite names it")
    first = models.DateField(help_text="IST")
    last = models.DateField(help_text="IST, included")
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    done = models.IntegerField(default=0, help_text="requests to the broker")
    total = models.IntegerField(default=0, help_text="0: not known yet")
    files = models.JSONField(default=list, help_text="as `backtest --data` takes them")
    error = models.TextField(blank=True)
    asked_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    progressed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["-created_at"], name="candle_fetch_recent")]
        constraints = [
            models.UniqueConstraint(
                fields=["instrument", "interval", "first", "last"],
                condition=models.Q(state__in=["QUEUED", "RUNNING"]),
                name="candle_fetch_once",
            )
        ]
        verbose_name_plural = "candle fetches"

    def __str__(self) -> str:
        return f"{self.instrument} {self.interval} {self.first} to {self.last}"


class MasterChange(models.Model):
    """One difference between a list and the one before, and who uses the instrument."""

    load = models.ForeignKey(MasterLoad, on_delete=models.CASCADE, related_name="changes")
    kind = models.CharField(max_length=12, choices=[(k.value, k.value) for k in ChangeKind])
    instrument = models.CharField(max_length=80, help_text="EXCHANGE:TRADINGSYMBOL")
    field = models.CharField(max_length=20, blank=True)
    before = models.CharField(max_length=80, blank=True)
    after = models.CharField(max_length=80, blank=True)
    is_touching = models.BooleanField(default=False, help_text="a deployment or a position uses it")
    uses = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.kind} {self.instrument} {self.field} {self.before} {self.after}".rstrip()


class Bar(models.Model):
    """What an instrument did in some minutes: built by the tick stream, immutable."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="bars")
    minutes = models.IntegerField(help_text="1, 3, 5, 15, 30, 60; 1440 is the day")
    starts_ms = models.BigIntegerField()
    open_e4 = models.BigIntegerField()
    high_e4 = models.BigIntegerField()
    low_e4 = models.BigIntegerField()
    close_e4 = models.BigIntegerField()
    volume = models.BigIntegerField()
    ticks = models.IntegerField()
    stored_at = models.DateTimeField(auto_now_add=True, help_text="from when on it was known here")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["instrument", "minutes", "starts_ms"], name="bar_once")
        ]
        indexes = [models.Index(fields=["-stored_at"], name="bar_stored")]

    def __str__(self) -> str:
        return f"{self.instrument} {self.minutes} min {ist_text(self.starts_ms)}"


class Holiday(models.Model):
    """A weekday on which an exchange does not trade."""

    exchange = models.CharField(max_length=10, choices=[(name, name) for name in EXCHANGES])
    date = models.DateField()
    name = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["exchange", "date"], name="holiday_once")]

    def __str__(self) -> str:
        return f"{self.exchange} {self.date} {self.name}"


class SpecialSession(models.Model):
    """A phase of a trading day that the week would not have (a Saturday, a Muhurat evening) or with other hours.
    The special phases of a day replace its ordinary ones, so one of them must be CONTINUOUS."""

    exchange = models.CharField(
        max_length=10,
        choices=[(m.value, m.value) for m in Market],
        help_text="of NSE_FNO and BSE_FNO: their rows of a day count instead of their exchange's",
    )
    date = models.DateField()
    phase = models.CharField(
        max_length=20, choices=[(p.value, p.value) for p in Phase], default=Phase.CONTINUOUS
    )
    opens = models.TimeField(help_text="IST, start of the phase")
    closes = models.TimeField(help_text="IST, end of the phase")
    name = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["exchange", "date", "opens"], name="special_session_once"),
            models.CheckConstraint(
                condition=models.Q(opens__lt=models.F("closes")),
                name="special_session_ends_after_it_starts",
                violation_error_message="a special session ends after it starts, on the same day",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.exchange} {self.date} {self.phase} {self.opens:%H:%M}-{self.closes:%H:%M} {self.name}"


class SessionRule(models.Model):
    """The hours of one phase on ordinary days of a market, from a date on."""

    market = models.CharField(max_length=10, choices=[(m.value, m.value) for m in Market])
    valid_from = models.DateField()
    phase = models.CharField(max_length=20, choices=[(p.value, p.value) for p in Phase])
    starts = models.TimeField(help_text="IST")
    ends = models.TimeField(help_text="IST; the time of its start: the phase is no more")
    season = models.CharField(
        max_length=12,
        choices=[(s.value, s.value) for s in Season],
        default=Season.ALWAYS,
        help_text="of New York's daylight saving time",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["market", "valid_from", "phase", "season"], name="session_rule_once"
            ),
            models.CheckConstraint(
                condition=models.Q(starts__lte=models.F("ends")),
                name="session_rule_ends_after_it_starts",
                violation_error_message="a phase ends after it starts, on the same day",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.market} {self.phase} {self.starts:%H:%M}-{self.ends:%H:%M} from {self.valid_from}"


class MarketCutoff(models.Model):
    """How long before the end of continuous trading a market's day is over for some, from a date on."""

    market = models.CharField(max_length=10, choices=[(m.value, m.value) for m in Market])
    valid_from = models.DateField()
    kind = models.CharField(
        max_length=12,
        choices=[(k.value, k.value) for k in CutoffKind],
        help_text="SQUARE_OFF of intraday positions, EXPIRY of contracts on their last day",
    )
    minutes = models.PositiveIntegerField(help_text="before the end of continuous trading")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["market", "valid_from", "kind"], name="market_cutoff_once")
        ]

    def __str__(self) -> str:
        return f"{self.market} {self.kind} {self.minutes} minutes before the close from {self.valid_from}"


class TickFaultCount(models.Model):
    """How many ticks of an instrument were kept out of decisions, by reason, on the day they were stamped."""

    instrument_token = models.BigIntegerField()
    fault = models.CharField(max_length=24, choices=[(f.value, f.value) for f in TickFault])
    count = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["instrument_token", "fault"], name="tick_fault_count_once")
        ]

    def __str__(self) -> str:
        return f"{self.instrument_token} {self.fault}: {self.count}"
