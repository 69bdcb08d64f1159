"""Health checks by name: one registry for probes, the page, the command and the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from alphapanda import logs

log = logs.channel("application")


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Group(StrEnum):
    """Ready: without these the platform cannot work. Stage: how old the last item through a stage is."""

    READY = "ready"
    STAGE = "stage"
    QUEUE = "queue"
    HOUSE = "house"


@dataclass(frozen=True, slots=True)
class Status:
    """What a check found: in words for people, as age and value for machines."""

    level: Level
    words: str
    age_s: float | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A status by the name and group of its check."""

    name: str
    group: Group
    status: Status

    def as_row(self) -> dict[str, Any]:
        return {"name": self.name, "group": self.group} | asdict(self.status)


Check = Callable[[], Status | Mapping[str, Status]]  # a mapping: a row for each thing that was looked at
_checks: dict[str, tuple[Group, Check]] = {}


def ok(words: str, *, age_s: float | None = None, value: float | None = None) -> Status:
    return Status(Level.OK, words, age_s, value)


def warn(words: str, *, age_s: float | None = None, value: float | None = None) -> Status:
    return Status(Level.WARN, words, age_s, value)


def fail(words: str, *, age_s: float | None = None, value: float | None = None) -> Status:
    return Status(Level.FAIL, words, age_s, value)


def check(name: str, group: Group) -> Callable[[Check], Check]:
    """Register a check; it may raise, which counts as a failure."""

    def registered(function: Check) -> Check:
        _checks[name] = (group, function)
        return function

    return registered


def run(groups: Iterable[Group] = Group) -> list[Result]:
    """The results of all checks of some groups, in the order in which they were registered."""
    wanted = set(groups)
    return [
        Result(f"{name} {thing}".rstrip(), group, status)
        for name, (group, function) in _checks.items()
        if group in wanted
        for thing, status in _tried(name, function).items()
    ]


def worst(results: Iterable[Result]) -> Level:
    """The gravest level of all results."""
    gravity = list(Level)
    return max((result.status.level for result in results), key=gravity.index, default=Level.OK)


def within(timeout_s: float, function: Callable[[], Any]) -> Any:
    """The answer of a function whose own patience is too long. Raises TimeoutError and leaves it."""
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="health")
    try:
        return pool.submit(function).result(timeout_s)
    except TooSlow:
        raise TimeoutError(f"no answer in {timeout_s:g} s") from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _tried(name: str, function: Check) -> Mapping[str, Status]:
    try:
        found = function()
        return {"": found} if isinstance(found, Status) else found
    except Exception as error:  # noqa: BLE001  (whatever breaks a check is what it was to find)
        log.warning("health.check.failed", check=name, error=repr(error))
        words = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        return {"": fail(words[:200])}
