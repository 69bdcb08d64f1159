"""`manage.py audit_books`: whether the books add up; exits 1 when they do not."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandParser
from rich.table import Table

from alphapanda.web.console import screen
from portfolio.audit import Audit, books_differences


class Command(BaseCommand):
    help = "Rebuild all books from fills and from the ledger, and compare them with what is stored."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")

    def handle(self, *_args: Any, **options: Any) -> None:
        audit = books_differences()
        if options["json"]:
            self.stdout.write(msgspec.json.encode(audit).decode())
        elif audit.adds_up:
            self.stdout.write(f"{audit.books} books, {audit.fills} fills: all add up")
        else:
            screen(self.stdout).print(differences_table(audit))
        if not audit.adds_up:
            sys.exit(1)


def differences_table(audit: Audit) -> Table:
    """One row for each thing that does not add up."""
    table = Table(title=f"{audit.books} books, {audit.fills} fills: DIFFERENCES")
    for column in ("book", "instrument", "figure", "origin"):
        table.add_column(column)
    for column in ("stored", "expected"):
        table.add_column(column, justify="right")
    for d in audit.differences:
        table.add_row(str(d.deployment_id), d.instrument, d.figure, d.origin, str(d.stored), str(d.expected))
    for fill_id in audit.unbalanced_fills:
        table.add_row("", "", "entries of a fill", str(fill_id), "not 0", "0")
    for name, total in audit.ledger_sums.items():
        if total:
            table.add_row(name, "", "ledger sum", "ledger", str(total), "0")
    return table
