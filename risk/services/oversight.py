"""Under what a deployment is judged, written down for replays where it changes."""

from __future__ import annotations

import msgspec

from risk.domain.oversight import Oversight
from risk.models import OversightChange, RiskState


def oversight_of(memory: RiskState) -> Oversight:
    """What was seen last."""
    return msgspec.convert(memory.oversight, Oversight)


def oversight_keep(memory: RiskState, seen: Oversight, step: int, *, is_look: bool = False) -> None:
    """Write down what a replay must see from a step on, where it is not what was seen before. The caller saves the
    memory."""
    if seen == oversight_of(memory):
        return
    memory.oversight = msgspec.to_builtins(seen)
    OversightChange.objects.create(
        deployment_id=memory.deployment_id, from_step=step, is_look=is_look, **memory.oversight
    )
