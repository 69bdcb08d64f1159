"""Build the live read model anew from PostgreSQL."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from alphapanda import projections
from alphapanda.push.readmodel import ReadModelUnavailable


class Command(BaseCommand):
    help = "Build the live read model in Redis anew from PostgreSQL; safe at any time."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the row counts as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            counts = projections.rebuild()
        except ReadModelUnavailable as error:
            raise CommandError(str(error)) from error
        words = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        self.stdout.write(json.dumps(counts) if options["json"] else f"Read model built: {words}.")
