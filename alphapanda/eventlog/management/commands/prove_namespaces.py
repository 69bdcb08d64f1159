"""`manage.py prove_namespaces`: no event of paper has caused one of zerodha; exit 1 and the pairs where one has."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.table import Table

from alphapanda.eventlog import segregation
from alphapanda.eventlog.models import OutboxEvent
from alphapanda.web.console import screen


class Command(BaseCommand):
    help = "Show every paper event that caused a zerodha event; exit code 1 when there is any."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    def handle(self, *_args: Any, as_json: bool, **_options: Any) -> None:
        found = segregation.crossings()
        looked_at = OutboxEvent.objects.count()
        if as_json:
            rows = [asdict(crossing) for crossing in found]
            self.stdout.write(json.dumps({"events": looked_at, "crossings": rows}, default=str))
        elif found:
            screen(self.stdout).print(_table(found))
        else:
            self.stdout.write(f"No paper event caused a zerodha event ({looked_at} events looked at).")
        if found:
            sys.exit(1)


def _table(found: list[segregation.Crossing]) -> Table:
    table = Table("paper event", "type", "caused zerodha event", "type")
    for crossing in found:
        table.add_row(*map(str, asdict(crossing).values()))
    return table
