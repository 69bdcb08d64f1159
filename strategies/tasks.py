"""Doorbells of strategy workers."""

from __future__ import annotations

import time
from pathlib import Path
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from alphapanda import logs
from alphapanda.eventlog import incarnation
from alphapanda.eventlog.client import LogReader
from marketdata import selectors
from strategies.services.limit import TimeLimit
from strategies.services.quarantine import quarantine_for
from strategies.services.shard import Shard

ROUNDS_MAX = 20  # of one doorbell; another is rung anyway

_shards: dict[int, Shard] = {}
_limits: dict[int, TimeLimit] = {}
log = logs.channel("trading")


@shared_task(name="strategies.evaluate")
def evaluate(*, shard: int, partition_ends: dict[str, int] | None = None, **_newer: object) -> None:
    """Fold the deployments of a shard up to the ends of the log's partitions; safe to run any number of times."""
    ends = {int(partition): end for partition, end in (partition_ends or {}).items()}
    try:
        _evaluate(shard, ends)
    except BaseException:
        forget(shard)  # whatever was in memory may not be what is stored
        raise


def _evaluate(number: int, ends: dict[int, int]) -> None:
    shard = _shards.get(number)
    if shard is None or shard.incarnation != incarnation.current():
        forget(number)
        shard = _shards[number] = _open(number, incarnation.current())
    for _ in range(ROUNDS_MAX):
        if not shard.evaluate(ends):
            return


def _open(number: int, current: UUID) -> Shard:
    return Shard(
        number,
        reader=LogReader(f"strategies.{number}"),
        calendar=selectors.calendars(),
        incarnation=current,
        clock=timezone.now,
        monotonic=time.monotonic,
        limit=_limits.get(number) or _limited(number),
    )


def _limited(number: int) -> TimeLimit:
    """The limit of this process, once it has heard what became of the one before."""
    limit = TimeLimit(Path(settings.RUN_DIR, "hangs"), number, seconds=settings.STRATEGY_SECONDS)
    words = limit.last_words(now_s=time.time())
    if words is not None:
        quarantine_for(*words)
    _limits[number] = limit
    return limit


def forget(number: int) -> None:
    """Drop a shard from memory; the next doorbell loads it from its checkpoints."""
    shard = _shards.pop(number, None)
    if shard is not None:
        shard.reader.close()
