"""`manage.py bench`: ticks a second and latencies of the whole stack on this machine, durable throughout."""

from __future__ import annotations

import json
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from django.conf import settings
from django.core.management import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from alphapanda import deploying
from alphapanda.proof import bench, sessions
from alphapanda.proof.kite_process import free_port
from alphapanda.proof.private import private_stack
from alphapanda.proof.watchers import Crowd, Watched
from alphapanda.stack import Stack, StackFailed
from alphapanda.web.console import screen

if TYPE_CHECKING:
    from alphapanda.proof.frames import Speed

# all that one Kite key can stream: 3 connections x 3,000 instruments, about a tick a second
FLOOR_PER_S = 9_000
FLOOR_P99_MS = 250.0
FRAMES_JUDGED = (1, 200)  # frames at once, packets of each
FRAMES_PER_S, FRAMES_RATIO = 300_000, 4.0
WATCHED_PER_S, WATCHED_S = 5_000, 60.0
AGE_P99_MS, GREW_MB, SLOWER = 500.0, 50.0, 1.1
BOOKED = "tick received to fill booked"


class Command(BaseCommand):
    help = (
        "Measure sustained ticks/s and p50/p99 latencies of all processes; the backtest's speed as well. Exit 1 where "
        f"the first rate is below {FLOOR_PER_S:,} ticks/s, leaves a tick behind or books later than "
        f"{FLOOR_P99_MS:.0f} ms (p99). With --frames: where a frame of {FRAMES_JUDGED[1]} full ticks is read at less "
        f"than {FRAMES_PER_S:,} ticks/s, or less than {FRAMES_RATIO:g} times as fast as by the official client."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--rates", default="9000:60", help="TICKS_PER_S:SECONDS,…; the first is judged")
        parser.add_argument("--shards", type=int, default=1)
        parser.add_argument(
            "--frames", action="store_true", help="only how fast frames of Kite's websocket are read"
        )
        parser.add_argument(
            "--watchers",
            type=int,
            default=0,
            metavar="N",
            help=f"so many people look, a tenth of whom do not read: {WATCHED_PER_S:,} ticks/s with and without them",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        console = screen(stderr=options["json"])
        if options["frames"]:
            self._frames(console, as_json=options["json"])
        elif options["watchers"]:
            self._watched(console, options["watchers"], as_json=options["json"])
        else:
            self._stack(console, options)

    def _watched(self, console: Console, people: int, *, as_json: bool) -> None:
        try:
            with console.status(f"{people} people look"):
                found, alone = _crowd_measured(people), _measure(WATCHED_PER_S, WATCHED_S, 1, with_web=True)
        except StackFailed as error:
            raise CommandError(str(error)) from error
        slower = found.run.hops[BOOKED].p50_ms / alone.hops[BOOKED].p50_ms
        if as_json:
            told = {"watched": found.seen, "run": found.run, "alone": alone, "slower": slower}
            self.stdout.write(json.dumps(msgspec.to_builtins(told)))
        else:
            _show_watched(console, found, alone, slower)
        if (
            found.seen.age_p99_ms > AGE_P99_MS
            or found.seen.lost
            or found.seen.grew_mb > GREW_MB
            or slower > SLOWER
        ):
            raise SystemExit(1)

    def _stack(self, console: Console, options: dict[str, Any]) -> None:
        found = []
        try:
            for rate, seconds in _rates(options["rates"]):
                with console.status(f"{rate:,} ticks/s for {seconds} s"):
                    found.append(_measure(rate, seconds, options["shards"]))
                if not options["json"]:
                    _show(console, found[-1])
        except StackFailed as error:
            raise CommandError(str(error)) from error
        speed = round(bench.backtest_items_per_s(sessions.shipped()))
        console.print(f"in-process backtest: {speed:,} items/s (the session that ships, three deployments)")
        if options["json"]:
            self.stdout.write(json.dumps({"runs": msgspec.to_builtins(found), "backtest_items_per_s": speed}))
        if not _meets_floor(found[0]):
            raise SystemExit(1)

    def _frames(self, console: Console, *, as_json: bool) -> None:
        from alphapanda.proof import frames  # brings the official client, and with it Twisted's reactor

        found = [frames.measure(*shape) for shape in frames.SHAPES]
        if as_json:
            self.stdout.write(json.dumps(msgspec.to_builtins(found)))
        else:
            _show_frames(console, found)
        judged = next(one for one in found if (one.frames, one.packets) == FRAMES_JUDGED)
        if judged.ours_per_s < FRAMES_PER_S or judged.ratio < FRAMES_RATIO:
            raise SystemExit(1)


def _rates(text: str) -> list[tuple[int, float]]:
    try:
        pairs = [part.split(":") for part in text.split(",")]
        return [(int(rate), float(seconds)) for rate, seconds in pairs]
    except ValueError:
        raise CommandError(f"--rates {text!r}: write TICKS_PER_S:SECONDS, e.g. 9000:60,20000:15") from None


class Crowded(NamedTuple):
    """A run that people looked at, and what they saw."""

    run: bench.Measured
    seen: Watched


@contextmanager
def _stack_of(shards: int, *, without: tuple[str, ...], **more: str) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="alphapanda-") as folder:
        definitions = Path(folder) / "deployments.json"
        definitions.write_text(deploying.to_json(bench.definitions()))
        environment = {
            "ALPHAPANDA_INSTRUMENTS": str(bench.instrument_list(Path(folder) / "instruments.csv")),
            "ALPHAPANDA_DEPLOYMENTS": str(definitions),
            "ALPHAPANDA_SHARDS": str(shards),
            "ALPHAPANDA_DATA": str(settings.DATA),
        }
        with private_stack(environment | more, without=without) as stack:
            yield stack


def _measure(rate: int, seconds: float, shards: int, *, with_web: bool = False) -> bench.Measured:
    without, more = ("web", "beat", "feed"), {}
    if with_web:
        without, more = without[1:], {"ALPHAPANDA_PORT": str(free_port())}
    with _stack_of(shards, without=without, **more) as stack:
        return bench.measure(stack, rate=rate, seconds=seconds)


def _crowd_measured(people: int) -> Crowded:
    port = free_port()
    with _stack_of(1, without=("beat", "feed"), ALPHAPANDA_PORT=str(port)) as stack:
        crowd = Crowd(stack, port, readers=people - people // 10, mute=people // 10)
        crowd.start()
        run = bench.measure(stack, rate=WATCHED_PER_S, seconds=WATCHED_S, around=crowd.measured())
        return Crowded(run, crowd.stop())


def _meets_floor(run: bench.Measured) -> bool:
    booked = run.hops[BOOKED]
    is_prompt = booked.count > 0 and booked.p99_ms <= FLOOR_P99_MS
    return run.behind == 0 and run.sent >= FLOOR_PER_S * run.seconds and is_prompt


def _show(console: Console, run: bench.Measured) -> None:
    rate = run.sent / run.seconds
    console.print(
        f"\n{run.asked_per_s:,} ticks/s asked: {run.sent:,} sent, about {rate:,.0f}/s; "
        f"{run.behind:,} not consumed, backlog gone after {run.drained_s} s; memory {run.memory_mb:.0f} MB"
    )
    table = Table()
    for heading in ("from … to …", "count", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="left" if heading.startswith("from") else "right")
    for name, spread in run.hops.items():
        table.add_row(name, f"{spread.count:,}", f"{spread.p50_ms:.1f}", f"{spread.p99_ms:.1f}")
    console.print(table)
    console.print("CPU, % of one core: " + ", ".join(f"{k} {v:.0f}" for k, v in run.cpu_percent.items()))


def _show_frames(console: Console, found: list[Speed]) -> None:
    table = Table(title="full ticks read in a second of the processor, medians")
    for heading in (
        "frames at once",
        "packets of each",
        "ours",
        "ours, packed for the log",
        "official client",
        "ratio",
    ):
        table.add_column(heading, justify="right")
    for speed in found:
        numbers = (speed.frames, speed.packets, speed.ours_per_s, speed.packed_per_s, speed.official_per_s)
        table.add_row(*(f"{number:,}" for number in numbers), f"{speed.ratio:.1f}")
    console.print(table)


def _show_watched(console: Console, found: Crowded, alone: bench.Measured, slower: float) -> None:
    seen = found.seen
    console.print(
        f"{seen.readers} readers and {seen.mute} that do not read: {seen.messages:,} messages; age of what readers see "
        f"p50 {seen.age_p50_ms:.0f} ms, p99 {seen.age_p99_ms:.0f} ms; {seen.lost} of them cut off; the web process "
        f"grew {seen.grew_mb:.0f} MB and used {seen.cpu_percent:.0f} % of a core"
    )
    for title, run in (("with them", found.run), ("with none", alone)):
        booked = run.hops[BOOKED]
        console.print(
            f"{BOOKED}, {title}: {booked.count:,}, p50 {booked.p50_ms:.1f}, p99 {booked.p99_ms:.1f} ms"
        )
    console.print(f"{slower:.2f} times as long at the median")
