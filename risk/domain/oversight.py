"""Under what a deployment was judged: what people, and guards by the wall clock, said, and the limits in force."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from alphapanda.core.vocabulary import DeploymentStatus
from risk.domain.context import Outside, Terms


class Oversight(msgspec.Struct, frozen=True):
    """What may refuse entries and is not in the log of ticks: the status of the deployment, the kill switches thrown,
    other guards as (rule, why), the version of the limits in force, what the account holds outside of all books. It is
    stored with the step from which it was seen, so that a replay sees it there."""

    status: DeploymentStatus = DeploymentStatus.RUNNING
    halts: tuple[str, ...] = ()
    guards: tuple[tuple[str, str], ...] = ()
    limits: str = ""
    outside: tuple[Outside, ...] = ()


class Change(msgspec.Struct, frozen=True):
    """What was seen from a step on; first by a look at losses, which comes before the step's signals, or by the judges
    of those. `terms` are the limits of that version, none: those that the deployment began with."""

    from_step: int
    seen: Oversight
    is_look: bool = False
    terms: Terms | None = None


Changes = Sequence[Change]  # in the order of their steps, looks first


def change_at(changes: Changes, step: int, *, is_look: bool = False) -> Change | None:
    """What holds at a step, for its signals or for the look at losses before them; None before the first change."""
    for change in reversed(changes):
        if change.from_step < step or (change.from_step == step and is_look <= change.is_look):
            return change
    return None
