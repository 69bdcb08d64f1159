"""Why a deployment does not trade now, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec

from alphapanda.core.vocabulary import DeploymentStatus, Phase
from alphapanda.dashboard import screen
from risk import selectors
from risk.models import KillSwitch
from strategies.domain.base import BadParameters, Strategy, UnknownStrategy, build
from strategies.domain.memory import State
from strategies.loading import strategy_class_of
from strategies.models import Approval, Deployment

OF_STATUS = {
    DeploymentStatus.STOPPED: "Stopped: it reads nothing until it is started.",
    DeploymentStatus.PAUSED: "Paused: entries are refused, exits pass.",
}
OVER = (Phase.CLOSED, Phase.POST_CLOSE)


def standings(rows: Iterable[screen.Row], strip: screen.Row, decided: set[str]) -> dict[str, str]:
    """Why each of these deployments (rows of one broker) does not trade; empty where nothing stands in its way but its
    strategy. `decided`: ids of those that had a signal, of which the last decision tells more."""
    every = list(rows)
    halts = list(selectors.halts_active())
    asked = Approval.objects.filter(state=Approval.State.WAITING).values_list("deployment_id", flat=True)
    waiting = Counter(map(str, asked))
    phase = strip.get("phase")
    found = {row["id"]: _standing(row, halts, waiting[row["id"]], phase) for row in every}
    cold = [UUID(row["id"]) for row in every if not found[row["id"]] and row["id"] not in decided]
    return found | _untried(cold)


def _standing(row: screen.Row, halts: list[KillSwitch], waiting: int, phase: str | None) -> str:
    status = DeploymentStatus(row["status"])
    if status in OF_STATUS:
        return OF_STATUS[status]
    if status is DeploymentStatus.QUARANTINED:
        return ""  # its error stands there
    if halt := next((one for one in halts if _covers(one, row)), None):
        return (
            f"Halted by {halt.thrown_by}: {halt.reason}. Entries are refused until the release, exits pass."
        )
    if waiting:
        return f"{'1 entry of it waits' if waiting == 1 else f'{waiting} entries of it wait'} for approval."
    if phase in OVER:
        return "Market closed: it reads on with the next session's ticks."
    return ""


def _covers(halt: KillSwitch, row: screen.Row) -> bool:
    if halt.deployment_id is not None:
        return str(halt.deployment_id) == row["id"]
    return halt.broker in ("", row["broker"])


def _untried(ids: list[UUID]) -> dict[str, str]:
    """Of those that had no signal yet: whether a tick has come, and how many bars are still to come."""
    found = Deployment.objects.filter(id__in=ids).select_related("strategy_version__strategy")
    told = {str(one.pk): _wanted(one) for one in found.prefetch_related("instruments")}
    return {name: words for name, words in told.items() if words}


def _wanted(deployment: Deployment) -> str:
    """Items of the clock are read without any tick: only a last price says that one came."""
    try:
        strategy = build(strategy_class_of(deployment.strategy_version), deployment.params)
        state: Any = msgspec.msgpack.decode(bytes(deployment.checkpoint) or b"\x80", type=State)
    except (BadParameters, UnknownStrategy, msgspec.MsgspecError, UnicodeDecodeError):
        return ""  # its shard says so, and quarantines it
    if not state.marks:
        names = ", ".join(sorted(map(str, deployment.instruments.all())))
        return f"No tick yet of {names}: it waits for the feed to bring one."
    return _bars_wanted(deployment, strategy, state)


def _bars_wanted(deployment: Deployment, strategy: Strategy, state: Any) -> str:
    lengths, wanted = strategy.bar_minutes(), strategy.warm_up() + 1
    names = [f"{one} {minutes}" for one in deployment.instruments.all() for minutes in lengths]
    seen = min((state.bars_seen.get(name, 0) for name in names), default=wanted)
    if wanted == 1 or seen >= wanted:
        return ""
    return f"Warming up: {seen} of {wanted} bars of {max(lengths)} min seen, nothing is entered before."
