"""`manage.py preflight`: is everything there that the platform stands on?"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management import BaseCommand
from rich.table import Table
from rich.text import Text

from alphapanda import preflight
from alphapanda.web.console import screen


class Command(BaseCommand):
    help = "Check database, Redis, log, folders, port, clock, brokers, calendar; exit 1 when something is missing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print a JSON list")
        parser.add_argument("--without-port", action="store_true", help="the web process may be running")

    def handle(self, *_args: Any, **options: Any) -> None:
        findings = preflight.run(port=not options["without_port"])
        if options["json"]:
            self.stdout.write(json.dumps([asdict(finding) for finding in findings]))
        else:
            screen(self.stdout).print(_table(findings))
        if not all(finding.is_good for finding in findings):
            sys.exit(1)


def _table(findings: list[preflight.Finding]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        mark = Text("✓", style="green") if finding.is_good else Text("✗", style="red")
        if finding.is_doubtful:
            mark = Text("!", style="yellow")
        table.add_row(mark, finding.name, finding.detail)
    return table
