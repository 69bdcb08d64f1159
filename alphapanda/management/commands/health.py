"""Health on the command line: the same checks as the page and the probes."""

from __future__ import annotations

import json
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.live import Live
from rich.table import Table
from rich.text import Text

from alphapanda.health import registry
from alphapanda.health.registry import Level, Result
from alphapanda.web import formats
from alphapanda.web.console import screen

WATCH_S = 2.0
STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def table(results: list[Result]) -> Table:
    """One line for each check."""
    found = Table(box=None, pad_edge=False)
    for heading in ("check", "state", "age", "what"):
        found.add_column(heading, justify="right" if heading == "age" else "left")
    for result in results:
        status = result.status
        level = Text(status.level, style=STYLES[status.level])
        age = formats.age(status.age_s) if status.age_s is not None else ""
        found.add_row(result.name, level, age, status.words)
    return found


class Command(BaseCommand):
    help = "Show the health of every part; exit code 1 when a check fails."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the checks as JSON")
        parser.add_argument("--watch", action="store_true", help="look again every two seconds until Ctrl-C")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["watch"]:
            self._watch()
            return
        results = registry.run()
        if options["json"]:
            rows = [result.as_row() for result in results]
            self.stdout.write(json.dumps({"status": registry.worst(results), "checks": rows}))
        else:
            screen(self.stdout).print(table(results))
        if registry.worst(results) is Level.FAIL:
            raise SystemExit(1)

    def _watch(self) -> None:
        try:
            with Live(table(registry.run()), console=screen(), auto_refresh=False, screen=True) as live:
                while True:
                    time.sleep(WATCH_S)
                    live.update(table(registry.run()), refresh=True)
        except KeyboardInterrupt:
            return
