"""Events leave with the change they tell of: written in its transaction, published by the relay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import connection, transaction

from alphapanda.core.envelope import Envelope, encode
from alphapanda.eventlog import telling
from alphapanda.eventlog.models import OutboxEvent
from alphapanda.eventlog.records import MESSAGE_BYTES_MAX, MessageTooLarge
from alphapanda.eventlog.topics import topic_for

CHANNEL = "outbox"
PRUNE_ROWS = 10_000
BATCH_ROWS = (
    40  # of one statement: short enough to be parsed once and prepared; of 3,000 rows it halves the time
)


class NotInTransaction(RuntimeError):
    """What must commit together was not called inside a transaction."""


def require_transaction(what: str) -> None:
    """Raises NotInTransaction outside of `transaction.atomic`."""
    if not connection.in_atomic_block:
        raise NotInTransaction(f"{what} commits together with the change it stands for")


def commit_late() -> None:
    """Let the open transaction commit without waiting for the disk. For positions only: what a crash of the
    database takes back is done again from the log, and comes out the same."""
    require_transaction("a late commit")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit TO OFF")


def publish(envelopes: Sequence[Envelope]) -> None:
    """Write events in the caller's transaction; one that was written before is left as it is. When they are committed
    the log for people has a line of each that it is to have.
    Raises NotInTransaction, WrongNamespace, MessageTooLarge."""
    add([_row(envelope) for envelope in envelopes])
    if lines := telling.told(envelopes):
        transaction.on_commit(partial(telling.tell, lines), robust=True)


def add(rows: Iterable[OutboxEvent]) -> None:
    """Write messages to the log in the caller's transaction and wake the relay when it commits."""
    require_transaction("the outbox")
    if not (wanted := list(rows)):
        return
    OutboxEvent.objects.bulk_create(wanted, ignore_conflicts=True, batch_size=BATCH_ROWS)


def _row(envelope: Envelope) -> OutboxEvent:
    body = encode(envelope)
    if len(body) > MESSAGE_BYTES_MAX:
        raise MessageTooLarge(
            f"{envelope.type} {envelope.id}: {len(body)} bytes, at most {MESSAGE_BYTES_MAX}"
        )
    return OutboxEvent(
        event_id=envelope.id,
        type=envelope.type,
        broker=envelope.broker,
        topic=topic_for(envelope.type, envelope.broker),
        key=envelope.key,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        body=body,
    )


def prune(*, now: datetime) -> int:
    """Delete published rows older than OUTBOX_KEEP_DAYS, in portions. Returns how many."""
    before = now - timedelta(days=settings.OUTBOX_KEEP_DAYS)
    old = OutboxEvent.objects.filter(published_at__lt=before).order_by("id").values("id")
    deleted = 0
    while portion := OutboxEvent.objects.filter(id__in=old[:PRUNE_ROWS]).delete()[0]:
        deleted += portion
    return deleted
