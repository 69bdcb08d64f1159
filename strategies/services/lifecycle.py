"""What an operator does to a deployment: start, pause, flatten, exit, cancel an order, stop, release, configure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from accounts import live
from accounts.services import act_record
from alphapanda.core import ids
from alphapanda.core.refusals import BadRequest, Conflict, reason_problem
from alphapanda.core.vocabulary import Broker, CommandKind, DeploymentStatus
from strategies.domain.base import BadParameters, UnknownStrategy, build
from strategies.domain.history import renewed
from strategies.domain.machine import CheckpointDoesNotFit
from strategies.loading import strategy_class_of
from strategies.models import Command, Deployment
from strategies.selectors import DeploymentNotFound
from strategies.services.approvals import approvals_drop

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

RUNNING, PAUSED = DeploymentStatus.RUNNING, DeploymentStatus.PAUSED
STOPPED, QUARANTINED = DeploymentStatus.STOPPED, DeploymentStatus.QUARANTINED

# act -> (from which states, to which). A quarantined deployment leaves only by its release, so that nobody
# starts a failing strategy again without having seen its error.
TRANSITIONS: dict[str, tuple[frozenset[DeploymentStatus], DeploymentStatus]] = {
    "start": (frozenset({PAUSED, STOPPED}), RUNNING),
    "pause": (frozenset({RUNNING}), PAUSED),
    "stop": (frozenset({RUNNING, PAUSED}), STOPPED),
    "release_quarantine": (frozenset({QUARANTINED}), RUNNING),
}


class IllegalTransition(Conflict):
    """A deployment cannot go from its state to the one asked for."""


class StrategyNotEnabled(Conflict):
    """The strategy of the deployment is switched off."""


class DeploymentNotStopped(Conflict):
    """What a deployment trades, and how, changes only while it is stopped."""


class NotItsInstrument(BadRequest):
    """A deployment has no such instrument."""


class ReasonMissing(BadRequest):
    """An act on live trading needs a reason."""


def deployment_start(
    *, deployment_id: UUID, actor: str, reason: str, now: datetime, ip: str | None = None
) -> Deployment:
    """Let a paused or stopped deployment run. Idempotent; locks the row.

    Raises DeploymentNotFound, IllegalTransition, accounts.live.NotCleared, StrategyNotEnabled, ReasonMissing.
    """
    return _move("start", deployment_id=deployment_id, actor=actor, reason=reason, now=now, ip=ip)


def deployment_pause(
    *, deployment_id: UUID, actor: str, reason: str, now: datetime, ip: str | None = None
) -> Deployment:
    """Refuse entries of a running deployment; its exits pass. Idempotent; locks the row.

    Raises DeploymentNotFound, IllegalTransition, ReasonMissing.
    """
    return _move("pause", deployment_id=deployment_id, actor=actor, reason=reason, now=now, ip=ip)


def deployment_stop(
    *, deployment_id: UUID, actor: str, reason: str, now: datetime, ip: str | None = None
) -> Deployment:
    """Let a deployment read nothing more. Idempotent; locks the row.

    Raises DeploymentNotFound, IllegalTransition, ReasonMissing.
    """
    return _move("stop", deployment_id=deployment_id, actor=actor, reason=reason, now=now, ip=ip)


def deployment_release_quarantine(
    *, deployment_id: UUID, actor: str, reason: str, now: datetime, ip: str | None = None
) -> Deployment:
    """Let a quarantined deployment read the tick again on which it raised. Idempotent; locks the row.

    Raises DeploymentNotFound, IllegalTransition, accounts.live.NotCleared, StrategyNotEnabled, ReasonMissing.
    """
    return _move(
        "release_quarantine", deployment_id=deployment_id, actor=actor, reason=reason, now=now, ip=ip
    )


@transaction.atomic
def deployment_flatten(
    *, deployment_id: UUID, actor: str, reason: str, now: datetime, ip: str | None = None
) -> Deployment:
    """Pause a deployment and close its positions at the market. Idempotent; locks the row.

    Its machine raises the exits at its next step, which is stored with the command.
    Raises DeploymentNotFound, IllegalTransition, ReasonMissing.
    """
    deployment = _reading(deployment_id, "flatten", reason)
    if deployment.status != PAUSED:
        deployment = _move("pause", deployment_id=deployment_id, actor=actor, reason=reason, now=now, ip=ip)
    command = command_give(deployment=deployment, kind=CommandKind.FLATTEN, reason=reason, actor=actor)
    _record_given(command, "deployment.flatten", reason, now=now, ip=ip)
    return deployment


@transaction.atomic
def deployment_exit(
    *, deployment_id: UUID, instrument: str, actor: str, reason: str, now: datetime, ip: str | None = None
) -> Deployment:
    """Close what a deployment holds of one instrument at the market, and cancel what works there; it goes on
    trading, that instrument too once it is flat. Idempotent; locks the row.

    Its machine raises the exits at its next step, which is stored with the command.
    Raises DeploymentNotFound, IllegalTransition, ReasonMissing, NotItsInstrument.
    """
    deployment = _reading(deployment_id, "exit", reason)
    own = {str(one): one for one in deployment.instruments.all()}
    if instrument not in own:
        raise NotItsInstrument(
            f"{deployment.name} does not trade {instrument!r}; it trades {', '.join(sorted(own)) or 'nothing'}."
        )
    command = command_give(
        deployment=deployment, kind=CommandKind.EXIT, reason=reason, actor=actor, instrument=own[instrument]
    )
    _record_given(command, "deployment.exit", reason, now=now, ip=ip, instrument=instrument)
    return deployment


@transaction.atomic
def deployment_cancel(
    *, deployment_id: UUID, order_id: UUID, actor: str, reason: str, now: datetime, ip: str | None = None
) -> Deployment:
    """Cancel an order of a deployment, which goes on; whether it works still its machine sees at its next step, which
    is stored with the command. Idempotent; locks the row.

    Raises DeploymentNotFound, IllegalTransition, ReasonMissing.
    """
    deployment = _reading(deployment_id, "cancel", reason)
    command = command_give(
        deployment=deployment, kind=CommandKind.CANCEL, reason=reason, actor=actor, order_id=order_id
    )
    _record_given(command, "order.cancel", reason, now=now, ip=ip, order=str(order_id))
    return deployment


def _reading(deployment_id: UUID, act: str, reason: str) -> Deployment:
    """A deployment that takes up commands, its row locked."""
    deployment = deployment_locked(deployment_id, reason)
    if deployment.status not in (RUNNING, PAUSED):
        raise IllegalTransition(
            f"{deployment.name} is {deployment.status}: {act} is not possible, for it reads nothing. "
            f"{_way_on(deployment)}"
        )
    return deployment


def _way_on(deployment: Deployment) -> str:
    """What has a deployment that rests take up commands again, or does without."""
    is_fallen = deployment.status == DeploymentStatus.QUARANTINED
    way = "Release it, once it is mended or another version upgrades it" if is_fallen else "Start it"
    if deployment.broker != Broker.ZERODHA:
        return f"{way}."
    return f"{way}; or halt it with the step CANCEL, which takes its orders out of Zerodha's book though it rests."


def _record_given(
    command: Command | None, action: str, reason: str, *, now: datetime, ip: str | None, **details: str
) -> None:
    """Nothing is recorded where the same command waits already."""
    if command is not None:
        act_record(
            actor=command.actor,
            action=action,
            target=_target(command.deployment),
            reason=reason,
            details={"command": str(command.pk), **details},
            now=now,
            ip=ip,
        )


def command_give(
    *, deployment: Deployment, kind: CommandKind, reason: str, actor: str, **more: Any
) -> Command | None:
    """Have a deployment carry out something at its next step; None where the same waits already. In the
    transaction of the act that it belongs to."""
    given = {"deployment": deployment, "kind": kind, "order_id": None} | more
    told = given | {"reason": f"{kind.value.lower()}: {reason}"[:200], "actor": actor}
    while not Command.objects.filter(**given, step=None).exists():
        number = Command.objects.filter(deployment=deployment).count()
        command_id = ids.derived("command", deployment.pk, number)
        command, is_ours = Command.objects.get_or_create(id=command_id, defaults=told)
        if is_ours:  # else somebody gave another one at the same moment: ours is the next
            return command
    return None


ACTS = {
    "start": deployment_start,
    "pause": deployment_pause,
    "stop": deployment_stop,
    "flatten": deployment_flatten,
    "release_quarantine": deployment_release_quarantine,
}


@transaction.atomic
def deployment_configure(
    *,
    deployment_id: UUID,
    changes: dict[str, Any],
    actor: str,
    reason: str,
    now: datetime,
    ip: str | None = None,
) -> Deployment:
    """Change columns of a stopped deployment. With other parameters its strategy's memory begins anew, for it is
    one of the old ones (an average keeps its length); its place in the log stays. Locks the row.

    Raises DeploymentNotFound, DeploymentNotStopped.
    """
    deployment = _locked(deployment_id)
    if deployment.status != STOPPED:
        raise DeploymentNotStopped(f"{deployment.name} is {deployment.status}: stop it before you change it.")
    before = {name: getattr(deployment, name) for name in changes}
    for name, value in changes.items():
        setattr(deployment, name, value)
    if before.get("params", deployment.params) != deployment.params:
        deployment.checkpoint = _begun_anew(deployment)
    deployment.revision += 1
    deployment.save(update_fields=[*changes, "checkpoint", "revision"])
    details = {"before": _text(before), "after": _text(changes), "step": deployment.step}
    act_record(
        actor=actor,
        action="deployment.configure",
        target=_target(deployment),
        reason=reason,
        details=details,
        now=now,
        ip=ip,
    )
    return deployment


@transaction.atomic
def _move(
    act: str, *, deployment_id: UUID, actor: str, reason: str, now: datetime, ip: str | None
) -> Deployment:
    if problem := reason_problem(reason):
        raise ReasonMissing(problem)
    deployment = _locked(deployment_id)
    goal = TRANSITIONS[act][1]
    if deployment.status == goal:
        return deployment
    _check(deployment, act, goal, actor=actor, now=now)
    details = {"from": deployment.status, "to": goal.value, "step": deployment.step}
    deployment.status = goal
    deployment.error = ""
    deployment.revision += 1  # the fence: a worker that folds this deployment loses its next compare-and-set
    if goal is RUNNING:
        deployment.started_by = actor
    else:
        details["dropped"] = approvals_drop([deployment.pk], why=f"{act}: {reason}", actor=actor, now=now)
    deployment.save(update_fields=["status", "error", "revision", "started_by"])
    act_record(
        actor=actor,
        action=f"deployment.{act}",
        target=_target(deployment),
        reason=reason,
        details=details | {"revision": deployment.revision},
        now=now,
        ip=ip,
    )
    return deployment


def _begun_anew(deployment: Deployment) -> bytes:
    """The checkpoint without the strategy's memory; one that cannot be read stays, its deployment says so."""
    try:
        strategy = build(strategy_class_of(deployment.strategy_version), deployment.params)
        return renewed(bytes(deployment.checkpoint), strategy, is_flat=False)
    except (BadParameters, CheckpointDoesNotFit, UnknownStrategy):
        return bytes(deployment.checkpoint)


