"""`manage.py parity`: the running pipeline against the in-process backtest, row by row."""

from __future__ import annotations

import json
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.core.management import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from alphapanda import deploying
from alphapanda.engine.recorded import Recording
from alphapanda.engine.rows import KINDS
from alphapanda.proof import parity, sessions
from alphapanda.proof.recorded import deployments_over
from alphapanda.stack import StackFailed
from alphapanda.web.console import screen

TIMEOUT_S = 900.0


class Command(BaseCommand):
    help = "Play recorded files through real processes and compare every row with the backtest."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--data", nargs="+", metavar="FILE", help="FILE[=EXCHANGE:SYMBOL]; default: the shared test data"
        )
        parser.add_argument(
            "--deployments", help="JSON file of definitions; default: three on each instrument"
        )
        parser.add_argument(
            "--instruments", nargs="*", default=[], type=Path, help="Kite lists to load as well"
        )
        parser.add_argument("--shards", type=int, help="default: 1 and 2, one run after the other")
        parser.add_argument("--batch", type=int, help="most items of one message; default: 1000 and 23")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        console = screen(stderr=options["json"])
        try:
            outcomes = [
                outcome
                for name, recording in _recordings(options).items()
                for outcome in _run(console, name, recording, _setups(options))
            ]
        except (deploying.BadDefinition, StackFailed, LookupError, OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        is_good = all(outcome.is_good for outcome in outcomes)
        if options["json"]:
            self.stdout.write(json.dumps({"runs": msgspec.to_builtins(outcomes), "good": is_good}))
        if not is_good:
            raise SystemExit(1)


def _setups(options: dict[str, Any]) -> list[tuple[int, int]]:
    """Numbers of shards and of items in a message: those given, or two pairs that differ in both, for each pair
    takes as long as the backtest and more."""
    if options["shards"] or options["batch"]:
        return [(options["shards"] or 1, options["batch"] or 500)]
    return [(1, 1_000), (2, 23)]


def _recordings(options: dict[str, Any]) -> dict[str, Recording]:
    if not options["data"]:
        data = Path(settings.DATA)
        return {"minute bars": sessions.a_month_of_bars(data), "ticks": sessions.days_of_ticks(data)}
    files = [str(Path(name).resolve()) if "=" not in name else name for name in options["data"]]
    given = options["deployments"]
    definitions = deploying.read(Path(given)) if given else deployments_over(files)
    return {"files": Recording(files, definitions, [path.resolve() for path in options["instruments"]])}


def _run(
    console: Console, name: str, recording: Recording, setups: list[tuple[int, int]]
) -> Iterator[parity.Outcome]:
    with console.status("reading and backtesting") as status:
        source = recording.source()
        runs = recording.backtest(
            source, lambda items: status.update(f"backtest {items:,} of {len(source):,}")
        )
    console.print(f"{name}: {len(source):,} items, {len(runs)} deployments")
    expected = parity.of_accounts([run.account for run in runs])
    for shards, batch in setups:
        with (
            tempfile.TemporaryDirectory(prefix="alphapanda-") as folder,
            console.status("the pipeline plays"),
        ):
            environment = recording.environment(Path(folder) / "deployments.json") | {
                "ALPHAPANDA_SHARDS": str(shards),
                "ALPHAPANDA_FEED_BATCH_ITEMS": str(batch),
            }
            outcome = parity.run(
                label=f"{name}, {shards} shards, {batch} items a message",
                environment=environment,
                last_seq=source.last_seq,
                expected=expected,
                timeout_s=TIMEOUT_S,
            )
        show(console, outcome)
        yield outcome


def show(console: Console, outcome: parity.Outcome) -> None:
    """One run as a table, and the first diverging rows."""
    table = Table(title=outcome.label, title_justify="left")
    table.add_column("rows")
    for kind in KINDS:
        table.add_column(kind, justify="right")
    table.add_row("compared", *(f"{outcome.rows[kind]:,}" for kind in KINDS))
    console.print(table)
    mark = ("✓", "green") if outcome.is_good else ("✗", "red")
    counts = f" {outcome.differences} differing rows, {outcome.books} differences in rebuilt books"
    console.print(Text.assemble(mark, f"{counts}, {outcome.seconds} s"))
    for difference in outcome.first:
        where = f": {difference.deployment}, {difference.kind} {difference.number}"
        console.print(Text.assemble(("first difference", "red"), where))
        sides = {"backtest": difference.expected, "pipeline": difference.found}
        console.print_json(json.dumps(msgspec.to_builtins(sides)))
