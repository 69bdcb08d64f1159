"""`manage.py bootstrap`: topics, roles, calendar, instruments; again whenever you like."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError
from rich.text import Text

from alphapanda import bootstrap
from alphapanda.web.console import screen


class Command(BaseCommand):
    help = "Make topics, roles, the exchange calendar and instruments where they are missing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object at the end")

    def handle(self, *_args: Any, **options: Any) -> None:
        console = screen(self.stdout, quiet=options["json"])
        results = {}
        try:
            for done in bootstrap.run():
                console.print(Text.assemble(("  ✓", "green"), f" {done.name:<12} ", (done.result, "dim")))
                results[done.name] = done.result
        except bootstrap.CannotBootstrap as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(results))
