"""Instruments, the exchange calendar, and counts of faulty ticks."""

from __future__ import annotations

from django.db import models

from alphapanda.core.vocabulary import Phase, TickFault


class Instrument(models.Model):
    """What can be traded or watched; identity is (exchange, tradingsymbol), for tokens are reused."""

    exchange = models.CharField(max_length=10)
    tradingsymbol = models.CharField(max_length=60)
    instrument_token = models.BigIntegerField(db_index=True)
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

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["exchange", "tradingsymbol"], name="instrument_identity")
        ]

    def __str__(self) -> str:
        return f"{self.exchange}:{self.tradingsymbol}"


class Holiday(models.Model):
    """A weekday on which an exchange does not trade."""

    exchange = models.CharField(max_length=10)
    date = models.DateField()
    name = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["exchange", "date"], name="holiday_once")]

    def __str__(self) -> str:
        return f"{self.exchange} {self.date} {self.name}"


class SpecialSession(models.Model):
    """A trading day that the week would not have (a Saturday, a Muhurat evening) or with other hours."""

    exchange = models.CharField(max_length=10)
    date = models.DateField()
    opens = models.TimeField(help_text="IST, start of continuous trading")
    closes = models.TimeField(help_text="IST, end of continuous trading")
    name = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["exchange", "date", "opens"], name="special_session_once")
        ]

    def __str__(self) -> str:
        return f"{self.exchange} {self.date} {self.opens:%H:%M}-{self.closes:%H:%M} {self.name}"


class SessionRule(models.Model):
    """The hours of one phase on ordinary days of an exchange, from a date on."""

    exchange = models.CharField(max_length=10)
    valid_from = models.DateField()
    phase = models.CharField(max_length=12, choices=[(p.value, p.value) for p in Phase])
    starts = models.TimeField(help_text="IST")
    ends = models.TimeField(help_text="IST")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["exchange", "valid_from", "phase"], name="session_rule_once")
        ]

    def __str__(self) -> str:
        return f"{self.exchange} {self.phase} {self.starts:%H:%M}-{self.ends:%H:%M} from {self.valid_from}"


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
