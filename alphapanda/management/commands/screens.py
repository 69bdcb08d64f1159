"""`manage.py screens`: pictures of every page of the cockpit, what they weigh, and what a page must not do."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import msgspec
from django.core.management import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from alphapanda import logs
from alphapanda.proof import screens, screens_load
from alphapanda.stack import StackFailed
from alphapanda.web.console import screen


class Command(BaseCommand):
    help = (
        "Play the recorded session in a stack of its own, open every page in Chromium in both themes and on a phone, "
        "keep the pictures. Exit 1 where a page has an error in its console, a broken policy, a request to another "
        f"host, an answer of 400 or more, scrolls sideways, weighs more than {screens.BYTES_MAX:,} bytes or takes more "
        f"than {screens.CONTENT_MS_MAX} ms to its content. With --load: where a page on which {screens_load.ROWS} rows "
        f"change four times a second has a task of {screens_load.LONG_MS} ms, or draws fewer than "
        f"{screens_load.FRAMES_LEAST} frames a second."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--into", type=Path, default=Path(".run/screens"), help="folder of the pictures")
        parser.add_argument("--load", action="store_true", help="only the page under load, no pictures")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        console = screen(stderr=options["json"])
        logs.warnings_only("audit")
        try:
            with console.status("starting") as status:
                result: screens.Result | screens_load.Load = (
                    screens_load.run(status.update)
                    if options["load"]
                    else screens.run(options["into"], status.update)
                )
        except StackFailed as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(msgspec.to_builtins(result) | {"good": result.is_good}))
        elif isinstance(result, screens_load.Load):
            _tell_load(console, result)
        else:
            _tell(console, result, options["into"])
        if not result.is_good:
            raise SystemExit(1)


def _tell(console: Console, result: screens.Result, folder: Path) -> None:
    table = Table(title=f"{len(result.shots)} pictures in {folder}")
    for heading in ("page", "theme", "size", "requests", "bytes", "unpacked", "ms to content"):
        table.add_column(heading, justify="left" if heading in ("page", "theme", "size") else "right")
    for shot in result.shots:
        weight = (shot.weight.requests, shot.weight.bytes, shot.weight.plain_bytes, shot.weight.content_ms)
        table.add_row(shot.page, shot.theme, shot.size, *(f"{number:,}" for number in weight))
    console.print(table)
    for fault in result.faults:
        console.print(f"! {fault}", markup=False)


def _tell_load(console: Console, load: screens_load.Load) -> None:
    console.print(
        f"{load.rows_per_s} rows drawn a second for {load.seconds} s: {load.frames_per_s} frames a second, "
        f"{load.long_tasks} tasks of {screens_load.LONG_MS} ms or more, the longest {load.longest_ms} ms; "
        f"its thread used {load.busy_percent} % of a core"
    )
