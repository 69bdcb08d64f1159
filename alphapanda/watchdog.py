"""A worker that has gone silent ends itself, so that the supervisor starts another.

After its Redis connection was lost a Celery worker may live on without taking anything from its queue (seen in our
kill tests, and known of Celery). A healthy idle worker empties its queue at once; so an idle one beside a queue
that stays filled is a silent one."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from celery import signals

from alphapanda import logs
from alphapanda.eventlog import doorbell

SILENT_S = 4.0
LOOK_EVERY_S = 0.5

log = logs.channel("application")


class Activity:
    """Whether a task runs in this process, and when the last one began or ended."""

    def __init__(self) -> None:
        self.is_busy = False
        self.at = time.monotonic()

    def begin(self, **_given: Any) -> None:
        self.is_busy, self.at = True, time.monotonic()

    def end(self, **_given: Any) -> None:
        self.is_busy, self.at = False, time.monotonic()

    def is_silent(self, *, now: float, since: float) -> bool:
        """Whether nothing has run for long, though the queue has been filled since a moment."""
        return not self.is_busy and min(now - self.at, now - since) >= SILENT_S


def start(queue: str) -> None:
    """Watch this process's worker of a queue, in a thread of its own."""
    activity = Activity()
    signals.task_prerun.connect(activity.begin, weak=False)
    signals.task_postrun.connect(activity.end, weak=False)
    threading.Thread(target=_watch, args=(queue, activity), name="watchdog", daemon=True).start()


def _watch(queue: str, activity: Activity) -> None:
    filled_since = time.monotonic()
    while True:
        time.sleep(LOOK_EVERY_S)
        now = time.monotonic()
        if not doorbell.queue_depth(queue):
            filled_since = now
        elif activity.is_silent(now=now, since=filled_since):
            log.error("worker.silent", queue=queue, idle_s=round(now - activity.at, 1))
            os._exit(1)
