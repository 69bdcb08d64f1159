"""The proof that broker namespaces never mix: no event of `paper` has caused one of `zerodha`."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import connection

# Upwards from every zerodha event along causation ids, through events of any namespace. UNION drops what was
# seen before, so an event that is its own cause ends its chain.
_CROSSINGS = """
    WITH RECURSIVE ancestry(effect, cause) AS (
        SELECT event_id, causation_id FROM eventlog_outboxevent WHERE broker = 'zerodha'
        UNION
        SELECT ancestry.effect, above.causation_id
        FROM ancestry JOIN eventlog_outboxevent above ON above.event_id = ancestry.cause
    )
    SELECT paper.event_id, paper.type, live.event_id, live.type
    FROM ancestry
    JOIN eventlog_outboxevent paper ON paper.event_id = ancestry.cause AND paper.broker = 'paper'
    JOIN eventlog_outboxevent live ON live.event_id = ancestry.effect
    ORDER BY paper.id, live.id
"""


@dataclass(frozen=True, slots=True)
class Crossing:
    """A paper event and a zerodha event that it caused, directly or through others."""

    paper_id: UUID
    paper_type: str
    zerodha_id: UUID
    zerodha_type: str


def crossings() -> list[Crossing]:
    """Every paper event that caused a zerodha event, among the events that the outbox still keeps."""
    with connection.cursor() as cursor:
        cursor.execute(_CROSSINGS)
        return [Crossing(*row) for row in cursor.fetchall()]
