"""`manage.py bootstrap`: topics, roles, calendar, instruments; again whenever you like."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand
from rich.console import Console

from alphapanda import bootstrap


class Command(BaseCommand):
    help = "Make topics, roles, the exchange calendar and instruments where they are missing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object at the end")

    def handle(self, *_args: Any, **options: Any) -> None:
        console = Console(file=self.stdout, quiet=options["json"], highlight=False)
        results = {}
        for done in bootstrap.run():
            console.print(f"  [green]✓[/] {done.name:<12} [dim]{done.result}[/]")
            results[done.name] = done.result
        if options["json"]:
            self.stdout.write(json.dumps(results))
