"""Rows of the event log: events to publish, events consumed, dead letters, and cursors."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import Q


class OutboxEvent(models.Model):
    """One message to the log, written in the transaction of the change it tells of; the relay publishes in id
    order. Dead letters and redriven messages also fill `raw_key`, `partition` and `headers`."""

    id = models.BigAutoField(primary_key=True)
    event_id = models.UUIDField(unique=True)
    type = models.CharField(max_length=40)
    broker = models.CharField(max_length=10)
    topic = models.CharField(max_length=80)
    key = models.CharField(max_length=120)
    correlation_id = models.UUIDField()
    causation_id = models.UUIDField(db_index=True)
    body = models.BinaryField()
    raw_key = models.BinaryField(null=True, help_text="key as bytes, where it is not the text of `key`")
    partition = models.IntegerField(null=True, help_text="partition, where the key does not choose it")
    headers = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["id"], condition=Q(published_at__isnull=True), name="outbox_unpublished"),
            models.Index(fields=["broker", "type"], name="outbox_broker_type"),
        ]
        triggers = [  # wakes the relay at commit, once for a transaction
            pgtrigger.Trigger(
                name="wake_relay",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                func="PERFORM pg_notify('outbox', ''); RETURN NULL;",
            )
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class DeadLetter(models.Model):
    """A message that could not be handled, whole, with the reason and where it stood."""

    class State(models.TextChoices):
        NEW = "NEW"
        REDRIVEN = "REDRIVEN"
        DISCARDED = "DISCARDED"

    consumer = models.CharField(max_length=60)
    topic = models.CharField(max_length=120)
    incarnation = models.UUIDField()
    partition = models.IntegerField()
    offset = models.BigIntegerField()
    key = models.BinaryField(null=True)
    body = models.BinaryField()
    reason = models.CharField(max_length=60)
    error = models.CharField(max_length=500)
    state = models.CharField(max_length=10, choices=State, default=State.NEW)
    redrive_count = models.IntegerField(default=0)
    failed_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["consumer", "topic", "incarnation", "partition", "offset"], name="dead_letter_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}: {self.reason}"


class LogCursor(models.Model):
    """How far a consumer has come in a partition, committed with the rows that it stands for."""

    consumer = models.CharField(max_length=60)
    topic = models.CharField(max_length=120)
    partition = models.IntegerField()
    incarnation = models.UUIDField()
    offset = models.BigIntegerField(help_text="offset of the message to read next")
    source = models.BigIntegerField(
        default=0, help_text="source of the last message; 0: none yet, or several"
    )
    seq = models.BigIntegerField(default=0, help_text="sequence in that source up to which all is done")
    state = models.BinaryField(default=b"", help_text="what the consumer must remember with its position")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["consumer", "topic", "partition"], name="log_cursor_once")
        ]

    def __str__(self) -> str:
        return f"{self.consumer} {self.topic}[{self.partition}]@{self.offset}"
