"""Alerts in groups: those of one code together, the gravest and then the newest group first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from alphapanda.core.vocabulary import Severity


class Seen(NamedTuple):
    """An alert as far as its group needs it."""

    id: int
    code: str
    severity: Severity
    subject: str
    at_ms: int
    is_silent: bool = False


class Group(NamedTuple):
    """Alerts of one code, the gravest and then the newest first."""

    code: str
    alerts: tuple[Seen, ...]

    @property
    def severity(self) -> Severity:
        return self.alerts[0].severity

    @property
    def newest_ms(self) -> int:
        return max(one.at_ms for one in self.alerts)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Each once, in the order of the alerts."""
        return tuple(dict.fromkeys(one.subject for one in self.alerts))

    @property
    def silent(self) -> int:
        return sum(one.is_silent for one in self.alerts)


def grouped(alerts: Iterable[Seen]) -> list[Group]:
    """The groups. What is silent stands behind what is not, of groups and in a group."""
    by_code: dict[str, list[Seen]] = {}
    for one in alerts:
        by_code.setdefault(one.code, []).append(one)
    groups = [Group(code, _ordered(found)) for code, found in by_code.items()]
    return sorted(groups, key=lambda group: (*_rank(group.alerts[0])[:2], -group.newest_ms, group.code))


def _ordered(alerts: Sequence[Seen]) -> tuple[Seen, ...]:
    return tuple(sorted(alerts, key=_rank))


def _rank(one: Seen) -> tuple[bool, bool, int, int]:
    return one.is_silent, one.severity is not Severity.CRITICAL, -one.at_ms, -one.id
