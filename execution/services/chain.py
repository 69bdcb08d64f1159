"""The links of the chain after risk, whichever broker a deployment has. One transaction each, any number of runs."""

from __future__ import annotations

from types import ModuleType
from uuid import UUID

from django.db import transaction

from alphapanda import failpoints
from alphapanda.core.vocabulary import Broker
from execution import loading
from execution.services import live, paper
from execution.services.settling import settle_if_finished
from marketdata.domain.calendar import MarketHours
from strategies import loading as deployments
from strategies.models import Due

# Each carries out approved signals (`carry_out`) and finishes due rows (`match`) of its own deployments.
PORTS: dict[str, ModuleType] = {Broker.PAPER: paper, Broker.ZERODHA: live}


def orders_submit(*, deployment_id: UUID, calendar: MarketHours) -> int | None:
    """Carry out the approved decisions that nobody has carried out: place orders, cancel and modify them. Where
    nothing else of the deployment is unfinished it may read on at once: then the shard to ring is returned."""
    with transaction.atomic():
        deployment = deployments.locked(deployment_id)
        signals = loading.signals_to_carry_out(deployment)
        if signals:
            PORTS[deployment.broker].carry_out(deployment, signals, calendar)
        is_settled = settle_if_finished(deployment)
        failpoints.hit("execution.submit.before_commit")
    failpoints.hit("execution.submit.after_commit")
    return deployment.shard if is_settled else None


def dues_match(*, deployment_id: UUID, calendar: MarketHours) -> int:
    """Finish the due rows of a deployment: match working orders against items, book what a broker reported; how many
    trades."""
    with transaction.atomic():
        deployment = deployments.locked(deployment_id)
        dues, trades = loading.dues_new(deployment_id), 0
        for due in dues:
            trades += PORTS[deployment.broker].match(deployment, due, calendar)
            Due.objects.filter(id=due.id).update(state=Due.State.DONE)
        failpoints.hit("execution.match.before_commit")
    failpoints.hit("execution.match.after_commit")
    return trades


def deployment_settle(*, deployment_id: UUID) -> int | None:
    """Let a deployment read on once nothing of it is unfinished; its shard, or None where it must still wait."""
    with transaction.atomic():
        deployment = deployments.locked(deployment_id)
        is_settled = settle_if_finished(deployment)
        failpoints.hit("execution.settle.before_commit")
    failpoints.hit("execution.settle.after_commit")
    return deployment.shard if is_settled else None