def _locked(deployment_id: UUID) -> Deployment:
    rows = Deployment.objects.select_related("strategy_version__strategy")
    query = rows.select_for_update(of=("self",), no_key=True)
    try:
        return query.get(pk=deployment_id)
    except Deployment.DoesNotExist as error:
        raise DeploymentNotFound(f"There is no deployment {deployment_id}.") from error


def deployment_locked(deployment_id: UUID, reason: str) -> Deployment:
    """A deployment for an act, its row locked. Raises DeploymentNotFound, ReasonMissing."""
    if problem := reason_problem(reason):
        raise ReasonMissing(problem)
    return _locked(deployment_id)


def _check(deployment: Deployment, act: str, goal: DeploymentStatus, *, actor: str, now: datetime) -> None:
    if deployment.status not in TRANSITIONS[act][0]:
        raise IllegalTransition(f"{deployment.name} is {deployment.status}: {act} is not possible.")
    if goal is not RUNNING:
        return
    if deployment.broker == Broker.ZERODHA:
        live.clear(actor=actor, now=now)
    if not deployment.strategy_version.strategy.is_enabled:
        raise StrategyNotEnabled(f"Strategy {deployment.strategy_version.strategy.name} is switched off.")


def _target(deployment: Deployment) -> str:
    return f"deployment:{deployment.name}"


def _text(values: dict[str, Any]) -> dict[str, Any]:
    plain = (str, int, dict, list, bool, type(None))
    return {name: value if isinstance(value, plain) else str(value) for name, value in values.items()}
