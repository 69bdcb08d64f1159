"""`manage.py poison`: malformed messages among good ones, dead letters, and the way back."""

from __future__ import annotations

import json
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.core.management import BaseCommand, CommandError
from rich.console import Console

from alphapanda import logs
from alphapanda.proof import poison
from alphapanda.stack import StackFailed
from alphapanda.web.console import screen


class Command(BaseCommand):
    help = "1,000 malformed messages among 100,000 ticks: dead letters, the rest unharmed, the same books in the end."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--malformed", type=int, default=1_000)
        parser.add_argument("--good", type=int, default=100_000)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        console = screen(stderr=options["json"])
        logs.warnings_only("audit")  # a thousand acts of its own are no news
        try:
            with tempfile.TemporaryDirectory(prefix="alphapanda-") as folder, console.status("playing"):
                result = poison.run(
                    Path(settings.DATA),
                    Path(folder),
                    malformed=options["malformed"],
                    good_max=options["good"],
                )
        except (StackFailed, FileNotFoundError) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(msgspec.to_builtins(result) | {"good": result.is_good}))
        else:
            _show(console, result)
        if not result.is_good:
            raise SystemExit(1)


def _show(console: Console, result: poison.Result) -> None:
    reasons = ", ".join(f"{name} {count}" for name, count in result.reasons.items())
    console.print(
        f"{result.malformed:,} malformed messages among {result.good_items:,} items: "
        f"{result.dead_letters:,} dead letters ({reasons})\n"
        f"other deployments: {result.differing_before} differing rows; lag {result.lag}\n"
        f"after repair and redrive: {result.differing_after} differences, {result.spoiled_fills} fills came back, "
        f"{result.books} differences in rebuilt books; {result.seconds} s"
    )
