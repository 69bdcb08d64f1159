"""`manage.py parity`: the running pipeline against the in-process backtest, row by row."""

from __future__ import annotations

import json
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import msgspec
from django.core.management import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from alphapanda import deploying
from alphapanda.engine.recorded import Recording
from alphapanda.engine.rows import KINDS
from alphapanda.proof import parity
from alphapanda.proof.recorded import deployments_over
from alphapanda.stack import StackFailed

TIMEOUT_S = 900.0


class Command(BaseCommand):
    help = "Play recorded files through real processes and compare every row with the backtest."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--data", nargs="+", required=True, metavar="FILE", help="FILE[=EXCHANGE:SYMBOL]")
        parser.add_argument(
            "--deployments", help="JSON file of definitions; default: three on each instrument"
        )
        parser.add_argument(
            "--instruments", nargs="*", default=[], type=Path, help="Kite lists to load as well"
        )
        parser.add_argument("--shards", type=int, default=1)
        parser.add_argument("--batch", type=int, default=500, help="most items of one message of the log")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        console = Console(stderr=options["json"], highlight=False)
        try:
            outcome = _run(console, options)
        except (deploying.BadDefinition, StackFailed, LookupError, OSError) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(msgspec.to_builtins(outcome) | {"good": outcome.is_good}))
        else:
            show(console, outcome)
        if not outcome.is_good:
            raise SystemExit(1)


def _run(console: Console, options: dict[str, Any]) -> parity.Outcome:
    files = [str(Path(name).resolve()) if "=" not in name else name for name in options["data"]]
    given = options["deployments"]
    definitions = deploying.read(Path(given)) if given else deployments_over(files)
    recording = Recording(files, definitions, [path.resolve() for path in options["instruments"]])
    with console.status("reading and backtesting") as status:
        source = recording.source()
        runs = recording.backtest(
            source, lambda items: status.update(f"backtest {items:,} of {len(source):,}")
        )
    console.print(f"backtest: {len(source):,} items, {len(runs)} deployments")
    with tempfile.TemporaryDirectory(prefix="alphapanda-") as folder, console.status("the pipeline plays"):
        environment = recording.environment(Path(folder) / "deployments.json") | {
            "ALPHAPANDA_SHARDS": str(options["shards"]),
            "ALPHAPANDA_FEED_BATCH_ITEMS": str(options["batch"]),
        }
        return parity.run(
            label=f"{options['shards']} shards, {options['batch']} items a message",
            environment=environment,
            last_seq=source.last_seq,
            expected=parity.of_accounts([run.account for run in runs]),
            timeout_s=TIMEOUT_S,
        )


def show(console: Console, outcome: parity.Outcome) -> None:
    """One run as a table, and the first diverging rows."""
    table = Table(title=outcome.label, title_justify="left")
    table.add_column("rows")
    for kind in KINDS:
        table.add_column(kind, justify="right")
    table.add_row("compared", *(f"{outcome.rows[kind]:,}" for kind in KINDS))
    console.print(table)
    good = "[green]✓[/]" if outcome.is_good else "[red]✗[/]"
    console.print(
        f"{good} {outcome.differences} differing rows, {outcome.books} differences in rebuilt books, "
        f"{outcome.seconds} s"
    )
    for difference in outcome.first:
        console.print(
            f"[red]first difference[/]: {difference.deployment}, {difference.kind} {difference.number}"
        )
        console.print_json(json.dumps({"backtest": difference.expected, "pipeline": difference.found}))
