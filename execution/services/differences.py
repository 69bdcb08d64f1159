"""What a person says of a difference between our books and the broker's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from accounts.services import act_record
from alphapanda.core.refusals import BadRequest, reason_problem
from execution.live_selectors import DifferenceNotFound
from execution.models import Difference

if TYPE_CHECKING:
    from datetime import datetime

NOTE_MAX = 300


class NoteMissing(BadRequest):
    """Whoever settles a difference says how."""


@transaction.atomic
def difference_settle(
    *, difference_id: int, actor: str, reason: str, now: datetime, ip: str | None = None
) -> Difference:
    """Take a difference off the list of those that are open, with a note on what it was. Where it is still there, the
    next look at the broker's book finds it anew. Asked twice, it is done once. Raises DifferenceNotFound, NoteMissing.
    """
    if problem := reason_problem(reason):
        raise NoteMissing(problem)
    row = Difference.objects.select_for_update().filter(pk=difference_id).first()
    if row is None:
        raise DifferenceNotFound(f"There is no difference {difference_id}.")
    if row.settled_at is not None:
        return row
    row.settled_at, row.settled_by, row.note = now, actor, reason[:NOTE_MAX]
    row.save(update_fields=["settled_at", "settled_by", "note"])
    act_record(
        actor=actor,
        action="difference.settle",
        target=f"difference:{row}",
        reason=reason,
        details={"ours": row.ours, "theirs": row.theirs, "rounds": row.rounds},
        now=now,
        ip=ip,
    )
    return row
