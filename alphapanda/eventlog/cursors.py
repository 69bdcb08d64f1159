"""How far a consumer has come in a partition, moved in the transaction of the rows that it stands for."""

from __future__ import annotations

from uuid import UUID

from django.db import connection
from django.db.models import Case, Min, When
from django.db.models.functions import Now

from alphapanda.eventlog.models import LogCursor
from alphapanda.eventlog.outbox import require_transaction

_INSERT = """
    INSERT INTO eventlog_logcursor
        (consumer, topic, partition, "offset", incarnation, source, seq, state, updated_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, now()) ON CONFLICT (consumer, topic, partition) DO NOTHING
"""


class CursorMoved(RuntimeError):
    """Another process has moved the cursor: this one is a zombie and must load it again."""


def load(consumer: str, topic: str, partition: int) -> LogCursor | None:
    """The cursor of a consumer, or None where it has not read the partition yet."""
    return LogCursor.objects.filter(consumer=consumer, topic=topic, partition=partition).first()


def advance(
    consumer: str,
    topic: str,
    partition: int,
    *,
    expected_offset: int | None,
    offset: int,
    incarnation: UUID,
    source: int = 0,
    seq: int = 0,
    state: bytes = b"",
) -> None:
    """Move a cursor in the caller's transaction, if it stands at `expected_offset` (None: not there yet).
    Raises CursorMoved, NotInTransaction."""
    require_transaction("a cursor")
    if expected_offset is None:
        values = [consumer, topic, partition, offset, incarnation, source, seq, state]
        with connection.cursor() as cursor:
            cursor.execute(_INSERT, values)
            moved = cursor.rowcount
    else:
        here = LogCursor.objects.filter(
            consumer=consumer, topic=topic, partition=partition, offset=expected_offset
        )
        # updated_at is named because an update goes past auto_now
        moved = here.update(
            offset=offset, incarnation=incarnation, source=source, seq=seq, state=state, updated_at=Now()
        )
    if moved != 1:
        raise CursorMoved(f"{consumer} {topic}[{partition}] is not at {expected_offset}")


def tell(
    consumer: str,
    topic: str,
    partition: int,
    *,
    offset: int,
    incarnation: UUID,
    source: int,
    seq: int,
) -> None:
    """Say how far a consumer has come whose own rows hold the position that counts: for pacing and health."""
    LogCursor.objects.update_or_create(
        consumer=consumer,
        topic=topic,
        partition=partition,
        defaults={"offset": offset, "incarnation": incarnation, "source": source, "seq": seq},
    )


def slowest(topic: str, *, source: int) -> dict[int, int]:
    """The seq of a source up to which every consumer of a topic is done, by partition: 0 where one has not met
    the source; empty before any began."""
    seq = Case(When(source=source, then="seq"), default=0)
    rows = LogCursor.objects.filter(topic=topic).values("partition").annotate(done=Min(seq))
    return {row["partition"]: row["done"] for row in rows.order_by()}


def forget(*consumers: str) -> None:
    """Drop the cursors of consumers that read no more, so that nobody waits for them."""
    LogCursor.objects.filter(consumer__in=consumers).delete()
