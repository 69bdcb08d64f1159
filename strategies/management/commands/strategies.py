"""Strategies: every version that is installed or deployed, with the hash of its file, and every file that does not
load, by line. Looks at the folder, at installed packages and at what ships, and tries again what failed."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console
from rich.table import Table

from strategies.selectors import faults_as_rows, versions_as_rows
from strategies.services.catalogue import catalogue_refresh


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="for scripts")

    def handle(self, *, as_json: bool, **_options: Any) -> None:
        catalogue_refresh(again=True)
        versions, faults = versions_as_rows(), faults_as_rows()
        if as_json:
            self.stdout.write(json.dumps({"strategies": versions, "faults": faults}))
            return
        table = Table("strategy", "version", "hash", "file", "origin", "installed", "deployments")
        for row in versions:
            shown = row | {"hash": row["hash"][:8], "installed": "yes" if row["installed"] else "no"}
            table.add_row(*map(str, shown.values()))
        Console(file=self.stdout, width=None if self.stdout.isatty() else 160).print(table)
        for row in faults:
            self.stdout.write(f"{row['file']}:{row['line']}: {row['fault']}")
