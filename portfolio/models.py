"""Portfolios, the book of each deployment, positions, the ledger, snapshots, and what people note on trades."""

from __future__ import annotations

import pgtrigger
from django.db import models

from alphapanda import kept
from alphapanda.core import ids
from alphapanda.core.clock import ist_text
from alphapanda.core.vocabulary import Broker
from marketdata.models import Instrument
from portfolio.domain.corporate import Action, ActionKind
from portfolio.domain.pictures import PictureKind

TRADING_BROKERS = [(b.value, b.value) for b in (Broker.PAPER, Broker.ZERODHA)]


def amount_field(**options: object) -> models.DecimalField:
    """Rupees at booking precision."""
    return models.DecimalField(max_digits=28, decimal_places=8, **options)


class Portfolio(models.Model):
    """Books of one broker namespace that are watched together."""

    id = models.UUIDField(primary_key=True)
    name = models.CharField(max_length=80, unique=True)
    broker = models.CharField(max_length=10, choices=TRADING_BROKERS)
    starting_cash = amount_field(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers = [pgtrigger.ReadOnly(name="fixed", exclude=["name"])]

    def __str__(self) -> str:
        return self.name


class Book(models.Model):
    """The books of one deployment; its row lock makes their one writer."""

    deployment_id = models.UUIDField(primary_key=True)
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="books")
    broker = models.CharField(max_length=10, choices=TRADING_BROKERS)
    name = models.CharField(max_length=80)
    cash = amount_field(default=0, help_text="rupees moved since the start")

    class Meta:
        triggers = [pgtrigger.ReadOnly(name="fixed", exclude=["name", "cash"])]

    def __str__(self) -> str:
        return self.name


class Posting(models.Model):
    """A fill that is to be booked, handed over in the transaction that wrote the fill. Only its state changes."""

    class State(models.TextChoices):
        NEW = "NEW"
        BOOKED = "BOOKED"

    sequence = models.BigAutoField(primary_key=True)
    fill_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="postings")
    fill = models.JSONField(help_text="portfolio.domain.books.BookedFill")
    event_id = models.UUIDField()
    correlation_id = models.UUIDField()
    state = models.CharField(max_length=6, choices=State, default=State.NEW)
    created_at = models.DateTimeField(auto_now_add=True)
    booked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["book", "sequence"], condition=models.Q(state="NEW"), name="posting_new"),
        ]
        triggers = [
            pgtrigger.ReadOnly(name="fixed", exclude=["state", "booked_at"]),
            *kept.kept(),
        ]

    def __str__(self) -> str:
        return str(self.fill_id)


class Position(models.Model):
    """What a book holds of an instrument, at average cost."""

    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="positions")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT)
    quantity = models.BigIntegerField(default=0, help_text="signed: negative is short")
    cost = amount_field(default=0, help_text="rupees, of the sign of the quantity")
    realised = amount_field(default=0, help_text="rupees, before charges")
    charges = amount_field(default=0)
    updated_at_ms = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["book", "instrument"], name="position_once")]

    def __str__(self) -> str:
        return f"{self.quantity} {self.instrument}"


class LedgerEntry(models.Model):
    """One side of a posting; those of a fill (or of a corporate action, whose posting id stands in `fill_id`)
    add up to zero. Append-only."""

    id = models.UUIDField(primary_key=True)
    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="entries")
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="entries")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT)
    fill_id = models.UUIDField(db_index=True)
    number = models.IntegerField()
    account = models.CharField(
        max_length=40, help_text="CASH, POSITION, REALISED, REALISED:dividend or CHARGES:<line>"
    )
    amount = amount_field(help_text="rupees; what the account gains")
    at_ms = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints = [models.UniqueConstraint(fields=["fill_id", "number"], name="ledger_entry_once")]
        triggers = kept.append_only()

    def __str__(self) -> str:
        return f"{self.account} {self.amount}"


