"""Kill switches: throwing and releasing a halt of entries. Exits and cancels pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from accounts.services import act_record
from alphapanda.core.refusals import BadRequest, NotThere, reason_problem
from alphapanda.core.vocabulary import Broker, CommandKind, HaltLevel, HaltStep, Severity
from risk.loading import is_exposed
from risk.models import KillSwitch
from risk.services.alerts import alert_raise
from risk.services.terms import take_kill_lock
from strategies.models import Command, Deployment
from strategies.services.approvals import approvals_drop
from strategies.services.lifecycle import command_give
from strategies.services.runner import ACTIVE

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet


class HaltTargetInvalid(BadRequest):
    """The level of a halt and what it names do not fit together."""


class HaltReasonMissing(BadRequest):
    """Throwing or releasing a halt needs a reason."""


class HaltNotFound(NotThere):
    """There is no such halt."""


@transaction.atomic
def halt_throw(
    *,
    level: str,
    broker: str = "",
    deployment_id: UUID | None = None,
    step: str = HaltStep.PAUSE,
    reason: str,
    actor: str,
    now: datetime,
    ip: str | None = None,
) -> KillSwitch:
    """Halt entries of everything, of a broker or of a deployment; thrown twice it is the same active row. `step` says
    how far it goes: it is latched until the release, may be thrown again to go further, and never goes back.

    Waits for the decisions that are being made; none commits afterwards with the view of before. Cancelling and
    closing are commands that each deployment carries out at its next step; one that read nothing then, and has
    something at stake now that it reads again, is told by throwing it again.
    Raises HaltTargetInvalid, HaltReasonMissing.
    """
    _check_reason(reason)
    _check_target(level, broker, deployment_id)
    wanted = _step(step)
    take_kill_lock()
    target = {"level": level, "broker": broker, "deployment_id": deployment_id}
    halt, created = _active_or_new(target, reason=reason, actor=actor)
    if not created and HaltStep(halt.step).rank >= wanted.rank:
        _reach(halt, wanted, reason=reason, actor=actor, now=now, ip=ip)
        return halt
    halt.step = wanted
    halt.save(update_fields=["step", "reached_at"])
    act_record(
        actor=actor,
        action="halt.throw" if created else "halt.escalate",
        target=_name(halt),
        reason=reason,
        details={"halt": halt.pk, "step": wanted.value} | _carry_out(halt, wanted, reason, actor, now),
        now=now,
        ip=ip,
    )
    return halt


COMMANDS = {HaltStep.CANCEL: CommandKind.CANCEL, HaltStep.FLATTEN: CommandKind.FLATTEN}


def _carry_out(
    halt: KillSwitch, step: HaltStep, reason: str, actor: str, now: datetime
) -> dict[str, list[str]]:
    """Give the commands of a step to all that the halt covers; who reads nothing cannot carry them out. Entries that
    wait for a person are dropped."""
    covered = _covered(halt)
    told = {} if step not in COMMANDS else _command(halt, step, covered, reason, actor, now)
    everybody = covered.values_list("id", flat=True)
    dropped = approvals_drop(everybody, why=f"{_name(halt)}: {reason}", actor=actor, now=now)
    return told | ({"dropped": dropped} if dropped else {})


def _reach(
    halt: KillSwitch, step: HaltStep, *, reason: str, actor: str, now: datetime, ip: str | None
) -> None:
    """Tell those who have not been told since the halt came to its step; nothing is recorded where there are none."""
    if step not in COMMANDS:
        return
    kinds = [kind for one, kind in COMMANDS.items() if one.rank >= step.rank]
    told = Command.objects.filter(kind__in=kinds, created_at__gte=halt.reached_at, order_id=None)
    untold = _covered(halt).filter(status__in=ACTIVE).exclude(id__in=told.values("deployment"))
    late = [one for one in untold if is_exposed(one.id)]
    for deployment in late:
        command_give(deployment=deployment, kind=COMMANDS[step], reason=reason, actor=actor)
    if late:
        act_record(
            actor=actor,
            action="halt.repeat",
            target=_name(halt),
            reason=reason,
            details={"halt": halt.pk, "step": step.value, "told": [one.name for one in late]},
            now=now,
            ip=ip,
        )


def _covered(halt: KillSwitch) -> QuerySet[Deployment]:
    covered = Deployment.objects.order_by("name").only("id", "name", "status")
    if halt.level == HaltLevel.BROKER:
        return covered.filter(broker=halt.broker)
    return covered.filter(id=halt.deployment_id) if halt.level == HaltLevel.DEPLOYMENT else covered


def _command(
    halt: KillSwitch,
    step: HaltStep,
    covered: QuerySet[Deployment],
    reason: str,
    actor: str,
    now: datetime,
) -> dict[str, list[str]]:
    told, unreached = [], []
    for deployment in covered:
        if deployment.status in ACTIVE:
            command_give(deployment=deployment, kind=COMMANDS[step], reason=reason, actor=actor)
            told.append(deployment.name)
        elif is_exposed(deployment.id):
            unreached.append(deployment.name)
    if unreached:
        alert_raise(
            code="halt_out_of_reach",
            subject=_name(halt),
            text=f"holds something and reads nothing: {', '.join(unreached)}; start it and throw the halt again,"
            " or close it by hand",
            severity=Severity.CRITICAL,
            deployment_id=halt.deployment_id,
            broker=halt.broker,
            now=now,
        )
    return {"told": told, "unreached": unreached}


def _step(step: str) -> HaltStep:
    try:
        return HaltStep(step)
    except ValueError:
        raise HaltTargetInvalid(f"{step!r} is not one of {', '.join(HaltStep)}.") from None


@transaction.atomic
def halt_release(
    *, halt_id: int, actor: str, reason: str, now: datetime, ip: str | None = None
) -> KillSwitch:
    """Release a halt. Idempotent: the first release counts. Waits as `halt_throw` does.
    Raises HaltNotFound, HaltReasonMissing."""
    _check_reason(reason)
    take_kill_lock()
    try:
        halt = KillSwitch.objects.select_for_update().get(pk=halt_id)
    except KillSwitch.DoesNotExist as error:
        raise HaltNotFound(f"There is no halt {halt_id}.") from error
    if halt.released_at is not None:
        return halt
    halt.released_by, halt.released_at = actor, now
    halt.save(update_fields=["released_by", "released_at"])
    act_record(
        actor=actor,
        action="halt.release",
        target=_name(halt),
        reason=reason,
        details={"halt": halt.pk},
        now=now,
        ip=ip,
    )
    return halt


def _active_or_new(target: dict[str, object], *, reason: str, actor: str) -> tuple[KillSwitch, bool]:
    active = KillSwitch.objects.filter(**target, released_at__isnull=True)
    if halt := active.first():
        return halt, False
    try:
        with transaction.atomic():
            return KillSwitch.objects.create(**target, reason=reason, thrown_by=actor), True
    except IntegrityError:  # somebody threw it at the same moment; the unique constraint made us wait
        return active.get(), False


def _check_reason(reason: str) -> None:
    if problem := reason_problem(reason):
        raise HaltReasonMissing(problem)


def _check_target(level: str, broker: str, deployment_id: UUID | None) -> None:
    fits = {
        HaltLevel.GLOBAL: not broker and deployment_id is None,
        HaltLevel.BROKER: broker in (Broker.PAPER, Broker.ZERODHA) and deployment_id is None,
        HaltLevel.DEPLOYMENT: not broker and deployment_id is not None,
    }
    if level not in fits:
        raise HaltTargetInvalid(f"{level!r} is not one of {', '.join(HaltLevel)}.")
    if not fits[HaltLevel(level)]:
        raise HaltTargetInvalid(f"A {level} halt names exactly what it halts: {_expected(HaltLevel(level))}.")
    if deployment_id is not None and not Deployment.objects.filter(pk=deployment_id).exists():
        raise HaltTargetInvalid(f"There is no deployment {deployment_id}.")


def _expected(level: HaltLevel) -> str:
    return {
        HaltLevel.GLOBAL: "neither broker nor deployment",
        HaltLevel.BROKER: "a broker, paper or zerodha",
        HaltLevel.DEPLOYMENT: "a deployment and no broker",
    }[level]


def _name(halt: KillSwitch) -> str:
    if halt.level == HaltLevel.DEPLOYMENT:
        return f"halt:deployment:{halt.deployment.name}"
    return f"halt:{halt.broker}" if halt.level == HaltLevel.BROKER else "halt:global"
