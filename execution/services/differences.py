"""What a person says of a difference between our books and the broker's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from django.db import transaction

from accounts.models import AuditEntry
from accounts.services import act_record
from alphapanda.core.clock import ist_text, to_ms
from alphapanda.core.refusals import BadRequest, Conflict, reason_problem
from alphapanda.core.vocabulary import Broker
from execution.domain.kite.account import explained, heap, taken
from execution.domain.kite.reconciling import Kind, gap_of
from execution.live_selectors import DifferenceNotFound
from execution.models import BrokerDesk, Difference
from execution.services.live import account, taking
from execution.services.live.held import books

if TYPE_CHECKING:
    from datetime import datetime

NOTE_MAX = 300
SETTLE, ACCEPT = "difference.settle", "difference.accept"


class NoteMissing(BadRequest):
    """Whoever settles a difference says how."""


class DifferenceOver(Conflict):
    """The difference is settled already, by somebody or with other words."""


class NotOfPositions(BadRequest):
    """Only what the account holds can be accepted as it is."""


@transaction.atomic
def difference_settle(
    *, difference_id: int, actor: str, reason: str, now: datetime, ip: str | None = None
) -> Difference:
    """Take a difference off the list of those that are open, with a note on what it was. Where it is still there, the
    next look at the broker's book finds it anew. The same person with the same note is the same act, done once. Raises
    DifferenceNotFound, NoteMissing, DifferenceOver."""
    row = _open(difference_id, SETTLE, actor, reason)
    return _settled(row, SETTLE, {}, actor=actor, reason=reason, now=now, ip=ip)


@transaction.atomic
def difference_accept(
    *, difference_id: int, actor: str, reason: str, now: datetime, ip: str | None = None
) -> Difference:
    """Settle a difference of positions for good: the units that nothing explained are not ours, and what others have
    taken leaves the books of those who hold it. The same person with the same note is the same act, done once. Raises
    DifferenceNotFound, NoteMissing, DifferenceOver, NotOfPositions, taking.NoPrice, DeploymentBusy."""
    desk = BrokerDesk.objects.select_for_update().filter(broker=Broker.ZERODHA).first()
    row = _open(difference_id, ACCEPT, actor, reason)
    if row.kind not in (Kind.POSITION, Kind.TAKEN):
        raise NotOfPositions(
            f"A difference of {row.kind} can only be settled: what is accepted is of positions."
        )
    told = {}
    if row.settled_at is None and desk is not None:
        gap = gap_of(Kind(row.kind), row.key, row.ours, row.theirs)
        known = explained(account.outside_of(desk), gap)
        held = books().held
        known, units = taken(known, gap.where, sum(held[where] for where in heap(gap.where)))
        desk.outside = msgspec.to_builtins(known)
        desk.save(update_fields=["outside"])
        if units:
            told = taking.take_out(row, gap.where, units, actor=actor, reason=reason, now=now)
    return _settled(row, ACCEPT, told, actor=actor, reason=reason, now=now, ip=ip)


def _open(difference_id: int, action: str, actor: str, reason: str) -> Difference:
    """The difference, locked; one that is settled only where it was by this very act. Raises DifferenceNotFound,
    NoteMissing, DifferenceOver."""
    if problem := reason_problem(reason):
        raise NoteMissing(problem)
    row = Difference.objects.select_for_update().filter(pk=difference_id).first()
    if row is None:
        raise DifferenceNotFound(f"There is no difference {difference_id}.")
    if row.settled_at is not None and not _is_same(row, action, actor, reason):
        raise DifferenceOver(_over(row))
    return row


def _is_same(row: Difference, action: str, actor: str, reason: str) -> bool:
    """Whether it was settled by this very act: what is settled is not accepted, whatever the note says."""
    if (row.settled_by, row.note) != (actor, reason[:NOTE_MAX]):
        return False
    return AuditEntry.objects.filter(action=action, actor=actor, details__difference=row.pk).exists()


def _over(row: Difference) -> str:
    at = ist_text(to_ms(row.settled_at))[11:19]
    if not row.settled_by:
        return f"{row} is gone by itself since {at} IST: there is nothing left to settle."
    return f"{row} was settled already, by {row.settled_by} at {at} IST: {row.note}"


def _settled(
    row: Difference,
    action: str,
    told: dict[str, int],
    *,
    actor: str,
    reason: str,
    now: datetime,
    ip: str | None,
) -> Difference:
    if row.settled_at is not None:
        return row
    row.settled_at, row.settled_by, row.note = now, actor, reason[:NOTE_MAX]
    row.save(update_fields=["settled_at", "settled_by", "note"])
    act_record(
        actor=actor,
        action=action,
        target=f"difference:{row}",
        reason=reason,
        details={
            "difference": row.pk,
            "ours": row.ours,
            "theirs": row.theirs,
            "rounds": row.rounds,
            "taken": told,
        },
        now=now,
        ip=ip,
    )
    return row
