"""Who uses an instrument: the parts above say so here, for imports point down."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from enum import StrEnum
from typing import NamedTuple


class UseKind(StrEnum):
    DEPLOYMENT = "deployment"
    POSITION = "position"


class Use(NamedTuple):
    """A deployment that has an instrument, or a position in it. `is_active`: it acts on ticks as they come."""

    kind: UseKind
    id: str
    name: str
    instrument_id: int
    is_active: bool


Reader = Callable[[Collection[int] | None], Iterable[Use]]
_readers: list[Reader] = []


def register(reader: Reader) -> Reader:
    """Have `reader` asked for the uses of instruments by primary key; None asks for all."""
    if reader not in _readers:
        _readers.append(reader)
    return reader


Listener = Callable[[Collection[int]], None]
_listeners: list[Listener] = []


def listen(listener: Listener) -> Listener:
    """Have `listener` told of instruments, by primary key, that a list has changed and that are in use."""
    if listener not in _listeners:
        _listeners.append(listener)
    return listener


def tell_changed(instrument_ids: Collection[int]) -> None:
    """Tell those above that instruments have changed."""
    for listener in _listeners:
        listener(instrument_ids)


def uses(instrument_ids: Collection[int] | None = None) -> list[Use]:
    """Every use, of some instruments or of all."""
    return [use for reader in _readers for use in reader(instrument_ids)]
