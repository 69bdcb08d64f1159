"""An event takes effect once for a consumer, however often it arrives."""

from __future__ import annotations

from uuid import UUID

from django.db import connection

from alphapanda.eventlog.outbox import require_transaction

_INSERT = """
    INSERT INTO eventlog_inboxmark (consumer, event_id, created_at) VALUES (%s, %s, now())
    ON CONFLICT (consumer, event_id) DO NOTHING
"""


def once(consumer: str, event_id: UUID) -> bool:
    """Mark an event in the caller's transaction; False when it was marked before.
    Waits for another transaction that is marking the same event. Raises NotInTransaction."""
    require_transaction("the inbox")
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [consumer, event_id])
        return cursor.rowcount == 1
