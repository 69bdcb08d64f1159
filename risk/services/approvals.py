"""Letting an entry that waits for a person pass, or not; and what it would do to exposure and limits now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from django.db import transaction

from accounts import live
from accounts.services import act_record
from alphapanda.core.refusals import BadRequest, Conflict, NotThere, Refusal, reason_problem
from alphapanda.core.vocabulary import Broker, CommandKind, DeploymentStatus
from portfolio.domain.books import FLAT, Holding
from risk import loading
from risk.models import Decision
from risk.services.terms import share_kill_lock
from strategies import loading as deployments
from strategies.models import Approval, Command, Deployment
from strategies.services.approvals import approvals_expire
from strategies.services.lifecycle import command_give

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from strategies.domain.signals import SignalRow

State = Approval.State
KEY_MAX = 64
NOTHING_KNOWN: dict[str, Any] = {
    "would_pass": False,
    "rule": "",
    "gross_exposure_before": None,
    "net_exposure_before": None,
    "numbers": {},
}


class ApprovalNotFound(NotThere):
    """No entry of that signal has ever waited for a person."""


class ApprovalOver(Conflict):
    """The entry waits no more, or may not pass now."""


class ApprovalReasonMissing(BadRequest):
    """An answer needs a reason."""


class KeyReused(Conflict):
    """An idempotency key stands for one answer."""


class Answer(msgspec.Struct, frozen=True):
    """What became of one of several: its state now, and where nothing was done, why."""

    signal: UUID
    state: str
    problem: str = ""


def approvals_answer(
    *,
    signal_ids: Iterable[UUID],
    is_approved: bool,
    actor: str,
    reason: str,
    now: datetime,
    key: str = "",
    ip: str | None = None,
) -> list[Answer]:
    """Answer for several entries, each by itself, in the order given: what does not let one pass keeps out none of
    the others. Raises ApprovalReasonMissing, KeyReused."""
    answers = []
    for signal_id in dict.fromkeys(signal_ids):
        try:
            found = approval_answer(
                signal_id=signal_id,
                is_approved=is_approved,
                actor=actor,
                reason=reason,
                now=now,
                key=key,
                ip=ip,
            )
        except (ApprovalReasonMissing, KeyReused):
            raise
        except Refusal as refusal:
            state = Approval.objects.filter(pk=signal_id).values_list("state", flat=True).first()
            answers.append(Answer(signal_id, state or "", str(refusal)))
        else:
            answers.append(Answer(signal_id, found.state))
    return answers


def approval_answer(
    *,
    signal_id: UUID,
    is_approved: bool,
    actor: str,
    reason: str,
    now: datetime,
    key: str = "",
    ip: str | None = None,
) -> Approval:
    """Approve or deny an entry that waits. The same answer twice is given once; with the same `key` also when it is
    over since. An approval is a command: its deployment raises the entry again at its next step, and risk judges it
    anew there, at the prices, limits and halts of then.

    Raises ApprovalNotFound, ApprovalOver, ApprovalReasonMissing, KeyReused, accounts.live.NotCleared.
    """
    if problem := reason_problem(reason):
        raise ApprovalReasonMissing(problem)
    if len(key) > KEY_MAX or not key.isprintable():
        raise KeyReused(f"An idempotency key has at most {KEY_MAX} printable characters.")
    approvals_expire(now=now)
    with transaction.atomic():
        share_kill_lock()
        approval = _locked(signal_id)
        if not _is_answered(approval, is_approved, key):
            _answer(approval, is_approved, actor=actor, reason=reason, key=key, now=now, ip=ip)
    return approval


def _locked(signal_id: UUID) -> Approval:
    """With its deployment, first: in the order in which decisions lock."""
    owner = Approval.objects.filter(pk=signal_id).values_list("deployment_id", flat=True).first()
    if owner is None:
        raise ApprovalNotFound(f"No entry of signal {signal_id} waits for a person, or ever did.")
    deployment = deployments.locked(owner)
    rows = Approval.objects.select_related("signal__instrument").select_for_update(of=("self",))
    approval = rows.get(pk=signal_id)
    approval.deployment = deployment
    return approval


def _is_answered(approval: Approval, is_approved: bool, key: str) -> bool:
    """Whether the same answer was given before. Raises ApprovalOver, KeyReused."""
    goal = State.APPROVED if is_approved else State.DENIED
    if key and _is_reused(key, is_approved):
        raise KeyReused(f"The key {key!r} was given with the other answer.")
    if approval.state == goal or (key and approval.key == key):
        return True
    if approval.state != State.WAITING:
        raise ApprovalOver(f"{approval.signal} waits no more: {_over(approval)}.")
    return False


def _is_reused(key: str, is_approved: bool) -> bool:
    approved = Command.objects.filter(entry__approval__key=key)
    denied = Approval.objects.filter(key=key, state=State.DENIED)
    return (denied if is_approved else approved).exists()


def _over(approval: Approval) -> str:
    said = f", {approval.reason}" if approval.reason else ""
    return f"{approval.state.lower()}{said}"


def _answer(
    approval: Approval,
    is_approved: bool,
    *,
    actor: str,
    reason: str,
    key: str,
    now: datetime,
    ip: str | None,
) -> None:
    deployment = approval.deployment
    if is_approved:
        _check(deployment, actor=actor)
    approval.state = State.APPROVED if is_approved else State.DENIED
    approval.answered_by, approval.answered_at = actor, now
    approval.reason, approval.key = reason, key
    approval.save(update_fields=["state", "answered_by", "answered_at", "reason", "key"])
    details = {"signal": str(approval.pk), "what": str(approval.signal), "key": key}
    if is_approved:
        command = command_give(
            deployment=deployment,
            kind=CommandKind.APPROVE,
            reason=reason,
            actor=actor,
            entry=approval.signal,
            expires_at_ms=approval.expires_at_ms,
        )
        assert command is not None, "an approval is given once"
        details["command"] = str(command.pk)
    act_record(
        actor=actor,
        action="approval.approve" if is_approved else "approval.deny",
        target=f"deployment:{deployment.name}",
        reason=reason,
        details=details,
        now=now,
        ip=ip,
    )


def _check(deployment: Deployment, *, actor: str) -> None:
    """Refuse what risk would refuse at once. Raises ApprovalOver, accounts.live.NotCleared."""
    if deployment.broker == Broker.ZERODHA:
        live.permit(actor=actor)
    if deployment.status != DeploymentStatus.RUNNING:
        raise ApprovalOver(f"{deployment.name} is {deployment.status}: no entry passes.")
    if halts := loading.halts_active(deployment):
        raise ApprovalOver(f"{deployment.name} is halted: {halts[0]}: {halts[0].reason}.")


def approval_guard(
    signals: Sequence[SignalRow], holdings: Mapping[int, Holding], now: datetime
) -> tuple[tuple[str, str], ...]:
    """Why what was approved may not pass any more, as (rule, why): it was dropped before its deployment took it up,
    that took too long by the wall clock, or what it was to close is closed: it would open that much more."""
    signal = next((one for one in signals if one.approves), None)
    if signal is None:
        return ()
    approval = Approval.objects.get(pk=signal.approves)
    if approval.state != State.APPROVED:
        return (("approval", _over(approval)),)
    if now >= approval.expires_at:
        return (("approval", "it was carried out too late"),)
    asked = Decision.objects.get(signal_id=signal.approves).numbers["position"]
    held = holdings.get(signal.token, FLAT).quantity
    if asked * signal.side.sign < 0 and held != asked:
        return (("approval", f"it was to turn a position of {asked} units, and {held} are held now"),)
    return ()
