"""What people, and guards by the wall clock, said when signals of a deployment were judged."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from alphapanda.core.vocabulary import DeploymentStatus


class Oversight(msgspec.Struct, frozen=True):
    """What may refuse entries and is not in the log of ticks: the status of the deployment, the kill switches thrown,
    other guards as (rule, why). It is stored with the step from which it was seen, so that a replay sees it there."""

    status: DeploymentStatus = DeploymentStatus.RUNNING
    halts: tuple[str, ...] = ()
    guards: tuple[tuple[str, str], ...] = ()


Oversights = Sequence[tuple[int, Oversight]]  # each with its first step, in their order


def seen_at(changes: Oversights, step: int) -> Oversight | None:
    """What was seen at a step; None before the first change."""
    return next((seen for from_step, seen in reversed(changes) if from_step <= step), None)
