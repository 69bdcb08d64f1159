"""The statement of a day: `statement --portfolio NAME --day YYYY-MM-DD`, or `--broker paper`; also CSV, PDF, JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from rich.table import Table

from alphapanda.core.refusals import Refusal
from alphapanda.web.console import screen
from portfolio.statement_files import as_csv, as_object, shown
from portfolio.statement_pdf import as_pdf
from portfolio.statement_tables import NOTE_ON_AMOUNTS, SheetTable, tables, warnings
from portfolio.statements import statement_named

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from portfolio.domain.statement import Statement

WIDTH = 200  # of what is not a terminal


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--portfolio", default="", help="name of one portfolio")
        parser.add_argument("--broker", default="", help="the account of a broker: paper or zerodha")
        parser.add_argument("--day", required=True, help="trading date in India, YYYY-MM-DD")
        parser.add_argument("--csv", type=Path, help="write a CSV file, exact")
        parser.add_argument("--pdf", type=Path, help="write a PDF file, to the paisa")
        parser.add_argument("--json", action="store_true", dest="as_json", help="for scripts")

    def handle(self, *, portfolio: str, broker: str, day: str, as_json: bool, **options: Any) -> None:
        try:
            found = statement_named(portfolio=portfolio, broker=broker, day=day)
        except Refusal as error:
            raise CommandError(str(error)) from error
        if path := options["csv"]:
            _write(path, as_csv(found).encode())
        if path := options["pdf"]:
            _write(path, as_pdf(found))
        if as_json:
            self.stdout.write(json.dumps(as_object(found)))
        else:
            self._show(found)
        if not found.adds_up:
            sys.exit(1)

    def _show(self, found: Statement) -> None:
        console = screen(self.stdout, width=None if self.stdout.isatty() else WIDTH)
        console.print(
            f"Statement of {found.subject} ({found.broker}), {found.day:%A, %d %B %Y}", markup=False
        )
        for told in warnings(found):
            console.print(told)
        for part in tables(found):
            console.print(_table(part))
        console.print(NOTE_ON_AMOUNTS)


def _table(part: SheetTable) -> Table:
    table = Table(title=part.title, title_justify="left")
    for column in part.columns:
        table.add_column(column.name, justify="right" if column.is_number else "left")
    for row in part.rows:
        table.add_row(*map(shown, row))
    if part.total:
        table.add_section()
        table.add_row(*map(shown, part.total))
    return table


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.") from error
