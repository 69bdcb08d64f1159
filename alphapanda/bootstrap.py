"""What must be there before the first process starts: each step is its app's own service, and idempotent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone

from accounts.services import ensure_roles
from alphapanda.eventlog.bootstrap import ensure_topics
from marketdata.domain.instruments import NotAnInstrumentList
from marketdata.services import calendar, instruments
from strategies.services.catalogue import catalogue_refresh
from strategies.services.sharding import deployments_reshard


class CannotBootstrap(Exception):
    """A setting names what cannot be used; the text says which, and what is accepted."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a step said of its work."""

    name: str
    result: str


def _topics() -> str:
    return f"{len(ensure_topics())} made"


def _roles() -> str:
    ensure_roles()
    return "viewer, operator"


def _calendar() -> str:
    return f"{calendar.calendars_load_shipped()} rows added"


def _instruments() -> str:
    reports = [instruments.load_shipped(now=timezone.now())]
    try:
        reports += [instruments.load(path, now=timezone.now()) for path in settings.INSTRUMENTS]
    except (NotAnInstrumentList, OSError) as error:
        raise CannotBootstrap(f"ALPHAPANDA_INSTRUMENTS: {error}") from error
    added, faulty = sum(r.added for r in reports), sum(len(r.faulty) for r in reports)
    return f"{added} added" + (f", {faulty} faulty lines" if faulty else "")


def _shards() -> str:
    return f"{settings.SHARDS}, {deployments_reshard()} deployments moved"


def _strategies() -> str:
    files = catalogue_refresh(again=True)
    faulty = [
        f"{file.file}:{file.faults[0]['line']}: {file.faults[0]['text']}" for file in files if file.faults
    ]
    return "; ".join([f"{len(files) - len(faulty)} files", *faulty])


STEPS: dict[str, Callable[[], str]] = {
    "topics": _topics,
    "roles": _roles,
    "calendar": _calendar,
    "instruments": _instruments,
    "strategies": _strategies,
    "shards": _shards,
}


def run() -> Iterator[Done]:
    """Run every step in order and tell of each; the first error ends it. Raises CannotBootstrap."""
    for name, step in STEPS.items():
        yield Done(name, step())
