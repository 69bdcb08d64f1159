"""`manage.py feed`: one source of ticks into market.ticks until it ends or SIGTERM comes."""

from __future__ import annotations

import math
import threading
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from alphapanda import kite_feed, logs
from alphapanda.core.clock import ist_text
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog.client import LogProducer, LogReader
from alphapanda.eventlog.shutdown import stop_flag
from alphapanda.web.console import screen
from marketdata import selectors
from marketdata.domain.kite_frames import Mode
from marketdata.domain.ticks import FIRST_SEQ, source_id
from marketdata.feeds.files import UnknownFormat, recorded_file
from marketdata.feeds.recorded import RecordedSource, UnknownInstrument
from marketdata.feeds.synthetic import SyntheticSource
from marketdata.reference import YESBANK_FILES
from marketdata.selectors import primary_keys
from marketdata.services import feed
from marketdata.services.kite_feed import SOURCE

log = logs.channel("market_data")
SYNTHETIC_MARKET = "NSE"  # when a synthetic session begins
SYNTHETIC_SEED = 20190709


class SystemWall:
    """The clock of this machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


class Command(BaseCommand):
    help = "Publish recorded ticks, made-up ones or those of Kite's websocket to market.ticks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--source", choices=["recorded", "synthetic", "kite"], default=_source_of_settings()
        )
        parser.add_argument(
            "--files", nargs="+", metavar="PATH[=EXCHANGE:SYMBOL]", help="default: FEED_FILES"
        )
        parser.add_argument("--speed", type=_speed, help="times real time, or max; default: FEED_SPEED")
        parser.add_argument("--from-start", action="store_true", help="a new run, played from its beginning")
        parser.add_argument(
            "--batch", type=int, default=settings.FEED_BATCH_ITEMS, help="most items in a message"
        )
        parser.add_argument(
            "--lead", type=int, default=feed.LEAD_ITEMS, help="items ahead of the consumers; 0: any"
        )
        parser.add_argument("--exit-at-end", action="store_true", help="do not stay when the recording ends")
        parser.add_argument(
            "--account", default="", metavar="NAME", help="of several broker accounts, whose token"
        )
        parser.add_argument(
            "--mode",
            choices=list(Mode),
            default=Mode.FULL,
            help="of kite; full alone has the exchange's times",
        )
        parser.add_argument("--instruments", type=int, default=3_000, help="of a synthetic source")
        parser.add_argument("--ticks-per-s", type=int, default=3_000, help="of a synthetic source")

    def handle(self, *_args: Any, **options: Any) -> None:
        stop = stop_flag()
        speed = settings.FEED_SPEED if options["speed"] is None else options["speed"]
        with LogProducer(Broker.SHARED, service="feed") as producer:
            if options["source"] == "synthetic":
                _play_synthetic(producer, stop, speed, options)
            elif options["source"] == "kite":
                _play_kite(producer, stop, options)
            else:
                self._play_recorded(producer, stop, speed, options)
            producer.flush(feed.FLUSH_TIMEOUT_S)

    def _play_recorded(
        self, producer: LogProducer, stop: threading.Event, speed: float, options: dict[str, Any]
    ) -> None:
        source, partitions = _source(options["files"] or settings.FEED_FILES or YESBANK_FILES, options)
        with LogReader("feed") as reader:
            tails = feed.tails(reader, source=source.source, partitions=range(settings.TICK_PARTITIONS))
        start = feed.first_seq(source, tails=tails, done=feed.consumed(source.source))
        wall = SystemWall()
        publisher = feed.Publisher(
            producer,
            source=source.source,
            partitions=partitions,
            tails=tails,
            wall=wall,
            batch_items=options["batch"],
        )
        with _Line(source, start) as line:
            player = feed.RecordedFeed(
                source, publisher, wall=wall, stop=stop, lead_items=options["lead"], progress=line.show
            )
            log.info("market_data.feed.started", source=source.name, start=start, last=source.last_seq)
            is_over = player.play(start, speed=speed)
        producer.flush(feed.FLUSH_TIMEOUT_S)
        if is_over:
            log.info("market_data.feed.finished", source=source.name, last=source.last_seq)
            if not options["exit_at_end"]:
                stop.wait()


def _source(texts: Iterable[Any], options: dict[str, Any]) -> tuple[RecordedSource, dict[int, int]]:
    """The recorded source and the partition of each of its tokens."""
    try:
        files = [recorded_file(str(text)) for text in texts]
        specs = selectors.specs_by_key(file.key for file in files)
        run = f"#{SystemWall().now_ms()}" if options["from_start"] else ""
        source = RecordedSource(files, instruments=specs, calendar=selectors.calendars(), run=run)
    except (UnknownFormat, UnknownInstrument, OSError) as error:
        raise CommandError(str(error)) from error
    for report in source.reports:
        if report.faulty:
            log.warning(
                "market_data.file.faulty_rows",
                file=report.path.name,
                rows=report.rows,
                faulty=report.faulty,
                examples=report.examples,
            )
    partitions = {spec.token: spec.partition for spec in specs.values()}
    beyond = [spec.key for spec in specs.values() if spec.partition >= settings.TICK_PARTITIONS]
    if beyond:
        raise CommandError(f"{', '.join(beyond)}: on a partition beyond TICK_PARTITIONS")
    return source, partitions


def _play_synthetic(
    producer: LogProducer, stop: threading.Event, speed: float, options: dict[str, Any]
) -> None:
    wall = SystemWall()
    starts_ms = selectors.calendar(SYNTHETIC_MARKET).next_open_ms(wall.now_ms())
    source = SyntheticSource(
        {token: token % settings.TICK_PARTITIONS for token in range(1, options["instruments"] + 1)},
        ticks_per_s=options["ticks_per_s"],
        seed=SYNTHETIC_SEED,
        starts_ms=starts_ms,
        batch_items=options["batch"],
    )
    sent = feed.play_synthetic(source, producer, wall=wall, stop=stop, speed=speed)
    log.info("market_data.feed.stopped", source="synthetic", sent=sent)


def _play_kite(producer: LogProducer, stop: threading.Event, options: dict[str, Any]) -> None:
    keys = settings.FEED_INSTRUMENTS
    if unknown := set(keys) - primary_keys(keys).keys():
        raise CommandError(f"FEED_INSTRUMENTS: {min(unknown)} is not in the instrument list")
    mode = Mode(options["mode"])
    if mode is not Mode.FULL and settings.FEED_CLOCK == "ticks":
        raise CommandError(f"--mode {mode}: its ticks have no times for FEED_CLOCK ticks; expected full")
    wall, source = SystemWall(), source_id(SOURCE)
    with LogReader("feed") as reader:
        found = feed.heard(reader, source=source, partitions=range(settings.TICK_PARTITIONS))
    publisher = feed.RowPublisher(
        producer,
        source=source,
        first_seq=feed.live_first_seq(found, now_ms=wall.now_ms()),
        partitions=settings.TICK_PARTITIONS,
        wall=wall,
        batch_items=options["batch"],
    )
    kite_feed.play(
        publisher, heard_ms=found.received_ms, account=options["account"], mode=mode, wall=wall, stop=stop
    )


class _Line:
    """One line of progress on a terminal; nothing elsewhere."""

    def __init__(self, source: RecordedSource, start: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        console = screen(stderr=True)
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._progress.add_task("feed", total=source.last_seq, completed=start - FIRST_SEQ)

    def __enter__(self) -> _Line:
        self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()

    def show(self, progress: feed.Progress) -> None:
        self._progress.update(self._task, completed=progress.seq, description=ist_text(progress.at_ms))


def _source_of_settings() -> str:
    return str(settings.FEED) if settings.FEED != "none" else "recorded"


def _speed(text: str) -> float:
    speed = math.inf if text == "max" else float(text)
    if not speed > 0:
        raise ArgumentTypeError("a speed is above 0, or max")
    return speed
