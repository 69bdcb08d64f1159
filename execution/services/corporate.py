"""A corporate action as an operator applies it: deployments that hold the share stand still meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import F

from accounts.services import act_record
from alphapanda.core.refusals import BadRequest, Conflict, reason_problem
from alphapanda.core.vocabulary import DeploymentStatus, Waiting
from execution.models import ENDED, Order
from portfolio import selectors as books
from portfolio.corporate import action_apply, action_locked
from portfolio.domain.corporate import ActionKind
from portfolio.models import ActionPosting, CorporateAction, Position
from strategies import loading as deployments
from strategies.models import Deployment

STANDING = (DeploymentStatus.STOPPED, DeploymentStatus.QUARANTINED)


class DeploymentHolds(Conflict):
    """A deployment would go on with quantities and prices of before the action."""


class ReasonMissing(BadRequest):
    """An act on the books needs a reason."""


class _Guards(msgspec.Struct):
    protections: dict[int, msgspec.Raw] = {}


class _Checkpoint(msgspec.Struct):
    """What this act asks of a checkpoint."""

    guards: _Guards = msgspec.field(default_factory=_Guards)
    names: dict[int, str] = {}


@transaction.atomic
def corporate_action_apply(
    *, action_id: UUID, actor: str, reason: str, now: datetime, ip: str | None = None
) -> list[ActionPosting]:
    """Apply an action to all books and let the deployments know what they hold now. Idempotent, audited.

    A dividend asks nothing of deployments. For a split or a bonus those that hold the share must stand still,
    without orders and brackets in it. Raises DeploymentHolds, ReasonMissing, and as `action_apply`.
    """
    if problem := reason_problem(reason):
        raise ReasonMissing(problem)
    row = action_locked(action_id)
    if row.applied_at is not None:
        return action_apply(action_id=action_id, now=now)
    holders = _holders(row) if row.kind != ActionKind.DIVIDEND else []
    for deployment in holders:
        _check(row, deployment)
    postings = action_apply(action_id=action_id, now=now)
    _tell(holders)
    act_record(
        actor=actor,
        action="corporate_action.apply",
        target=f"corporate_action:{row}",
        reason=reason,
        details={
            "action": str(row.pk),
            "books": {str(p.book): [p.quantity_before, p.quantity_after] for p in postings},
        },
        now=now,
        ip=ip,
    )
    return postings


def _holders(row: CorporateAction) -> list[Deployment]:
    """Deployments that hold the share, locked."""
    held = Position.objects.filter(instrument=row.instrument_id).exclude(quantity=0)
    found = Deployment.objects.select_for_update().filter(pk__in=held.values("book_id"))
    return list(found.order_by("pk"))


def _check(row: CorporateAction, deployment: Deployment) -> None:
    orders = Order.objects.filter(deployment=deployment, instrument=row.instrument_id).exclude(
        status__in=ENDED
    )
    checkpoint = bytes(deployment.checkpoint)
    remembered = msgspec.msgpack.decode(checkpoint, type=_Checkpoint) if checkpoint else _Checkpoint()
    if deployment.status not in STANDING or deployment.waiting != Waiting.NOTHING:
        problem = "stop it first"
    elif orders.exists():
        problem = "it has working orders in it"
    elif str(row.instrument) in {remembered.names.get(token) for token in remembered.guards.protections}:
        problem = "it watches brackets at prices of before; close that position first"
    else:
        return
    raise DeploymentHolds(f"{row}: {deployment} holds the share: {problem}.")


def _tell(holders: Iterable[Deployment]) -> None:
    """What the books hold now; a worker that has the deployment in memory must load it again."""
    for deployment in holders:
        holdings, names = books.held_of(deployment.pk)
        held = {token: h.quantity for token, h in sorted(holdings.items()) if h.quantity}
        before = deployments.consequences_of(deployment)
        after = msgspec.structs.replace(before, positions=held, names={**before.names, **names})
        Deployment.objects.filter(pk=deployment.pk).update(
            consequences=msgspec.to_builtins(after, str_keys=True), revision=F("revision") + 1
        )
