"""Which deployments must be decided in the order of the log, because they share a sum or may trade with each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from uuid import UUID

from alphapanda.core.vocabulary import LimitLevel
from risk.domain.limits import SUMS, Level, Limits, Place, covers

MEETING = ("self_trade", "exit_lane")  # of the sums, those that do not add anything up by themselves


def groups(levels: Sequence[Level], places: Iterable[Place]) -> dict[UUID, str]:
    """The group of each deployment; empty for one that shares nothing. A group has the name of its first member."""
    every = sorted(places, key=lambda place: place.id)
    above = {place.id: place.id for place in every}
    for level in levels:
        for one, other in _pairs(level, every):
            above[_top(above, one)] = _top(above, other)
    members: dict[UUID, list[UUID]] = {}
    for place in every:
        members.setdefault(_top(above, place.id), []).append(place.id)
    names = {top: f"{min(found)}" if len(found) > 1 else "" for top, found in members.items()}
    return {place.id: names[_top(above, place.id)] for place in every}


def _top(above: Mapping[UUID, UUID], one: UUID) -> UUID:
    while above[one] != one:
        one = above[one]
    return one


def _pairs(level: Level, places: Sequence[Place]) -> Iterable[tuple[UUID, UUID]]:
    """Neighbours that a level couples; each broker namespace by itself, and no shadows."""
    if level.level is LimitLevel.DEPLOYMENT:
        return
    counted = (place for place in places if covers(level, place) and not place.is_shadow)
    covered = sorted(counted, key=lambda place: place.broker)
    for _, found in groupby(covered, key=lambda place: place.broker):
        mates = list(found)
        if adds_up(level.limits):
            yield from ((one.id, other.id) for one, other in pairwise(mates))
        elif level.limits.self_trade:
            yield from _meeting(mates, level.instrument)


def _meeting(mates: Sequence[Place], only: str) -> Iterable[tuple[UUID, UUID]]:
    """Pairs that trade the same instrument."""
    first: dict[str, UUID] = {}
    for place in mates:
        for key in place.instruments:
            if only in ("", key):
                yield first.setdefault(key, place.id), place.id


def adds_up(limits: Limits) -> bool:
    """Whether a limit bounds what several deployments come to together."""
    return any(getattr(limits, name) is not None for name in SUMS if name not in MEETING)
