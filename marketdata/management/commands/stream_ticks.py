"""Host the tick stream: one process, one poll loop."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import OperationalError, close_old_connections, connection
from django.utils import timezone

from alphapanda import logs
from alphapanda.eventlog import incarnation, topics
from alphapanda.eventlog.client import LogReader
from alphapanda.eventlog.records import OffsetGone
from alphapanda.eventlog.shutdown import stop_flag
from marketdata import selectors
from marketdata.consumers import TickStream
from marketdata.stream import StreamCore

POLL_S = 0.02
RETRY_S = 0.2
log = logs.channel("market_data")


class Command(BaseCommand):
    help = "Read the tick log in batches: ring strategy shards, write marks, count faulty ticks, sweep."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "--batch", type=int, default=settings.BATCH_ITEMS, help="messages of one poll, at most"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stop = stop_flag()
        while not self.stop.is_set():
            try:
                self._run(options["batch"])
            except OperationalError as error:  # the database went away: load the stored cursor and go on
                log.warning("market_data.stream.database_lost", error=str(error))
                connection.close()
                close_old_connections()
                self.stop.wait(RETRY_S)
            except OffsetGone as error:  # loading again tells of the gap and passes it
                log.warning("market_data.stream.offset_gone", error=str(error))

    def _run(self, batch: int) -> None:
        topic = topics.MARKET_TICKS
        partitions = range(settings.TICK_PARTITIONS)
        reader = LogReader("tick_stream")
        try:
            core = StreamCore(
                topic=topic,
                shards=settings.SHARDS,
                hours=lambda: (selectors.calendars(), selectors.calendar("NSE")),
                incarnation=incarnation.current(),
                clock=timezone.now,
                monotonic=time.monotonic,
                lag=reader.lag,
                feed=selectors.feed_told(),
            )
            watermarks = {partition: reader.watermarks(topic, partition) for partition in partitions}
            reader.assign(topic, core.load(watermarks))
            self._loop(TickStream(core), reader, batch)
            core.store()
        finally:
            reader.close()

    def _loop(self, stream: TickStream, reader: LogReader, batch: int) -> None:
        while not self.stop.is_set():
            records = reader.poll(messages_max=batch, timeout_s=POLL_S)
            if records:
                stream.handle({"type": "ticks.polled", "records": records})
            else:
                stream.handle({"type": "time.passed"})
