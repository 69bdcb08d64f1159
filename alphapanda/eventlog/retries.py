"""What an exception means for the work that raised it, and the one way of trying again."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Iterable
from enum import StrEnum
from threading import Event
from typing import TypeVar
from uuid import UUID

import redis.exceptions
from django.db import InterfaceError, OperationalError
from kombu.exceptions import OperationalError as DoorbellDown

from alphapanda import logs
from alphapanda.core.envelope import UndecodableEvent
from alphapanda.eventlog.records import LogUnavailable, MessageTooLarge

FIRST_WAIT_S = 0.1
MOST_WAIT_S = 10.0
Result = TypeVar("Result")
log = logs.channel("application")


class Fault(StrEnum):
    TRANSIENT = "TRANSIENT"  # the world: try again in place, keep the order
    PERMANENT = "PERMANENT"  # the data: never try again, park it
    CODE = "CODE"  # the program: an operator or a programmer must look


class Stopped(Exception):
    """The process was asked to stop while it waited to try again."""


_TRANSIENT = (
    InterfaceError,  # the connection was found closed
    LogUnavailable,
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    DoorbellDown,
    ConnectionError,
    TimeoutError,
)
# psycopg raises these as OperationalError too, but no waiting mends a wrong password or database name
_CONFIGURATION_SQLSTATES = ("28", "3D", "42")


def classify(error: BaseException) -> Fault:
    """Whether to try again (TRANSIENT), to park (PERMANENT), or to stop and be looked at (CODE)."""
    if isinstance(error, OperationalError):
        sqlstate = getattr(error.__cause__, "sqlstate", None) or ""
        return Fault.CODE if sqlstate.startswith(_CONFIGURATION_SQLSTATES) else Fault.TRANSIENT
    if isinstance(error, _TRANSIENT):
        return Fault.TRANSIENT
    if isinstance(error, (UndecodableEvent, MessageTooLarge)):
        return Fault.PERMANENT
    return Fault.CODE


def for_each(
    ids: Iterable[str],
    work: Callable[[UUID], Result],
    *,
    failed: Callable[[UUID, str], object] = lambda _one, _error: None,
) -> dict[UUID, Result]:
    """Do a piece of work for each of several: what one raises is logged, told to `failed` and costs itself only.
    Raises TRANSIENT faults, which are nobody's own. Returns what came of those that did not fail."""
    done = {}
    for one in map(UUID, ids):
        try:
            done[one] = work(one)
        except Exception as error:
            if classify(error) is Fault.TRANSIENT:
                raise
            log.exception("eventlog.link.failed", subject=str(one))
            failed(one, traceback.format_exc(limit=-6))
    return done


def wait_s(attempt: int) -> float:
    """Full jitter: anything up to 100 ms for the first wait, doubling to 10 s."""
    bound = min(FIRST_WAIT_S * 2 ** min(attempt, 16), MOST_WAIT_S)
    return random.uniform(0, bound)


def in_place(
    work: Callable[[], Result],
    *,
    stop: Event,
    before_retry: Callable[[], None] | None = None,
    give_up_s: float | None = None,
) -> Result:
    """Do a piece of work until it succeeds. Raises what is no TRANSIENT fault, the last one after
    `give_up_s`, and Stopped when asked to stop between two attempts."""
    attempt = 0
    deadline = None if give_up_s is None else time.monotonic() + give_up_s
    while True:
        try:
            return work()
        except Exception as error:
            if classify(error) is not Fault.TRANSIENT or (deadline and time.monotonic() > deadline):
                raise
            log.warning("eventlog.retry", attempt=attempt, error=type(error).__name__, text=str(error)[:200])
        if before_retry is not None:
            before_retry()
        if stop.wait(wait_s(attempt)):
            raise Stopped
        attempt += 1
