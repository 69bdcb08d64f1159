"""What must be there before the first process starts: each step is its app's own service, and idempotent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.module_loading import import_string


@dataclass(frozen=True, slots=True)
class Step:
    """One service, by its dotted path: it is imported when its turn comes."""

    name: str
    service: str


@dataclass(frozen=True, slots=True)
class Done:
    """What a step said of its work."""

    name: str
    result: str


STEPS = (
    Step("topics", "alphapanda.eventlog.bootstrap.ensure_topics"),
    Step("roles", "accounts.services.ensure_roles"),
    Step("calendar", "marketdata.services.calendar.seed"),
    Step("instruments", "marketdata.services.instruments.load_shipped"),
)


def run() -> Iterator[Done]:
    """Run every step in order and tell of each; the first error ends it."""
    for step in STEPS:
        result = import_string(step.service)()
        yield Done(step.name, "done" if result is None else str(result))