class CorporateAction(models.Model):
    """A split, bonus or dividend of an instrument. It can be changed until it is applied, and never after."""

    id = models.UUIDField(primary_key=True, editable=False)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT)
    kind = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in ActionKind])
    ex_date = models.DateField(help_text="first day (IST) on which the share trades without it")
    new = models.PositiveIntegerField(default=0, help_text="split: shares that come; bonus: shares given")
    old = models.PositiveIntegerField(default=0, help_text="split: shares that go; bonus: for so many held")
    amount = models.DecimalField(
        max_digits=12, decimal_places=4, default=0, help_text="dividend: rupees a share, before tax"
    )
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["instrument", "kind", "ex_date"], name="corporate_action_once")
        ]
        triggers = [
            pgtrigger.Protect(
                name="kept",
                operation=pgtrigger.Update | pgtrigger.Delete,
                condition=pgtrigger.Q(old__applied_at__isnull=False),
            ),
            kept.untruncated(),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.instrument} on {self.ex_date}"

    def save(self, *args: object, **options: object) -> None:
        """Identity follows from what it is: entered twice it is the same row."""
        if self.pk is None:
            facts = (self.instrument, self.kind, self.ex_date)
            self.pk = ids.derived("corporate action", *facts)
        super().save(*args, **options)

    @property
    def action(self) -> Action:
        """As the pure functions take it. Raises BadAction."""
        return Action(
            action_id=self.pk or ids.derived("corporate action", "new"),
            kind=ActionKind(self.kind),
            instrument=str(self.instrument),
            ex_date=self.ex_date,
            new=self.new,
            old=self.old,
            amount=self.amount,
        )


class ActionPosting(models.Model):
    """What a corporate action did to one book. Append-only."""

    sequence = models.BigAutoField(primary_key=True)
    posting_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="actions")
    corporate_action = models.ForeignKey(CorporateAction, on_delete=models.PROTECT, related_name="postings")
    booked = models.JSONField(help_text="portfolio.domain.corporate.BookedAction")
    after_sequence = models.BigIntegerField(help_text="of the last fill that was booked before it; 0: none")
    quantity_before = models.BigIntegerField()
    quantity_after = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers = kept.append_only()

    def __str__(self) -> str:
        return f"{self.corporate_action} in {self.book}"


class Snapshot(models.Model):
    """The books of a deployment after one fill or corporate action. Append-only."""

    id = models.UUIDField(primary_key=True)
    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="snapshots")
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="snapshots")
    cash = amount_field()
    cost = amount_field()
    realised = amount_field()
    charges = amount_field()
    at_ms = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers = kept.append_only()
        indexes = [models.Index(fields=["portfolio", "-created_at"], name="snapshot_recent")]

    def __str__(self) -> str:
        return f"{self.book} at {ist_text(self.at_ms)}"


class TradeNote(models.Model):
    """What a person says of a trade, which is named by the fill that opened it. The audit trail keeps what it said
    before."""

    trade_id = models.UUIDField(primary_key=True, help_text="the fill that opened the trade")
    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="notes")
    text = models.TextField(blank=True)
    tags = models.JSONField(default=list)
    revision = models.IntegerField(default=0, help_text="how often it was written")
    changed_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField()

    class Meta:
        triggers = kept.kept()

    def __str__(self) -> str:
        return f"{self.book} {', '.join(self.tags) or self.text[:40]}"


class TradePicture(models.Model):
    """A picture on a trade, known by its content. One that was removed keeps its row and loses its bytes."""

    id = models.UUIDField(primary_key=True)
    trade_id = models.UUIDField(db_index=True, help_text="the fill that opened the trade")
    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="pictures")
    name = models.CharField(max_length=120, blank=True, help_text="of the file, as it was uploaded")
    kind = models.CharField(max_length=4, choices=[(kind.value, kind.name) for kind in PictureKind])
    width = models.IntegerField()
    height = models.IntegerField()
    size = models.IntegerField(help_text="bytes")
    data = models.BinaryField()
    added_by = models.CharField(max_length=150)
    added_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        triggers = kept.kept()

    def __str__(self) -> str:
        return f"{self.name or self.kind} {self.width} x {self.height}"
