"""What a deployment remembers between two items of the log."""

from __future__ import annotations

from typing import Any

import msgspec

from marketdata.domain.bars import BarBuilder
from marketdata.domain.quality import Gate
from strategies.domain.guards import Guards
from strategies.domain.signals import Mark


class State(msgspec.Struct):
    """All that a deployment remembers; the checkpoint is this and nothing else."""

    step: int = 0
    at_ms: int = 0
    clock_ms: int = 0  # of the last clock item
    day: int = 0
    sources: dict[int, int] = msgspec.field(default_factory=dict)
    gates: dict[int, Gate] = msgspec.field(default_factory=dict)
    builders: list[BarBuilder] = msgspec.field(default_factory=list)
    marks: dict[int, Mark] = msgspec.field(default_factory=dict)
    faults: dict[str, int] = msgspec.field(default_factory=dict)
    is_started: bool = False
    bars_seen: dict[str, int] = msgspec.field(default_factory=dict)  # until warm, by instrument and length
    guards: Guards = msgspec.field(default_factory=Guards)
    history_ms: int = 0  # end of the past bars that were seen before the first item
    strategy: Any = None


def remembered(stored: Any, state_class: type) -> Any:
    """What a strategy remembered, as its State. A field that State no longer has would be forgotten in silence."""
    state: Any = msgspec.convert(stored, state_class)
    strange = set(stored) - set(state.__struct_encode_fields__) if isinstance(stored, dict) else ()
    if strange:
        raise msgspec.ValidationError(f"State has no {', '.join(map(repr, sorted(strange)))}")
    return state
