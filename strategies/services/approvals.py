"""Entries that wait for a person: asked for by risk, and over without an answer. The answers are risk's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import F, Q

from alphapanda.core.refusals import REASON_MAX
from strategies.models import Approval, Deployment, Signal

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

State = Approval.State
NOT_TAKEN_UP = Q(state=State.APPROVED, signal__approving__step=None)


def approvals_ask(deployment: Deployment, signals: Sequence[Signal], *, wait_s: int, now: datetime) -> None:
    """Let entries of one step wait for a person. Those of earlier steps in the same instruments are over: both would
    be more than the strategy has wished for at any time. In the transaction of their decision."""
    instruments = {signal.instrument_id for signal in signals}
    before = Approval.objects.filter(deployment=deployment, state=State.WAITING)
    before.filter(signal__instrument__in=instruments).update(state=State.REPLACED, answered_at=now)
    Approval.objects.bulk_create(
        Approval(
            signal=signal,
            deployment=deployment,
            expires_at_ms=signal.at_ms + wait_s * 1_000,
            expires_at=now + timedelta(seconds=wait_s),
            asked_at=now,
        )
        for signal in signals
    )


def approvals_drop(deployment_ids: Iterable[UUID], *, why: str, actor: str, now: datetime) -> list[str]:
    """Let nothing of deployments wait any more, nor what was approved and has not been carried out; the signals. In
    the transaction of the act that it belongs to."""
    waiting = Q(state=State.WAITING) | NOT_TAKEN_UP
    rows = Approval.objects.select_for_update(of=("self",)).filter(
        waiting, deployment__in=list(deployment_ids)
    )
    found = sorted(rows.values_list("pk", flat=True))
    Approval.objects.filter(pk__in=found).update(
        state=State.DROPPED, answered_by=actor, answered_at=now, reason=why[:REASON_MAX]
    )
    return list(map(str, found))


def approvals_expire(*, now: datetime) -> int:
    """Write down what has waited too long, and what its deployment took up too late; how many there were."""
    late = Q(deployment__at_ms__gte=F("expires_at_ms")) | Q(expires_at__lte=now)
    taken_up = Q(signal__approving__step__isnull=False, signal__approved_as=None)
    count = 0
    for state, is_over in ((State.WAITING, late), (State.APPROVED, taken_up)):
        found = list(Approval.objects.filter(is_over, state=state).values_list("pk", flat=True))
        if found:
            still = Approval.objects.filter(pk__in=found, state=state)
            count += still.update(state=State.EXPIRED, answered_at=now)
    return count
