"""What a deployment remembers between two items of the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from marketdata.domain.bars import BarBuilder
from marketdata.domain.quality import Gate
from strategies.domain.guards import Guards
from strategies.domain.signals import Mark

Kept = TypeVar("Kept")


class NotStorable(ValueError):
    """What a strategy remembers cannot be stored, or could not be taken up again; the text says which part."""


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
    names: dict[int, str] = msgspec.field(default_factory=dict)  # whose tokens all of this goes by

    def see(self, source: int, seq: int) -> None:
        """How far a source is read; 0: what is redriven counts for none."""
        if source:
            self.sources[source] = seq

    def roll(self, day: int, *, is_idle: bool) -> None:
        """A new day: the last prices are closes now, and no bracket waits where no order works."""
        self.day = day
        if is_idle:
            self.guards.forget_orders()
        self.marks = {
            token: msgspec.structs.replace(mark, close_before_e4=mark.price_e4)
            for token, mark in self.marks.items()
        }


def under(state: State, tokens: Mapping[str, int]) -> State:
    """The state by the tokens that instruments have now, for lists give them others, and theirs to others. What is of
    an instrument that is not among them keeps its token, unless that is another's."""
    taken = set(tokens.values())
    now = {token: tokens.get(name, token) for token, name in state.names.items()}
    now = {token: moved for token, moved in now.items() if moved not in taken or state.names[token] in tokens}
    guards = state.guards
    state.gates, state.marks = _moved(state.gates, now), _moved(state.marks, now)
    guards.clearing, guards.cleared = _moved(guards.clearing, now), _moved(guards.cleared, now)
    for renewal in guards.renewals.values():
        renewal.token = now.get(renewal.token, renewal.token)
    guards.overdue = sorted(now[token] for token in guards.overdue if token in now)
    guards.protections = _moved(guards.protections, now)
    for token, protections in guards.protections.items():
        for protection in protections:
            protection.token = token
    for builder in state.builders:
        builder.token = tokens.get(builder.instrument, builder.token)
    others = {now[token]: name for token, name in state.names.items() if token in now}
    state.names = others | {token: name for name, token in tokens.items()}
    return state


def _moved(found: Mapping[int, Kept], now: Mapping[int, int]) -> dict[int, Kept]:
    return {now[token]: one for token, one in found.items() if token in now}


def remembered(stored: Any, state_class: type) -> Any:
    """What a strategy remembered, as its State. A field that State no longer has would be forgotten in silence."""
    state: Any = msgspec.convert(stored, state_class)
    strange = set(stored) - set(state.__struct_encode_fields__) if isinstance(stored, dict) else ()
    if strange:
        raise msgspec.ValidationError(f"State has no {', '.join(map(repr, sorted(strange)))}")
    return state


def packed(state: State, state_class: type) -> bytes:
    """The state as bytes that can be taken up again. Raises NotStorable."""
    kept(state.strategy, state_class)
    return msgspec.msgpack.encode(state)


def kept(memory: Any, state_class: type) -> Any:
    """What a strategy remembers, as it is once it was stored and taken up again. Raises NotStorable."""
    try:
        raw = msgspec.msgpack.encode(memory)
    except Exception as error:  # what cannot be stored raises what it likes
        raise NotStorable(f"its State cannot be stored: {_unstorable(memory)}{error}") from error
    try:
        return remembered(msgspec.msgpack.decode(raw), state_class)
    except Exception as error:
        raise NotStorable(f"its State could not be taken up again: {error}") from error


def _unstorable(memory: Any) -> str:
    """The name of the first field that cannot be stored."""
    for name in memory.__struct_fields__:
        try:
            msgspec.msgpack.encode(getattr(memory, name))
        except Exception:  # noqa: BLE001 - as above
            return f"{name}: "
    return ""
