"""The platform's own log as the market: what its paper exchange trades on, item by item, in the log's time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from alphapanda import logs
from alphapanda.eventlog import topics
from alphapanda.eventlog.client import LogReader
from alphapanda.eventlog.records import OffsetGone, Record
from marketdata.domain.ticks import Item, MalformedTicks, unpack

POLL_S = 0.25
MESSAGES_MAX = 200

log = logs.channel("application")


class Follower:
    """Reads `market.ticks` from its last message on; what cannot be decoded is left out. To be used by one thread."""

    def __init__(self, reader: LogReader, *, partitions: int) -> None:
        """Raises LogUnavailable."""
        self._reader = reader
        self._offsets = {}
        for partition in range(partitions):
            low, high = reader.watermarks(topics.MARKET_TICKS, partition)
            self._offsets[partition] = max(low, high - 1)
        reader.assign(topics.MARKET_TICKS, self._offsets)

    def read(self) -> list[Item]:
        """What has come since; waits a moment where there is nothing. A gap in the log is passed.
        Raises LogError for what waiting does not mend."""
        try:
            records = self._reader.poll(messages_max=MESSAGES_MAX, timeout_s=POLL_S)
        except OffsetGone as gap:
            log.warning("application.kite_simulator.gap", error=str(gap))
            self._reader.seek(gap.topic, gap.partition, gap.low)
            return []
        return [item for record in records for item in _items(record)]

    def first(self) -> list[Item]:
        """The first items there are, however long that takes."""
        while not (items := self.read()):
            pass
        return items


def _items(record: Record) -> Sequence[Item]:
    try:
        return list(unpack(record.value).items())
    except MalformedTicks:
        return []


async def follow_log(follower: Follower, hear: Callable[[Sequence[Item]], None]) -> None:
    """Tell what the log says until cancelled."""
    while True:
        items = await asyncio.to_thread(follower.read)
        if items:
            hear(items)
